"""Drawings of a classifier: its convolutions as blocks of maps, and what follows as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Patch, PathPatch, Polygon
from matplotlib.path import Path as Curve

from tools.plotting.style import new_figure, save_figure

__all__ = ["KINDS", "MapBlock", "VectorColumn", "draw_classifier", "draw_stages"]

# kind of a block: what the legend calls it, and its colour (Okabe & Ito 2008)
KINDS = {
    "image": ("image", "#999999"),
    "scaling": ("scaling", "#CCCCCC"),
    "convolution": ("convolution, norm, ReLU", "#56B4E9"),
    "shared": ("the convolution before it once more", "#0072B2"),
    "separable": ("separable convolution, norm, ReLU", "#009E73"),
    "pool": ("maximum over 2 x 2", "#D55E00"),
}
_TILT = 0.22  # of a block's height: how far its back face stands to the right and above
_GAP, _LABEL_WIDTH = 0.28, 0.62
_MOST_CIRCLES = 12


@dataclass(frozen=True)
class MapBlock:
    """Maps between two layers.

    Attributes
    ----------
    kind : str
        One of ``KINDS``: what made them.
    n_maps : int
    side : (y, x)
        Pixels.
    """

    kind: str
    n_maps: int
    side: tuple[int, int]


@dataclass(frozen=True)
class VectorColumn:
    """Numbers after the convolutions.

    Attributes
    ----------
    n : int
        How many.
    text : str
        What they are.
    before : str
        What led to them, written between the columns.
    names : tuple of str
        Of each number; none where they are too many.
    has_weights : bool
        Whether weights lead to it from the column before, or a function that learns nothing.
    """

    n: int
    text: str
    before: str = ""
    names: tuple[str, ...] = ()
    has_weights: bool = True


def draw_stages(
    blocks: Sequence[MapBlock], skips: Sequence[tuple[int, int]], path: str | Path, *, title: str
) -> Path:
    """Draw the maps of a network from left to right and write a PNG.

    Height grows with the root of the maps' side, thickness with the logarithm of their number.

    Parameters
    ----------
    blocks : sequence of MapBlock
    skips : sequence of (from, to)
        Indices of blocks that a sum joins.
    path : str or Path
    title : str
    """
    largest = max(max(block.side) for block in blocks)
    sizes = [_size(block, largest) for block in blocks]
    places, x = [], 0.0
    for k, (thickness, height) in enumerate(sizes):
        changes = k > 0 and blocks[k].side != blocks[k - 1].side
        x += 0.35 if changes else 0.0
        # a block is as wide as its label or as itself with the back face
        places.append(x)
        x += max(thickness + _GAP, _LABEL_WIDTH, thickness + _TILT * height * 0.45)
    width = x + _TILT * sizes[-1][1] + 0.3
    highest = max(height * (0.5 + _TILT * 0.6) for _, height in sizes)
    lowest = -max(height for _, height in sizes) / 2
    arcs = [_skip(places, sizes, start, end) for start, end in skips]
    top = max([highest, *(curve.vertices[:, 1].max() - 0.2 for curve in arcs)]) + 0.2
    figure, axes = new_figure(max(width * 0.85, 7.0), (top - lowest + 1.9) * 0.85)
    for k in range(len(blocks)):
        _draw_block(axes, blocks[k], places[k], sizes[k])
        middle = places[k] + sizes[k][0] / 2
        text = f"{blocks[k].n_maps}"
        axes.text(middle, lowest - 0.15, text, ha="center", va="top", fontsize=8)
    for curve in arcs:
        axes.add_patch(PathPatch(curve, facecolor="none", edgecolor="0.3", linewidth=0.9))
    for first, last in _groups(blocks):
        left, right = places[first], places[last] + sizes[last][0]
        axes.plot([left, right], [lowest - 0.5] * 2, color="0.5", linewidth=0.8)
        text = "{}\nx {}".format(*blocks[first].side)
        axes.text((left + right) / 2, lowest - 0.58, text, ha="center", va="top", fontsize=8)
    handles = [
        Patch(facecolor=colour, edgecolor="0.3", label=label)
        for kind, (label, colour) in KINDS.items()
        if any(block.kind == kind for block in blocks)
    ]
    if skips:
        (line,) = axes.plot([], [], color="0.3", linewidth=0.9, label="added to the maps")
        handles.append(line)
    axes.set_xlim(-0.4, width)
    axes.set_ylim(lowest - 1.25, top)
    axes.set_axis_off()
    axes.set_title(f"{title}: number of maps below each block, pixels below those of one size")
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    return save_figure(figure, path)


def draw_classifier(columns: Sequence[VectorColumn], path: str | Path, *, title: str) -> Path:
    """Draw the numbers after the convolutions as columns of circles and write a PNG.

    Parameters
    ----------
    columns : sequence of VectorColumn
    path : str or Path
    title : str
    """
    figure, axes = new_figure(2.4 * len(columns) + 1.2, 5.0)
    step, radius = 2.6, 0.13
    heights = [_circle_heights(column.n) for column in columns]
    for k in range(1, len(columns)):
        if not columns[k].has_weights:
            _draw_function(axes, (k - 1) * step, k * step, heights[k], columns[k].before)
            continue
        for start in heights[k - 1]:
            for end in heights[k]:
                ends = [(k - 1) * step + radius, k * step - radius]
                axes.plot(ends, [start, end], color="0.85", linewidth=0.5, zorder=0)
        axes.text((k - 0.5) * step, 2.75, columns[k].before, ha="center", va="bottom", fontsize=8)
    for k, (column, places) in enumerate(zip(columns, heights, strict=True)):
        for place in places:
            axes.add_patch(Circle((k * step, place), radius, facecolor="#FFF2D9", edgecolor="0.4"))
        if column.n > len(places):
            for place in (-0.14, 0.0, 0.14):
                axes.add_patch(Circle((k * step, place), 0.03, color="0.3"))
        for place, name in zip(places, column.names, strict=False):
            axes.text(k * step + 0.25, place, name, ha="left", va="center", fontsize=9)
        text = f"{column.n:,}\n{column.text}"
        axes.text(k * step, -2.75, text, ha="center", va="top", fontsize=9)
    has_names = bool(columns[-1].names)
    axes.set_xlim(-1.2, (len(columns) - 1) * step + (2.2 if has_names else 1.2))
    axes.set_ylim(-3.7, 4.0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title)
    return save_figure(figure, path)


def _draw_function(
    axes: Axes, left: float, right: float, heights: Sequence[float], name: str
) -> None:
    """Draw a function of all numbers together as a box that each goes into and comes out of."""
    middle, half = 0.5 * (left + right), 0.16
    low, high = min(heights) - 0.3, max(heights) + 0.3
    corners = [(middle - half, low), (middle - half, high), (middle + half, high)]
    corners.append((middle + half, low))
    axes.add_patch(Polygon(corners, facecolor="#F4F4F4", edgecolor="0.4"))
    axes.text(middle, 0.5 * (low + high), name, ha="center", va="center", rotation=90, fontsize=9)
    for height in heights:
        for ends in ((left + 0.13, middle - half), (middle + half, right - 0.13)):
            axes.plot(ends, [height, height], color="0.6", linewidth=0.6, zorder=0)


def _size(block: MapBlock, largest: int) -> tuple[float, float]:
    """Give a block's thickness and height."""
    thickness = 0.06 + 0.05 * np.log2(block.n_maps)
    if block.kind == "pool":
        thickness = 0.1
    return thickness, 4.0 * float(np.sqrt(max(block.side) / largest))


