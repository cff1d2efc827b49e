"""DeepEM's network, its loss, and what turns emission measure back into channels.

Wright, Cheung, Thomas, Galvez, Szenicer, Jin, Munoz-Jaramillo & Fouhey, "DeepEM: A Deep Learning
Approach for DEM Inversion" (HelioML, chapter 4).
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from network_models.layers.deepem import (
    EM_UNIT_CM5,
    RootBrightness,
    SquaredEmissionMeasure,
)

__all__ = [
    "RootError",
    "build_deepem",
    "build_synthesis",
    "invert_map",
    "with_emission_measure",
]

_HIDDEN = 300
_SLOPE = 0.01  # PyTorch's default of LeakyReLU
_CHANNELS, _BINS = 6, 18
_ROWS_PIXELS = 1 << 16  # pixels inverted at once: 300 features of them are 80 MB


def build_deepem() -> keras.Model:
    """Build the network that is trained: channels of a pixel to y of its bins.

    6 - 300 - 300 - 18 as 1x1 convolutions, LeakyReLU after the first two: 97,818 parameters.
    Weights and biases start uniform within 1 / sqrt(inputs), as PyTorch's convolutions do.

    Returns
    -------
    keras.Model
        ``aia`` (batch, y, x, 6), DN s-1 pix-1, to y (batch, y, x, 18), with ``EM = 1e25 y^2`` cm-5;
        y may be negative. ``with_emission_measure`` adds the last step.
    """
    dn = keras.Input((None, None, _CHANNELS), name="aia")
    x = RootBrightness(name="root_brightness")(dn)
    n_inputs = _CHANNELS
    for number, n_outputs in enumerate((_HIDDEN, _HIDDEN, _BINS), start=1):
        reach = n_inputs**-0.5
        x = keras.layers.Conv2D(
            n_outputs,
            1,
            kernel_initializer=keras.initializers.RandomUniform(-reach, reach),
            bias_initializer=keras.initializers.RandomUniform(-reach, reach),
            name=f"pixel_{number}",
        )(x)
        if n_outputs == _HIDDEN:
            x = keras.layers.LeakyReLU(negative_slope=_SLOPE, name=f"leaky_{number}")(x)
        n_inputs = n_outputs
    return keras.Model({"aia": dn}, x, name="deepem")


def with_emission_measure(network: keras.Model) -> keras.Model:
    """Return the same network, on the same weights, with its output in cm-5: what is saved."""
    em = SquaredEmissionMeasure(name="emission_measure")(network.output)
    return keras.Model(network.input, em, name="deepem")


@keras.saving.register_keras_serializable(package="heliolens")
class RootError(keras.losses.Loss):
    """The mean squared error of y against ``sqrt(EM / 1e25 cm-5)``.

    ``y_true`` (batch, y, x, bin) is emission measure in cm-5, not negative; ``y_pred`` is y.
    """

    def __init__(self, name: str = "root_error", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Return the mean over the bins, (batch, y, x)."""
        root = ops.sqrt(ops.cast(y_true, "float32") / EM_UNIT_CM5)
        return ops.mean(ops.square(y_pred - root), axis=-1)


def build_synthesis(response: np.ndarray) -> keras.Model:
    """Return the fixed 1x1 convolution that turns emission measure into brightness.

    Parameters
    ----------
    response : (channel, bin) float
        DN cm5 s-1 pix-1: the kernel. The bias is 0 and nothing is trainable.

    Returns
    -------
    keras.Model
        (batch, y, x, bin) in cm-5 to (batch, y, x, channel) float32 in DN s-1 pix-1.
    """
    n_channels, n_bins = response.shape
    em = keras.Input((None, None, n_bins), name="emission_measure")
    layer = keras.layers.Conv2D(
        n_channels, 1, bias_initializer="zeros", trainable=False, name="response"
    )
    model = keras.Model({"emission_measure": em}, layer(em), name="synthesis")
    kernel = np.asarray(response, np.float32).T[None, None]
    layer.set_weights([kernel, np.zeros(n_channels, np.float32)])
    return model


def invert_map(network: keras.Model, values: np.ndarray) -> np.ndarray:
    """Run a network of pixels over a map of any size, some rows at a time.

    Parameters
    ----------
    network : keras.Model
        (batch, y, x, feature) to (batch, y, x, result).
    values : (y, x, feature) float32

    Returns
    -------
    (y, x, result) float32
    """
    height, width = values.shape[:2]
    rows = min(max(_ROWS_PIXELS // width, 1), height)
    n = -(-height // rows) * rows
    # every block has one shape, so that the backend traces once
    whole = np.zeros((n, width, values.shape[-1]), np.float32)
    whole[:height] = values
    blocks = whole.reshape(-1, rows, width, values.shape[-1])
    (name,) = (tensor.name for tensor in network.inputs)
    out = [network.predict_on_batch({name: block[None]}) for block in blocks]
    return np.concatenate(out).reshape(n, width, -1)[:height]
