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
from functools import cache

import numpy as np

from tools.channels import CAMERA

__all__ = ["MISSING", "decode", "decode_channels_last", "decoding_tables", "encode"]

MISSING = -32768  # code of a pixel that has no value
_STEPS_PER_SIGMA = 6.0
_ROWS_AT_ONCE = 16
_HIGHEST = 4.0  # times saturation: short exposures and old cameras are corrected upwards
_LOWEST_DN = -8.0  # per full-resolution exposure; noise about a dark sky goes below zero
# noise of a pixel, smallest step that covers the range in 16 bits, value of code 0
_LINEAR = {"B_los": (10.0, 0.15, 0.0), "continuum": (180.0, 2.2, 65_000.0)}


def _scale(channel: int, pixels_averaged: float) -> tuple[float, float, float, float]:
    """Give DN s-1 per photon, the constant below the root, lowest z, and codes per unit of z."""
    camera = CAMERA[channel]
    per_photon = camera.dn_per_photon / camera.exposure_s
    constant = 0.375 + (camera.read_noise_dn / camera.dn_per_photon) ** 2
    lowest, highest = (
        float(_signed_root(np.array(dn / camera.dn_per_photon + constant)))
        for dn in (_LOWEST_DN, _HIGHEST * camera.saturation_dn)
    )
    steps = min(_STEPS_PER_SIGMA * np.sqrt(pixels_averaged), 65534 / (highest - lowest))
    return per_photon, constant, lowest, steps


def _linear(channel: str, pixels_averaged: float) -> tuple[float, float]:
    """Give the step and the value of code 0 of a channel with equal steps."""
    noise, smallest, middle = _LINEAR[channel]
    return max(noise / _STEPS_PER_SIGMA / np.sqrt(pixels_averaged), smallest), middle


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
    for k, channel in enumerate(channels):
        values = images[..., k, :, :]
        if channel in _LINEAR:
            step, middle = _linear(channel, pixels_averaged)
            code = np.round((values - middle) / step)
        else:
            per_photon, constant, lowest, steps = _scale(channel, pixels_averaged)
            # below zero the root is continued as an odd function
            z = _signed_root(values / per_photon + constant)
            code = np.round((z - lowest) * steps) - 32767
        code = np.clip(code, -32767, 32767)
        codes[..., k, :, :] = np.where(np.isfinite(code), code, MISSING)
    return codes


def decoding_tables(channels: Sequence[int | str], *, pixels_averaged: float) -> np.ndarray:
    """Give the value of every code, (channel, 65536) float32; NaN for ``MISSING``.

    Index with ``code + 32768``.
    """
    return np.stack([_decoding_table(channel, pixels_averaged) for channel in channels])


@cache
def _decoding_table(channel: int | str, pixels_averaged: float) -> np.ndarray:
    code = np.arange(-32768, 32768)
    if channel in _LINEAR:
        step, middle = _linear(channel, pixels_averaged)
        table = middle + step * code
    else:
        per_photon, constant, lowest, steps = _scale(channel, pixels_averaged)
        z = (code + 32767) / steps + lowest
        table = per_photon * (np.sign(z) * (z / 2) ** 2 - constant)
    table[0] = np.nan
    return table.astype(np.float32)


def decode(codes: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Turn codes (..., channel, y, x) back into float32 values."""
    out = np.empty(codes.shape, np.float32)
    for k, table in enumerate(_by_unsigned_code(tables)):
        part = np.ascontiguousarray(codes[..., k, :, :])
        out[..., k, :, :] = table[part.view(np.uint16)]
    return out


def decode_channels_last(codes: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Turn codes (image, channel, y, x) into float32 values (image, y, x, channel).

    Some rows at a time, so that what is turned round stays in the processor's cache.
    """
    n, channels, height, width = codes.shape
    unsigned = np.ascontiguousarray(codes).view(np.uint16)
    by_code = _by_unsigned_code(tables)
    out = np.empty((n, height, width, channels), np.float32)
    for image, coded in zip(out, unsigned, strict=True):
        for row in range(0, height, _ROWS_AT_ONCE):
            rows = slice(row, row + _ROWS_AT_ONCE)
            part = np.stack([by_code[k][coded[k, rows]] for k in range(channels)])
            image[rows] = part.transpose(1, 2, 0)
    return out


def _by_unsigned_code(tables: np.ndarray) -> np.ndarray:
    """Order tables by the code as an unsigned number: from 0 upwards, then from the lowest."""
    return np.concatenate([tables[:, 32768:], tables[:, :32768]], axis=1)


def _signed_root(photons: np.ndarray) -> np.ndarray:
    return np.sign(photons) * 2 * np.sqrt(np.abs(photons))
