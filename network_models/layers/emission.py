"""Layers of networks of emission measure: features that know the noise, the instrument, fidelity.

All take pixels in the last axis but one or more: shapes are (..., column). What they compute stands
a second time in ``network_kernels.py``, for inversions on processors; a test holds both together.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from network_models.dem_regression.simulated_pixels import LARGEST_SIGMA

__all__ = ["BrightnessError", "BrightnessFeatures", "Emission", "Intervals", "Misfit", "Synthesis"]

_CHANNELS, _VERSIONS = 6, 5
_FLOOR_SIGMA = 0.3  # of the noise, below which a brightness counts as this


class _OfColumns(keras.layers.Layer):
    """A layer whose columns lie in the last axis."""

    @classmethod
    def from_config(cls, config):
        """Make a layer; files of November 2026 say that columns lie in the axis -1."""
        return super().from_config({name: v for name, v in config.items() if name != "axis"})


class _WithTable(_OfColumns):
    """A layer with a fixed table of numbers, which is saved in its configuration."""

    def __init__(self, table: list, **kwargs):
        super().__init__(**kwargs)
        self.table = np.asarray(table, np.float32).tolist()

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "table": self.table}


@keras.saving.register_keras_serializable(package="heliolens")
class BrightnessFeatures(_WithTable):
    """Turn brightness, its error and the version of the responses into features, and into a scale.

    The scale ``S = sum_i (max(dn_i, 0) + 0.3 sigma_i) / K_i`` is an emission measure (1e26 cm-5)
    with which the output grows; the features are log S, each channel's share of S, its signal over
    noise, and the noise's share.

    Parameters
    ----------
    table : sequence of 6 float
        Largest response of each channel, DN s-1 pix-1 for 1e26 cm-5.

    Input (..., 17); outputs (..., 30) and (..., 1). A channel of error 1e5 or more is missing.
    """

    def call(self, inputs):
        """Return the features and the scale."""
        largest = ops.convert_to_tensor(np.asarray(self.table, np.float32))
        dn, sigma = inputs[..., :_CHANNELS], inputs[..., _CHANNELS : 2 * _CHANNELS]
        seen = ops.cast(sigma < LARGEST_SIGMA, dn.dtype)
        error = sigma / largest
        value = (ops.maximum(dn, 0.0) + _FLOOR_SIGMA * sigma) / largest
        scale = ops.sum(seen * value, axis=-1, keepdims=True) + 1e-6
        share = seen * (ops.log(value / scale + 1e-4) + 2.0) / 2.0
        noise = seen * (ops.log(error / scale + 1e-5) + 5.0) / 3.0
        snr = ops.arcsinh(seen * dn / sigma) / 3.0
        features = [ops.log(scale) / 3.0, share, noise, snr, seen, inputs[..., 2 * _CHANNELS :]]
        return ops.concatenate(features, axis=-1), scale

    def compute_output_shape(self, input_shape):
        """Return the shapes of features and scale."""
        n = 1 + 4 * _CHANNELS + input_shape[-1] - 2 * _CHANNELS
        return (*input_shape[:-1], n), (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="heliolens")
class BrightnessError(_WithTable):
    """Put the error of a brightness beside it: ``sigma^2 = a max(dn, 0) + b`` in every channel.

    Parameters
    ----------
    table : (2, 6) nested lists
        a in DN s-1 pix-1, b in (DN s-1 pix-1)^2.
    version : int
        Of the responses, of five.

    Input (..., 6) in DN s-1 pix-1; output (..., 17) as the networks of pixels take it.
    """

    def __init__(self, table: list, version: int, **kwargs):
        super().__init__(table, **kwargs)
        self.version = int(version)

    def call(self, inputs):
        """Return brightness, error and the columns that choose the version."""
        table = np.asarray(self.table, np.float32)
        sigma = ops.sqrt(table[0] * ops.maximum(inputs, 0.0) + table[1])
        chosen = np.eye(_VERSIONS, dtype=np.float32)[self.version]
        columns = 0.0 * inputs[..., :1] + chosen
        return ops.concatenate([inputs, sigma, columns], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return (..., 17)."""
        return (*input_shape[:-1], 2 * _CHANNELS + _VERSIONS)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "version": self.version}


