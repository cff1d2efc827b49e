"""What the command lines of trainings share: options, a small run, Ctrl-C, and what is printed."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from tools.command_line import config_from, config_parser, quiet_start

__all__ = ["run_training"]


def run_training(
    config_class: type,
    load: Callable[[], Callable],
    argv: Sequence[str] | None,
    *,
    script: str,
    description: str,
    smoke: Mapping[str, object],
    smoke_text: str,
) -> int:
    """Read the options, train, print the figures, and give the exit status.

    Parameters
    ----------
    config_class : type
        Frozen dataclass of the options.
    load : callable
        Imports and gives what trains: it takes the configuration, ``command`` and ``started`` and
        gives a run folder and the lines to print. Called after the options are checked, so that a
        typo is told at once.
    argv : sequence of str or None
        The command line's own without it.
    script : str
        Path of the script, for the command that repeats the run.
    description : str
        First line of the help.
    smoke : mapping
        Defaults of ``--smoke``.
    smoke_text : str
        What ``--smoke`` is.
    """
    started = time.time()
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = config_parser(config_class, description)
    parser.add_argument("--smoke", action="store_true", help=smoke_text)
    if parser.parse_args(arguments).smoke:
        parser.set_defaults(**smoke)
    config = config_from(config_class, parser.parse_args(arguments))
    command = f"python {script} {shlex.join(arguments)}".strip()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_start():
        experiment = load()
        from network_models.training.callbacks import TrainingStopped
    try:
        run, lines = experiment(config, command=command, started=started)
    except TrainingStopped as stop:
        print(
            f"Stopped after {stop.epochs_done} finished epochs, all saved. "
            f"To go on, give the same command again:\n  {command}"
        )
        return 128 + stop.signal_number
    for line in lines:
        print(line)
    print(f"Report: {run / 'report.html'}")
    return 0
