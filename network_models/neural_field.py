"""Neural fields: maps of parameters as a network of place, trained on all spectra at once.

``parameters(x, y[, t]) = constraints(MLP(Fourier features(x, y[, t])))``: a map has as many
unknowns as the network has weights, and a value at every place. Training minimises the mean
of ((data - model(parameters)) / sigma)^2 by Adam; a share of the pixels is held out, and decides
when training ends and which bandwidth of the features is kept. Nothing else is a prior.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from network_models.layers.fourier import ConstrainedValues, FourierFeatures
from tools.atomic_files import write_arrays
from tools.long_work.progress import Progress
from tools.options import LARGEST_SEED, Options, option
from tools.random_streams import random_stream

__all__ = [
    "FieldData",
    "FieldSettings",
    "FieldValue",
    "FittedField",
    "evaluate_field",
    "fit_field",
    "grid_places",
]

logger = logging.getLogger(__name__)

Forward = Callable[[object, object], object]
_END_OF_RATE = 0.01  # of the first learning rate, after the last step
_EVALUATED = 16384  # places at once


@dataclass(frozen=True)
class FieldValue:
    """A physical parameter of a field.

    Attributes
    ----------
    name : str
    scale, centre : float
        In its unit: what the network's plain numbers are multiplied by and counted from.
    transform : str
        Of ``network_models.layers.fourier.TRANSFORMS``: how it keeps to a hard constraint.
    """

    name: str
    scale: float
    centre: float = 0.0
    transform: str = "free"


@dataclass(frozen=True)
class FieldSettings(Options):
    """Size and training of a field."""

    waves: int = option(128, "random waves of the Fourier features", least=1, most=8192)
    width: int = option(64, "units of each dense layer", least=1, most=4096)
    blocks: int = option(2, "residual blocks of two dense layers", least=0, most=64)
    bandwidths: tuple[float, ...] = option(
        (0.015, 0.04, 0.1),
        "tried standard deviations of the waves, cycles per pixel; held-out pixels choose",
        above=0,
        most=10,
    )
    steps: int = option(1500, "most steps of the training of each bandwidth", least=1)
    batch_pixels: int = option(2048, "pixels of a step", least=1)
    learning_rate: float = option(5e-3, "of Adam at its start; falls as a cosine", above=0)
    held_out: float = option(
        0.05, "share of the pixels that are never trained on", above=0, most=0.5
    )
    check_every: int = option(50, "steps between looks at the held-out pixels", least=1)
    patience: int = option(8, "looks without a gain before the training ends", least=1)
    seed: int = option(
        0, "seed of waves, weights, batches, held-out pixels", least=0, most=LARGEST_SEED
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.bandwidths:
            raise ValueError("expected one bandwidth or more, got an empty list; give --bandwidths")


@dataclass(frozen=True)
class FieldData:
    """Observed values at places.

    Attributes
    ----------
    places : (pixel, axis) float32
        x and y, or x, y and t, in pixels and steps of time.
    values, weight : (pixel, value) float32
        As spectra, and one over their variances; a weight of 0 is a missing value.
    auxiliary : (pixel, number) float32
        What else the forward model takes of a pixel, as dI/dl; may have no columns.
    """

    places: np.ndarray
    values: np.ndarray
    weight: np.ndarray
    auxiliary: np.ndarray

    def __post_init__(self):
        n = len(self.places)
        if (
            self.values.shape != self.weight.shape
            or not len(self.values) == len(self.auxiliary) == n
        ):
            raise ValueError(
                f"expected places, values, weights and auxiliary numbers of the same pixels, got "
                f"{self.places.shape}, {self.values.shape}, {self.weight.shape} and "
                f"{self.auxiliary.shape}; select the same pixels of each"
            )
        if n < 2:
            raise ValueError(f"expected 2 pixels with data or more, got {n}; check the mask")


@dataclass(frozen=True)
class FittedField:
    """A trained field.

    Attributes
    ----------
    network : keras.Model
        From places (batch, axis) to physical parameters (batch, parameter).
    bandwidth : float
        Cycles per pixel, chosen by the held-out pixels.
    held_out_chi2 : float
        Mean over held-out values of ((data - model) / sigma)^2.
    tried : dict of float
        Bandwidth to held-out chi2.
    steps : dict of int
        Bandwidth to steps that were trained.
    seconds : float
        Of this call.
    """

    network: keras.Model
    bandwidth: float
    held_out_chi2: float
    tried: dict[float, float]
    steps: dict[float, int]
    seconds: float


def grid_places(shape: tuple[int, int], *, magnify: int = 1) -> np.ndarray:
    """Return the places of a map's pixel centres, (pixel, 2) float32: x and y in pixels.

    Places count from the map's middle. With ``magnify`` each pixel is divided into so many along
    each axis.
    """
    axes = [(np.arange(n * magnify) + 0.5) / magnify - n / 2 for n in shape]
    y, x = np.meshgrid(*axes, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.float32)


def fit_field(
    values: Sequence[FieldValue],
    forward: Forward,
    data: FieldData,
    settings: FieldSettings,
    *,
    state: str | Path | None = None,
) -> FittedField:
    """Train a field for each bandwidth, or resume, and return the one best on held-out pixels.

    Parameters
    ----------
    values : sequence of FieldValue
        The parameters, in the order in which the forward model takes them.
    forward : callable
        From parameters (batch, parameter) and auxiliary numbers to values (batch, value), in
        ``keras.ops``.
    data : FieldData
    settings : FieldSettings
    state : path, optional
        Stem of files ``STEM_0.npz``, ... that hold the exact state of each training, written at
        each look at the held-out pixels; an existing one of the same settings is resumed.
    """
    begun = time.monotonic()
    tried, steps, weights = {}, {}, {}
    for k, bandwidth in enumerate(settings.bandwidths):
        network = _built(values, bandwidth, data.places.shape[1], settings)
        file = None if state is None else Path(f"{state}_{k}.npz")
        training = _Training(network, forward, data, settings, file)
        training.run(f"steps of bandwidth {bandwidth:g}")
        tried[bandwidth], steps[bandwidth] = training.best, training.step
        weights[bandwidth] = training.best_weights
        logger.info(
            "bandwidth %g cycles per pixel: held-out chi2 %.4g after %d steps",
            bandwidth,
            training.best,
            training.step,
        )
    chosen = min(tried, key=tried.__getitem__)
    network = _built(values, chosen, data.places.shape[1], settings)
    network.set_weights(weights[chosen])
    return FittedField(network, chosen, tried[chosen], tried, steps, time.monotonic() - begun)


def evaluate_field(network: keras.Model, places: np.ndarray) -> np.ndarray:
    """Return a field's parameters at any places, (place, parameter) float32, in their units."""
    places = np.asarray(places, np.float32)
    parts = [
        ops.convert_to_numpy(network(places[k : k + _EVALUATED]))
        for k in range(0, len(places), _EVALUATED)
    ]
    return np.concatenate(parts)


