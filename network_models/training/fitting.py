"""The one training path: audit, configuration, resume, fit, best network."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from dataset_models.audit import audit
from dataset_models.solar_data import SolarData
from dataset_models.splits import Split
from dataset_models.streaming import Batches
from network_models.files.safe_loading import load_network
from network_models.training.callbacks import (
    EpochOrder,
    RunRecorder,
    StopOnSignal,
    TensorBoardCurves,
)
from network_models.training.checkpoint import Progress, load_state, restore_state
from tools.atomic_files import write_text
from tools.plotting.architecture import draw_architecture
from tools.run_folder import (
    RunFolder,
    code_fingerprint,
    find_run,
    new_run_folder,
    software_versions,
)

__all__ = [
    "TrainingOptions",
    "TrainingOutcome",
    "compile_network",
    "fit_plainly",
    "make_deterministic",
    "open_run",
    "predict",
    "show_or_make",
    "train",
]

logger = logging.getLogger(__name__)

# options that change where or how much is written, but not what is computed
_VALIDATION_BATCH = 4096
_NOT_IDENTITY = frozenset({"output", "keep_epochs", "new_run"})


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained, whatever it is.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        Largest learning rate; it falls to 0 along a cosine.
    weight_decay : float
        Decoupled weight decay (AdamW).
    seed : int
        Of weights, dropout and batch order.
    keep_epochs : int
        Files to keep in epochs/; 0 keeps all.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    keep_epochs: int = 0


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training gave: the best network and how it came about."""

    network: keras.Model
    progress: Progress
    seconds: float


def open_run(
    parent: str, config: object, dataset: SolarData, *, always_new: bool, started: float
) -> RunFolder:
    """Give the run folder of a configuration: an unfinished or finished run of it, or a new one.

    The same options on the same data give the same run. A finished one is given back only if the
    suite's own code is what it was, and only if it was finished before this process began.

    Parameters
    ----------
    parent : str
        The folder ``trained_models``.
    config : dataclass
        All options.
    always_new : bool
        Start a new run in any case.
    started : float
        ``time.time()`` at the start of this process.
    """
    options = dataclasses.asdict(config)
    described = {k: v for k, v in options.items() if k not in _NOT_IDENTITY}
    described |= {"kind": type(config).__qualname__, "data": dataset.fingerprint()}
    described |= {"backend": keras.backend.backend()}
    identity = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
    run = None if always_new else find_run(parent, identity)
    if run is not None and run.is_finished:
        report = run / "report.html"
        if run.config.get("code") == code_fingerprint() and report.stat().st_mtime < started:
            return run
        run.unlock()
        run = None
    if run is not None:
        if run.config.get("code") != code_fingerprint():
            logger.warning("the suite's code has changed since %s was started", run.path)
        return run
    run = new_run_folder(parent)
    config_json = {
        "identity": identity,
        "options": options,
        "backend": keras.backend.backend(),
        "code": code_fingerprint(),
        "versions": software_versions(),
        "data": {"fingerprint": dataset.fingerprint(), **dataset.provenance()},
    }
    run.write_config(json.loads(json.dumps(config_json)))
    return run


def show_or_make(
    config: object,
    dataset: SolarData,
    make: Callable[[RunFolder], None],
    *,
    started: float,
) -> tuple[RunFolder, list[str]]:
    """Make a configuration's run, or show the one that was made before; give it and its figures.

    Parameters
    ----------
    config : dataclass
        With ``output`` and ``new_run`` among its options.
    dataset : SolarData
    make : callable
        Trains and reports in the run's folder, and writes "figures" into its configuration.
    started : float
        ``time.time()`` at the start of the process.
    """
    run = open_run(config.output, config, dataset, always_new=config.new_run, started=started)
    try:
        if run.is_finished:
            logger.info("This run was made before: %s (train again with --new-run)", run.path)
        else:
            logger.info("Run folder %s", run.path)
            make(run)
    finally:
        run.unlock()
    return run, run.config["figures"]


