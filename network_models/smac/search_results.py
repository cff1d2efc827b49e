"""The results of a search: one file, sentences, and what its configurations are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from network_models.smac.outcome import (
    Best,
    best_configuration,
    counts_by_status,
    total_budget,
    without,
)
from network_models.smac.retraining import Difference
from network_models.smac.search import Found, Searched
from network_models.smac.trials import Trial, TrialResult
from tools.atomic_files import write_json

__all__ = [
    "compared_stages",
    "cost_text",
    "named_configurations",
    "number_text",
    "result_lines",
    "stages_of",
    "verdict_of",
    "write_results",
]


def write_results(
    searched: Searched, found: Found, judged: Sequence[Difference], folder: Path
) -> dict:
    """Write ``results.json``: counts, best configurations, differences; give it."""
    folds = searched.plan.folds
    best = {name: best_configuration(f, folds) for name, f in compared_stages(found).items()}
    results = {
        "score": searched.problem.search.score,
        "data": found.data,
        "trials": {name: _counts(f) for name, f in stages_of(found)},
        "own": _as_dict(_own(searched, found)),
        "best": {name: _as_dict(b) for name, b in best.items()},
        "proposed": {
            name: _as_dict(best_configuration(without(f, searched.own), folds))
            for name, f in compared_stages(found).items()
        },
        "test set": [asdict(row) for row in judged],
    }
    write_json(folder / "results.json", results)
    return results


def result_lines(results: dict) -> list[str]:
    """Return the results as sentences to print."""
    lines = []
    for name, counts in results["trials"].items():
        failed = ", ".join(
            f"{n} {s}" for s, n in counts["by status"].items() if n and s != "success"
        )
        lines.append(
            f"{name}: {counts['trials']} trials, {counts['by status']['success']} succeeded"
            f"{f' ({failed})' if failed else ''}; {counts['passes']:g} passes, "
            f"{counts['minutes']:.1f} min"
        )
    lines.append(f"Validation, {results['score']}:")
    for name, best in named_configurations(results).items():
        lines.append(f"  {name}: {cost_text(best)}: {_values_text(best['values'])}")
    if (why := verdict_of(results)) is not None:
        lines.append(f"  {why}")
    for row in results["test set"][1:]:
        lines.append(
            f"Test set, never seen by the search: {row['name']} {row['loss']:.4f}, less the "
            f"script's own {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        )
    return lines


def stages_of(found: Found) -> list[tuple[str, list[tuple[Trial, TrialResult]]]]:
    """Return the trials as they were spent."""
    stages = [("SMAC", found.smac), ("finals", found.finals), ("random search", found.chance)]
    return [(name, finished) for name, finished in stages if finished]


def compared_stages(found: Found) -> dict[str, list[tuple[Trial, TrialResult]]]:
    """Return the trials of either way to search, at equal cost."""
    ways = {"SMAC": found.guided, "random search": found.chance}
    return {name: finished for name, finished in ways.items() if finished}


def _counts(finished: list[tuple[Trial, TrialResult]]) -> dict:
    return {
        "trials": len(finished),
        "by status": counts_by_status(finished),
        "passes": total_budget(finished),
        "minutes": max(result.elapsed_s for _, result in finished) / 60,
    }


def _own(searched: Searched, found: Found) -> Best | None:
    """Return the script's own configuration with its score at its largest budget."""
    values = searched.own
    own = [pair for pair in (*found.guided, *found.chance) if pair[0].values == values]
    return best_configuration(own, searched.plan.folds)


def _as_dict(best: Best | None) -> dict | None:
    return None if best is None else asdict(best)


def named_configurations(results: dict) -> dict[str, dict]:
    """Return the configurations that have a score, by what they are called.

    Where a search found nothing better than the script's own, the best that it proposed beside it
    is there, too, if it was tried as far, so that a search is judged by what it proposed.

    Returns
    -------
    dict
        Fields of ``Best`` by name.
    """
    named, own = {"the script's own": results["own"]}, results["own"]
    for name, best in results["best"].items():
        named[f"best of {name}"] = best
        proposed = results["proposed"][name]
        if own and best and proposed and best["values"] == own["values"]:
            if all(proposed[k] == own[k] for k in ("budget", "n_trials")):
                named[f"best proposal of {name}"] = proposed
    return {name: best for name, best in named.items() if best is not None}


def cost_text(best: dict) -> str:
    """Write a score with the passes and folds that it is of."""
    passes = f"{best['budget']:g} pass{'' if best['budget'] == 1 else 'es'}"
    folds = f", {best['n_trials']} folds" if best["n_trials"] > 1 else ""
    return f"{best['cost']:.4f} ({passes}{folds})"


def verdict_of(results: dict) -> str | None:
    """State that nothing better was found, or that the scores can't be compared, where it is so."""
    named, best, own = named_configurations(results), results["best"]["SMAC"], results["own"]
    if len({(one["budget"], one["n_trials"]) for one in named.values()}) < 2:
        if best and own and own["cost"] <= best["cost"]:
            return "SMAC found nothing better than the script's own configuration."
        return None
    return (
        "These scores can't be compared: they are of different passes or folds, since the trials "
        "that would have made them equal failed; the reasons stand below. Widen the limit that was "
        "hit and begin again with another --output."
    )


def _values_text(values: dict) -> str:
    return ", ".join(f"{n} {number_text(v)}" for n, v in values.items())


def number_text(value: object) -> str:
    """Write the value of an option."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
