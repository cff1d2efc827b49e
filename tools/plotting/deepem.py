"""Figures of networks that imitate an inversion: bins beside channels, synthesis, loss curves."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from sunpy.visualization.colormaps import cm as sun_colours

from tools.channels import channel_name
from tools.plotting.style import COLOURS, new_figure

__all__ = ["plot_bins_beside_channels", "plot_loss_curves", "plot_solutions_mean", "plot_synthesis"]

_BRIGHTNESS, _EM = "DN s$^{-1}$ pix$^{-1}$", "cm$^{-5}$"
_SHOWN_PERCENTILE = 99.7


def plot_bins_beside_channels(
    dn: dict[int, np.ndarray],
    bins: dict[str, dict[int, np.ndarray]],
    log_temperature: dict[int, float],
    *,
    title: str,
) -> Figure:
    """Draw channels, and the temperature bin that each sees best in every solution.

    One row for each channel; the solutions of a row share one colour scale.

    Parameters
    ----------
    dn : dict of (y, x) float
        By channel in angstrom, DN s-1 pix-1.
    bins : dict
        By the solution's name: dict of (y, x) float by channel, cm-5.
    log_temperature : dict of float
        Middle of each channel's bin, log10 of K.
    """
    figure, grid = _grid(len(dn), 1 + len(bins), next(iter(dn.values())).shape)
    for row, (channel, image) in zip(grid, dn.items(), strict=True):
        _channel_panel(figure, row[0], image, channel, f"AIA {channel_name(channel)}")
        maps = {name: values[channel] for name, values in bins.items()}
        norm = _norm(next(iter(maps.values())))
        for axes, (name, values) in zip(row[1:], maps.items(), strict=True):
            text = f"{name}, log T = {log_temperature[channel]:.1f}"
            _panel(figure, axes, values, "viridis", norm, text, _EM)
    figure.suptitle(title, fontsize=9)
    return figure


def plot_synthesis(
    dn: dict[int, np.ndarray], synthesised: dict[str, dict[int, np.ndarray]], *, title: str
) -> Figure:
    """Draw channels as observed and as each solution gives them, on the observed one's scale.

    Parameters
    ----------
    dn : dict of (y, x) float
        By channel in angstrom, DN s-1 pix-1.
    synthesised : dict
        By the solution's name: dict of (y, x) float by channel, DN s-1 pix-1.
    """
    figure, grid = _grid(len(dn), 1 + len(synthesised), next(iter(dn.values())).shape)
    for row, (channel, image) in zip(grid, dn.items(), strict=True):
        _channel_panel(figure, row[0], image, channel, f"AIA {channel_name(channel)}, observed")
        for axes, (name, values) in zip(row[1:], synthesised.items(), strict=True):
            text = f"{channel_name(channel)} from {name}"
            _channel_panel(figure, axes, values[channel], channel, text, like=image)
    figure.suptitle(title, fontsize=9)
    return figure


def plot_loss_curves(history: list[dict], *, label: str, axes: Axes | None = None) -> Axes:
    """Draw training and validation loss over epochs on a logarithmic axis.

    Parameters
    ----------
    history : list of dict
        Rows with ``epoch``, ``loss`` and ``val_loss``.
    label : str
        What the loss is, with unit.
    """
    axes = axes or new_figure(6.0, 3.4)[1]
    epoch = [row["epoch"] for row in history]
    marker = "o" if len(history) < 3 else None
    for key, name, colour in (
        ("loss", "training", "0.5"),
        ("val_loss", "validation", COLOURS["network"]),
    ):
        values = [row[key] for row in history]
        axes.plot(epoch, values, color=colour, label=name, marker=marker, markersize=3)
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return axes


def plot_solutions_mean(
    curves: dict[str, np.ndarray], log_temperature_edges: np.ndarray, axes: Axes | None = None
) -> Axes:
    """Draw mean emission measure: the first solution as a full line, the others dashed.

    Parameters
    ----------
    curves : dict of (bin,) float
        By the solution's name, cm-5 per bin.
    log_temperature_edges : (bin + 1,) float
        log10 of K.
    """
    axes = axes or new_figure(5.6, 3.6)[1]
    edges = np.asarray(log_temperature_edges, float)
    middle = (edges[:-1] + edges[1:]) / 2
    colours = ["black", COLOURS["band"], COLOURS["logistic"]]
    for k, (name, curve) in enumerate(curves.items()):
        style = "-" if k == 0 else "--"
        axes.plot(middle, curve, style, color=colours[k % 3], linewidth=2.5 - 0.5 * k, label=name)
    axes.set_yscale("log")
    positive = [c[c > 0] for c in curves.values() if (c > 0).any()]
    low, high = 1e24, 1e27
    if positive:
        low = min(low, max(min(c.min() for c in positive), 1e22))
        high = max(high, 2 * max(c.max() for c in positive))
    axes.set_ylim(low / 1.5, high)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("log$_{10}$ T (K)")
    axes.set_ylabel("mean emission measure in the bin (cm$^{-5}$)")
    axes.legend(fontsize=8)
    return axes


def _grid(n_rows: int, n_columns: int, shape: tuple[int, int]) -> tuple:
    """Make panels that fit images of this shape."""
    tall = 2.7 * min(max(shape[0] / shape[1], 0.5), 2.0)
    figure, grid = new_figure(
        3.3 * n_columns, tall * n_rows + 0.4, nrows=n_rows, ncols=n_columns, squeeze=False
    )
    return figure, grid


def _norm(values: np.ndarray) -> PowerNorm:
    """Give a scale on which the square root is even, as the network sees brightness and EM."""
    finite = values[np.isfinite(values)]
    top = float(np.percentile(finite, _SHOWN_PERCENTILE)) if finite.size else 0.0
    if not top > 0:
        top = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    return PowerNorm(0.5, vmin=0, vmax=top, clip=True)


def _channel_panel(figure, axes, image, channel: int, text: str, like=None) -> None:
    """Draw one image in its channel's own colours."""
    colours = sun_colours.cmlist.get(f"sdoaia{channel}", "gray")
    norm = _norm(image if like is None else like)
    _panel(figure, axes, image, colours, norm, text, _BRIGHTNESS)


def _panel(figure, axes, values, colours, norm: PowerNorm, text: str, unit: str) -> None:
    """Draw one map with its colour bar."""
    shown = axes.imshow(np.nan_to_num(values), origin="lower", cmap=colours, norm=norm)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(text, fontsize=8)
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    bar.set_label(unit, fontsize=7)
    ticks = [0, norm.vmax / 4, norm.vmax]
    bar.set_ticks(ticks, labels=[f"{t:.3g}" for t in ticks], fontsize=6)
    bar.minorticks_off()
