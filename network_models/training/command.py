"""The only training command: options, a small run, Ctrl-C, and what is printed."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence

from network_models.training.problem import Problem, ProblemData
from tools.command_line import config_from, config_parser, quiet_start

__all__ = ["main"]


def main(problem: Problem, argv: Sequence[str] | None = None) -> int:
    """Train a problem's network as its command line says, and return the exit status.

    The same command goes on where a killed one stopped, and shows a finished run again. Wrong
    options and wrong data are refused before keras is imported.

    Parameters
    ----------
    problem : Problem
    argv : sequence of str, optional
        The command line's own without it.
    """
    started = time.time()
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = config_parser(problem.config, problem.description)
    parser.add_argument("--smoke", action="store_true", help=problem.smoke_text)
    if parser.parse_args(arguments).smoke:
        parser.set_defaults(**problem.smoke)
    config = config_from(problem.config, parser.parse_args(arguments))
    command = f"python {problem.command} {shlex.join(arguments)}".strip()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", problem.log_level)
    data = problem.open(config)
    if not isinstance(data, ProblemData):
        raise TypeError(
            f"open() of the problem {problem.name!r} must return ProblemData, "
            f"got {type(data).__name__}"
        )

    # keras and its backend take seconds to import; wrong input has been refused by now
    with quiet_start():
        from network_models.training.callbacks import TrainingStopped
        from network_models.training.run import make_run
    told = None if problem.without_run is None else problem.without_run(config, data)
    if told is not None:
        print("\n".join(told.lines))
        return 0 if told.is_good else 1
    try:
        run, lines = make_run(problem, config, data, command=command, started=started)
    except TrainingStopped as stop:
        print(
            f"Stopped after {stop.epochs_done} finished epochs, all saved. "
            f"To go on, give the same command again:\n  {command}"
        )
        return 128 + stop.signal_number
    print("\n".join([*lines, f"Report: {run / 'report.html'}"]))
    return 0
