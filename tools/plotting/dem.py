"""Figures of emission measure: bins as maps, channels beside what was observed, the mean curve."""

from __future__ import annotations

import re

import numpy as np
from matplotlib.colors import LogNorm, PowerNorm
from matplotlib.figure import Figure
from sunpy.visualization.colormaps import cm as sun_colours

from tools.channels import channel_name
from tools.plotting.style import COLOURS, new_figure

__all__ = ["plot_bins", "plot_channels", "plot_mean_curve", "plot_series"]

_LOWEST = 1e23  # cm-5


def plot_bins(em: np.ndarray, log_temperature_edges: np.ndarray, *, title: str) -> Figure:
    """Draw a map of each bin on one logarithmic scale.

    Parameters
    ----------
    em : (bin, y, x) float
        cm-5; row 0 is the southern edge.
    log_temperature_edges : (bin + 1,) float
    """
    n, columns = len(em), 6
    rows = -(-n // columns)
    high, wide = em.shape[1:]
    tall = 1.75 * min(max(high / wide, 0.5), 2.0)
    figure, grid = new_figure(11.0, tall * rows + 1.1, nrows=rows, ncols=columns, squeeze=False)
    top = max(float(np.nanpercentile(em, 99.9)), 10 * _LOWEST)
    norm = LogNorm(max(top / 1e4, _LOWEST), top, clip=True)
    shown = None
    for k, axes in enumerate(grid.ravel()):
        axes.set_axis_off()
        if k >= n:
            continue
        shown = axes.imshow(np.maximum(em[k], norm.vmin), origin="lower", cmap="inferno", norm=norm)
        low, up = log_temperature_edges[k : k + 2]
        axes.set_title(f"log T {low:.2f}-{up:.2f}", fontsize=8)
    bar = figure.colorbar(shown, ax=grid, location="bottom", shrink=0.5, aspect=50, pad=0.02)
    bar.set_label("emission measure in the bin (cm$^{-5}$)", fontsize=8)
    figure.suptitle(title, fontsize=9)
    return figure


def plot_channels(
    observed: np.ndarray,
    model: np.ndarray,
    channels: tuple[int | str, ...],
    *,
    title: str,
    unit: str = "DN s-1 pix-1",
) -> Figure:
    """Draw every channel as observed and as the emission measure gives it, on one scale.

    Parameters
    ----------
    observed, model : (channel, y, x) float
        In ``unit``.
    channels : tuple
        AIA's in angstrom, or names of another instrument's.
    """
    n = len(channels)
    high, wide = observed.shape[1:]
    tall = 1.75 * min(max(high / wide, 0.5), 2.0)
    figure, grid = new_figure(11.5, 2 * tall + 1.0, nrows=2, ncols=n, squeeze=False)
    for k, channel in enumerate(channels):
        known = observed[k][np.isfinite(observed[k])]
        if not len(known):  # the channel is missing
            known = model[k][np.isfinite(model[k])]
        top = max(float(np.percentile(known, 99.7)) if len(known) else 0.0, 1e-3)
        norm = PowerNorm(0.5, vmin=0, vmax=top, clip=True)
        colours = sun_colours.cmlist.get(f"sdoaia{channel}", "gray")
        shown = None
        for line, image, name in ((0, observed[k], "observed"), (1, model[k], "from the EM")):
            axes = grid[line, k]
            axes.set_xticks([])
            axes.set_yticks([])
            shown = axes.imshow(np.nan_to_num(image), origin="lower", cmap=colours, norm=norm)
            called = channel_name(channel) if isinstance(channel, int) else channel
            axes.set_title(f"{called}, {name}", fontsize=7)
        bar = figure.colorbar(shown, ax=grid[:, k], location="bottom", aspect=14, pad=0.02)
        bar.set_label(re.sub(r"-(\d)", r"$^{-\1}$", unit), fontsize=7)
        ticks = [0, top / 4, top]
        bar.set_ticks(ticks, labels=[f"{t:.3g}" for t in ticks], fontsize=6)
        bar.minorticks_off()
    figure.suptitle(title, fontsize=9)
    return figure


def plot_mean_curve(
    curves: dict[str, np.ndarray],
    log_temperature_edges: np.ndarray,
    *,
    interval: tuple[np.ndarray, np.ndarray] | None = None,
    what: str = "mean emission measure",
) -> Figure:
    """Draw emission measure curves, each (bin,) in cm-5.

    Parameters
    ----------
    curves : dict of (bin,) float
        By their names.
    log_temperature_edges : (bin + 1,) float
    interval : (low, high), optional
        Each (bin,), cm-5: shaded, in the colour of the first curve.
    what : str
        Words for the axis.
    """
    figure, axes = new_figure(5.2, 3.6)
    colours = [COLOURS["network"], COLOURS["chance"], "C2", "C3", "C4"]
    top = max(float(np.max(c)) for c in curves.values())
    lowest = max(top / 1e4, _LOWEST / 10)
    if interval is not None:
        low, high = (np.maximum(end, lowest / 10) for end in interval)
        shade = {"color": colours[0], "alpha": 0.25, "fill": True, "label": "68 % interval"}
        axes.stairs(high, log_temperature_edges, baseline=low, **shade)
    for k, (name, curve) in enumerate(curves.items()):
        axes.stairs(curve, log_temperature_edges, label=name, color=colours[k % len(colours)])
    axes.set_yscale("log")
    axes.set_ylim(lowest, 3 * top)
    axes.set_xlabel("log$_{10}$ T (K)")
    axes.set_ylabel(f"{what} in the bin (cm$^{{-5}}$)")
    axes.legend(fontsize=8)
    return figure


def plot_series(
    times: np.ndarray, mean_em: np.ndarray, log_temperature_edges: np.ndarray, *, title: str
) -> Figure:
    """Draw the mean emission measure of each time as a column, in order but not to scale of time.

    Parameters
    ----------
    times : (time,) datetime64
    mean_em : (time, bin) float
        cm-5; NaN where a time has none.
    log_temperature_edges : (bin + 1,) float
    """
    figure, axes = new_figure(8.0, 3.8)
    top = max(float(np.nanmax(mean_em, initial=0.0)), 10 * _LOWEST)
    norm = LogNorm(max(top / 1e4, _LOWEST / 10), top, clip=True)
    places = np.arange(len(times) + 1) - 0.5
    shown = axes.pcolormesh(
        places, log_temperature_edges, mean_em.T, cmap="inferno", norm=norm, rasterized=True
    )
    axes.set_facecolor("0.8")  # times that failed
    ticks = np.unique(np.linspace(0, len(times) - 1, 6).astype(int))
    texts = [str(np.datetime64(times[k], "m")).replace("T", "\n") for k in ticks]
    axes.set_xticks(ticks, labels=texts, fontsize=7)
    axes.set_ylabel("log$_{10}$ T (K)")
    bar = figure.colorbar(shown, ax=axes, pad=0.02)
    bar.set_label("mean emission measure in the bin (cm$^{-5}$)", fontsize=8)
    axes.set_title(title, fontsize=8)
    return figure
