"""Reads the values of a FITS image: fill values of any type and impossible numbers become missing.

Missing are NaN and infinity, BLANK (also on unsigned integers, where astropy ignores it), numbers
beyond 1e20 that netCDF and others fill floats with, and the extremes of integers that software
writes where there is no value (not those that a saturated 16-bit camera gives). What is impossible
for an instrument (a counter that is negative, more than its converter gives) is told by its limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dataset_models.solar_data import DataIntegrityError

__all__ = ["PixelValues", "pixel_values"]

_LARGEST = 1e20  # physical units of solar images stay far below; fills are 9.97e36, 1e30, 3.4e38
_INTEGER_EXTREMES = (-32768.0, -(2.0**31), 2.0**31 - 1, 2.0**32 - 1)
_UNSIGNED = (2.0**15, 2.0**31, 2.0**63)  # BZERO of unsigned integers, whose least is 0
_LARGEST_SHARE = 0.5  # of pixels that no header announces as missing


@dataclass(frozen=True)
class PixelValues:
    """Values of one image.

    Attributes
    ----------
    data : (y, x) float
        NaN where there is no value.
    n_filled : int
        Pixels that held a fill value which the header doesn't announce.
    n_impossible : int
        Pixels beyond the instrument's limits.
    """

    data: np.ndarray
    n_filled: int = 0
    n_impossible: int = 0

    def mended(self, name: str) -> str:
        """Return a sentence on what was made missing, "" where nothing was."""
        parts = []
        if self.n_filled:
            parts.append(f"{self.n_filled} pixels of fill values")
        if self.n_impossible:
            parts.append(f"{self.n_impossible} pixels of impossible brightness")
        return f"{name}: {' and '.join(parts)} are missing" if parts else ""


def pixel_values(
    holder: object,
    cards: Mapping,
    name: str,
    *,
    shape: tuple[int, int],
    plane: int | None = None,
    limits: tuple[float, float] | None = None,
) -> PixelValues:
    """Return the values of an image, missing ones as NaN.

    Parameters
    ----------
    holder : HDU or sunpy Map
        Its ``data`` are physical values; of a map, ``mask`` is True where there is no value.
    cards : mapping
        The header's.
    name : str
        What the image is called in messages.
    shape : (y, x)
        That the data must have, axes of length 1 not counted.
    plane : int, optional
        Of a cube.
    limits : (float, float), optional
        Least and largest value that is possible, in the file's unit.

    Raises
    ------
    DataIntegrityError
        If the data have another shape, are no real numbers, or more than half of them are
        impossible or fill values without BLANK. NaN and BLANK, as beyond the limb, may be more.
    """
    stored = holder.data
    if stored is None:
        raise DataIntegrityError(f"{name}: holds no data")
    stored = np.asarray(stored)
    if plane is not None:
        stored = stored.reshape(-1, *shape)[plane]
    if not (np.issubdtype(stored.dtype, np.floating) or np.issubdtype(stored.dtype, np.integer)):
        raise DataIntegrityError(f"{name}: expected real numbers, got {stored.dtype}")
    if stored.size != np.prod(shape):
        raise DataIntegrityError(f"{name}: holds other data than it declares")
    data = stored.reshape(shape).astype(float)
    announced, filled = _blank(data, cards), _fill_values(data, stored.dtype, cards)
    n_unsaid = int((filled & ~announced).sum())
    filled |= announced
    mask = getattr(holder, "mask", None)
    if mask is not None:
        data[np.broadcast_to(mask, data.shape)] = np.nan
    data[filled] = np.nan
    n_impossible = 0
    if limits is not None:
        with np.errstate(invalid="ignore"):
            impossible = (data < limits[0]) | (data > limits[1])
        n_impossible = int(impossible.sum())
        data[impossible] = np.nan
    data[~np.isfinite(data)] = np.nan
    if not np.isfinite(data).any():
        raise DataIntegrityError(
            f"{name}: 100% of its pixels are missing; it holds no finite value"
        )
    share = (n_unsaid + n_impossible) / data.size
    if share > _LARGEST_SHARE:
        raise DataIntegrityError(
            f"{name}: {share:.0%} of its pixels are fill values or impossible; at most "
            f"{_LARGEST_SHARE:.0%} may be"
        )
    return PixelValues(data, n_unsaid, n_impossible)


def _blank(data: np.ndarray, cards: Mapping) -> np.ndarray:
    """Find what the header declares as missing: BLANK, which integers alone can have."""
    blank = cards.get("ZBLANK", cards.get("BLANK"))
    if not _is_integer(cards) or not isinstance(blank, int):
        return np.zeros(data.shape, bool)
    return _stored_as(data, float(blank), cards)


def _fill_values(data: np.ndarray, kind: np.dtype, cards: Mapping) -> np.ndarray:
    """Find what stands for a missing value without a word: extremes of integers, huge numbers."""
    with np.errstate(invalid="ignore"):
        filled = np.abs(data) >= _LARGEST
    scale, zero = _number(cards, "BSCALE", 1.0), _number(cards, "BZERO", 0.0)
    if (scale, zero) == (1.0, 0.0):
        low, high = np.fmin.reduce(data, axis=None), np.fmax.reduce(data, axis=None)
        for extreme in _INTEGER_EXTREMES:
            if low <= extreme <= high:  # which is rare, and comparing all pixels takes time
                filled |= data == extreme
    elif _is_integer(cards) and _bits(cards) > 8 and scale > 0 and zero not in _UNSIGNED:
        lowest = -(2.0 ** (_bits(cards) - 1))
        filled |= _stored_as(data, lowest, cards)
    return filled


def _stored_as(data: np.ndarray, number: float, cards: Mapping) -> np.ndarray:
    """Find what is stored as one integer; physical values are steps of BSCALE apart."""
    scale = _number(cards, "BSCALE", 1.0)
    value = number * scale + _number(cards, "BZERO", 0.0)
    with np.errstate(invalid="ignore"):
        return np.abs(data - value) < abs(scale) / 4


def _is_integer(cards: Mapping) -> bool:
    return _bits(cards) > 0


def _bits(cards: Mapping) -> int:
    bits = cards.get("ZBITPIX", cards.get("BITPIX", -32))
    return bits if isinstance(bits, int) else -32


def _number(cards: Mapping, key: str, default: float) -> float:
    value = cards.get(key, default)
    return float(value) if isinstance(value, (int, float)) else default
