"""Layers of networks of scenes: the one preprocessing, and probabilities with a temperature."""

from __future__ import annotations

import keras
from keras import ops

__all__ = ["ClassProbabilities", "NeverNone", "SceneScaling", "SlicScaling"]

_SAMPLED_SIDE = 96  # pixels; from twice this on, percentiles and moments are of every n-th pixel
_NEVER = -1e4  # a logit whose probability is 0 in single precision
_LARGEST_DEVIATION = 5.0  # standard deviations
_BEYOND = 3.0  # times the width between the percentiles: what lies further out moves no moment


@keras.saving.register_keras_serializable(package="heliolens")
class SceneScaling(keras.layers.Layer):
    """Turn brightness in any unit into two views of it, by each image's own percentiles.

    With the percentiles p1 and p99 of a channel of an image, ``s = (I - p1) / (p99 - p1)``. The
    views are ``clip((s - mean) / spread, -5, 5) / 3``, where mean and standard deviation are those
    of s clipped to -3..4 (so that a cosmic ray moves neither), and ``2 clip(s, 0, 1) - 1``.
    Neither changes when the brightness is multiplied by a positive number or shifted.

    Percentiles are pixels, of the nearest rank below and above. Where they are equal, the range
    stands for them; an image without any contrast becomes 0. Of an image of 192 pixels or more a
    side they are taken from every second, third, ... row and column, so that at least 96 are left.

    Percentiles and moments count as constants of the gradient: it tells what a pixel says at the
    exposure and contrast that the image has. Along a way on which the contrast of the whole image
    falls to 0, the network does not change; methods that add gradients up along such a way
    (integrated gradients) begin after this layer (``contrast_scaling.without_scaling``).

    Input (batch, y, x, channel) float32, finite; output (batch, y, x, 2 channel) float32: the
    deviations of all channels, then the stretches of all.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})  # brightness of 1e4 needs it

    def call(self, image):
        """Return both views."""
        lowest, scale, mean, spread, has_contrast = (
            ops.stop_gradient(value) for value in _statistics(image)
        )
        share = (image - lowest) / scale
        deviation = (share - mean) / spread
        deviation = ops.clip(deviation, -_LARGEST_DEVIATION, _LARGEST_DEVIATION) / 3.0
        stretch = (2.0 * ops.clip(share, 0.0, 1.0) - 1.0) * has_contrast
        return ops.concatenate([deviation, stretch], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return twice as many channels."""
        return (*input_shape[:-1], 2 * input_shape[-1])


@keras.saving.register_keras_serializable(package="heliolens")
class ClassProbabilities(keras.layers.Layer):
    """Turn logits into probabilities: ``softmax(logits / temperature)``.

    C. Guo et al. (arXiv:1706.04599), section 4.2: one temperature, fitted after the training on
    data of its own, mends confidence and leaves every decision as it is.

    Parameters
    ----------
    temperature : float
        1 while the network is trained.

    Input and output (batch, class) float32.

    Raises
    ------
    ValueError
        If the temperature is not positive and finite.
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not 0 < temperature < float("inf"):
            raise ValueError(f"a temperature is positive and finite, not {temperature}")
        self.temperature = float(temperature)

    def call(self, logits):
        """Return the probabilities."""
        return ops.softmax(logits / self.temperature, axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="heliolens")
class SlicScaling(keras.layers.Layer):
    """Turn brightness into what Slic was trained on: grey levels 0 to 255 on 256 x 256 pixels.

    Each image is stretched from its minimum to its maximum, rounded, and resized by bicubic
    convolution (R. Keys 1981, a = -1/2) that widens where it shrinks, as SciPy's ``imresize`` did;
    ``legacy_slic`` of ``dataset_models.solar_scenes.files.resize`` is the same for arrays, with its
    rounding.

    Parameters
    ----------
    side : int
        Pixels.

    Input (batch, y, x, 1) float32, finite; output (batch, side, side, 1).
    """

    def __init__(self, side: int = 256, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.side = int(side)

    def call(self, image):
        """Return grey levels."""
        low = ops.min(image, axis=(1, 2, 3), keepdims=True)
        high = ops.max(image, axis=(1, 2, 3), keepdims=True)
        span = ops.where(high > low, high - low, ops.ones_like(high))
        grey = ops.floor(255.0 * (image - low) / span + 0.5)
        size = (self.side, self.side)
        small = ops.image.resize(
            grey, size, interpolation="bicubic", antialias=True, data_format="channels_last"
        )
        return ops.clip(small, 0.0, 255.0)

    def compute_output_shape(self, input_shape):
        """Return the shape with other sides."""
        return (input_shape[0], self.side, self.side, input_shape[-1])

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "side": self.side}


@keras.saving.register_keras_serializable(package="heliolens")
class NeverNone(keras.layers.Layer):
    """Append the logit of "none of these" for a network that knows no such class: never.

    Input (batch, class) float32, output (batch, class + 1).
    """

    def call(self, logits):
        """Return the logits with one more column."""
        return ops.pad(logits, ((0, 0), (0, 1)), constant_values=_NEVER)

    def compute_output_shape(self, input_shape):
        """Return one more column."""
        return (input_shape[0], input_shape[1] + 1)


def _statistics(image) -> tuple:
    """Return lowest, scale, mean, spread and whether there is contrast, (batch, 1, 1, channel)."""
    rows, n = _thinned_rows(image)
    rank = (n - 1) // 100 + 1
    high = ops.min(ops.top_k(rows, rank, sorted=False)[0], axis=-1, keepdims=True)
    low = -ops.min(ops.top_k(-rows, rank, sorted=False)[0], axis=-1, keepdims=True)
    whole = ops.max(rows, axis=-1, keepdims=True) - ops.min(rows, axis=-1, keepdims=True)
    scale = ops.where(high > low, high - low, whole)
    has_contrast = ops.cast(scale > 0, rows.dtype)
    scale = ops.where(scale > 0, scale, ops.ones_like(scale))
    share = ops.clip((rows - low) / scale, -_BEYOND, 1.0 + _BEYOND)
    mean = ops.mean(share, axis=-1, keepdims=True)
    spread = ops.sqrt(ops.mean(ops.square(share - mean), axis=-1, keepdims=True))
    spread = ops.where(spread > 0, spread, ops.ones_like(spread))
    found = (low, scale, mean, spread, has_contrast)
    return tuple(ops.reshape(value, (-1, 1, 1, image.shape[-1])) for value in found)


def _thinned_rows(image) -> tuple:
    """Return every n-th row and column of large images, (batch, channel, pixel), and the count."""
    height, width = ops.shape(image)[1:3]
    down, across = _step(height), _step(width)
    n = ((height + down - 1) // down) * ((width + across - 1) // across)
    thinned = ops.reshape(image[:, ::down, ::across, :], (-1, n, image.shape[-1]))
    return ops.transpose(thinned, (0, 2, 1)), n


def _step(n):
    """Return how many pixels to go on; sizes are known only as tensors on TensorFlow."""
    step = n // _SAMPLED_SIDE
    return max(step, 1) if isinstance(step, int) else ops.maximum(step, 1)
