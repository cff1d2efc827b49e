"""Fit a network in its run folder: audit, resume, exact state, best network."""

from __future__ import annotations

import io
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
from network_models.differentiation.keras_graph import layer_links
from network_models.files.safe_loading import load_network
from network_models.training.callbacks import (
    EpochOrder,
    RunRecorder,
    StopOnSignal,
    TensorBoardCurves,
)
from network_models.training.checkpoint import Progress, load_state, restore_state
from tools.atomic_files import write_text
from tools.options import Trainable, part_of
from tools.plotting.architecture import draw_architecture
from tools.run_folder import RunFolder

__all__ = [
    "TrainingOptions",
    "TrainingOutcome",
    "answer_losses",
    "compile_network",
    "fit_plainly",
    "make_deterministic",
    "network_losses",
    "predict",
    "train",
    "training_options",
]

logger = logging.getLogger(__name__)

_VALIDATION_BATCH = 4096


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


def training_options(config: Trainable) -> TrainingOptions:
    """Take the training options out of a configuration that has them by the same names."""
    return part_of(config, TrainingOptions)


def train(
    build_network: Callable[[], keras.Model],
    loss: keras.losses.Loss,
    *,
    dataset: SolarData,
    split: Split,
    options: TrainingOptions,
    run: RunFolder,
    audit_seed: int = 0,
    make_optimizer: Callable[[int], keras.optimizers.Optimizer | None] | None = None,
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
        From the number of steps to another optimizer than AdamW with a falling learning rate; that
        one if it gives None.
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
    n_steps = len(batches) * options.epochs
    optimizer = None if make_optimizer is None else make_optimizer(n_steps)
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
    links = layer_links(network)
    draw_architecture(layers, links, run / "architecture.png")


def _shape_text(layer: keras.Layer) -> str:
    shape = getattr(layer.output, "shape", ())
    names = ["batch" if axis == 0 else "any" for axis in range(len(shape))]
    return " x ".join(str(n or name) for n, name in zip(shape, names, strict=True))


def network_losses(
    network: keras.Model, loss: keras.losses.Loss, dataset: SolarData, rows: np.ndarray
) -> np.ndarray:
    """Return a network's loss of each sample, (sample,) float64; a map's is its pixels' mean."""
    return answer_losses(loss, dataset, rows, lambda inputs, _: network.predict_on_batch(inputs))


def answer_losses(
    loss: keras.losses.Loss,
    dataset: SolarData,
    rows: np.ndarray,
    answer: Callable[[dict[str, np.ndarray], int], np.ndarray],
) -> np.ndarray:
    """Return the loss of each sample for any answers, (sample,) float64.

    Parameters
    ----------
    answer : callable
        From a batch's inputs and its length to the output (batch, ...).
    """
    batches, found = Batches(dataset, rows, batch_size=dataset.rows_at_once), []
    for k in range(len(batches)):
        inputs, truth = batches[k]
        output = keras.ops.convert_to_tensor(answer(inputs, len(truth)))
        if truth.ndim == 1 and output.shape[1:] in ((), (1,)):  # one number for each sample
            truth, output = truth[:, None], keras.ops.reshape(output, (-1, 1))
        each = keras.ops.convert_to_numpy(loss.call(keras.ops.convert_to_tensor(truth), output))
        found.append(each.reshape(len(truth), -1).mean(axis=1).astype(float))
    return np.concatenate(found)


def predict(network: keras.Model, batches: Batches) -> np.ndarray:
    """Return the network's output for all samples of some batches, in their order."""
    return np.asarray(network.predict(batches, verbose=0))