def _built(
    values: Sequence[FieldValue], bandwidth: float, n_axes: int, settings: FieldSettings
) -> keras.Model:
    """Return an untrained field."""
    generator = random_stream(settings.seed, "weights of a neural field")

    def dense(units: int, **options):
        seed = int(generator.integers(2**31))
        return keras.layers.Dense(
            units, kernel_initializer=keras.initializers.GlorotUniform(seed), **options
        )

    place = keras.Input((n_axes,), name="place")
    x = FourierFeatures(settings.waves, [bandwidth] * n_axes, settings.seed)(place)
    x = dense(settings.width, activation="silu")(x)
    for _ in range(settings.blocks):
        inner = dense(settings.width, activation="silu")(x)
        x = keras.layers.Add()([x, dense(settings.width, activation="silu")(inner)])
    x = dense(len(values))(x)
    constrained = ConstrainedValues(
        [v.transform for v in values], [v.centre for v in values], [v.scale for v in values]
    )
    return keras.Model(place, constrained(x), name="neural_field")


def _chi2(packed, modelled):
    """Return each pixel's mean squared residual over sigma, from values and weights in one row."""
    n = modelled.shape[-1]
    return ops.mean(packed[..., n:] * ops.square(packed[..., :n] - modelled), axis=-1)


class _Training:
    """The training of one field, which can be killed between any two steps and resumed."""

    def __init__(
        self,
        field: keras.Model,
        forward: Forward,
        data: FieldData,
        settings: FieldSettings,
        file: Path | None,
    ):
        self.field, self.data, self.settings, self.file = field, data, settings, file
        place = keras.Input(field.inputs[0].shape[1:], name="place")
        auxiliary = keras.Input((data.auxiliary.shape[1],), name="auxiliary")
        network = keras.Model([place, auxiliary], forward(field(place), auxiliary))
        rate = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate, settings.steps, alpha=_END_OF_RATE
        )
        # XLA compiles longer than such a small network trains
        network.compile(optimizer=keras.optimizers.Adam(rate), loss=_chi2, jit_compile=False)
        if keras.backend.backend() == "jax":
            network.compile(optimizer=keras.optimizers.Adam(rate), loss=_chi2)
        network.optimizer.build(network.trainable_variables)
        self.network = network
        order = random_stream(settings.seed, "held-out pixels").permutation(len(data.places))
        n_held = min(max(int(round(settings.held_out * len(order))), 1), len(order) - 1)
        self.held, self.trained = np.sort(order[:n_held]), np.sort(order[n_held:])
        self.step, self.best, self.looks_since = 0, np.inf, 0
        self.best_weights = field.get_weights()

    def run(self, what: str) -> None:
        """Train until the last step, or until the held-out pixels gain no more."""
        self._resume()
        settings, progress, first = self.settings, Progress(self.settings.steps, what), self.step
        while self.step < settings.steps and self.looks_since < settings.patience:
            self.network.train_on_batch(*self._batch(self._indices()))
            self.step += 1
            if self.step % settings.check_every == 0 or self.step == settings.steps:
                self._look()
                note = f"held-out chi2 {self.best:.4g}"
                progress.done(self.step, new=self.step - first, note=note)

    def _indices(self) -> np.ndarray:
        """Return the pixels of a step: a pure function of seed and step."""
        n = min(self.settings.batch_pixels, len(self.trained))
        per_epoch = len(self.trained) // n
        epoch, place = divmod(self.step, per_epoch)
        if getattr(self, "_epoch", None) != epoch:
            stream = random_stream(self.settings.seed, "batches", epoch)
            self._epoch, self._order = epoch, stream.permutation(self.trained)
        return self._order[place * n : (place + 1) * n]

    def _batch(self, indices: np.ndarray) -> tuple:
        data = self.data
        packed = np.concatenate([data.values[indices], data.weight[indices]], axis=1)
        return [data.places[indices], data.auxiliary[indices]], packed

    def _look(self) -> None:
        """Score the held-out pixels, keep the best weights, write the state."""
        inputs, packed = self._batch(self.held)
        modelled = self.network.predict_on_batch(inputs)
        n = modelled.shape[-1]
        weight = packed[:, n:].astype(float)
        misfit = np.sum(weight * (packed[:, :n] - modelled) ** 2)
        score = float(misfit / max(np.count_nonzero(weight), 1))
        if not np.isfinite(score):
            raise ValueError(
                "expected a finite misfit of the held-out pixels, got another: the training "
                "diverged; give a smaller --learning-rate"
            )
        self.looks_since += 1
        if score < self.best:
            self.best, self.looks_since = score, 0
            self.best_weights = self.field.get_weights()
        if self.file is not None:
            write_arrays(self.file, self._arrays())

    def _arrays(self) -> dict[str, np.ndarray]:
        numbers = np.array([self.step, self.best, self.looks_since], np.float64)
        arrays = {"numbers": numbers}
        arrays |= {f"weight_{k}": w for k, w in enumerate(self.field.get_weights())}
        arrays |= {f"best_{k}": w for k, w in enumerate(self.best_weights)}
        for k, variable in enumerate(self.network.optimizer.variables):
            arrays[f"optimizer_{k}"] = ops.convert_to_numpy(variable.value)
        return arrays

    def _resume(self) -> None:
        if self.file is None or not self.file.is_file():
            return
        with np.load(self.file) as stored:
            if set(stored.files) != set(self._arrays()):
                raise ValueError(
                    f"expected the state of this field in {self.file}, got another; remove the file"
                )
            self.step, self.best, self.looks_since = (
                cast(v) for cast, v in zip((int, float, int), stored["numbers"], strict=True)
            )
            n = len(self.best_weights)
            self.field.set_weights([stored[f"weight_{k}"] for k in range(n)])
            self.best_weights = [stored[f"best_{k}"] for k in range(n)]
            for k, variable in enumerate(self.network.optimizer.variables):
                variable.assign(stored[f"optimizer_{k}"])
        logger.info("resume at step %d of %s", self.step, self.file.name)
