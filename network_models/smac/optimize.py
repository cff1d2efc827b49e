"""Search the architecture of a training script with SMAC.

    python network_models/smac/optimize.py                                (the virtual Sun forecast)
    python network_models/smac/optimize.py SCRIPT [options] [-- options of the script]

What stands behind ``--`` goes to the training script and is not searched. The same command goes on
where a killed one stopped; with more ``--trials`` or ``--minutes`` a finished search goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from network_models.search_problem import SearchProblem, open_problem, searchable_scripts
from tools.command_line import config_from, config_parser, run_script

__all__ = ["main"]

logger = logging.getLogger(__name__)

_DEFAULT = "network_models/xray_flux_forecast/fdl1/aia_only.py"
_SCRIPT = "network_models/smac/optimize.py"
_SMOKE = {"trials": 6, "max_epochs": 3, "minutes": 3.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Search, retrain, judge and report; give the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    own, given = arguments, []
    if "--" in arguments:
        place = arguments.index("--")
        own, given = arguments[:place], arguments[place + 1 :]
    parsed = _parsed(own)
    problem = open_problem(parsed.script)
    from network_models.smac.search_config import SearchConfig, open_search_folder
    from network_models.smac.search_space import build_space

    config = config_from(SearchConfig, parsed)
    base, explicit = _base(problem, given, smoke=parsed.smoke)
    space = build_space(base, names=config.search, fixed=explicit, seed=config.seed)
    from network_models.smac.search import Searched

    searched = Searched(problem, base, space, config)
    command = shlex.join(["python", _SCRIPT, *arguments])
    with open_search_folder(config, problem, dataclasses.asdict(base), str(space)) as folder:
        logger.info("Search folder %s: %d options are searched", folder, len(space))
        return _search(searched, explicit, folder, command, smoke=parsed.smoke)


def _search(searched, explicit: dict, folder: Path, command: str, *, smoke: bool) -> int:
    from network_models.smac.outcome import best_configuration
    from network_models.smac.retraining import judge_runs, options_text, retrain
    from network_models.smac.search import open_workers, run_stages
    from network_models.smac.search_report import (
        result_lines,
        write_results,
        write_search_report,
    )

    problem, folds = searched.problem, searched.plan.folds
    with open_workers(searched.config) as workers:
        found = run_stages(searched, folder, workers)
    best = best_configuration(found.smac, folds)
    if best is None:
        raise ValueError("no trial succeeded; the reasons stand in trials.csv")
    runs, judged = [], []
    if searched.config.retrain:
        small = ["--smoke"] if smoke else []
        user = {n: v for n, v in explicit.items()}
        wanted = {"the script's own": {}, "best of SMAC": best.values}
        chance = best_configuration(found.chance, folds)
        if chance is not None:
            wanted["best of random search"] = chance.values
        options = {n: small + options_text(user | v) for n, v in wanted.items()}
        runs = retrain(problem, options, folder)
        trained = _configuration(problem, user, problem.smoke if smoke else {})
        with open_workers(dataclasses.replace(searched.config, scheduler="", workers=1)) as worker:
            judged = judge_runs(
                problem, dataclasses.asdict(trained), runs, worker, seed=searched.config.seed
            )
    results = write_results(searched, found, judged, folder)
    report = write_search_report(searched, found, results, runs, folder, command=command)
    for line in result_lines(searched, results):
        print(line)
    print(f"Report: {report}")
    return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    from network_models.smac.search_config import SearchConfig

    parser = config_parser(SearchConfig, __doc__.splitlines()[0])
    parser.add_argument(
        "script",
        nargs="?",
        default=_DEFAULT,
        help=f"training script: {', '.join(searchable_scripts())}",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="a small search of a minute, to see that all works"
    )
    if parser.parse_args(arguments).smoke:
        parser.set_defaults(**_SMOKE)
    return parser.parse_args(arguments)


def _base(problem: SearchProblem, given: Sequence[str], *, smoke: bool) -> tuple[object, dict]:
    """Give the configuration that is searched around, and the options that the user gave."""
    fields = [field.name for field in dataclasses.fields(problem.config_class)]
    unset = object()
    parser = config_parser(problem.config_class, f"Options of {problem.script}")
    parser.prog = f"{problem.script} (behind --)"
    parsed = parser.parse_args(given, argparse.Namespace(**dict.fromkeys(fields, unset)))
    explicit = {n: v for n, v in vars(parsed).items() if v is not unset}
    explicit = {n: tuple(v) if isinstance(v, list) else v for n, v in explicit.items()}
    refused = sorted({"epochs", "new_run", "smoke"} & set(explicit))
    if refused:
        raise ValueError(
            f"{', '.join('--' + n.replace('_', '-') for n in refused)} behind --: the search sets "
            "it itself (--min-epochs, --max-epochs, --output, --smoke before the --)"
        )
    options = {**problem.options, **(problem.smoke if smoke else {}), **explicit}
    return _configuration(problem, {}, options), explicit


def _configuration(problem: SearchProblem, values: dict, options: dict) -> object:
    return problem.config_class(**{**options, **values})


if __name__ == "__main__":
    if "PYTHONHASHSEED" not in os.environ:  # SMAC goes through sets: other hashes, other trials
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    run_script(main)
