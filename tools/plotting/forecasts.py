"""Figures of forecasts: learning curves, reliability, ROC, a year's forecast band."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import NullFormatter

from tools.plotting.style import COLOURS, class_lines, new_figure

__all__ = ["plot_band", "plot_learning_curves", "plot_reliability", "plot_roc"]


def plot_learning_curves(history: list[dict], axes: Axes | None = None) -> Axes:
    """Draw training and validation loss over epochs."""
    axes = axes or new_figure(6.0, 3.2)[1]
    epoch = [row["epoch"] for row in history]
    validation = [row["val_loss"] for row in history]
    axes.plot(epoch, [row["loss"] for row in history], color="0.6", label="training")
    axes.plot(epoch, validation, color=COLOURS["network"], label="validation")
    best = int(np.argmin(validation))
    axes.plot(epoch[best], validation[best], "o", color=COLOURS["network"], label="best")
    axes.set_xlabel("epoch")
    axes.set_ylabel("log score (nats)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return axes


def plot_reliability(events: dict[str, dict[str, dict]]) -> list[Axes]:
    """Draw reliability diagrams, one panel per event, with the counts below.

    Parameters
    ----------
    events : dict
        ``{event: {forecaster: {"mean_probability", "frequency", "count"}}}``.
    """
    figure, grid = new_figure(
        2.7 * len(events) + 0.6,
        4.2,
        nrows=2,
        ncols=len(events),
        sharex=True,
        squeeze=False,
        height_ratios=[3, 1],
    )
    for column, (event, curves) in enumerate(events.items()):
        top, bottom = grid[:, column]
        top.plot([0, 1], [0, 1], color="0.8", linewidth=1, zorder=0)
        for k, (name, curve) in enumerate(curves.items()):
            colour = COLOURS.get(name, f"C{k}")
            top.plot(
                curve["mean_probability"],
                curve["frequency"],
                "o-",
                color=colour,
                markersize=3.5,
                linewidth=1,
                label=name,
            )
            bottom.step(
                curve["mean_probability"], curve["count"], where="mid", color=colour, linewidth=1
            )
        top.set_title(event)
        top.set_xlim(0, 1)
        top.set_ylim(0, 1)
        top.set_aspect("equal")
        bottom.set_yscale("log")
        bottom.yaxis.set_minor_formatter(NullFormatter())
        bottom.set_xlabel("forecast probability")
    grid[0, 0].set_ylabel("observed frequency")
    grid[1, 0].set_ylabel("forecasts per bin")
    grid[0, 0].legend(fontsize=7, loc="upper left")
    return list(grid.ravel())


def plot_roc(curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]) -> list[Axes]:
    """Draw ROC curves, one panel per event: ``{event: {forecaster: (false rate, hit rate)}}``."""
    figure, grid = new_figure(2.7 * len(curves) + 0.6, 3.0, ncols=len(curves), squeeze=False)
    for axes, (event, lines) in zip(grid[0], curves.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.8", linewidth=1, zorder=0)
        for k, (name, (false_rate, hit_rate)) in enumerate(lines.items()):
            colour = COLOURS.get(name, f"C{k}")
            axes.plot(false_rate, hit_rate, color=colour, linewidth=1.2, label=name)
        axes.set_title(event)
        axes.set_xlabel("false alarm rate")
        axes.set_aspect("equal")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
    grid[0, 0].set_ylabel("hit rate")
    grid[0, 0].legend(fontsize=7, loc="lower right")
    return list(grid[0])


def plot_band(
    times: np.ndarray,
    quantiles: np.ndarray,
    observed: np.ndarray,
    *,
    floor: float,
    title: str = "",
) -> Axes:
    """Draw a forecast band over time with what came.

    Parameters
    ----------
    times : (sample,) datetime64
    quantiles : (sample, 5) float
        5, 16, 50, 84 and 95 % quantiles of log10 flux in W m-2.
    observed : (sample,) float
        log10 of the peak flux that came; the floor where none did.
    """
    axes = new_figure(10.0, 3.4)[1]
    when = times.astype("datetime64[s]").astype(object)
    low, lower, middle, upper, high = quantiles.T
    band = COLOURS["band"]
    axes.fill_between(
        when, low, high, color=band, alpha=0.25, linewidth=0, label="90 %", step="mid"
    )
    axes.fill_between(
        when, lower, upper, color=band, alpha=0.5, linewidth=0, label="68 %", step="mid"
    )
    axes.plot(when, middle, color=COLOURS["network"], linewidth=0.8, label="median")
    came = observed > floor
    axes.plot(
        times[came].astype("datetime64[s]").astype(object),
        observed[came],
        ".",
        color=COLOURS["observed"],
        markersize=3,
        label="came true",
    )
    axes.set_ylim(floor - 0.1, -3.0)
    class_lines(axes)
    axes.set_ylabel("log10 peak 1-8 \u212b flux (W m$^{-2}$)")
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_title(title)
    axes.legend(ncol=4, fontsize=7, loc="upper right")
    return axes
