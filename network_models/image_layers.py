"""Layers for images of the Sun: brightness to logarithms, places on the disc, sums over it."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

__all__ = ["DiscPlaces", "LogBrightness", "SumOverDisc"]


@keras.saving.register_keras_serializable(package="heliolens")
class LogBrightness(keras.layers.Layer):
    """Turn brightness into standardised logarithms; what is missing becomes 0.

    ``(log10(max(I, 0) + offset) - mean) / spread`` per channel.

    Parameters
    ----------
    offsets : sequence of float
        One per channel, DN s-1 pix-1: below them noise rules.
    means, spreads : sequence of float
        Of the logarithms, per channel, from the training set.

    Input ``[image, present]``: (batch, frame, y, x, channel) in DN s-1 pix-1 and (batch, frame,
    channel), 1 where observed; output (batch, y, x, frame * channel).
    """

    def __init__(self, offsets: list[float], means: list[float], spreads: list[float], **kwargs):
        super().__init__(**kwargs)
        self.offsets = [float(v) for v in offsets]
        self.means = [float(v) for v in means]
        self.spreads = [float(v) for v in spreads]

    def call(self, inputs):
        """Give the standardised logarithms."""
        image, present = inputs
        offsets, means, spreads = (
            ops.convert_to_tensor(np.array(v, np.float32))
            for v in (self.offsets, self.means, self.spreads)
        )
        logs = ops.log(ops.maximum(image, 0.0) + offsets) / float(np.log(10.0))
        scaled = (logs - means) / spreads * present[:, :, None, None, :]
        _, frames, height, width, channels = image.shape
        scaled = ops.transpose(scaled, (0, 2, 3, 1, 4))
        return ops.reshape(scaled, (-1, height, width, frames * channels))

    def compute_output_shape(self, input_shape):
        """Give (batch, y, x, frame * channel)."""
        batch, frames, height, width, channels = input_shape[0]
        return (batch, height, width, frames * channels)

    def get_config(self):
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "offsets": self.offsets,
            "means": self.means,
            "spreads": self.spreads,
        }


@keras.saving.register_keras_serializable(package="heliolens")
class DiscPlaces(keras.layers.Layer):
    """Append to every pixel its place: x to the west, and distance from the centre.

    Parameters
    ----------
    half_field : float
        Half the image's width in solar radii.

    Input (batch, y, x, channel); output with two more channels.
    """

    def __init__(self, half_field: float, **kwargs):
        super().__init__(**kwargs)
        self.half_field = float(half_field)

    def call(self, maps):
        """Give the maps with their places."""
        _, height, width, _ = maps.shape
        x = self.half_field * (2 * np.arange(width) + 1 - width) / width
        y = self.half_field * (2 * np.arange(height) + 1 - height) / height
        x, y = np.meshgrid(x, y)
        places = np.stack([x, np.hypot(x, y)], axis=-1)[None].astype(np.float32)
        places = ops.cast(ops.convert_to_tensor(places), maps.dtype)
        repeated = ops.zeros_like(maps[..., :2]) + places
        return ops.concatenate([maps, repeated], axis=-1)

    def compute_output_shape(self, input_shape):
        """Give the shape with two more channels."""
        return (*input_shape[:-1], input_shape[-1] + 2)

    def get_config(self):
        """Give the constructor's arguments."""
        return {**super().get_config(), "half_field": self.half_field}


@keras.saving.register_keras_serializable(package="heliolens")
class SumOverDisc(keras.layers.Layer):
    """Add maps of non-negative rates up over the image, as the chances of many regions add up.

    Parameters
    ----------
    floor : float
        Smallest sum that is told apart.

    Input (batch, y, x, rate), 0 or larger; output (batch, 2 rate): ln of sum and of maximum.
    """

    def __init__(self, floor: float = 1e-2, **kwargs):
        super().__init__(**kwargs)
        self.floor = float(floor)

    def call(self, rates):
        """Give logarithms of sums and maxima."""
        total = ops.sum(rates, axis=(1, 2))
        largest = ops.max(rates, axis=(1, 2))
        return ops.log(ops.concatenate([total, largest], axis=-1) + self.floor)

    def compute_output_shape(self, input_shape):
        """Give (batch, 2 rate)."""
        return (input_shape[0], 2 * input_shape[-1])

    def get_config(self):
        """Give the constructor's arguments."""
        return {**super().get_config(), "floor": self.floor}
