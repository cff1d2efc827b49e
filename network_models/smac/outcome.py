"""What a search found: tables of its trials, its best configuration, how the best came down."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from network_models.smac.trials import STATUSES, Trial, TrialResult
from tools.atomic_files import write_json, write_text

__all__ = [
    "Best",
    "anytime_curve",
    "best_configuration",
    "best_of_budgets",
    "best_rival",
    "counts_by_status",
    "mean_costs",
    "total_budget",
    "without",
    "write_tables",
]

Finished = Sequence[tuple[Trial, TrialResult]]


@dataclass(frozen=True)
class Best:
    """The best configuration of a stage.

    Attributes
    ----------
    values : dict
    cost : float
        Mean over the folds it was tried on.
    budget : float
        Largest budget that any trial reached; the best is chosen there.
    n_trials : int
        Trials that ``cost`` is the mean of.
    """

    values: dict
    cost: float
    budget: float
    n_trials: int


def best_configuration(finished: Finished, folds: int = 0) -> Best | None:
    """Give the best configuration at the largest budget, None without a success.

    Parameters
    ----------
    finished : sequence of (Trial, TrialResult)
    folds : int
        A configuration counts if all its trials on that many folds succeeded; where there is none,
        those with the most folds do. 0 where there are no folds.
    """
    best = best_of_budgets(finished, folds)
    return best[0] if best else None


def best_of_budgets(finished: Finished, folds: int = 0) -> list[Best]:
    """Give the best configuration of each budget that some trial reached, the largest first.

    Parameters
    ----------
    finished, folds
        As in ``best_configuration``.
    """
    found = []
    budgets = {trial.budget for trial, result in finished if result.is_success}
    for budget in sorted(budgets, reverse=True):
        means = mean_costs(finished, budget)
        most = max(n for _, _, n in means) if folds else 1
        values, cost, n = min((m for m in means if m[2] >= most), key=lambda m: m[1])
        found.append(Best(values, cost, budget, n))
    return found


def without(finished: Finished, values: dict) -> list[tuple[Trial, TrialResult]]:
    """Give the trials of other configurations."""
    return [pair for pair in finished if pair[0].values != values]


def best_rival(finished: Finished, own: dict) -> dict | None:
    """Give the values that do better than ``own`` by most on the folds that both were tried on."""
    costs: dict[tuple, dict[int | None, float]] = defaultdict(dict)
    values = {}
    for trial, result in finished:
        if result.is_success:
            key = tuple(sorted(trial.values.items()))
            costs[key][trial.fold], values[key] = result.cost, trial.values
    known = costs.get(tuple(sorted(own.items())), {})
    found = None, 0.0
    for key, own_costs in costs.items():
        shared = own_costs.keys() & known.keys()
        less = float(np.mean([own_costs[k] - known[k] for k in shared])) if shared else 0.0
        if less < found[1]:
            found = values[key], less
    return found[0]


def anytime_curve(finished: Finished, folds: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give the best cost so far after each trial that improved it.

    Only trials of the largest budget count, since scores of different budgets can't be compared;
    with folds only configurations that were tried on all of them.

    Returns
    -------
    spent : (step,) float
        Passes that all trials had used by then.
    cost : (step,) float
    """
    largest = max((t.budget for t, r in finished if r.is_success), default=0.0)
    costs: dict[tuple, dict[int | None, float]] = defaultdict(dict)
    spent, rows = 0.0, []
    for trial, result in finished:
        spent += trial.budget
        if not result.is_success or trial.budget < largest:
            continue
        own = costs[tuple(sorted(trial.values.items()))]
        own[trial.fold] = result.cost
        cost = float(np.mean(list(own.values())))
        if len(own) >= max(folds, 1) and (not rows or cost < rows[-1][1]):
            rows.append((spent, cost))
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows])


def mean_costs(finished: Finished, budget: float) -> list[tuple[dict, float, int]]:
    """Give each configuration's values, mean cost over folds and number of trials at a budget."""
    costs: dict[tuple, dict[int | None, float]] = defaultdict(dict)
    values = {}
    for trial, result in finished:
        if result.is_success and trial.budget == budget:
            key = tuple(sorted(trial.values.items()))
            costs[key][trial.fold], values[key] = result.cost, trial.values
    return [(values[k], float(np.mean(list(c.values()))), len(c)) for k, c in costs.items()]


def counts_by_status(finished: Finished) -> dict[str, int]:
    """Count the trials by what came of them, every status named."""
    counts = Counter(result.status for _, result in finished)
    return {status: counts[status] for status in STATUSES}


def total_budget(finished: Finished) -> float:
    """Give the passes that all trials used, failures counted in full."""
    return float(sum(trial.budget for trial, _ in finished))


def write_tables(folder: Path, name: str, finished: Finished, names: Sequence[str]) -> None:
    """Write all finished trials as ``NAME.csv`` and ``NAME.json``, each in one step.

    Parameters
    ----------
    folder : Path
    name : str
    finished : sequence of (Trial, TrialResult)
    names : sequence of str
        Options that are searched, the columns.
    """
    text = io.StringIO()
    head = ["trial", "status", "cost", "budget", "fold", "seed", "seconds", "elapsed_s"]
    head += ["parameters", "training_loss"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, *names, "reason"])
    for trial, result in finished:
        row = [trial.number, result.status, repr(result.cost), f"{trial.budget:g}"]
        row += ["" if trial.fold is None else trial.fold, trial.seed, f"{result.seconds:.2f}"]
        row += [f"{result.elapsed_s:.2f}"]
        row += [result.facts.get(k, "") for k in ("parameters", "training_loss")]
        writer.writerow([*row, *(trial.values.get(n, "") for n in names), result.reason])
    write_text(folder / f"{name}.csv", text.getvalue())
    rows = [{**trial.to_dict(), **result.to_dict()} for trial, result in finished]
    write_json(folder / f"{name}.json", {"counts": counts_by_status(finished), "trials": rows})
