"""From drawn atmospheres to a network: data, sets, layers, loss and targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dataset_models.array_data import ArrayData
from dataset_models.splits import Split
from network_models.milne_eddington_start.atmosphere_draws import (
    QUANTITIES,
    DrawnPixels,
    draw_pixels,
    quantities_of,
)
from network_models.training.data import ProblemData
from network_models.training.targets import Target
from tools.random_streams import random_stream

if TYPE_CHECKING:
    import keras

    from network_models.milne_eddington_start.atmosphere_loss import ScaledHuber
    from network_models.milne_eddington_start.train import StartConfig

__all__ = ["STOKES", "build", "draw_set", "loss_of", "open_data", "targets_of"]

STOKES = ("I", "Q", "U", "V")
# Q, U and V count linearly below 1 % of the continuum and logarithmically above, as arsinh does
_POLARISATION = 100.0


def draw_set(config: StartConfig, name: str) -> DrawnPixels:
    """Return the pixels of one set: ``training``, ``validation`` or ``test``, each its own stream.

    Sets are independent draws; none shares its stream with a benchmark, which seeds NumPy directly.
    """
    n = getattr(config, f"{name}_pixels")
    return draw_pixels(n, random_stream(config.seed, "Milne-Eddington start", name))


def open_data(config: StartConfig) -> ProblemData:
    """Draw the pixels of all sets."""
    sets = {name: draw_set(config, name) for name in ("training", "validation", "test")}
    stokes = np.concatenate([one.stokes for one in sets.values()])
    truth = np.concatenate([quantities_of(one.parameters) for one in sets.values()])
    dataset = ArrayData(
        {"stokes": np.swapaxes(stokes, 1, 2), "atmosphere": truth},
        "atmosphere",
        units={"stokes": "1", "atmosphere": "1"},
        groups=np.arange(len(truth)),
        source="Milne-Eddington atmospheres drawn from a prior (synthetic)",
        channels=STOKES,
    )
    ends = np.cumsum([len(one.sigma) for one in sets.values()])
    rows = np.split(np.arange(ends[-1]), ends[:-1])
    scheme = "a random stream for each set; every pixel is drawn alone"
    return ProblemData(dataset, Split(*rows, scheme=scheme, by_time=False), sets["test"])


def build(config: StartConfig, data: ProblemData) -> keras.Model:
    """Build the network: ``stokes`` (batch, 112, 4) to ``QUANTITIES`` (batch, 10) in their units.

    Means and spreads of features and answers are those of (at most 20,000) training pixels.
    """
    from keras import Input, Model, layers, ops

    known = data.dataset.read(data.split.training[:20000])
    units = np.array([1.0] + 3 * [_POLARISATION])
    features = np.arcsinh(known["stokes"] * units)
    truth = known["atmosphere"].astype(float)
    stokes = Input(known["stokes"].shape[1:], name="stokes")
    h = ops.arcsinh(layers.Rescaling(units.tolist(), name="units")(stokes))
    mean, variance = features.mean(axis=(0, 1)), features.var(axis=(0, 1))
    h = layers.Normalization(mean=mean.tolist(), variance=variance.tolist(), name="standard")(h)
    h = layers.Flatten(name="features")(h)
    for k in range(config.hidden_layers):
        h = layers.Dense(config.width, activation="silu", name=f"hidden_{k + 1}")(h)
    h = layers.Dense(len(QUANTITIES), name="answer")(h)
    spread, middle = truth.std(axis=0).tolist(), truth.mean(axis=0).tolist()
    return Model({"stokes": stokes}, layers.Rescaling(spread, middle, name="atmosphere")(h))


def loss_of(config: StartConfig, data: ProblemData) -> ScaledHuber:
    """Return Huber's loss in the units of ``QUANTITIES``."""
    from network_models.milne_eddington_start.atmosphere_loss import ScaledHuber

    return ScaledHuber([scale for _, scale in QUANTITIES.values()])


def targets_of(config: StartConfig, data: ProblemData | None) -> dict[str, Target]:
    """Return each quantity by its name."""
    eye = np.eye(len(QUANTITIES))
    return {
        name: Target(name, unit, weights=tuple(eye[k]))
        for k, (name, (unit, _)) in enumerate(QUANTITIES.items())
    }
