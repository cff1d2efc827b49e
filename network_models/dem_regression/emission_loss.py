"""The loss of networks of emission measure: truth, shape, the data themselves, and intervals."""

from __future__ import annotations

import keras
from keras import ops

__all__ = ["EmissionLoss"]

_BINS, _CHANNELS = 18, 6
_BIN_DEX = 0.1
_DARK = 1e-3  # DN s-1 pix-1: what is darker counts as this
_FAINT = 3e-3  # of the total: emission measure in a bin, below which its interval counts as much
_LOW, _HIGH = 0.1587, 0.8413  # of one sigma


@keras.saving.register_keras_serializable(package="heliolens")
class EmissionLoss(keras.losses.Loss):
    """Distance from the true emission measure, misfit to the data, and score of the intervals.

    ``min(L1, 5) + a W1 + b min(sqrt(1 + chi2) - 1, 50) + c R + d P``, with L1 the summed difference
    over the true total, W1 the earth mover's distance of the normalised emission measures (dex),
    chi2 that of the synthesised against the observed channels, R the mean ``|ln(synthesised /
    true)|`` of the channels without noise, and P the pinball score of the ends of the 68 %
    intervals, bin by bin relative to the emission measure found. P does not act on the latter.

    Parameters
    ----------
    shape_weight, misfit_weight, brightness_weight, interval_weight : float
        a, b, c and d.

    ``y_true`` (..., 36): emission measure in 18 bins (1e26 cm-5); observed brightness, its error
    and brightness without noise in six channels. ``y_pred`` (..., 60): emission measure, distances
    of the interval's ends below and above it, synthesised brightness.
    """

    def __init__(
        self,
        shape_weight: float = 2.0,
        misfit_weight: float = 0.05,
        brightness_weight: float = 0.3,
        interval_weight: float = 0.02,
        name: str = "emission_loss",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.shape_weight = float(shape_weight)
        self.misfit_weight = float(misfit_weight)
        self.brightness_weight = float(brightness_weight)
        self.interval_weight = float(interval_weight)

    def call(self, y_true, y_pred):
        """Give the loss of each pixel, (...)."""
        y_true = ops.cast(y_true, "float32")
        truth = y_true[..., :_BINS]
        dn, sigma, rate = (
            y_true[..., _BINS + k * _CHANNELS : _BINS + (k + 1) * _CHANNELS] for k in range(3)
        )
        em, below, above = (y_pred[..., k * _BINS : (k + 1) * _BINS] for k in range(3))
        synthesised = y_pred[..., 3 * _BINS :]
        total = ops.sum(truth, axis=-1, keepdims=True)
        l1 = ops.sum(ops.abs(em - truth), axis=-1) / total[..., 0]
        own = ops.sum(em, axis=-1, keepdims=True)
        moved = ops.cumsum(em / own - truth / total, axis=-1)
        w1 = _BIN_DEX * ops.sum(ops.abs(moved), axis=-1)
        chi2 = ops.mean(ops.square((synthesised - dn) / sigma), axis=-1)
        misfit = ops.minimum(ops.sqrt(1.0 + chi2) - 1.0, 50.0)
        ratio = ops.abs(ops.log((synthesised + _DARK) / (rate + _DARK)))
        brightness = ops.mean(ops.minimum(ratio, 2.0), axis=-1)
        middle = ops.stop_gradient(em)
        score = _pinball(truth - (middle - below), _LOW) + _pinball(truth - (middle + above), _HIGH)
        scale = middle + _FAINT * ops.stop_gradient(own)
        score = ops.sum(ops.minimum(score / scale, 20.0), axis=-1)
        loss = ops.minimum(l1, 5.0) + self.shape_weight * w1 + self.misfit_weight * misfit
        return loss + self.brightness_weight * brightness + self.interval_weight * score

    def get_config(self):
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "shape_weight": self.shape_weight,
            "misfit_weight": self.misfit_weight,
            "brightness_weight": self.brightness_weight,
            "interval_weight": self.interval_weight,
        }


def _pinball(away, quantile: float):
    """Give the score of a quantile from truth minus quantile."""
    return ops.maximum(quantile * away, (quantile - 1.0) * away)
