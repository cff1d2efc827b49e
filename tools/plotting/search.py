"""Figures of an architecture search: how the best came down, and what it depends on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from tools.plotting.style import COLOURS, new_figure

__all__ = ["plot_anytime", "plot_budgets", "plot_importance", "plot_parallel"]


def plot_anytime(
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    ends: dict[str, float],
    default: float | None,
    score: str,
    axes: Axes | None = None,
) -> Axes:
    """Draw the best score so far over what was spent.

    Parameters
    ----------
    curves : dict
        Passes spent and best score, by the name of who searched.
    ends : dict
        Passes spent in all, where each line ends.
    default : float or None
        The script's own configuration's score.
    score : str
        What the score is, with its unit.
    """
    axes = new_figure(7.0, 3.6)[1] if axes is None else axes
    colours = {"SMAC": COLOURS["network"], "random search": COLOURS["logistic"]}
    for name, (spent, best) in curves.items():
        if len(spent):
            x, y = np.append(spent, ends[name]), np.append(best, best[-1])
            axes.step(x, y, where="post", color=colours.get(name), label=name)
            axes.plot(spent, best, "o", ms=3, color=colours.get(name))
    if default is not None:
        axes.axhline(default, color="0.5", ls=":", label="the script's own configuration")
    axes.set_xlabel("passes through the training part, all trials together")
    axes.set_ylabel("best so far\n" + score.replace(", ", ",\n"))
    axes.legend()
    return axes


def plot_importance(
    names: Sequence[str],
    values: np.ndarray,
    spread: np.ndarray,
    *,
    axes: Axes | None = None,
) -> Axes:
    """Draw how much a model of the scores loses without each option, (option,) with its spread."""
    axes = new_figure(7.0, 0.6 + 0.28 * len(names))[1] if axes is None else axes
    order = np.argsort(values)
    axes.barh(
        np.arange(len(order)),
        values[order],
        xerr=spread[order],
        color=COLOURS["band"],
        ecolor="0.4",
    )
    axes.set_yticks(np.arange(len(order)), [names[k] for k in order])
    axes.axvline(0, color="0.5", lw=0.8)
    axes.set_xlabel("loss of explained variance when the option is shuffled")
    return axes


def plot_budgets(
    lines: Sequence[tuple[np.ndarray, np.ndarray]],
    failed: np.ndarray,
    *,
    score: str,
    axes: Axes | None = None,
) -> Axes:
    """Draw each configuration's scores over its budgets.

    Parameters
    ----------
    lines : sequence of (budget, score)
        Of one configuration each, in rising order.
    failed : (trial,) float
        Budgets of trials without a score.
    """
    axes = new_figure(7.0, 3.6)[1] if axes is None else axes
    for budget, cost in lines:
        alpha = 0.9 if len(budget) > 1 else 0.5
        axes.plot(budget, cost, "o-", ms=3, lw=0.9, alpha=alpha, color=COLOURS["network"])
    if len(failed):
        low, high = axes.get_ylim()
        axes.plot(failed, np.full(len(failed), high), "x", color=COLOURS["observed"],
                  label=f"{len(failed)} without a score", clip_on=False)  # fmt: skip
        axes.set_ylim(low, high)
        axes.legend()
    budgets = np.unique(np.concatenate([b for b, _ in lines])) if lines else np.unique(failed)
    axes.set_xscale("log")
    axes.set_xticks(budgets, [f"{b:g}" for b in budgets])
    axes.minorticks_off()
    axes.set_xlabel("budget, passes")
    axes.set_ylabel(score.replace(", ", ",\n"))
    return axes


def plot_parallel(
    places: np.ndarray,
    cost: np.ndarray,
    names: Sequence[str],
    ticks: Sequence[Sequence[tuple[float, str]]],
    *,
    score: str,
    axes: Axes | None = None,
) -> Axes:
    """Draw each configuration as a line through its options' places, the best in orange.

    Parameters
    ----------
    places : (configuration, option) float
        0 to 1 in each option's range.
    cost : (configuration,) float
    names : sequence of str
    ticks : sequence of sequences
        Of each option: place and text.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    axes = new_figure(max(7.0, 1.15 * len(names)), 4.2)[1] if axes is None else axes
    x = np.arange(len(names))
    norm = Normalize(cost.min(), np.quantile(cost, 0.9) if len(cost) > 2 else cost.max())
    colours = colormaps["viridis"]
    for k in np.argsort(-cost):
        is_best = k == np.argmin(cost)
        axes.plot(x, places[k], color="#D55E00" if is_best else colours(norm(cost[k])),
                  lw=2.5 if is_best else 0.9, alpha=1 if is_best else 0.6,
                  zorder=3 if is_best else 2)  # fmt: skip
    for k, marks in enumerate(ticks):
        axes.axvline(k, color="0.7", lw=0.8, zorder=1)
        for place, text in marks:
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}
            axes.annotate(text, (k, place), xytext=(3, 3), textcoords="offset points", fontsize=7,
                          color="0.25", zorder=4, bbox=box)  # fmt: skip
    axes.set_xticks(x, [name.replace("_", "\n") for name in names], fontsize=8)
    axes.set_yticks([])
    axes.set_xlim(-0.2, len(names) - 0.4)
    axes.set_ylim(-0.05, 1.08)
    axes.spines[["left", "bottom"]].set_visible(False)
    bar = axes.figure.colorbar(ScalarMappable(norm, colours), ax=axes, extend="max")
    bar.set_label(score.replace(", ", ",\n"))
    return axes
