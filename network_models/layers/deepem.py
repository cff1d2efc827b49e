"""DeepEM's scalings as layers of the network: brightness in, emission measure out."""

from __future__ import annotations

import keras
from keras import ops

__all__ = ["EM_UNIT_CM5", "RootBrightness", "SquaredEmissionMeasure"]

EM_UNIT_CM5 = 1e25


@keras.saving.register_keras_serializable(package="heliolens")
class RootBrightness(keras.layers.Layer):
    """Take the square root of brightness in DN s-1 pix-1; what is not positive becomes 0.

    Negative, missing (NaN) and infinite values become 0, with the gradient 0: a pixel without light
    in a channel never makes a weight NaN.

    Input and output (batch, y, x, channel) float32.
    """

    def call(self, dn):
        """Return the scaled brightness."""
        is_light = ops.logical_and(dn > 0, ops.isfinite(dn))
        # the root is taken of 1 where there is no light: its slope at 0 is infinite
        return ops.where(is_light, ops.sqrt(ops.where(is_light, dn, 1.0)), 0.0)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="heliolens")
class SquaredEmissionMeasure(keras.layers.Layer):
    """Turn the network's y into emission measure, ``EM = unit y^2``, cm-5.

    Parameters
    ----------
    unit_cm5 : float

    Input and output (batch, y, x, bin) float32.
    """

    def __init__(self, unit_cm5: float = EM_UNIT_CM5, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.unit_cm5 = float(unit_cm5)

    def call(self, root):
        """Return the emission measure."""
        return self.unit_cm5 * ops.square(root)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "unit_cm5": self.unit_cm5}
