"""Layers for images of the Sun: brightness to logarithms, places on the disc, sums over it."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

__all__ = [
    "BrightnessScaling",
    "DiscPlaces",
    "LocalShare",
    "LogBrightness",
    "SumOverDisc",
    "TemperatureFilters",
    "signed_log10",
]

_LARGEST_SCORE = 8.0


@keras.saving.register_keras_serializable(package="heliolens")
class LogBrightness(keras.layers.Layer):
    """Turn brightness into standardised logarithms; what is missing becomes 0.

    ``(log10(max(I, 0) + offset) - mean) / spread`` per channel; of a signed one
    ``(sign(B) log10(1 + |B| / offset) - mean) / spread``.

    Parameters
    ----------
    offsets : sequence of float
        One per channel, DN s-1 pix-1: below them noise rules.
    means, spreads : sequence of float
        Of the logarithms, per channel, from the training set.
    signed : sequence of bool, optional
        Which channels have a sign, as the magnetic field has; none by default.

    Input ``[image, present]``: (batch, frame, y, x, channel) in physical units and (batch, frame,
    channel), 1 where observed; output (batch, y, x, frame * channel).
    """

    def __init__(
        self,
        offsets: list[float],
        means: list[float],
        spreads: list[float],
        signed: list[bool] | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})  # logarithms need it
        self.offsets = [float(v) for v in offsets]
        self.means = [float(v) for v in means]
        self.spreads = [float(v) for v in spreads]
        self.signed = [bool(v) for v in signed] if signed else [False] * len(self.offsets)

    def call(self, inputs):
        """Return the standardised logarithms."""
        image, present = inputs
        scaled = _scaled_logs(image, self.offsets, self.means, self.spreads, self.signed)
        return _frames_together(scaled * present[:, :, None, None, :])

    def compute_output_shape(self, input_shape):
        """Return (batch, y, x, frame * channel)."""
        batch, frames, height, width, channels = input_shape[0]
        return (batch, height, width, frames * channels)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "offsets": self.offsets,
            "means": self.means,
            "spreads": self.spreads,
            "signed": self.signed,
        }


@keras.saving.register_keras_serializable(package="heliolens")
class BrightnessScaling(keras.layers.Layer):
    """Turn brightness of known units into standardised logarithms, with no channel missing.

    ``(log10(max(I, 0) + offset) - mean) / spread`` per channel.

    Parameters
    ----------
    offsets : sequence of float
        One per channel, DN s-1 pix-1: below them noise rules.
    means, spreads : sequence of float
        Of the logarithms, per channel, from the training set.

    Input and output (batch, y, x, channel).
    """

    def __init__(self, offsets: list[float], means: list[float], spreads: list[float], **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})  # logarithms need it
        self.offsets = [float(v) for v in offsets]
        self.means = [float(v) for v in means]
        self.spreads = [float(v) for v in spreads]

    def call(self, image):
        """Return the standardised logarithms."""
        return _scaled_logs(image, self.offsets, self.means, self.spreads)

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def get_config(self):
        """Return the constructor's arguments."""
        own = {"offsets": self.offsets, "means": self.means, "spreads": self.spreads}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="heliolens")
