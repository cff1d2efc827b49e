"""Layers that several networks share; all in keras.ops, registered, and free of Lambda."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

__all__ = ["BinnedFluxHead", "MultiScaleHistory"]


@keras.saving.register_keras_serializable(package="heliolens")
class MultiScaleHistory(keras.layers.Layer):
    """Summarise an hourly flare history over windows that end at the issue time.

    For each window: log10 of the largest peak flux above the floor (dex), ``ln(1 + rate)`` with
    the number of flares of at least C1 per day, ``ln(1 + sum)`` with the summed peak flux per day
    in units of 1e-6 W m-2, and, where the history has a fourth channel, log10 of the mean flux
    above the floor. Rates are per *observed* day, so that gaps don't count as quiet.

    Parameters
    ----------
    windows_h : sequence of int
        Lengths of the windows in hours.
    floor_flux : float
        Smallest flux that is told apart, W m-2.

    Input (batch, hour, channel) float32 as ``FlareHistory`` gives it; output (batch, feature).
    """

    def __init__(self, windows_h: list[int], floor_flux: float, **kwargs):
        super().__init__(**kwargs)
        self.windows_h = [int(w) for w in windows_h]
        self.floor_flux = float(floor_flux)

    def call(self, history):
        """Return the features of all windows."""
        features = []
        for window in self.windows_h:
            part = history[:, -window:, :]
            days = ops.maximum(ops.sum(part[:, :, 2], axis=1) / 24.0, 1.0 / 24.0)
            features.append(self._dex_above_floor(ops.max(part[:, :, 0], axis=1)))
            features.append(ops.log1p(ops.sum(part[:, :, 1], axis=1) / days))
            features.append(ops.log1p(ops.sum(part[:, :, 0], axis=1) * 1e6 / days))
            if history.shape[-1] > 3:
                hours = ops.maximum(ops.sum(part[:, :, 2], axis=1), 1.0)
                features.append(self._dex_above_floor(ops.sum(part[:, :, 3], axis=1) / hours))
        return ops.stack(features, axis=1)

    def _dex_above_floor(self, flux):
        return ops.log(ops.maximum(flux / self.floor_flux, 1.0)) / float(np.log(10.0))

    def compute_output_shape(self, input_shape):
        """Return (batch, feature)."""
        per_window = 4 if input_shape[-1] > 3 else 3
        return (input_shape[0], per_window * len(self.windows_h))

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "windows_h": self.windows_h,
            "floor_flux": self.floor_flux,
        }


@keras.saving.register_keras_serializable(package="heliolens")
class BinnedFluxHead(keras.layers.Layer):
    """Turn features into a distribution of log10 flux in bins.

    The chance to exceed edge k, given that edge k - 1 is exceeded, is a logistic function
    ``sigmoid(b_k + sum_r (w_r . h) B_r(k))``: each edge has its own base rate b_k, while the
    features act through a few tent functions B_r of log10 flux. Classes that are too rare to
    learn weights of their own (above the last knot) share those of the class below.

    Parameters
    ----------
    edges : sequence of float
        Bin edges, log10 of W m-2; ``len(edges) + 1`` bins as in ``FluxBins``.
    base_rates : sequence of float
        Probability of each bin in the training set; the output at zero weights.
    knots : sequence of float
        log10 flux at which the tent functions peak; constant below the first, above the last.
    weight_penalty : float
        L2 penalty of the weights.

    Input (batch, feature); output (batch, bin) float32 probabilities that add up to 1.
    """

    def __init__(
        self,
        edges: list[float],
        base_rates: list[float],
        *,
        knots: list[float],
        weight_penalty: float = 1e-4,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.edges = [float(e) for e in edges]
        self.base_rates = [float(r) for r in base_rates]
        self.knots = [float(k) for k in knots]
        self.weight_penalty = float(weight_penalty)
        if len(self.base_rates) != len(self.edges) + 1:
            raise ValueError(
                f"{len(self.edges)} edges make {len(self.edges) + 1} bins, got "
                f"{len(self.base_rates)} base rates"
            )
        identity = np.eye(len(self.knots))
        tents = [np.interp(self.edges, self.knots, row) for row in identity]
        self._tents = np.array(tents, np.float32)

    def build(self, input_shape):
        """Make the weights; the base rates start at those of the training set."""
        rates = np.maximum(self.base_rates, 1e-9)
        above = np.cumsum(rates[::-1])[::-1] / np.sum(rates)
        exceed = np.clip(above[1:] / above[:-1], 1e-6, 1 - 1e-6)
        logits = np.log(exceed / (1 - exceed)).tolist()
        self.base_logits = self.add_weight(
            shape=(len(self.edges),), initializer=_Values(logits), name="base_logits"
        )
        self.kernel = self.add_weight(
            shape=(input_shape[-1], len(self.knots)),
            initializer=keras.initializers.RandomNormal(0.0, 0.02, seed=0),
            regularizer=keras.regularizers.L2(self.weight_penalty),
            name="kernel",
        )

    def call(self, features):
        """Return the probability of each bin."""
        slopes = ops.matmul(ops.cast(features, "float32"), self.kernel)
        logits = self.base_logits + ops.matmul(slopes, ops.convert_to_tensor(self._tents))
        above = ops.exp(ops.cumsum(ops.log_sigmoid(logits), axis=-1))
        one = ops.ones_like(above[:, :1])
        above = ops.concatenate([one, above, ops.zeros_like(one)], axis=-1)
        return above[:, :-1] - above[:, 1:]

    def compute_output_shape(self, input_shape):
        """Return (batch, bin)."""
        return (input_shape[0], len(self.edges) + 1)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "edges": self.edges,
            "base_rates": self.base_rates,
            "knots": self.knots,
            "weight_penalty": self.weight_penalty,
        }


@keras.saving.register_keras_serializable(package="heliolens")
class _Values(keras.initializers.Initializer):
    """Start a weight at given values."""

    def __init__(self, values: list[float]):
        self.values = values

    def __call__(self, shape, dtype=None):
        return ops.convert_to_tensor(np.reshape(self.values, shape), dtype=dtype)

    def get_config(self):
        return {"values": self.values}