@keras.saving.register_keras_serializable(package="heliolens")
class Emission(keras.layers.Layer):
    """Emission measure ``S exp(h - 3)``: positive by construction.

    Inputs (..., 18) and the scale (..., 1); output (..., 18) in 1e26 cm-5.
    """

    def call(self, logits, scale):
        """Return the emission measure."""
        return scale * ops.exp(ops.clip(logits - 3.0, -20.0, 8.0))

    def compute_output_shape(self, logits_shape, scale_shape):
        """Return (..., 18)."""
        return logits_shape


@keras.saving.register_keras_serializable(package="heliolens")
class Synthesis(_WithTable):
    """What AIA sees of an emission measure: a fixed product with the responses.

    Parameters
    ----------
    table : (version, 6, 18) nested lists
        DN s-1 pix-1 for 1e26 cm-5, for each version of the responses.
    only : int, optional
        Take this version whatever the input says: faster, for inversions.

    Inputs (..., 18) in 1e26 cm-5 and (..., 17), whose last five columns choose the version; output
    (..., 6) in DN s-1 pix-1.
    """

    def __init__(self, table: list, only: int | None = None, **kwargs):
        super().__init__(table, **kwargs)
        self.only = only

    def call(self, em, inputs):
        """Return the brightness of every channel."""
        table = np.asarray(self.table, np.float32)
        if self.only is not None:
            return ops.matmul(em, ops.convert_to_tensor(table[self.only].T))
        n = len(table)
        flat = ops.convert_to_tensor(table.reshape(n * _CHANNELS, -1).T)
        every = ops.matmul(em, flat)
        every = ops.reshape(every, (*ops.shape(em)[:-1], n, _CHANNELS))
        chosen = inputs[..., 2 * _CHANNELS :, None]
        return ops.sum(every * chosen, axis=-2)

    def compute_output_shape(self, em_shape, inputs_shape):
        """Return (..., 6)."""
        return (*em_shape[:-1], _CHANNELS)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "only": self.only}


@keras.saving.register_keras_serializable(package="heliolens")
class Misfit(_OfColumns):
    """How a synthesised brightness differs from the observed one, as features of a fidelity step.

    Inputs: synthesised (..., 6), and the network's input (..., 17). Output (..., 12): asinh of the
    difference in sigma, and the logarithm of the ratio (both with a floor of 0.3 sigma), within
    -5 to 5; 0 where a channel is missing.
    """

    def call(self, synthesised, inputs):
        """Return the misfit."""
        dn, sigma = inputs[..., :_CHANNELS], inputs[..., _CHANNELS : 2 * _CHANNELS]
        seen = ops.cast(sigma < LARGEST_SIGMA, dn.dtype)
        away = seen * ops.arcsinh((dn - synthesised) / sigma) / 2.0
        floor = _FLOOR_SIGMA * sigma
        ratio = ops.log((ops.maximum(dn, 0.0) + floor) / (synthesised + floor))
        return ops.concatenate([away, 2.0 * seen * ops.clip(ratio, -2.5, 2.5)], axis=-1)

    def compute_output_shape(self, synthesised_shape, inputs_shape):
        """Return (..., 12)."""
        return (*inputs_shape[:-1], 2 * _CHANNELS)


@keras.saving.register_keras_serializable(package="heliolens")
class Intervals(_WithTable):
    """How far the truth may lie below and above an emission measure, bin by bin.

    Parameters
    ----------
    table : (3, 18) nested lists
        Factors that make the intervals cover what they should: of the distances below and above,
        and of that above where the interval begins at 0.

    Inputs (..., 36), the emission measure (..., 18) in 1e26 cm-5 and the scale (..., 1); output
    (..., 36): distances below (at most the emission measure itself) and above, 1e26 cm-5.
    """

    def call(self, logits, em, scale):
        """Return the distances."""
        n = em.shape[-1]
        factors = ops.convert_to_tensor(np.asarray(self.table, np.float32))
        share = 1.1 * ops.sigmoid(logits[..., :n])
        from_zero = share >= 1.0
        below = ops.where(from_zero, 1.0, ops.minimum(factors[0] * share, 1.0)) * em
        apart = ops.exp(ops.clip(logits[..., n:] - 3.0, -14.0, 6.0))
        above = ops.where(from_zero, factors[2], factors[1]) * scale * apart
        return ops.concatenate([below, above], axis=-1)

    def compute_output_shape(self, logits_shape, em_shape, scale_shape):
        """Return (..., 36)."""
        return logits_shape
