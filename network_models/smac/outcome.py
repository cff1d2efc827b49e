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
    "counts_by_status",
    "total_budget",
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
    good = [(trial, result) for trial, result in finished if result.is_success]
    if not good:
        return None
    largest = max(trial.budget for trial, _ in good)
    costs: dict[tuple, dict[int | None, float]] = defaultdict(dict)
    values = {}
    for trial, result in good:
        if trial.budget == largest:
            key = tuple(sorted(trial.values.items()))
            costs[key][trial.fold] = result.cost
            values[key] = trial.values
    most = max(len(c) for c in costs.values()) if folds else 1
    means = {key: float(np.mean(list(c.values()))) for key, c in costs.items() if len(c) >= most}
    key = min(means, key=means.get)
    return Best(values[key], means[key], largest, len(costs[key]))


def anytime_curve(finished: Finished, folds: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the best cost so far after each trial that improved it.

    Only trials of the largest budget count, since scores of different budgets can't be compared.

    Returns
    -------
    spent : (step,) float
        Passes that all trials had used by then.
    elapsed_s : (step,) float
    cost : (step,) float
    """
    good = [trial.budget for trial, result in finished if result.is_success]
    largest, spent, rows = max(good, default=0.0), 0.0, []
    for k, (trial, result) in enumerate(finished):
        spent += trial.budget
        if result.is_success and trial.budget == largest:
            best = best_configuration(
                [f for f in finished[: k + 1] if f[0].budget == largest], folds
            )
            if not rows or best.cost != rows[-1][2]:
                rows.append((spent, result.elapsed_s, best.cost))
    return (
        tuple(np.array(column) for column in zip(*rows, strict=True))
        if rows
        else (
            np.array([]),
            np.array([]),
            np.array([]),
        )
    )


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