def _draw_block(axes: Axes, block: MapBlock, x: float, size: tuple[float, float]) -> None:
    """Draw the front, the top and the right face."""
    thickness, height = size
    colour = KINDS[block.kind][1]
    back = np.array([_TILT * height * 0.4, _TILT * height * 0.6])
    corners = np.array([[0, -0.5], [0, 0.5], [1, 0.5], [1, -0.5]]) * [thickness, height] + [x, 0]
    faces = [
        (corners, 1.0),
        (np.array([corners[1], corners[2], corners[2] + back, corners[1] + back]), 0.55),
        (np.array([corners[2], corners[3], corners[3] + back, corners[2] + back]), 0.75),
    ]
    for face, alpha in faces:
        axes.add_patch(Polygon(face, facecolor="white", edgecolor="none"))
        axes.add_patch(
            Polygon(face, facecolor=colour, alpha=alpha, edgecolor="0.25", linewidth=0.6)
        )


def _skip(places: list[float], sizes: list[tuple], start: int, end: int) -> Curve:
    """Give the arc over the blocks between two that are added up."""
    tops = [(0.5 + _TILT * 0.6) * height for _, height in sizes[start : end + 1]]
    left, right = (places[k] + sizes[k][0] / 2 + 0.4 * _TILT * sizes[k][1] for k in (start, end))
    level, high = max(tops) + 0.03, max(tops) + 0.75
    codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    return Curve([(left, level), (left, high), (right, high), (right, level)], codes)


def _groups(blocks: Sequence[MapBlock]) -> list[tuple[int, int]]:
    """Give first and last index of each run of blocks of one side."""
    starts = [k for k in range(len(blocks)) if k == 0 or blocks[k].side != blocks[k - 1].side]
    return list(zip(starts, [*(k - 1 for k in starts[1:]), len(blocks) - 1], strict=True))


def _circle_heights(n: int) -> list[float]:
    """Give where circles stand; a gap in the middle where there are too many."""
    if n <= _MOST_CIRCLES:
        return [0.42 * ((n - 1) / 2 - k) for k in range(n)]
    half = _MOST_CIRCLES // 2
    upper = [0.35 + 0.38 * k for k in range(half)]
    return [*reversed(upper), *(-place for place in upper)]
