"""Figures of classifiers: what is taken for what, how sure they are, and where on an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import Bbox

from tools.abstention import RiskCoverage
from tools.classification_scores import ClassReliability
from tools.plotting.style import COLOURS, new_figure

__all__ = [
    "OUTPUT_COLOURS",
    "plot_bar_chart",
    "plot_class_reliability",
    "plot_confusion",
    "plot_map_overlay",
    "plot_montage",
    "plot_risk_coverage",
]

# of the six outputs, in their order; colour-blind safe (Okabe & Ito 2008)
OUTPUT_COLOURS = ("#009E73", "#E69F00", "#CC79A7", "#999999", "#56B4E9", "#000000")
_LOWEST = 1e-6  # of a logarithmic axis of probabilities
_BRIGHTNESS = (0.5, 99.5)  # percentiles of the image from black to white
_LARGEST_SIDE = 700  # pixels of a drawn image along its shorter side, at least
_LINE, _MOST_LINES = 8.5, 9  # points between names that would lie on one another; tried for each
_STRONGEST = 0.75  # share of the colour over the image where the probability is 1


def plot_confusion(
    confusion: np.ndarray, names: Sequence[str], *, title: str = "", n_events: int | None = None
) -> Figure:
    """Draw a confusion matrix: counts, on the shade of each true class's share.

    Parameters
    ----------
    confusion : (truth, given) int
    names : sequence of str
        Of the classes; frames that are given no class have a column of their own.
    """
    confusion = np.asarray(confusion)
    total = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, total, out=np.zeros(confusion.shape), where=total > 0)
    n = len(names)
    figure, axes = new_figure(2.6 + 0.62 * n, 1.5 + 0.55 * n)
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        if not count:
            continue
        colour = "white" if share[row, column] > 0.6 else "black"
        text = f"{count}\n{share[row, column]:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(n), labels=names, rotation=35, ha="right", rotation_mode="anchor")
    labels = [f"{name} ({count})" for name, count in zip(names, total[:, 0], strict=True)]
    axes.set_yticks(range(n), labels=labels)
    axes.tick_params(length=0)
    axes.set_xlabel("class given")
    axes.set_ylabel("true class (number of frames)")
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(shown, ax=axes, pad=0.02, format=PercentFormatter(1))
    bar.set_label("share of the true class's frames", fontsize=8)
    events = f"{confusion.sum()} frames of {n_events} events" if n_events else ""
    axes.set_title("\n".join(text for text in (title, events) if text), fontsize=9)
    return figure


def plot_class_reliability(
    curves: dict[str, ClassReliability], *, errors: dict[str, float] | None = None
) -> Figure:
    """Draw how often the likeliest class is right, beside how sure the classifier was of it.

    Parameters
    ----------
    curves : dict of ClassReliability
        By the classifiers' names.
    errors : dict of float, optional
        Expected calibration errors, for the legend.
    """
    figure, (axes, counts) = new_figure(
        4.6, 4.8, nrows=2, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
    )
    axes.plot([0, 1], [0, 1], color=COLOURS["chance"], linewidth=0.8, label="as sure as right")
    colours = ("network", "observed", "logistic", "persistence")
    width = 0.8 / max(len(curves), 1)
    for k, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[colours[k % len(colours)]]
        filled = curve.count > 0
        label = name if not errors or name not in errors else f"{name}, ECE {errors[name]:.3f}"
        x, y = curve.confidence[filled], curve.accuracy[filled]
        axes.plot(x, y, "o-", markersize=4, color=colour, label=label)
        known = filled & np.isfinite(curve.low)
        axes.vlines(
            curve.confidence[known], curve.low[known], curve.high[known], color=colour, alpha=0.5
        )
        bins = np.diff(curve.edges)
        left = curve.edges[:-1] + bins * (0.1 + width * k)
        counts.bar(left, curve.count, width=bins * width, align="edge", color=colour)
    axes.set_ylabel("share of frames of that class")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=8, loc="upper left")
    counts.set_yscale("log")
    counts.set_ylim(0.5, None)
    counts.set_ylabel("frames")
    counts.set_xlabel("probability of the likeliest class")
    counts.set_xlim(0, 1)
    return figure


def plot_risk_coverage(
    curves: dict[str, RiskCoverage], *, mark: tuple[float, float] | None = None
) -> Figure:
    """Draw the share of wrong answers against the share of frames that get one.

    Parameters
    ----------
    curves : dict of RiskCoverage
        By the abstention scores' names.
    mark : (coverage, risk), optional
        Of the threshold in use.
    """
    figure, axes = new_figure(5.0, 3.4)
    colours = ("network", "observed", "logistic", "persistence")
    for k, (name, curve) in enumerate(curves.items()):
        axes.step(
            curve.coverage,
            curve.risk,
            where="post",
            color=COLOURS[colours[k % len(colours)]],
            label=f"{name}, area {curve.area:.4f}",
        )
    if mark is not None:
        axes.plot(*mark, "o", color="black", markersize=5, label="threshold in use")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel("frames that get an answer")
    axes.set_ylabel("wrong answers among them")
    axes.legend(fontsize=8)
    return figure


def plot_bar_chart(
    probability: np.ndarray,
    names: Sequence[str],
    *,
    image: np.ndarray | None = None,
    is_log: bool = True,
    title: str = "",
) -> Figure:
    """Draw one frame's probabilities as bars, beside the frame.

    Parameters
    ----------
    probability : (class,) float
    names : sequence of str
    image : (y, x) float, optional
    is_log : bool
        Logarithmic axis from 1e-6, as Slic's.
    """
    probability = np.asarray(probability, float)
    n_panels = 1 if image is None else 2
    figure, grid = new_figure(3.6 * n_panels + 0.6, 3.2, ncols=n_panels, squeeze=False)
    axes = grid[0, -1]
    if image is not None:
        _draw_image(grid[0, 0], image)
    shown = np.maximum(probability, _LOWEST) if is_log else probability
    places = np.arange(len(names))
    colours = [OUTPUT_COLOURS[k % len(OUTPUT_COLOURS)] for k in places]
    axes.bar(places, shown, color=colours)
    if is_log:
        axes.set_yscale("log")
        axes.set_ylim(_LOWEST, 3)
    else:
        axes.set_ylim(0, 1.08)
    for place, value, height in zip(places, probability, shown, strict=True):
        small = f"{value:.0e}".replace("e-0", "e-") if value else "0"
        text = f"{value:.2f}" if value >= 0.01 else small
        height = height * 1.15 if is_log else height + 0.015
        axes.text(place, height, text, ha="center", fontsize=7)
    axes.set_xticks(places, labels=names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_ylabel("probability")
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def plot_montage(images: Sequence[np.ndarray], labels: Sequence[str], *, title: str = "") -> Figure:
    """Draw any number of frames, each under its label.

    Parameters
    ----------
    images : sequence of (y, x) float
        Of any sizes.
    labels : sequence of str
    """
    n = len(images)
    if n == 0 or n != len(labels):
        raise ValueError(f"expected images and as many labels, got {n} and {len(labels)}")
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    figure, grid = new_figure(
        2.2 * columns, 2.45 * rows + (0.3 if title else 0), nrows=rows, ncols=columns, squeeze=False
    )
    for axes, image, label in zip(grid.ravel(), images, labels, strict=False):
        _draw_image(axes, image)
        axes.set_title(label, fontsize=8)
    for axes in grid.ravel()[n:]:
        axes.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def plot_map_overlay(
    image: np.ndarray,
    probability: np.ndarray,
    names: Sequence[str],
    *,
    step: int,
    quiet: int,
    grid_arcsec: tuple[float, float, float] | None = None,
    marks: Sequence[tuple[str, float, float]] = (),
    title: str = "",
) -> Figure:
    """Draw a probability map over its image: the likeliest class as colour, quiet Sun clear.

    Parameters
    ----------
    image : (y, x) float
        Row 0 is drawn below.
    probability : (class + 1, y, x) float
        Of each class given that it is one of them, then of none of them, which is hatched where it
        is the likelier.
    names : sequence of str
        Of the classes.
    step : int
        Pixels of the image along a side of a pixel of the map.
    quiet : int
        The class that is left clear.
    grid_arcsec : (x, y, size), optional
        Helioprojective place of the middle of the first pixel and size of the pixels, for the
        axes; else they count pixels.
    marks : sequence of (name, x, y)
        Regions, in pixels.
    """
    high, wide = image.shape
    x0, y0, size = grid_arcsec or (0.0, 0.0, 1.0)
    place = "helioprojective {} (arcsec)" if grid_arcsec else "{} from the first pixel (pixels)"
    figure, axes = new_figure(7.4, max(3.6, min(9.0, 5.4 * high / wide + 0.9)))
    left, below = x0 - 0.5 * size, y0 - 0.5 * size
    extent = (left, left + wide * size, below, below + high * size)
    _draw_image(axes, image, extent=extent)
    rows, columns = (n * step * size for n in probability.shape[1:])
    over = (left, left + columns, below, below + rows)
    given, none = probability[:-1], probability[-1]
    strength = given * (1 - none)
    likeliest = strength.argmax(axis=0)
    colours = np.array([to_rgb(OUTPUT_COLOURS[k]) for k in range(len(given))])
    layer = np.ones((*likeliest.shape, 4))
    layer[..., :3] = colours[likeliest]
    top = strength.max(axis=0)
    layer[..., 3] = np.where((likeliest == quiet) | (none > top), 0, _STRONGEST * top)
    axes.imshow(layer, origin="lower", extent=over, interpolation="nearest")
    if (none > top).any():
        _hatch(axes, none > top, over)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(place.format("x"))
    axes.set_ylabel(place.format("y"))
    named = [
        _mark(axes, name, (x0 + x * size, y0 + y * size), is_right=x > 0.7 * wide)
        for name, x, y in marks
    ]
    _legend(figure, axes, names, quiet, step)
    if title:
        axes.set_title(title, fontsize=9)
    _set_apart(figure, named)
    return figure


def _draw_image(axes: Axes, image: np.ndarray, extent: tuple | None = None) -> None:
    """Draw a frame in grey, from its dark to its bright percentile."""
    high, wide = image.shape
    block = min(high, wide) // _LARGEST_SIDE
    if block > 1:  # more pixels than the figure has
        rows, columns = high // block * block, wide // block * block
        image = image[:rows, :columns].reshape(high // block, block, wide // block, block)
        image = image.mean(axis=(1, 3))
        if extent is not None:
            left, right, below, above = extent
            right = left + (right - left) * columns / wide
            extent = (left, right, below, below + (above - below) * rows / high)
    dark, bright = np.percentile(image, _BRIGHTNESS)
    axes.imshow(
        image,
        origin="lower",
        cmap="gray",
        vmin=dark,
        vmax=bright if bright > dark else dark + 1,
        extent=extent,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _hatch(axes: Axes, is_none: np.ndarray, extent: tuple) -> None:
    """Hatch where nothing is named."""
    rows, columns = is_none.shape
    x = extent[0] + (np.arange(columns + 2) - 0.5) / columns * (extent[1] - extent[0])
    y = extent[2] + (np.arange(rows + 2) - 0.5) / rows * (extent[3] - extent[2])
    framed = np.pad(is_none.astype(float), 1)
    drawn = axes.contourf(x, y, framed, levels=[0.5, 2], colors="none", hatches=["////"])
    drawn.set_edgecolor("0.8")
    drawn.set_linewidth(0)


def _mark(axes: Axes, name: str, place: tuple[float, float], *, is_right: bool) -> Annotation:
    """Mark a place and name it, inside the picture and legible on any brightness."""
    outline = [withStroke(linewidth=1.5, foreground="black")]
    axes.plot(*place, "+", color="white", markersize=6, path_effects=outline)
    return axes.annotate(
        name,
        place,
        xytext=(-4 if is_right else 4, 4),
        textcoords="offset points",
        ha="right" if is_right else "left",
        color="white",
        fontsize=7,
        path_effects=outline,
    )


def _set_apart(figure: Figure, named: Sequence[Annotation]) -> None:
    """Move names up or down, line by line, until none lies on another; most stay where they are."""
    if len(named) < 2:
        return
    figure.draw_without_rendering()  # where things come to lie
    kept: list[Bbox] = []
    for text in named:
        x, y = text.xyann
        for line in range(_MOST_LINES):
            # beside the mark, below it, above the first, ...
            text.xyann = (x, y + _LINE * (line // 2 if line % 2 == 0 else -(line // 2 + 1)))
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in kept):
                break
        else:
            text.xyann = (x, y)
            box = text.get_window_extent()
        kept.append(box)


def _legend(figure: Figure, axes: Axes, names: Sequence[str], quiet: int, step: int) -> None:
    """Name the colours, and say what their strength means."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    shades = LinearSegmentedColormap.from_list("strength", ["white", "0.25"])
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), shades), ax=axes, pad=0.02, shrink=0.6)
    bar.set_label(f"probability of the class (mean of {step} x {step} pixels)", fontsize=8)
    patches = [
        Patch(color=OUTPUT_COLOURS[k], label=name) for k, name in enumerate(names) if k != quiet
    ]
    patches.append(Patch(facecolor="white", edgecolor="0.5", label=f"{names[quiet]}: clear"))
    patches.append(
        Patch(facecolor="white", edgecolor="0.5", hatch="////", label="none of these likelier")
    )
    figure.legend(handles=patches, loc="outside lower center", ncols=3, fontsize=8)
