"""The report of a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from network_models.smac.importance import option_importance
from network_models.smac.outcome import (
    anytime_curve,
    mean_costs,
    total_budget,
)
from network_models.smac.retraining import Retrained
from network_models.smac.search import Found, Searched
from network_models.smac.search_results import (
    compared_stages,
    cost_text,
    named_configurations,
    number_text,
    stages_of,
    verdict_of,
)
from network_models.smac.search_space import searchable_options, vector_of
from tools.plotting.search import plot_anytime, plot_budgets, plot_importance, plot_parallel
from tools.plotting.style import save_figure
from tools.report.report import Figure, Section, Table, write_report, write_section

__all__ = ["write_search_report"]

_SHOWN_ROWS = 200


def write_search_report(
    searched: Searched,
    found: Found,
    results: dict,
    runs: Sequence[Retrained],
    folder: Path,
    *,
    command: str,
) -> Path:
    """Write all sections and ``report.html``; give its path."""
    _write_summary(searched, found, results, folder / "sections/summary")
    if results["test set"]:
        _write_judged(results, runs, folder / "sections/judged", searched.problem.script)
    _write_figures(searched, found, results, folder / "sections")
    _write_trials(searched, found, folder / "sections/trials", command)
    what = found.data["source"]
    return write_report(
        folder,
        title=f"Architecture search: {searched.problem.script}",
        subtitle=f"{what}. Score: {searched.problem.search.score}, smaller is better.",
    )


def _write_summary(searched: Searched, found: Found, results: dict, folder: Path) -> None:
    names = list(searched.space)
    rows = [
        [name, cost_text(best), *(number_text(best["values"].get(n, "-")) for n in names)]
        for name, best in named_configurations(results).items()
    ]
    flipped = [list(column) for column in zip(["", "score", *names], *rows, strict=True)]
    counts = [
        [name, str(c["trials"]), *(str(n) for n in c["by status"].values()), f"{c['passes']:g}",
         f"{c['minutes']:.1f}"]
        for name, c in results["trials"].items()
    ]  # fmt: skip
    sets = ", ".join(f"{n:,} {name}" for name, n in found.data["sets"].items())
    config = searched.config
    how = {
        "budgets": f"Hyperband over {config.fidelity}, {config.min_epochs} to {config.max_epochs} "
        "passes; at last the script's own and the best beside it of every budget were tried with "
        f"{config.max_epochs}, and the best is chosen there",
        "folds": f"racing over {config.folds} folds of what is not in the test set, "
        f"{config.max_epochs} passes each; the best and the script's own were tried on all",
        "blackbox": f"every trial in full, {config.max_epochs} passes",
    }[config.mode]
    text = [
        f"{how}. Samples: {sets} ({found.data['scheme']}). Trials learn from "
        f"{searched.share:g} of the training set and are scored on the validation set; the test "
        "set was opened by no trial.",
    ]
    if (why := verdict_of(results)) is not None:
        text.append(why)
    text.append(
        "The best of many noisy scores is flattered by the choice: what it is worth is seen on "
        "data that took no part."
    )
    section = Section(
        title="What was found",
        order=10,
        text=text,
        tables=[
            Table("Configurations ('-': does not count there)", flipped[0], flipped[1:]),
            Table(
                "Trials by what came of them, passes and minutes",
                ["", "trials", *next(iter(results["trials"].values()))["by status"], "passes",
                 "minutes"],
                counts,
            ),
        ],
    )  # fmt: skip
    write_section(folder, section)


def _cost(cost: float | None) -> str:
    return "-" if cost is None else f"{cost:.4f}"


def _write_judged(results: dict, runs: Sequence[Retrained], folder: Path, script: str) -> None:
    rows = [
        [r["name"], f"{r['loss']:.4f}", f"{r['difference']:+.4f}" if k else "-",
         f"{r['low']:+.4f} to {r['high']:+.4f}" if k else "-", r["run"]]
        for k, r in enumerate(results["test set"])
    ]  # fmt: skip
    first = results["test set"][0]
    text = [
        f"Each configuration was trained by the training script as an ordinary run, on the whole "
        f"training set, and judged on the run's test set: {first['n_samples']:,} samples in "
        f"{first['n_events']:,} blocks that no trial of the search has seen. Differences are less "
        "the script's own network, with 95 % intervals of a paired bootstrap over the blocks. Each "
        "configuration was trained once: how much another seed would change is not in the interval."
    ]
    lines = [f"{run.name}: {line}" for run in runs for line in run.lines]
    section = Section(
        title="On data that the search never saw",
        order=20,
        text=[*text, *lines],
        tables=[
            Table(
                f"Test set, {results['score'].split(',')[-1].strip()}",
                ["network", "test loss", "difference", "95 % interval", "run"],
                rows,
            )
        ],
        commands=[f"python {script} {' '.join(run.options)}".strip() for run in runs],
    )
    write_section(folder, section)


def _write_figures(searched: Searched, found: Found, results: dict, folder: Path) -> None:
    score, folds = searched.problem.search.score, searched.plan.folds
    largest = max(best["budget"] for best in named_configurations(results).values())
    stages = {  # scores of smaller budgets have no place on the same axis
        name: finished
        for name, finished in compared_stages(found).items()
        if results["best"].get(name) and results["best"][name]["budget"] == largest
    }
    own = results["own"]
    axes = plot_anytime(
        {name: anytime_curve(f, folds) for name, f in stages.items()},
        ends={name: total_budget(f) for name, f in stages.items()},
        default=own["cost"] if own and own["budget"] == largest else None,
        score=score,
    )
    place = folder / "anytime"
    place.mkdir(parents=True, exist_ok=True)
    save_figure(axes.figure, place / "anytime.png")
    caption = (
        f"Best validation score of {largest:g} passes over all passes spent until then; a search "
        "that came to no trial of so many is not drawn."
    )
    write_section(
        place,
        Section("How the best came down", 30, figures=[Figure("anytime.png", caption)]),
    )
    _write_budgets(found.guided, folder / "budgets", score)
    _write_importance(searched, found, folder / "importance")
    _write_parallel(searched, found.guided, folder / "parallel")


def _write_budgets(finished: list, folder: Path, score: str) -> None:
    lines: dict[str, dict[float, float]] = {}
    for trial, result in finished:
        if result.is_success:
            lines.setdefault(str(sorted(trial.values.items())), {})[trial.budget] = result.cost
    pairs = [
        (np.array(sorted(costs)), np.array([costs[b] for b in sorted(costs)]))
        for costs in lines.values()
    ]
    failed = np.array([trial.budget for trial, result in finished if not result.is_success])
    if len({b for line in lines.values() for b in line}) < 2:
        return
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(plot_budgets(pairs, failed, score=score).figure, folder / "budgets.png")
    caption = "Each line is one configuration; those that did well with few passes got more."
    write_section(folder, Section("Budgets", 40, figures=[Figure("budgets.png", caption)]))


def _write_importance(searched: Searched, found: Found, folder: Path) -> None:
    ranges = _ranges(searched)
    every = [*found.guided, *found.chance]
    importance = option_importance(every, ranges, searched.base, seed=searched.config.seed)
    if importance is None:
        text = ["Too few successful trials to say what the score depends on."]
        write_section(folder, Section("What the score depends on", 50, text=text))
        return
    folder.mkdir(parents=True, exist_ok=True)
    axes = plot_importance(importance.names, importance.loss, importance.spread)
    save_figure(axes.figure, folder / "importance.png")
    says = (
        f"A forest that learned from some of the {importance.n_trials} successful trials explains "
        f"{100 * importance.explained:.0f} % of the variance of the others' scores"
    )
    doubt = "" if importance.explained > 0.2 else ", so that its losses say little"
    caption = f"{says}{doubt}. Bars: what it loses when one option is shuffled; lines: the scatter."
    section = Section("What the score depends on", 50, figures=[Figure("importance.png", caption)])
    write_section(folder, section)


def _write_parallel(searched: Searched, finished: list, folder: Path) -> None:
    ranges = _ranges(searched)
    largest = max((t.budget for t, r in finished if r.is_success), default=0.0)
    chosen = mean_costs(finished, largest)
    most = max((n for _, _, n in chosen), default=0)
    chosen = [row for row in chosen if row[2] == most]  # with folds: those tried on most of them
    if len(chosen) < 2 or len(ranges) < 2:
        return
    folder.mkdir(parents=True, exist_ok=True)
    places = np.array([vector_of(values, ranges, searched.base) for values, _, _ in chosen])
    ticks = [
        [(k / (len(r.values) - 1), str(v)) for k, v in enumerate(r.values)]
        if r.values
        else [(0.0, f"{r.low:g}"), (1.0, f"{r.high:g}")]
        for r in ranges.values()
    ]
    axes = plot_parallel(
        places,
        np.array([cost for _, cost, _ in chosen]),
        list(ranges),
        ticks,
        score=searched.problem.search.score,
    )
    save_figure(axes.figure, folder / "parallel.png")
    caption = (
        f"The {len(chosen)} configurations that were tried with {largest:g} passes"
        f"{f' on all of {most} folds' if most > 1 else ''}; the best in orange. An option that "
        "does not count stands at its default."
    )
    write_section(folder, Section("Configurations", 60, figures=[Figure("parallel.png", caption)]))


def _ranges(searched: Searched) -> dict:
    known = searchable_options(searched.problem.config)
    return {name: r for name, r in known.items() if name in searched.space}


def _write_trials(searched: Searched, found: Found, folder: Path, command: str) -> None:
    tables, failures = [], []
    names = list(searched.space)
    for name, finished in stages_of(found):
        rows = [
            [str(t.number), f"{t.budget:g}", "-" if t.fold is None else str(t.fold), r.status,
             _cost(r.cost) if r.is_success else "-", f"{r.seconds:.1f}",
             f"{r.facts['parameters']:,}" if "parameters" in r.facts else "-",
             *(number_text(t.values.get(n, "-")) for n in names)]
            for t, r in finished[:_SHOWN_ROWS]
        ]  # fmt: skip
        head = ["trial", "budget", "fold", "status", "score", "s", "parameters", *names]
        more = f"; the first {_SHOWN_ROWS}" if len(finished) > _SHOWN_ROWS else ""
        tables.append(
            Table(f"{name}: trials in the order in which they finished{more}", head, rows)
        )
        failures += [
            [name, str(t.number), r.status, r.reason] for t, r in finished if not r.is_success
        ]
    if failures:
        head = ["search", "trial", "status", "reason"]
        tables.insert(0, Table("Trials without a score, and why", head, failures[:_SHOWN_ROWS]))
    section = Section(
        title="All trials",
        order=70,
        text=["The same in trials.csv, finals.csv and random.csv, and as JSON."],
        tables=tables,
        commands=[command],
    )
    write_section(folder, section)
