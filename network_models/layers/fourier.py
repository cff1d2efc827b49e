"""Layers of neural fields: random Fourier features of places, and constrained physical values."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from tools.random_streams import random_stream

__all__ = ["TRANSFORMS", "ConstrainedValues", "FourierFeatures"]

TRANSFORMS = ("free", "exponential", "softplus", "bounded")


@keras.saving.register_keras_serializable(package="heliolens")
class FourierFeatures(keras.layers.Layer):
    """Return cosines and sines of random waves at places (Tancik et al. 2020, NeurIPS 33, eq. 5).

    ``[cos(2 pi k x), sin(2 pi k x)]`` with wave vectors k from a normal distribution whose standard
    deviation is ``bandwidths``, axis by axis: cycles per unit of that axis. They are fixed, and
    depend on the seed alone.

    Parameters
    ----------
    n_waves : int
    bandwidths : sequence of float
        One for each axis of the places, as (x, y) or (x, y, t); 0 or more.
    seed : int

    Input (batch, axis); output (batch, 2 n_waves).
    """

    def __init__(self, n_waves: int, bandwidths: list[float], seed: int = 0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})  # phases need it
        self.n_waves = int(n_waves)
        self.bandwidths = [float(v) for v in bandwidths]
        self.seed = int(seed)
        if self.n_waves < 1 or not self.bandwidths or not all(v >= 0 for v in self.bandwidths):
            raise ValueError(
                f"expected one wave or more and a bandwidth of 0 or more for each axis, got "
                f"{n_waves} and {bandwidths}; give cycles per unit of each axis"
            )
        drawn = random_stream(self.seed, "Fourier features").normal(
            size=(len(self.bandwidths), self.n_waves)
        )
        self._waves = (2 * np.pi * drawn * np.array(self.bandwidths)[:, None]).astype(np.float32)

    def call(self, places):
        """Return the features."""
        if places.shape[-1] != len(self.bandwidths):
            raise ValueError(
                f"expected places with {len(self.bandwidths)} axes, as there are bandwidths, got "
                f"{places.shape[-1]}; give one bandwidth for each axis"
            )
        phases = ops.matmul(places, ops.cast(ops.convert_to_tensor(self._waves), places.dtype))
        return ops.concatenate([ops.cos(phases), ops.sin(phases)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return (batch, 2 n_waves)."""
        return (*input_shape[:-1], 2 * self.n_waves)

    def get_config(self):
        """Return the constructor's arguments."""
        own = {"n_waves": self.n_waves, "bandwidths": self.bandwidths, "seed": self.seed}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="heliolens")
class ConstrainedValues(keras.layers.Layer):
    """Turn plain numbers u into physical values that keep to their hard constraints.

    ``free``: centre + scale u. ``exponential``: centre + scale exp(u). ``softplus``: centre +
    scale ln(1 + exp(u)); both stay above the centre. ``bounded``: centre + scale tanh(u), within
    one scale of the centre. A direction in the plane has no end: give twice the azimuth as two
    free values, as B_Q and B_U.

    Parameters
    ----------
    transforms : sequence of str
        One of ``TRANSFORMS`` for each value.
    centres, scales : sequence of float
        In the unit of each value; scales above 0.

    Input and output (..., value).
    """

    def __init__(self, transforms: list[str], centres: list[float], scales: list[float], **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.transforms = [str(t) for t in transforms]
        self.centres = [float(v) for v in centres]
        self.scales = [float(v) for v in scales]
        unknown = [t for t in self.transforms if t not in TRANSFORMS]
        if unknown:
            raise ValueError(
                f"expected transforms of {', '.join(TRANSFORMS)}, got {unknown[0]!r}; choose one"
            )
        if not len(self.transforms) == len(self.centres) == len(self.scales) or not all(
            v > 0 for v in self.scales
        ):
            raise ValueError(
                f"expected a transform, a centre and a scale above 0 for each value, got "
                f"{self.transforms}, {self.centres} and {self.scales}; give lists of one length"
            )

    def call(self, numbers):
        """Return the physical values."""
        functions = {
            "free": lambda u: u,
            "exponential": ops.exp,
            "softplus": ops.softplus,
            "bounded": ops.tanh,
        }
        values = [
            centre + scale * functions[name](numbers[..., k])
            for k, (name, centre, scale) in enumerate(
                zip(self.transforms, self.centres, self.scales, strict=True)
            )
        ]
        return ops.stack(values, axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def get_config(self):
        """Return the constructor's arguments."""
        own = {"transforms": self.transforms, "centres": self.centres, "scales": self.scales}
        return {**super().get_config(), **own}
