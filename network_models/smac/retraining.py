"""The best networks trained as ordinary runs, and judged on test data that no search has seen."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from network_models.smac.workers import Workers, wait_for
from network_models.training.problem import Problem
from tools.atomic_files import write_json
from tools.bootstrap import EventBootstrap, interval
from tools.random_streams import random_stream

__all__ = ["Difference", "Retrained", "judge_runs", "options_text", "retrain"]

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]
_REPORT = "Report: "
_DRAWS = 1000


@dataclass(frozen=True)
class Retrained:
    """An ordinary run.

    Attributes
    ----------
    name : str
        Whose configuration it has.
    options : list of str
        Of the training script.
    run : str
        Its folder.
    lines : list of str
        What the script printed of its scores.
    """

    name: str
    options: list[str]
    run: str
    lines: list[str]


@dataclass(frozen=True)
class Difference:
    """Mean test loss of a run, and how much it differs from the first one's.

    Attributes
    ----------
    name, run : str
    loss : float
    difference, low, high : float
        Loss less that of the script's own network, with its 95 % interval (paired).
    n_samples, n_events : int
    """

    name: str
    run: str
    loss: float
    difference: float
    low: float
    high: float
    n_samples: int
    n_events: int


def options_text(values: Mapping[str, object]) -> list[str]:
    """Return options as a command line has them."""
    text: list[str] = []
    for name, value in values.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            text.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, (tuple, list)):
            text += [flag, *map(str, value)]
        else:
            text += [flag, str(value)]
    return text


def retrain(
    problem: Problem, configurations: Mapping[str, list[str]], folder: Path
) -> list[Retrained]:
    """Train configurations as ordinary runs, one after the other; finished ones are not repeated.

    Parameters
    ----------
    problem : Problem
    configurations : dict
        Options of the training script, by the name of whose they are.
    folder : Path
        Of the search; ``retrained.json`` remembers what is finished.

    Raises
    ------
    ValueError
        If a training fails.
    KeyboardInterrupt
        If it was stopped; the same command goes on.
    """
    memory = folder / "retrained.json"
    known = json.loads(memory.read_text()) if memory.exists() else []
    runs: list[Retrained] = []
    for name, options in configurations.items():
        same = [r for r in known if r["options"] == options and _is_finished(r["run"])]
        same += [r.__dict__ for r in runs if r.options == options]
        if same:
            found = Retrained(**{**same[0], "name": name})
        else:
            logger.info("Training %s: %s %s", name, problem.script, " ".join(options))
            found = Retrained(name, options, *_trained(problem.script, options))
        runs.append(found)
        rest = [r for r in known if all(r["options"] != k.options for k in runs)]
        write_json(memory, [r.__dict__ for r in runs] + rest)
    return runs


def _is_finished(run: str) -> bool:
    return (Path(run) / "report.html").is_file()


def _trained(script: str, options: Sequence[str]) -> tuple[str, list[str]]:
    """Run a training script; give its run folder and the lines that it printed."""
    command = [sys.executable, "-m", "network_models.smac.watched_script", script, *options]
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            lines = [line.rstrip() for line in child.stdout]
            status = child.wait()
        except BaseException:
            child.terminate()  # it saves its finished epochs
            child.wait()
            raise
    if status in (130, 143):
        raise KeyboardInterrupt
    reports = [line for line in lines if line.startswith(_REPORT)]
    if status or not reports:
        raise ValueError(
            f"the training failed with status {status}; what it said stands above. Its command: "
            f"python {script} {' '.join(options)}"
        )
    run = Path(reports[-1].removeprefix(_REPORT)).parent
    return str(run), [line for line in lines if not line.startswith(_REPORT)]


def judge_runs(
    problem: Problem,
    options: Mapping[str, object],
    runs: Sequence[Retrained],
    workers: Workers,
    *,
    seed: int,
) -> list[Difference]:
    """Compare runs on their common test set, sample by sample.

    Parameters
    ----------
    problem : Problem
    options : dict
        The training script's options that name the data.
    runs : sequence of Retrained
        The first is the one that others are compared with.
    workers : Workers
    seed : int
        Of the bootstrap.

    Raises
    ------
    ValueError
        If a network or the data can't be opened.
    """
    found = []
    for run in runs:
        request = {
            "do": "judge",
            "script": problem.script,
            "options": dict(options),
            "network": str(Path(run.run) / "best_performing.keras"),
        }
        try:
            answer = wait_for(workers, request, "judge")
        except ValueError as error:
            raise ValueError(f"{run.run} can't be judged: {error}") from None
        found.append((np.array(answer["losses"]), np.array(answer["events"])))
    first, events = found[0]
    draws = EventBootstrap(events, generator=random_stream(seed, "test losses"), n_draws=_DRAWS)
    rows = []
    for run, (losses, _) in zip(runs, found, strict=True):
        low, high = interval(draws.mean(losses - first))
        difference = float((losses - first).mean())
        rows.append(
            Difference(
                run.name,
                run.run,
                float(losses.mean()),
                difference,
                low,
                high,
                len(losses),
                draws.n_blocks,
            )
        )
    return rows
