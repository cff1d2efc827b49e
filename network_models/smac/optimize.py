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
from dataclasses import asdict
from pathlib import Path

from network_models.training.problem import Problem, open_problem, searchable_scripts
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
    if problem.search is None:
        raise ValueError(
            f"{parsed.script} can't be searched: its problem has no SearchSettings; scripts that "
            f"can be are {', '.join(searchable_scripts())}"
        )
    from network_models.smac.search_config import SearchConfig, open_search_folder
    from network_models.smac.search_space import build_space, require_enough

    config = config_from(SearchConfig, parsed)
    base, explicit = _base(problem, given, smoke=parsed.smoke)
    space = build_space(base, names=config.search, fixed=explicit, seed=config.seed)
    if config.mode == "budgets":
        require_enough(space, base)
    from network_models.smac.search import Searched

    searched = Searched(problem, base, space, config)
    command = shlex.join(["python", _SCRIPT, *arguments])
    with open_search_folder(config, problem, asdict(base), str(space)) as folder:
        logger.info("Search folder %s: %d options are searched", folder, len(space))
        return _search(searched, explicit, folder, command, smoke=parsed.smoke)


def _search(searched, explicit: dict, folder: Path, command: str, *, smoke: bool) -> int:
    from network_models.smac.retraining import judge_runs, retrain
    from network_models.smac.search import open_judge, open_workers, run_stages
    from network_models.smac.search_report import write_search_report
    from network_models.smac.search_results import (
        named_configurations,
        result_lines,
        write_results,
    )

    with open_workers(searched.config) as workers:
        found = run_stages(searched, folder, workers)
    if not any(result.is_success for _, result in found.guided):
        raise ValueError(f"no trial succeeded; the reasons stand in {folder / 'trials.csv'}")
    # what is found is on the disk before the trainings begin
    results = write_results(searched, found, [], folder)
    report = write_search_report(searched, found, results, [], folder, command=command)
    if searched.config.retrain:
        named = named_configurations(results)
        wanted = {"the script's own": {}}  # its own file says it, whatever trials were given
        wanted |= {name: one["values"] for name, one in named.items() if name not in wanted}
        runs = retrain(
            searched.problem,
            {name: _options(searched, explicit, values, smoke) for name, values in wanted.items()},
            folder,
        )
        data = _configuration(searched.problem, explicit, smoke=smoke, of_trials=False)
        with open_judge() as worker:
            judged = judge_runs(
                searched.problem, asdict(data), runs, worker, seed=searched.config.seed
            )
        results = write_results(searched, found, judged, folder)
        report = write_search_report(searched, found, results, runs, folder, command=command)
    for line in result_lines(results):
        print(line)
    print(f"Report: {report}")
    return 0


def _options(searched, explicit: dict, values: dict, smoke: bool) -> list[str]:
    """Return the training script's options for a configuration: those that are not its default."""
    from network_models.smac.retraining import options_text

    problem = searched.problem
    own = problem.config(**(problem.search.smoke if smoke else {}))
    options = {**problem.search.architecture, **explicit, **values}
    changed = {name: v for name, v in options.items() if v != getattr(own, name)}
    return [*(["--smoke"] if smoke else []), *options_text(changed)]


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


def _base(problem: Problem, given: Sequence[str], *, smoke: bool) -> tuple[object, dict]:
    """Return the configuration that is searched around, and the options that the user gave."""
    fields = [field.name for field in dataclasses.fields(problem.config)]
    unset = object()
    parser = config_parser(problem.config, f"Options of {problem.script}")
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
    return _configuration(problem, explicit, smoke=smoke, of_trials=True), explicit


def _configuration(problem: Problem, explicit: dict, *, smoke: bool, of_trials: bool) -> object:
    """Return the configuration that trials share, or the one of trainings."""
    data = problem.search.options if of_trials else {}
    small = problem.search.smoke if smoke else {}
    return problem.config(**{**problem.search.architecture, **data, **small, **explicit})


if __name__ == "__main__":
    if "PYTHONHASHSEED" not in os.environ:  # SMAC goes through sets: other hashes, other trials
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    run_script(main)
