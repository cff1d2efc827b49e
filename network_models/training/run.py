"""The one run driver: a problem and its options become a finished run folder, or show one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from pathlib import Path

import keras

from network_models.training.fitting import train
from network_models.training.problem import Problem, ProblemData, Trained, TrainingView
from network_models.training.samples import SampleSource
from network_models.training.targets import written_targets
from tools.atomic_files import commit_file, scratch_path
from tools.code_dependencies import code_of_script
from tools.options import Trainable
from tools.report.report import write_report
from tools.run_folder import RunFolder, find_run, new_run_folder, software_versions

__all__ = [
    "LEGACY_NETWORK",
    "make_run",
    "open_run",
    "write_legacy_network",
]

logger = logging.getLogger(__name__)

LEGACY_NETWORK = "best_performing.hdf5"
# options that change where or how much is written, but not what is computed
_NOT_IDENTITY = frozenset({"output", "keep_epochs", "new_run", "legacy_format"})


def open_run(
    problem: Problem, config: Trainable, data: ProblemData, *, started: float
) -> RunFolder:
    """Open the run folder of a configuration: an unfinished or finished run of it, or a new one.

    The same problem with the same options on the same data is the same run. A finished one is
    given back only if the code that it depends on is what it was, and only if it was finished
    before this process began.

    Parameters
    ----------
    problem : Problem
    config : Trainable
        With ``output`` and ``new_run`` among its options.
    data : ProblemData
    started : float
        ``time.time()`` at the start of this process.
    """
    options, code = dataclasses.asdict(config), code_of_script(problem.script)
    described = {k: v for k, v in options.items() if k not in _NOT_IDENTITY}
    described |= {"problem": problem.name, "script": problem.script}
    described |= {"kind": type(config).__qualname__, "data": data.dataset.fingerprint()}
    described |= {"backend": keras.backend.backend()}
    identity = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
    run = None if config.new_run else find_run(config.output, identity)
    if run is not None and run.is_finished:
        report = run / "report.html"
        if run.config.get("code") == code and report.stat().st_mtime < started:
            return run
        run.unlock()
        run = None
    if run is not None:
        if run.config.get("code") != code:
            logger.warning("the suite's code has changed since %s was started", run.path)
        return run
    run = new_run_folder(config.output)
    config_json = {
        "problem": problem.name,
        "script": problem.script,
        "identity": identity,
        "options": options,
        "backend": keras.backend.backend(),
        "code": code,
        "versions": software_versions(),
        "data": {"fingerprint": data.dataset.fingerprint(), **data.dataset.provenance()},
    }
    run.write_config(json.loads(json.dumps(config_json)))
    return run


def make_run(
    problem: Problem, config: Trainable, data: ProblemData, *, command: str, started: float
) -> tuple[RunFolder, list[str]]:
    """Train, evaluate and report, go on where an earlier process stopped, or show a finished run.

    Parameters
    ----------
    problem : Problem
    config : Trainable
    data : ProblemData
        What ``problem.open(config)`` gave.
    command : str
        The command line that repeats the run.
    started : float
        ``time.time()`` at the start of the process.

    Returns
    -------
    run : RunFolder
        Finished: with scores and report.
    lines : list of str
        Its figures.
    """
    run = open_run(problem, config, data, started=started)
    try:
        if run.is_finished:
            logger.info("This run was made before: %s (train again with --new-run)", run.path)
            _add_legacy_network(run, config)
        else:
            logger.info("Run folder %s", run.path)
            _finish(problem, config, data, run, command)
    finally:
        run.unlock()
    return run, [str(line) for line in run.config.get("figures", [])]


def _finish(
    problem: Problem, config: Trainable, data: ProblemData, run: RunFolder, command: str
) -> None:
    """Do what is left to do in a run folder."""
    entries = {} if problem.notes is None else problem.notes(config, data)
    targets = written_targets(problem.targets(config, data))
    run.note(command=command, targets=targets, **entries)
    view = TrainingView(data.dataset)
    if problem.training_view is not None:
        view = problem.training_view(config, data, False)
    optimizer = problem.optimizer
    outcome = train(
        view.build or (lambda: _built(problem, config, data)),
        problem.loss(config, data),
        dataset=view.dataset,
        split=data.split,
        options=problem.options(config),
        run=run,
        make_optimizer=None if optimizer is None else lambda n: optimizer(config, n),
        as_saved=view.as_saved,
    )
    del view  # it may hold a GiB
    trained = Trained(problem, config, data, run, outcome.network, outcome.progress, command)
    found = problem.evaluate(trained)
    run.note(figures=found.lines)
    _add_legacy_network(run, config)
    write_report(run.path, title=found.title, subtitle=found.subtitle)


def _built(problem: Problem, config: Trainable, data: ProblemData) -> keras.Model:
    """Build the network; raise a ValueError if targets have other weights than it has outputs."""
    network = problem.build(config, data)
    outputs = network.outputs
    is_explained_as_it_is = type(problem.samples).explained is SampleSource.explained
    if is_explained_as_it_is and len(outputs) == 1 and len(outputs[0].shape) > 1:
        n = outputs[0].shape[-1]
        for target in problem.targets(config, data).values():
            if target.weights and len(target.weights) != n:
                raise ValueError(
                    f"the target {target.name!r} of {problem.name} has {len(target.weights)} "
                    f"weights, the network {n} outputs"
                )
    return network


def _add_legacy_network(run: RunFolder, config: Trainable) -> None:
    """Write the best network as HDF5, too, where that is asked for."""
    path = run / LEGACY_NETWORK
    if config.legacy_format and not path.is_file():
        from network_models.files.safe_loading import load_network

        write_legacy_network(load_network(run.best_network), path)
        logger.info("Also written: %s", path)


def write_legacy_network(network: keras.Model, path: str | Path) -> None:
    """Write a network as an .hdf5 file in one step: the format of Keras 2.

    Keras 2 itself opens it if all layers are Keras' own; this suite opens it in any case.
    """
    path = Path(path)
    scratch = scratch_path(path, ending=".hdf5")
    advice = logging.getLogger("absl")  # on newer formats, which was not asked for
    before = advice.level
    advice.setLevel(logging.ERROR)
    try:
        network.save(scratch)
    finally:
        advice.setLevel(before)
    commit_file(scratch, path)
