"""The loss of networks of Milne-Eddington atmospheres: Huber's, each quantity in its own error."""

from __future__ import annotations

import keras
from keras import ops

__all__ = ["ScaledHuber"]


@keras.saving.register_keras_serializable(package="heliolens")
class ScaledHuber(keras.losses.Loss):
    """Mean over quantities of ``sqrt(1 + e^2) - 1`` with ``e = (y_pred - y_true) / scale``.

    Quadratic for small errors and linear for large ones (pseudo-Huber), so that pixels whose
    atmosphere the noise hides don't outweigh the others.

    Parameters
    ----------
    scale : sequence of float
        Error of each quantity that counts as 1, in its unit.

    ``y_true`` and ``y_pred`` are (batch, quantity).
    """

    def __init__(self, scale: list[float], name: str = "scaled_huber", **kwargs):
        super().__init__(name=name, **kwargs)
        self.scale = [float(s) for s in scale]

    def call(self, y_true, y_pred):
        """Return the loss of each sample, (batch,)."""
        error = (ops.cast(y_pred, "float32") - ops.cast(y_true, "float32")) / ops.convert_to_tensor(
            self.scale, "float32"
        )
        return ops.mean(ops.sqrt(1.0 + ops.square(error)) - 1.0, axis=-1)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}
