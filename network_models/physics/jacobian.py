"""Automatic derivatives of forward models by every parameter, in forward mode, on any backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from network_models.differentiation.gradients import require_backend

__all__ = ["values_and_jacobian"]

Model = Callable[[object], object]


def values_and_jacobian(model: Model) -> Callable[[np.ndarray], tuple[object, object]]:
    """Return a compiled function from parameters to the values of a model and their derivatives.

    Forward mode: a model has many more values than parameters, and each parameter costs one pass.

    Parameters
    ----------
    model : callable
        From (pixel, parameter) to (pixel, ...), in ``keras.ops``; pixels do not act on one another.

    Returns
    -------
    callable
        From (pixel, parameter) to values (pixel, ...) and derivatives (pixel, parameter, ...),
        tensors of the dtype of the parameters.

    Raises
    ------
    ValueError
        On a backend other than TensorFlow and JAX.
    """
    return _on_jax(model) if require_backend() == "jax" else _on_tensorflow(model)


def _on_jax(model: Model) -> Callable:
    import jax
    from jax import numpy as jnp

    def both(parameters):
        n = parameters.shape[-1]
        directions = jnp.broadcast_to(
            jnp.eye(n, dtype=parameters.dtype)[:, None], (n, *parameters.shape)
        )
        return jax.vmap(
            lambda direction: jax.jvp(model, (parameters,), (direction,)), out_axes=(None, 1)
        )(directions)

    return jax.jit(both)


def _on_tensorflow(model: Model) -> Callable:
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def both(parameters):
        columns, values = [], None
        for k in range(parameters.shape[-1]):
            unit = tf.one_hot(k, parameters.shape[-1], dtype=parameters.dtype)
            direction = tf.broadcast_to(unit, tf.shape(parameters))
            with tf.autodiff.ForwardAccumulator(parameters, direction) as forward:
                values = model(parameters)
            columns.append(forward.jvp(values, unconnected_gradients=tf.UnconnectedGradients.ZERO))
        return values, tf.stack(columns, axis=1)

    return lambda parameters: both(tf.convert_to_tensor(parameters))
