"""Brightness as 16-bit integers whose steps follow the photon noise (Anscombe's transform).

A linear scale would waste its steps on bright pixels and add most of its rounding noise to the
faint channels. Here one step is a fixed share of the noise at every brightness: ``z = 2 sqrt(p +
3/8 + s^2)`` with p photons and s the read noise in photons has spread 1 (1 / sqrt(n) for the mean
of n pixels), and a step is 1/6 of that spread. Means of more than some 200 pixels get coarser
steps, so that 16 bits still reach four times saturation; what is brighter is cut off there.

HMI's field and continuum have equal steps, of a sixth of their noise at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tools.channels import CAMERA

__all__ = [
    "MISSING",
    "DecodingCurve",
    "decode",
    "decode_channels_last",
    "decoding_curves",
    "encode",
]

MISSING = -32768  # code of a pixel that has no value
_STEPS_PER_SIGMA = 6.0
_ROWS_AT_ONCE = 32
_HIGHEST = 4.0  # times saturation: short exposures and old cameras are corrected upwards
_LOWEST_DN = -8.0  # per full-resolution exposure; noise about a dark sky goes below zero
# noise of a pixel, smallest step that covers the range in 16 bits, value of code 0
_LINEAR = {"B_los": (10.0, 0.15, 0.0), "continuum": (180.0, 2.2, 65_000.0)}


class DecodingCurve(NamedTuple):
    """How a channel's codes become values: ``quadratic u |u| + linear u + constant``.

    With ``u = code + shift``; one of the factors is 0. Values in ``channel_unit``.
    """

    shift: float
    quadratic: float
    linear: float
    constant: float


def decoding_curves(
    channels: Sequence[int | str], *, pixels_averaged: float
) -> tuple[DecodingCurve, ...]:
    """Give the curve of each channel.

    Parameters
    ----------
    channels : sequence
        Of ``AIA_CHANNELS`` and ``HMI_CHANNELS``.
    pixels_averaged : float
        Full-resolution pixels that each pixel is the mean of, 1 for 4096 x 4096.
    """
    return tuple(_curve(channel, pixels_averaged) for channel in channels)


def _curve(channel: int | str, pixels_averaged: float) -> DecodingCurve:
    if channel in _LINEAR:
        noise, smallest, middle = _LINEAR[channel]
        step = max(noise / _STEPS_PER_SIGMA / np.sqrt(pixels_averaged), smallest)
        return DecodingCurve(0.0, 0.0, step, middle)
    camera = CAMERA[channel]
    per_photon = camera.dn_per_photon / camera.exposure_s  # DN s-1
    constant = 0.375 + (camera.read_noise_dn / camera.dn_per_photon) ** 2
    lowest, highest = (
        float(_signed_root(dn / camera.dn_per_photon + constant))
        for dn in (_LOWEST_DN, _HIGHEST * camera.saturation_dn)
    )
    steps = min(_STEPS_PER_SIGMA * np.sqrt(pixels_averaged), 65534 / (highest - lowest))
    # below zero the root is continued as an odd function
    return DecodingCurve(
        32767 + lowest * steps, per_photon / (2 * steps) ** 2, 0.0, -per_photon * constant
    )


def encode(
    images: np.ndarray, channels: Sequence[int | str], *, pixels_averaged: float
) -> np.ndarray:
    """Turn brightness into codes.

    Parameters
    ----------
    images : (..., channel, y, x) float
        In the units of ``tools.channels.channel_unit``. NaN where there is no value.
    channels : sequence
        Of ``AIA_CHANNELS`` and ``HMI_CHANNELS``.
    pixels_averaged : float
        Full-resolution pixels that each pixel is the mean of, 1 for 4096 x 4096.

    Returns
    -------
    int16 of the same shape

    Raises
    ------
    ValueError
        If the array has another number of channels.
    """
    if images.shape[-3] != len(channels):
        raise ValueError(f"expected {len(channels)} channels, got an array of {images.shape}")
    codes = np.full(images.shape, MISSING, np.int16)
    for k, curve in enumerate(decoding_curves(channels, pixels_averaged=pixels_averaged)):
        above = images[..., k, :, :] - curve.constant
        if curve.quadratic:
            u = _signed_root(above / curve.quadratic) / 2
        else:
            u = above / curve.linear
        code = np.clip(np.round(u - curve.shift), -32767, 32767)
        codes[..., k, :, :] = np.where(np.isfinite(code), code, MISSING)
    return codes


def decode(codes: np.ndarray, curves: Sequence[DecodingCurve]) -> np.ndarray:
    """Turn codes (..., channel, y, x) back into float32 values, NaN where there is none."""
    out = np.empty(codes.shape, np.float32)
    for k, curve in enumerate(curves):
        part = codes[..., k, :, :]
        values = part.astype(np.float32)
        _to_values(values, curve, np.empty_like(values), out[..., k, :, :])
        out[..., k, :, :][part == MISSING] = np.nan
    return out


def decode_channels_last(codes: np.ndarray, curves: Sequence[DecodingCurve]) -> np.ndarray:
    """Turn codes (image, channel, y, x) into float32 values (image, y, x, channel).

    What is ``MISSING`` gets a meaningless number, which the caller replaces. Some rows are done at
    a time and nothing is looked up in tables, so that what is at work stays in the processor's
    cache beside a network that trains on the same cores.
    """
    n, channels, height, width = codes.shape
    out = np.empty((n, height, width, channels), np.float32)
    space = np.empty((2, _ROWS_AT_ONCE, width), np.float32)
    for image, coded in zip(out, codes, strict=True):
        for row in range(0, height, _ROWS_AT_ONCE):
            rows = slice(row, min(row + _ROWS_AT_ONCE, height))
            values, spare = space[:, : rows.stop - row]
            for k, curve in enumerate(curves):
                values[:] = coded[k, rows]
                _to_values(values, curve, spare, image[rows, :, k])
    return out


def _to_values(
    values: np.ndarray, curve: DecodingCurve, spare: np.ndarray, out: np.ndarray
) -> None:
    """Turn codes, given as float32, into values; the codes are overwritten."""
    shift, quadratic, linear, constant = map(np.float32, curve)
    if quadratic:
        values += shift
        np.abs(values, out=spare)
        spare *= quadratic
        values *= spare
    else:
        values *= linear
    np.add(values, constant, out=out)


def _signed_root(photons: np.ndarray | float) -> np.ndarray:
    return np.sign(photons) * 2 * np.sqrt(np.abs(photons))
