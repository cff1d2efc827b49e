"""Figures of explanations: signed maps over the Sun's images, shares of the channels."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from scipy.ndimage import gaussian_filter
from sunpy.visualization.colormaps import cm as sun_colours

from tools.channels import channel_name
from tools.plotting.style import COLOURS, new_figure

__all__ = ["plot_exchanges", "plot_filters", "plot_series_map", "plot_solar_maps"]

_GRID_DEG = 30
_MASS = (0.5, 0.9)
_BOX = "#ffd447"
_DIMMED = 1.8  # images lie dark beneath the map
_LETTER = 0.075  # solar radii: width of a letter of a region's name
_CONTOUR_WIDTH = 1 / 48  # of the image: contours follow the map smoothed so far


def plot_solar_maps(
    images: np.ndarray,
    values: np.ndarray,
    channels: tuple,
    *,
    unit: str,
    title: str,
    half_field: float = 1.28,
    has_disc: bool = True,
    tilt_deg: float = 0.0,
    boxes: Sequence[tuple[str, float, float, float, float]] = (),
) -> Figure:
    """Draw a signed map over every channel's image, and what share of it each channel has.

    Parameters
    ----------
    images : (channel, y, x) float
        Row 0 is the southern edge.
    values : (channel or 1, y, x) float
        What speaks for the target is positive.
    channels : tuple
    unit : str
        Of the map, on its colour bar.
    half_field : float
        Half the image's width in solar radii.
    tilt_deg : float
        Latitude of the disc's centre (B0).
    has_disc : bool
        Draw limb and heliographic grid.
    boxes : sequence of (name, x, y, half_width, half_height)
        Active regions, solar radii from the disc's centre to the west and to the north.
    """
    n_panels = len(values)
    panels = [(k, images[k], values[k]) for k in range(n_panels)]
    if n_panels == 1:
        k = channels.index(193) if 193 in channels else 0
        panels = [(k, images[k], values[0])]
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = new_figure(
        2.6 * columns + (2.2 if n_panels > 1 else 1.4),
        2.75 * rows + 0.5,
        nrows=rows,
        ncols=columns + 1,
        squeeze=False,
        width_ratios=[1] * columns + [0.75 if n_panels > 1 else 0.06],
    )
    top = max(float(np.percentile(np.abs(values), 99.7)), np.finfo(float).tiny)
    norm = TwoSlopeNorm(0, -top, top)
    width = values.shape[-1] * _CONTOUR_WIDTH
    smooth = gaussian_filter(np.abs(values), (0, width, width))
    levels = _mass_levels(smooth)
    shown = None
    cells = [grid[r, c] for r in range(rows) for c in range(columns)]
    for axes in cells[len(panels) :]:
        axes.set_axis_off()
    for axes, (k, image, value), mass in zip(cells, panels, smooth, strict=False):
        _under(axes, image, channels[k], half_field)
        extent = _extent(half_field)
        strength = np.clip(np.abs(value) / top, 0, 1) ** 0.4
        shown = axes.imshow(
            value, origin="lower", extent=extent, cmap="RdBu_r", norm=norm, alpha=0.9 * strength
        )
        _contours(axes, mass, levels, half_field)
        if has_disc:
            _heliographic_grid(axes, tilt_deg)
        axes.set_aspect(value.shape[0] / value.shape[1])
        _boxes(axes, boxes)
        axes.set_xlim(-half_field, half_field)
        axes.set_ylim(-half_field, half_field)
        name = channel_name(channels[k]) if not isinstance(channels[k], str) else channels[k]
        axes.set_title(name if n_panels > 1 else f"all channels (image: {name})")
    _shares(grid[:, -1], values, channels if n_panels > 1 else None)
    bar = figure.colorbar(
        shown,
        ax=list(grid[:, :columns].ravel()),
        location="bottom",
        shrink=0.5,
        aspect=40,
        pad=0.02,
    )
    power = int(np.floor(np.log10(top)))
    power = 0 if abs(power) < 3 else power
    ticks = np.array([-1, -0.5, 0, 0.5, 1]) * top
    bar.set_ticks(ticks, labels=[f"{t / 10.0**power:.2g}" for t in ticks])
    wide = 100 if n_panels > 1 else 46
    label = f"{unit}, in 1e{power}" if power else unit
    bar.set_label("\n".join(textwrap.wrap(label, wide)), fontsize=8)
    figure.suptitle("\n".join(textwrap.wrap(title, wide)), fontsize=9)
    return figure


def plot_filters(
    rows: list[tuple[str, list[tuple[np.ndarray, np.ndarray, np.ndarray, str]]]],
    channels: tuple,
    *,
    title: str,
    half_field: float = 1.28,
    has_disc: bool = True,
    tilt_deg: float = 0.0,
) -> Figure:
    """Draw one row per filter: its map over an image, then over the images that excite it most.

    Parameters
    ----------
    rows : list of (name, cells)
        A cell is (image (y, x, channel), map (y, x, channel), place, text); every row has as many.
        The place is ringed: shares of the image's height and width.
    """
    n = max(len(cells) for _, cells in rows)
    figure, grid = new_figure(
        2.5 * n + 0.3, 2.75 * len(rows) + 0.4, nrows=len(rows), ncols=n, squeeze=False
    )
    for line, (name, cells) in zip(grid, rows, strict=True):
        for k, (axes, (image, values, middle, text)) in enumerate(zip(line, cells, strict=True)):
            if image.ndim < 3:
                axes.plot(values)
                axes.set_title(f"{name}: {text}", fontsize=7)
                continue
            channel = int(np.abs(values).sum(axis=(0, 1)).argmax())
            top = max(float(np.abs(values[..., channel]).max()), np.finfo(float).tiny)
            _under(axes, image[..., channel], channels[channel], half_field)
            axes.imshow(
                values[..., channel],
                origin="lower",
                extent=_extent(half_field),
                cmap="RdBu_r",
                norm=TwoSlopeNorm(0, -top, top),
                alpha=0.9 * (np.abs(values[..., channel]) / top) ** 0.5,
            )
            place = (2 * middle[::-1] - 1) * half_field
            axes.add_patch(Circle(place, 0.16, fill=False, color="#00ff88", linewidth=0.9))
            if has_disc:
                _heliographic_grid(axes, tilt_deg)
            axes.set_aspect(values.shape[0] / values.shape[1])
            axes.set_xlim(-half_field, half_field)
            axes.set_ylim(-half_field, half_field)
            label = channels[channel]
            label = channel_name(label) if isinstance(label, int) else str(label)
            what = f"{name}, {label}" if k == 0 else f"excited most: {label}"
            axes.set_title(f"{what}\n{text}", fontsize=7)
    figure.suptitle("\n".join(textwrap.wrap(title, 30 * n)), fontsize=9)
    return figure


def plot_series_map(
    values: np.ndarray, names: tuple, *, unit: str, title: str, along: str
) -> Figure:
    """Draw a map of a series: one line per column over its steps.

    Parameters
    ----------
    values : (step, column) float
    along : str
        What the steps are; those of "hours before ..." end at -1.
    """
    figure, axes = new_figure(7.0, 3.4)
    steps = (
        np.arange(-len(values), 0) if along.startswith("hours before") else np.arange(len(values))
    )
    for k in range(values.shape[-1]):
        size = np.abs(values[:, k]).max()
        axes.plot(steps, values[:, k] / (size or 1), label=f"{names[k]} (largest {size:.2g})")
    axes.axhline(0, color="0.8", linewidth=0.8)
    axes.set_xlabel(along)
    axes.set_ylabel(f"share of the largest ({unit})")
    axes.set_title(title, fontsize=9)
    if len(names) <= 10:
        axes.legend(fontsize=8)
    return figure


def plot_exchanges(
    curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], *, unit: str
) -> Figure:
    """Draw how a target changes as pixels are deleted and inserted by a map, and at random.

    Parameters
    ----------
    curves : sequence of (kind, share, by_map, at_random)
    """
    figure, grid = new_figure(4.3 * len(curves), 3.2, ncols=len(curves), squeeze=False)
    for axes, (kind, share, by_map, at_random) in zip(grid[0], curves, strict=True):
        axes.plot(100 * share, by_map, color=COLOURS["network"], label="the map's strongest first")
        axes.plot(100 * share, at_random, color=COLOURS["chance"], label="at random")
        way = "replaced by the baseline" if kind == "deletion" else "put onto the baseline"
        axes.set_xlabel(f"pixels {way} (%)")
        axes.set_ylabel(unit, fontsize=8)
        axes.set_title(kind)
        axes.legend(fontsize=8)
    return figure


def _extent(half_field: float) -> tuple[float, float, float, float]:
    return (-half_field, half_field, -half_field, half_field)


def _under(axes: Axes, image: np.ndarray, channel: int | str, half_field: float) -> None:
    """Draw the image itself, in its colour table and dimmed."""
    finite = np.isfinite(image)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if not finite.any() or not np.any(image[finite]):
        axes.text(0.5, 0.5, "missing", ha="center", va="center", transform=axes.transAxes)
        axes.set_xlim(-half_field, half_field)
        axes.set_ylim(-half_field, half_field)
        return
    name = f"sdoaia{channel}"
    colours = sun_colours.cmlist[name] if name in sun_colours.cmlist else "gray"
    bright = max(float(np.percentile(image[finite], 99.7)), 1e-6)
    axes.imshow(
        np.where(finite, image, 0),
        origin="lower",
        extent=_extent(half_field),
        cmap=colours,
        norm=PowerNorm(0.5, vmin=0, vmax=_DIMMED * bright, clip=True),
        interpolation="nearest",
    )


def _mass_levels(mass: np.ndarray) -> list[float]:
    """Give the values above which half and nine tenths of a map lie, all channels together."""
    ordered = np.sort(mass.ravel())[::-1]
    if not ordered[0]:
        return []
    reached = np.cumsum(ordered) / ordered.sum()
    return [float(ordered[np.searchsorted(reached, share)]) for share in _MASS]


def _contours(axes: Axes, mass: np.ndarray, levels: list[float], half_field: float) -> None:
    """Draw where the strongest pixels of the whole map lie."""
    columns, rows = (
        ((np.arange(n) + 0.5) / n * 2 - 1) * half_field for n in (mass.shape[1], mass.shape[0])
    )
    for level, style in zip(levels, ("-", ":"), strict=False):
        if 0 < level < mass.max():
            axes.contour(
                columns, rows, mass, [level], colors="white", linewidths=0.7, linestyles=style
            )


def _heliographic_grid(axes: Axes, tilt_deg: float) -> None:
    """Draw the limb, and longitudes and latitudes seen from far away."""
    axes.add_patch(Circle((0, 0), 1, fill=False, color="white", linewidth=0.8))
    tilt = np.radians(tilt_deg)
    along = np.radians(np.arange(-90, 91, 2.0))
    lines = []
    for degree in np.radians(np.arange(-60, 61, _GRID_DEG)):
        lines += [(np.full_like(along, degree), along), (along, np.full_like(along, degree))]
    for latitude, longitude in lines:
        x = np.cos(latitude) * np.sin(longitude)
        y = np.sin(latitude) * np.cos(tilt)
        y = y - np.cos(latitude) * np.cos(longitude) * np.sin(tilt)
        front = np.sin(latitude) * np.sin(tilt)
        front = front + np.cos(latitude) * np.cos(longitude) * np.cos(tilt)
        hidden = front < 0
        axes.plot(
            np.where(hidden, np.nan, x),
            np.where(hidden, np.nan, y),
            color="white",
            linewidth=0.35,
            alpha=0.5,
        )


def _boxes(axes: Axes, boxes: Sequence[tuple[str, float, float, float, float]]) -> None:
    """Draw a frame around each active region, with its name where names don't overlap."""
    named: list[tuple[float, float]] = []
    for name, x, y, half_width, half_height in boxes:
        corner, size = (x - half_width, y - half_height), (2 * half_width, 2 * half_height)
        axes.add_patch(Rectangle(corner, *size, fill=False, color=_BOX, linewidth=0.5, alpha=0.8))
        sign = -1 if y > 0.9 else 1  # names stay inside the picture
        place = (x, y + sign * (half_height + 0.05))
        wide = _LETTER * len(name)
        if any(abs(place[0] - a) < wide and abs(place[1] - b) < 2 * _LETTER for a, b in named):
            continue
        named.append(place)
        axes.text(*place, name, ha="center", va="center", fontsize=4.5, color=_BOX, clip_on=True)


def _shares(column: np.ndarray, values: np.ndarray, channels: tuple | None) -> None:
    """Draw each channel's share of the absolute map as bars, over the whole column."""
    for axes in column[1:]:
        axes.set_axis_off()
    axes = column[0]
    if channels is None:
        axes.set_axis_off()
        return
    mass = np.abs(values).reshape(len(values), -1).sum(axis=1)
    share = 100 * mass / max(mass.sum(), np.finfo(float).tiny)
    names = [channel_name(c) if isinstance(c, int) else str(c) for c in channels]
    axes.barh(np.arange(len(names)), share, color=COLOURS["network"])
    axes.set_yticks(np.arange(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("share of |map| (%)", fontsize=8)
    axes.set_xlim(0, max(float(share.max()) * 1.1, 1))
