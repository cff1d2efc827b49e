"""Figure of emission measure over log T and time: frame by frame beside coherent in time."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.dates import DateFormatter, date2num
from matplotlib.figure import Figure

from tools.plotting.style import new_figure

__all__ = ["plot_in_time"]

_LOWEST = 1e23  # cm-5
_RANGE = 1e4


def plot_in_time(
    times: np.ndarray,
    places: dict[str, dict[str, np.ndarray]],
    log_temperature_edges: np.ndarray,
    *,
    marked: dict[str, np.ndarray] | None = None,
    mark_text: str = "",
    title: str,
) -> Figure:
    """Draw a row for each place and a column for each way of inversion, to scale in time.

    Parameters
    ----------
    times : (time,) datetime64
    places : dict of dict of (time, bin) float
        By place and way, cm-5; all places have the same ways.
    log_temperature_edges : (bin + 1,) float
    marked : dict of (time,) bool, optional
        Times to mark, by place.
    mark_text : str
        What the marks mean.
    """
    ways = list(next(iter(places.values())))
    shape = {"nrows": len(places), "ncols": len(ways), "squeeze": False}
    figure, grid = new_figure(
        4.6 * len(ways) + 1.2, 2.9 * len(places) + 0.9, **shape, sharex=True, sharey=True
    )
    numbers = date2num(times.astype("datetime64[ms]").astype(object))
    borders = _borders(numbers)
    handles = []
    for row, (place, curves) in zip(grid, places.items(), strict=True):
        top = max(max(float(np.nanmax(c, initial=0.0)) for c in curves.values()), 10 * _LOWEST)
        norm = LogNorm(max(top / _RANGE, _LOWEST), top, clip=True)
        shown = None
        for axes, way in zip(row, ways, strict=True):
            values = np.maximum(curves[way].T, norm.vmin)
            shown = axes.pcolormesh(
                borders, log_temperature_edges, values, cmap="inferno", norm=norm, rasterized=True
            )
            axes.set_facecolor("0.8")
            axes.set_title(f"{place}: {way}", fontsize=9)
            axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
            is_marked = (marked or {}).get(place)
            if is_marked is not None and is_marked.any():
                height = log_temperature_edges[-1] - 0.25 * np.diff(log_temperature_edges)[-1]
                handles = axes.plot(
                    numbers[is_marked],
                    np.full(is_marked.sum(), height),
                    "v",
                    color="#56B4E9",
                    markersize=6,
                    label=mark_text,
                )
        row[0].set_ylabel("log$_{10}$ T (K)")
        bar = figure.colorbar(shown, ax=row, pad=0.02)
        bar.set_label("emission measure in the bin (cm$^{-5}$)", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel(f"time on {np.datetime64(times[0], 'D')} (UTC)")
    if handles:
        figure.legend(handles=handles, loc="outside lower center", fontsize=8)
    figure.suptitle(title, fontsize=9)
    return figure


def _borders(numbers: np.ndarray) -> np.ndarray:
    """Return where the columns of times begin and end: half way to their neighbours."""
    if len(numbers) == 1:
        return np.array([numbers[0] - 0.5, numbers[0] + 0.5])
    middle = (numbers[:-1] + numbers[1:]) / 2
    return np.concatenate([[2 * numbers[0] - middle[0]], middle, [2 * numbers[-1] - middle[-1]]])
