"""Activations as Keras 2 computed them, where Keras 3 gives the same name to another function."""

from __future__ import annotations

import keras
from keras import ops

__all__ = ["keras2_hard_sigmoid"]


@keras.saving.register_keras_serializable(package="heliolens")
def keras2_hard_sigmoid(x):
    """Return 0.2 x + 0.5, cut off at 0 and 1; Keras 3's is x / 6 + 0.5.

    Source: Keras 2.15, ``activations.hard_sigmoid``.
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
