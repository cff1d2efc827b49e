"""A forward model that is written in ``keras.ops`` alone: automatic derivatives, on any backend."""

from __future__ import annotations

import abc

import keras
import numpy as np

from network_models.differentiation.gradients import require_backend
from science.inversion.forward_model import ForwardModel

__all__ = ["KerasModel"]


class KerasModel(ForwardModel):
    """A model whose values are a function in ``keras.ops``; on a GPU by the choice of backend.

    Pixels must not depend on one another. Derivatives are taken forwards, one pass for each
    parameter, in float64.
    """

    @abc.abstractmethod
    def synthesise(self, theta: object, axis: object) -> object:
        """Return values (pixel, datum), a tensor, of tensors (pixel, parameter) and (datum,)."""

    def __call__(self, theta: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return values (pixel, datum)."""
        return keras.ops.convert_to_numpy(self.synthesise(_tensor(theta), _tensor(axis)))

    def derivatives(self, theta: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and derivatives (pixel, parameter, datum) by automatic differentiation."""
        point, along = _tensor(theta), _tensor(axis)
        columns, values = [], None
        for k in range(np.shape(theta)[1]):
            tangent = np.zeros(np.shape(theta))
            tangent[:, k] = 1.0
            values, column = _forward(lambda t: self.synthesise(t, along), point, _tensor(tangent))
            columns.append(keras.ops.convert_to_numpy(column))
        return keras.ops.convert_to_numpy(values), np.stack(columns, axis=1)


def _tensor(array: np.ndarray) -> object:
    return keras.ops.convert_to_tensor(np.asarray(array, float), dtype="float64")


def _forward(function, point, tangent) -> tuple[object, object]:
    """Return a function's value and its derivative along a tangent."""
    backend = require_backend()
    if backend == "jax":
        import jax

        return jax.jvp(function, (point,), (tangent,))
    import tensorflow as tf

    with tf.autodiff.ForwardAccumulator(point, tangent) as accumulator:
        value = function(point)
    return value, accumulator.jvp(value, unconnected_gradients=tf.UnconnectedGradients.ZERO)
