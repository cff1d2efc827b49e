"""Losses: proper scores of predictive distributions."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from tools.binned_distribution import FluxBins

__all__ = ["BinnedLogScore"]


@keras.saving.register_keras_serializable(package="heliolens")
class BinnedLogScore(keras.losses.Loss):
    """The logarithmic score (Good 1952) of a binned distribution: ``-ln p`` of the bin that came.

    Parameters
    ----------
    edges : sequence of float
        Bin edges, log10 of W m-2.

    ``y_true`` (batch,) is log10 flux, ``y_pred`` (batch, bin) are probabilities.
    """

    def __init__(self, edges: list[float], name: str = "log_score", **kwargs):
        super().__init__(name=name, **kwargs)
        self.edges = [float(e) for e in edges]

    def call(self, y_true, y_pred):
        """Return the score of each sample, (batch,)."""
        borders = FluxBins(tuple(self.edges)).borders.astype(np.float32)
        value = ops.reshape(ops.cast(y_true, "float32"), (-1, 1))
        index = ops.sum(ops.cast(value >= borders, "int32"), axis=1, keepdims=True)
        chance = ops.take_along_axis(ops.cast(y_pred, "float32"), index, axis=1)
        return -ops.log(ops.maximum(chance[:, 0], 1e-12))

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "edges": self.edges}
