"""A network of one input as a compiled function of arrays of any size, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

__all__ = ["compiled_network"]


def compiled_network(
    network: keras.Model, *, use_xla: bool = False
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network as a compiled function, from (batch, ...) to (batch, ...) float32.

    On TensorFlow one compilation serves all sizes, without XLA, whose convolutions take ten times
    as long on processors; with ``use_xla``, and always on JAX, each size is compiled anew.
    """
    name = network.inputs[0].name
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        shape = network.inputs[0].shape
        taken = tf.TensorSpec(shape, tf.float32)
        function = tf.function(
            lambda images: network({name: images}, training=False),
            input_signature=[taken],
            jit_compile=use_xla,
        )
        return lambda images: function(tf.constant(images, tf.float32)).numpy()
    if keras.backend.backend() == "jax":
        import jax

        function = jax.jit(
            lambda values, images: network.stateless_call(*values, {name: images}, training=False)
        )

        def call(images: np.ndarray) -> np.ndarray:
            # taken anew: Keras' own predict gives its buffers away
            fixed, moving = network.trainable_variables, network.non_trainable_variables
            values = [v.value for v in fixed], [v.value for v in moving]
            return np.asarray(function(values, np.asarray(images, np.float32))[0])

        return call
    return lambda images: np.asarray(network.predict_on_batch({name: images}))
