"""Images of any instrument as plain arrays: .npy files of brightness and of its errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.solar_data import DataIntegrityError

__all__ = ["PlainArrays", "load_array", "open_array", "read_plain_arrays"]


@dataclass(frozen=True)
class PlainArrays:
    """Brightness in any number of channels, or lines, with the errors that somebody gave.

    Attributes
    ----------
    brightness, errors : (channel, y, x) float
        In ``unit``; may lie on disk. NaN where missing.
    instrument, unit : str
    channels : tuple
    names : tuple of str
        Of the files.
    """

    brightness: np.ndarray
    errors: np.ndarray
    instrument: str
    channels: tuple[int | str, ...]
    unit: str
    names: tuple[str, ...]

    is_corrected = True
    is_synthetic = False
    calibration = ""
    time = ""

    @property
    def wcs(self) -> dict:
        """No coordinates."""
        return {}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.brightness.shape[1:]

    def tile(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give brightness, its error of one sigma, and what is saturated, (y, x, channel)."""
        dn, sigma = (
            np.array(np.moveaxis(a[:, rows], 0, -1), np.float32, order="C")
            for a in (self.brightness, self.errors)
        )
        return dn, sigma, np.zeros(dn.shape, bool)


def read_plain_arrays(
    path: str | Path,
    errors: str | Path,
    *,
    instrument: str,
    channels: tuple[int | str, ...],
    unit: str,
) -> PlainArrays:
    """Read .npy arrays (channel, y, x) of brightness and of its errors of one sigma.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    DataIntegrityError
        If one can't be read, or their shapes are not those of the channels.
    """
    path, errors = Path(path), Path(errors)
    listed = f"channels {', '.join(map(str, channels))}"
    brightness, sigma = (load_array(p, listed) for p in (path, errors))
    if len(brightness) != len(channels):
        raise DataIntegrityError(
            f"{path.name}: expected {len(channels)} {listed} of {instrument} first, got the shape "
            f"{brightness.shape}"
        )
    if sigma.shape != brightness.shape:
        raise DataIntegrityError(
            f"{errors.name} has the shape {sigma.shape}, {path.name} {brightness.shape}"
        )
    names = (path.name, errors.name)
    return PlainArrays(brightness, sigma, instrument, tuple(channels), unit, names)


def open_array(path: str | Path) -> np.ndarray:
    """Open an .npy array, which stays on disk.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it can't be read or holds several arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataIntegrityError(f"{path.name} can't be read as .npy: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataIntegrityError(f"{path.name} holds several arrays; give one as .npy")
    return array


def load_array(path: str | Path, what: str) -> np.ndarray:
    """Open an .npy array of three axes, (channel, y, x), which stays on disk.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it can't be read, is none of numbers, or has other axes.
    """
    path = Path(path)
    array = open_array(path)
    real = np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)
    if array.ndim != 3 or not real or 0 in array.shape:
        raise DataIntegrityError(
            f"{path.name}: expected numbers with the shape (channel, y, x), {what}; got "
            f"{array.shape} of {array.dtype}"
        )
    return array
