"""A drawing of a network: boxes for layers, arrows for data, from top to bottom."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.patches import FancyBboxPatch

from tools.plotting.style import new_figure, save_figure

__all__ = ["draw_architecture"]

_BOX_WIDTH, _BOX_HEIGHT = 2.9, 0.62
_STEP_X, _STEP_Y = 3.3, 1.05
_BEND, _WIDEST = 0.35, 2.5  # of an arrow's length, and how far to the side arrows go at most
_FILL = {"InputLayer": "#E8F1FA", "Dense": "#FFF2D9", "Conv2D": "#FFF2D9", "Conv1D": "#FFF2D9"}


def draw_architecture(
    layers: list[tuple[str, str, str, int]], links: list[tuple[str, str]], path: str | Path
) -> Path:
    """Draw a network and write it as PNG.

    Parameters
    ----------
    layers : list of (name, kind, output shape, number of parameters)
    links : list of (from name, to name)
    path : str or Path
    """
    names = [name for name, *_ in layers]
    depth = _depths(names, links)
    rows: dict[int, list[str]] = {}
    for name in names:
        rows.setdefault(depth[name], []).append(name)
    columns = max(len(row) for row in rows.values())
    place = {}
    for level, row in rows.items():
        for k, name in enumerate(row):
            x = (k - (len(row) - 1) / 2) * _STEP_X
            place[name] = (x, -_STEP_Y * level)
    drawn = [(a, b, depth[b] - depth[a]) for a, b in links if a in place and b in place]
    longest = max((levels for *_, levels in drawn), default=1)
    aside = min(_BEND * _STEP_Y * longest / 2, _WIDEST) if longest > 1 else 0.0
    half = 1.0 + _STEP_X * columns / 2
    width, height = 2 * half + aside, 0.6 + _STEP_Y * len(rows)
    figure, axes = new_figure(width, height)
    for start, end, levels in drawn:
        bulge = aside * (levels / longest) ** 0.5 if levels > 1 else 0.0
        _arrow(axes, place[start], place[end], bulge)
    for name, kind, shape, n_parameters in layers:
        _box(axes, place[name], name, kind, shape, n_parameters)
    axes.set_xlim(-half, half + aside)
    axes.set_ylim(-_STEP_Y * (len(rows) - 1) - 0.6, 0.6)
    axes.set_axis_off()
    return save_figure(figure, path)


def _depths(names: list[str], links: list[tuple[str, str]]) -> dict[str, int]:
    """Give each layer's distance from the inputs along the longest path; links point forwards."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for start, end in links:
            if start in depth and end in depth:
                depth[end] = max(depth[end], depth[start] + 1)
    return depth


def _arrow(axes, start, end, bulge: float) -> None:
    """Draw an arrow, straight or going round the layers in between by so much."""
    bend, offset = "arc3", _BOX_HEIGHT / 2
    if bulge:
        side, offset = _BOX_WIDTH / 2 - 0.03, 0.0
        start, end = (start[0] + side, start[1]), (end[0] + side, end[1])
        length = math.hypot(end[0] - start[0], end[1] - start[1])
        bend = f"arc3,rad={-2 * bulge / length:.4f}"
    axes.annotate(
        "",
        (end[0], end[1] + offset),
        (start[0], start[1] - offset),
        arrowprops={
            "arrowstyle": "->",
            "color": "0.45",
            "connectionstyle": bend,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def _box(axes, place, name: str, kind: str, shape: str, n_parameters: int) -> None:
    x, y = place
    axes.add_patch(
        FancyBboxPatch(
            (x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2),
            _BOX_WIDTH,
            _BOX_HEIGHT,
            boxstyle="round,pad=0.02,rounding_size=0.08",
            facecolor=_FILL.get(kind, "#F4F4F4"),
            edgecolor="0.5",
            linewidth=0.8,
        )
    )
    axes.text(x, y + 0.12, f"{name} ({kind})", ha="center", va="center", fontsize=8)
    parameters = f", {n_parameters:,} parameters" if n_parameters else ""
    axes.text(
        x, y - 0.14, f"{shape}{parameters}", ha="center", va="center", fontsize=7, color="0.35"
    )
