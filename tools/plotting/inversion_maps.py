"""Figures of inverted maps: every parameter with its colour bar, its truth and the difference."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tools.fitting.flags import flag_text
from tools.plotting.style import new_figure

__all__ = ["KINDS", "plot_flags", "plot_parameter_maps"]

KINDS = ("signed", "positive", "angle", "share")
_COLOURS = {"signed": "RdBu_r", "positive": "viridis", "angle": "twilight", "share": "cividis"}
_PERCENTILE = 99.5  # of what is shown: single bad pixels do not set the scale
_NO_ANSWER = "0.75"
_HALF_TURN_DEG = 180.0
_FLAG_COLOURS = (
    "#F0F0F0 #D55E00 #0072B2 #E69F00 #009E73 #CC79A7 #56B4E9 #F0E442 #000000 #7F3C8D".split()
)  # Okabe & Ito (2008), and one more
_MOST_COLUMNS = 4

Panels = Mapping[str, tuple[np.ndarray, str, str]]


def plot_parameter_maps(
    maps: Panels,
    title: str,
    *,
    truth: Mapping[str, np.ndarray] | None = None,
    wcs: Mapping[str, object] | None = None,
) -> Figure:
    """Draw each parameter's map; where a truth is known, the truth and the difference below it.

    A map and its truth share one scale. Grey pixels have no answer.

    Parameters
    ----------
    maps : mapping
        From a parameter's name to (values (y, x) float, unit, kind). Kinds: ``"signed"`` diverges
        around 0; ``"positive"``; ``"angle"`` is cyclic, degrees from 0 to 180; ``"share"`` runs
        from 0 to 1. Row 0 is the southern edge.
    title : str
    truth : mapping of (y, x) float, optional
        By the same names; names without a truth have empty panels below.
    wcs : mapping, optional
        FITS keywords of the two axes; axes are in arcsec where they are helioprojective and not
        rotated, else in pixels.

    Raises
    ------
    ValueError
        If there is nothing to draw, or a kind is unknown.
    """
    if not maps:
        raise ValueError("expected one map or more to draw, got an empty mapping; add a parameter")
    for name, (_, _, kind) in maps.items():
        if kind not in KINDS:
            raise ValueError(f"expected a kind of {', '.join(KINDS)} for {name}, got {kind!r}")
    truth = truth or {}
    names = list(maps)
    n_columns = min(len(names), _MOST_COLUMNS)
    blocks = [names[k : k + n_columns] for k in range(0, len(names), n_columns)]
    n_lines = [3 if truth.keys() & set(block) else 1 for block in blocks]
    extent, x_label, y_label = _axes_of(maps[names[0]][0].shape, wcs or {})
    wide = max(3.5 * n_columns, 4.2)
    figure, grid = new_figure(
        wide,
        (2.3 * _height(extent) + 0.65) * sum(n_lines) + 0.4,
        nrows=sum(n_lines),
        ncols=n_columns,
        squeeze=False,
    )
    for axes in grid.ravel():
        axes.set_axis_off()
    places = [
        (name, sum(n_lines[:block]), column)
        for block, row in enumerate(blocks)
        for column, name in enumerate(row)
    ]
    for name, line, column in places:
        values, unit, kind = maps[name]
        true = truth.get(name)
        scale = _scale([values] if true is None else [values, true], kind)
        panels = [(name, values, unit, kind, scale)]
        if true is not None:
            away = _difference(values, true, kind)
            panels.append((f"{name}, truth", true, unit, kind, scale))
            text = f"{name} $-$ truth"
            panels.append((text, away, unit, "signed", _scale([away], "signed")))
        for k, panel in enumerate(panels):
            _draw(grid[line + k, column], *panel, extent=extent)
            is_lowest = k == len(panels) - 1
            grid[line + k, column].set_xlabel(x_label if is_lowest else "", fontsize=8)
            grid[line + k, column].set_ylabel(y_label if column == 0 else "", fontsize=8)
    lacking = any(not np.isfinite(values).all() for values, _, _ in maps.values())
    note = ". Grey: no answer" if lacking else ""
    figure.suptitle("\n".join(textwrap.wrap(title + note, int(15 * wide))), fontsize=9)
    return figure


def plot_flags(flags: np.ndarray, title: str, *, wcs: Mapping[str, object] | None = None) -> Figure:
    """Draw the flags of a map's pixels: a colour for each combination that occurs, with its words.

    Parameters
    ----------
    flags : (y, x) integer
        Bits of ``FitFlag``. Beyond the nine commonest combinations, the rest share one colour.
    title : str
    wcs : mapping, optional
        As for ``plot_parameter_maps``.
    """
    codes, counts = np.unique(flags, return_counts=True)
    order = np.argsort(-counts)[: len(_FLAG_COLOURS) - 1]
    chosen = sorted(codes[order])
    number = np.full(flags.shape, len(chosen))
    for k, code in enumerate(chosen):
        number[flags == code] = k
    extent, x_label, y_label = _axes_of(flags.shape, wcs or {})
    names = [f"{flag_text(int(code))} ({100 * np.mean(flags == code):.1f} %)" for code in chosen]
    if len(codes) > len(chosen):
        names.append(f"other combinations ({100 * np.mean(number == len(chosen)):.1f} %)")
    names = ["\n".join(textwrap.wrap(name, 60)) for name in names]
    tall = 4.4 * _height(extent)
    figure, axes = new_figure(5.6, tall + 1.1 + 0.2 * sum(n.count("\n") + 1 for n in names))
    colours = ListedColormap(_FLAG_COLOURS)
    axes.imshow(
        number,
        origin="lower",
        extent=extent,
        cmap=colours,
        vmin=-0.5,
        vmax=len(_FLAG_COLOURS) - 0.5,
        interpolation="nearest",
    )
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.suptitle("\n".join(textwrap.wrap(title, 70)), fontsize=9)
    marks = [Patch(facecolor=c, edgecolor="0.4") for c in _FLAG_COLOURS[: len(names)]]
    figure.legend(marks, names, loc="outside lower center", fontsize=8)
    return figure


def _draw(
    axes: Axes,
    text: str,
    values: np.ndarray,
    unit: str,
    kind: str,
    scale: tuple[float, float],
    *,
    extent: tuple[float, float, float, float],
) -> None:
    axes.set_axis_on()
    axes.set_facecolor(_NO_ANSWER)
    shown = axes.imshow(
        np.ma.masked_invalid(values),
        origin="lower",
        extent=extent,
        cmap=_COLOURS[kind],
        norm=Normalize(*scale),
        interpolation="nearest",
    )
    axes.set_title(text, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.locator_params(nbins=4)
    bar = axes.figure.colorbar(shown, ax=axes, pad=0.02, aspect=18)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(unit or "share" if kind == "share" else unit, fontsize=8)
    if kind == "angle":
        bar.set_ticks(np.arange(0, _HALF_TURN_DEG + 1, 45))


def _height(extent: tuple[float, float, float, float]) -> float:
    """Return the height of a map for a width of 1, within what a page can hold."""
    ratio = abs((extent[3] - extent[2]) / (extent[1] - extent[0]))
    return min(max(ratio, 0.35), 2.2)


def _scale(arrays: list[np.ndarray], kind: str) -> tuple[float, float]:
    """Return the lowest and highest value of a colour scale."""
    if kind == "angle":
        return 0.0, _HALF_TURN_DEG
    if kind == "share":
        return 0.0, 1.0
    finite = np.concatenate([a[np.isfinite(a)] for a in arrays])
    if not len(finite):
        return (-1.0, 1.0) if kind == "signed" else (0.0, 1.0)
    if kind == "signed":
        top = float(np.percentile(np.abs(finite), _PERCENTILE)) or 1.0
        return -top, top
    low, top = np.percentile(finite, (100 - _PERCENTILE, _PERCENTILE))
    low = 0.0 if 0 <= low < 0.5 * top else float(low)
    return low, float(top) if top > low else low + 1.0


def _difference(values: np.ndarray, true: np.ndarray, kind: str) -> np.ndarray:
    """Return values less the truth; angles by the shorter way round."""
    away = values - true
    if kind == "angle":
        away = (away + _HALF_TURN_DEG / 2) % _HALF_TURN_DEG - _HALF_TURN_DEG / 2
    return away


def _axes_of(
    shape: tuple[int, ...], wcs: Mapping[str, object]
) -> tuple[tuple[float, float, float, float], str, str]:
    """Return the extent of a map (edges of its outer pixels) and the labels of its axes."""
    is_sky = str(wcs.get("CTYPE1", "")).startswith("HPLN")
    off = [float(wcs.get(key, 0.0)) for key in ("PC1_2", "PC2_1")]  # type: ignore[arg-type]
    if not is_sky or max(map(abs, off)) > 1e-3:
        return (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5), "x (pixel)", "y (pixel)"
    edges = []
    for axis, n in (("1", shape[1]), ("2", shape[0])):
        value, pixel, step = (
            float(wcs.get(key + axis, default))  # type: ignore[arg-type]
            for key, default in (("CRVAL", 0.0), ("CRPIX", 1.0), ("CDELT", 1.0))
        )
        step *= float(wcs.get(f"PC{axis}_{axis}", 1.0))  # type: ignore[arg-type]
        edges += [value + step * (0.5 - pixel), value + step * (n + 0.5 - pixel)]
    return tuple(edges), "solar x (arcsec)", "solar y (arcsec)"  # type: ignore[return-value]