class TemperatureFilters(keras.layers.Layer):
    """Return logarithms of linear combinations of channels; 0 where a channel of it is missing.

    ``(log10(max(sum(factor I), 0) + offset) - mean) / spread`` for each filter.

    Parameters
    ----------
    rows : sequence of sequence of float
        For each filter the factor of every channel of the image.
    offsets, means, spreads : sequence of float
        One per filter, as in ``LogBrightness``.

    Input ``[image, present]`` as in ``LogBrightness``; output (batch, y, x, frame * filter).
    """

    def __init__(
        self,
        rows: list[list[float]],
        offsets: list[float],
        means: list[float],
        spreads: list[float],
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})  # differences need it
        self.rows = [[float(v) for v in row] for row in rows]
        self.offsets = [float(v) for v in offsets]
        self.means = [float(v) for v in means]
        self.spreads = [float(v) for v in spreads]

    def call(self, inputs):
        """Return the standardised logarithms."""
        image, present = inputs
        rows = np.array(self.rows, np.float32)
        left = ops.matmul(image, ops.convert_to_tensor(rows.T))
        # a channel counts where all that it is made from is there
        lacking = ops.matmul(1 - present, ops.convert_to_tensor((rows.T != 0).astype("float32")))
        there = ops.cast(lacking < 0.5, image.dtype)
        scaled = _scaled_logs(left, self.offsets, self.means, self.spreads)
        return _frames_together(scaled * there[:, :, None, None, :])

    def compute_output_shape(self, input_shape):
        """Return (batch, y, x, frame * filter)."""
        batch, frames, height, width, _ = input_shape[0]
        return (batch, height, width, frames * len(self.rows))

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "rows": self.rows,
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
        """Return the maps with their places."""
        _, height, width, _ = maps.shape
        x = self.half_field * (2 * np.arange(width) + 1 - width) / width
        y = self.half_field * (2 * np.arange(height) + 1 - height) / height
        x, y = np.meshgrid(x, y)
        places = np.stack([x, np.hypot(x, y)], axis=-1)[None].astype(np.float32)
        places = ops.cast(ops.convert_to_tensor(places), maps.dtype)
        repeated = ops.zeros_like(maps[..., :2]) + places
        return ops.concatenate([maps, repeated], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape with two more channels."""
        return (*input_shape[:-1], input_shape[-1] + 2)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "half_field": self.half_field}


@keras.saving.register_keras_serializable(package="heliolens")
class LocalShare(keras.layers.Layer):
    """Share one unit out among the cells of each neighbourhood, by their scores.

    ``exp(score) / sum of exp(score) over the neighbourhood``: an active region covers many cells,
    but flares once, so its cells have to share one vote.

    Parameters
    ----------
    cells : int
        Side of the neighbourhood, odd.

    Input (batch, y, x, score); output the same shape, positive.
    """

    def __init__(self, cells: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})  # exponentials need it
        if cells < 1 or cells % 2 == 0:
            raise ValueError(f"a neighbourhood has an odd number of cells a side, not {cells}")
        self.cells = int(cells)

    def call(self, scores):
        """Return the shares; beyond the image's edge there is nothing to share with."""
        weight = ops.exp(ops.clip(scores, -_LARGEST_SCORE, _LARGEST_SCORE))
        reach = self.cells // 2
        padded = ops.pad(weight, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        mean = ops.average_pool(padded, self.cells, strides=1, padding="valid")
        return weight / (mean * self.cells**2)

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "cells": self.cells}


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
        super().__init__(**{"dtype": "float32", **kwargs})  # sums of many cells need it
        self.floor = float(floor)

    def call(self, rates):
        """Return logarithms of sums and maxima."""
        total = ops.sum(rates, axis=(1, 2))
        largest = ops.max(rates, axis=(1, 2))
        return ops.log(ops.concatenate([total, largest], axis=-1) + self.floor)

    def compute_output_shape(self, input_shape):
        """Return (batch, 2 rate)."""
        return (input_shape[0], 2 * input_shape[-1])

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "floor": self.floor}


def signed_log10(values: np.ndarray, offset: float) -> np.ndarray:
    """Return sign(v) log10(1 + |v| / offset): linear about 0, logarithmic far from it."""
    return np.sign(values) * np.log10(1 + np.abs(values) / offset)


def _scaled_logs(
    values,
    offsets: list[float],
    means: list[float],
    spreads: list[float],
    signed: list[bool] | None = None,
):
    """Return standardised log10 of the last axis' channels."""
    offsets, means, spreads = (
        ops.convert_to_tensor(np.array(v, np.float32)) for v in (offsets, means, spreads)
    )
    logs = ops.log(ops.maximum(values, 0.0) + offsets) / float(np.log(10.0))
    if signed is not None and any(signed):
        both = ops.sign(values) * ops.log(1 + ops.abs(values) / offsets) / float(np.log(10.0))
        logs = ops.where(ops.convert_to_tensor(np.array(signed)), both, logs)
    return (logs - means) / spreads


def _frames_together(maps):
    """Turn (batch, frame, y, x, channel) into (batch, y, x, frame * channel)."""
    _, frames, height, width, channels = maps.shape
    maps = ops.transpose(maps, (0, 2, 3, 1, 4))
    return ops.reshape(maps, (-1, height, width, frames * channels))