def train(
    build_network: Callable[[], keras.Model],
    loss: keras.losses.Loss,
    *,
    dataset: SolarData,
    split: Split,
    options: TrainingOptions,
    run: RunFolder,
    audit_seed: int = 0,
    make_optimizer: Callable[[], keras.optimizers.Optimizer] | None = None,
    as_saved: Callable[[keras.Model], keras.Model] | None = None,
) -> TrainingOutcome:
    """Train a network in its run folder, or go on where an earlier process stopped.

    The audit comes first and fails the run. With equal options and data on the same machine the
    result is the same to the last bit, however often the training was killed and resumed.

    Parameters
    ----------
    build_network : callable
        Makes the network, with all scaling inside; called after the seed is set.
    make_optimizer : callable, optional
        Gives another optimizer than AdamW with a falling learning rate.
    as_saved : callable, optional
        Gives the network that is saved, on the weights of the trained one: for an output whose
        scaling the loss must not see.

    Raises
    ------
    ValueError
        If the dataset finds itself unfit (``SolarData.verify``).
    LeakError
        If the audit finds a leak.
    TrainingStopped
        If Ctrl-C or SIGTERM asked for it; all finished epochs are saved.
    CheckpointError
        If the run's state can't be read or belongs to another network.
    """
    start = time.monotonic()
    problems = dataset.verify()
    if problems:
        raise ValueError("the data are not fit for training: " + "; ".join(problems))
    report = audit(dataset, split, seed=audit_seed)
    logger.info("Audit of the data\n%s", report.text())
    config = run.config
    config["split"], config["audit"] = split.to_dict(dataset.table), report.to_dict()
    if config != run.config:
        run.write_config(config)
    report.require()

    make_deterministic(options.seed)
    network = build_network()
    batches = dataset.training_batches(split, batch_size=options.batch_size, seed=options.seed)
    optimizer = None if make_optimizer is None else make_optimizer()
    compile_network(network, loss, options, len(batches), optimizer)
    saved = network if as_saved is None else as_saved(network)
    if not (run / "architecture.png").exists():
        describe_network(saved, run)

    progress = Progress(0, float("inf"), 0, [])
    state = load_state(run.path)
    if state is not None:
        arrays, progress = state
        restore_state(network, arrays)
        logger.info("Going on after epoch %d of %s", progress.epochs_done, run.path)
    curves = TensorBoardCurves(run / "performance")
    stop = StopOnSignal(progress)
    recorder = RunRecorder(
        run,
        progress,
        n_epochs=options.epochs,
        keep_epochs=options.keep_epochs,
        curves=curves,
        saved=saved,
    )
    try:
        with stop:
            if progress.epochs_done < options.epochs:
                batches.set_epoch(progress.epochs_done)  # threads read ahead of the first callback
                network.fit(
                    batches,
                    validation_data=dataset.validation_batches(
                        split, batch_size=min(dataset.rows_at_once, _VALIDATION_BATCH)
                    ),
                    epochs=options.epochs,
                    initial_epoch=progress.epochs_done,
                    shuffle=False,  # our order; Keras would permute the batches as well
                    verbose=0,
                    callbacks=[EpochOrder(batches), recorder, stop],
                )
    finally:
        curves.close()
    return TrainingOutcome(load_network(run.best_network), progress, time.monotonic() - start)


def fit_plainly(
    network: keras.Model,
    loss: keras.losses.Loss,
    *,
    dataset: SolarData,
    split: Split,
    options: TrainingOptions,
) -> None:
    """Fit without run folder, audit or choice of the best epoch: for demonstrations only."""
    make_deterministic(options.seed)
    batches = dataset.training_batches(split, batch_size=options.batch_size, seed=options.seed)
    compile_network(network, loss, options, len(batches))
    order = EpochOrder(batches)
    network.fit(batches, epochs=options.epochs, shuffle=False, verbose=0, callbacks=[order])


def compile_network(
    network: keras.Model,
    loss: keras.losses.Loss,
    options: TrainingOptions,
    n_batches: int,
    optimizer: keras.optimizers.Optimizer | None = None,
) -> None:
    """Compile with a given optimizer, or with AdamW whose rate falls along a cosine to 0."""
    if optimizer is None:
        schedule = keras.optimizers.schedules.CosineDecay(
            options.learning_rate, n_batches * options.epochs
        )
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=options.weight_decay)
    network.compile(optimizer, loss)


def make_deterministic(seed: int) -> None:
    """Seed Python, NumPy and the backend, and choose deterministic kernels."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it warns of retracing when several networks are built
        tf.config.experimental.enable_op_determinism()


def describe_network(network: keras.Model, run: RunFolder) -> None:
    """Write summary.txt and architecture.png."""
    text = io.StringIO()
    network.summary(line_length=100, print_fn=lambda line: text.write(line + "\n"))
    write_text(run / "summary.txt", text.getvalue())
    layers = [
        (layer.name, type(layer).__name__, _shape_text(layer), layer.count_params())
        for layer in network.layers
    ]
    links = [
        (parent.operation.name, layer.name)
        for layer in network.layers
        for node in layer._inbound_nodes
        for parent in node.parent_nodes
    ]
    draw_architecture(layers, links, run / "architecture.png")


def _shape_text(layer: keras.Layer) -> str:
    shape = getattr(layer.output, "shape", ())
    names = ["batch" if axis == 0 else "any" for axis in range(len(shape))]
    return " x ".join(str(n or name) for n, name in zip(shape, names, strict=True))


def predict(network: keras.Model, batches: Batches) -> np.ndarray:
    """Give the network's output for all samples of some batches, in their order."""
    return np.asarray(network.predict(batches, verbose=0))
