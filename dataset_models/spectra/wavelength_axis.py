"""Turns wavelengths in any unit and order into angstrom that increase, or says why it can't."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import astropy.units as u
import numpy as np

from dataset_models.fits_files.cards import finite_number
from dataset_models.solar_data import DataIntegrityError

__all__ = ["WAVELENGTH_TYPES", "in_angstrom", "increasing", "linear_axis", "read_wavelength_file"]

WAVELENGTH_TYPES = ("WAVE", "AWAV", "LAMBDA")
_UNIT_NAMES = {"angstroms": "angstrom", "a": "angstrom", "aa": "angstrom", "å": "angstrom"}
_METRES = (1e-9, 1e-5)  # what FITS counts wavelengths in where a header has no CUNIT
_AMBIGUOUS = (100.0, 2000.0)  # extreme ultraviolet in angstrom, visible and infrared light in nm
_LONGEST = 2e5  # angstrom; the Sun's lines in use end at 4.7 micrometre
_FEWEST = 2


def in_angstrom(
    wavelength: np.ndarray, unit: str, name: str, *, said: str = ""
) -> tuple[np.ndarray, str]:
    """Return wavelengths in angstrom, and a remark where their unit was inferred.

    Without a unit, numbers below 1e-5 are metres and those above 2,000 are angstrom. Between 100
    and 2,000 they could be either of angstrom and nanometre, so they are rejected.

    Parameters
    ----------
    wavelength : (wavelength,) float
    unit : str
        As a header or a user writes it; "" where nobody says.
    name : str
        Of the file, for messages.
    said : str
        What the file says of its line, quoted in the message.

    Raises
    ------
    DataIntegrityError
        If the unit is no length, is missing and not plain, or the numbers are no wavelengths.
    """
    wavelength = np.asarray(wavelength, float)
    if not np.isfinite(wavelength).all():
        raise DataIntegrityError(
            f"{name}: expected finite wavelengths, got {int((~np.isfinite(wavelength)).sum())} "
            "that are not; mend the file's wavelength axis"
        )
    if (wavelength <= 0).any():
        raise DataIntegrityError(
            f"{name}: expected positive wavelengths, got {wavelength.min():g} to "
            f"{wavelength.max():g}; add the line's wavelength if they count from the line"
        )
    if unit.strip():
        text = unit.strip().lower()
        try:
            factor = u.Unit(_UNIT_NAMES.get(text, text)).to(u.AA)
        except (ValueError, u.UnitConversionError):
            raise DataIntegrityError(
                f"{name}: expected wavelengths in angstrom, nm or m, got the unit {unit!r}; name "
                "the right one with wavelength_unit"
            ) from None
        return wavelength * factor, ""
    low, high = wavelength.min(), wavelength.max()
    if _METRES[0] <= low and high <= _METRES[1]:
        return wavelength * 1e10, f"{name}: wavelengths have no unit and are taken as metres"
    if _AMBIGUOUS[1] < low and high <= _LONGEST:
        return wavelength, f"{name}: wavelengths have no unit and are taken as angstrom"
    line = f" of {said}" if said else ""
    raise DataIntegrityError(
        f"{name}: wavelengths {low:g} to {high:g}{line} have no unit and could be nm or angstrom; "
        "say which with wavelength_unit, or add CUNIT to the header"
    )


def increasing(wavelength: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Return wavelengths in increasing order, that order, and a remark if they had none.

    Raises
    ------
    DataIntegrityError
        If fewer than two are left, one is not finite, or one is there twice.
    """
    wavelength = np.asarray(wavelength, float)
    if len(wavelength) < _FEWEST or not np.isfinite(wavelength).all():
        raise DataIntegrityError(
            f"{name}: expected at least {_FEWEST} finite wavelengths, got {len(wavelength)} with "
            f"{int((~np.isfinite(wavelength)).sum())} that are not finite; give its wavelengths"
        )
    order = np.argsort(wavelength, kind="stable")
    steps = np.diff(wavelength[order])
    if (steps <= 0).any():
        twice = wavelength[order][:-1][steps <= 0][0]
        raise DataIntegrityError(
            f"{name}: expected each wavelength once, got {twice:g} twice; remove one of them"
        )
    given = np.diff(wavelength)
    remark = ""
    if not ((given > 0).all() or (given < 0).all()):
        remark = f"{name}: wavelengths neither increase nor decrease throughout; they are sorted"
    return wavelength[order], order, remark


def linear_axis(cards: Mapping, axis: int, n: int, name: str) -> np.ndarray:
    """Return the numbers along an axis of a header, CRVAL + (k - CRPIX) CDELT, k from 1.

    Raises
    ------
    DataIntegrityError
        If a card is missing or unusable, or the step is 0.
    """
    try:
        value = finite_number(cards, f"CRVAL{axis}")
        step = finite_number(cards, f"CDELT{axis}", finite_number(cards, f"CD{axis}_{axis}", 0.0))
        pixel = finite_number(cards, f"CRPIX{axis}", 1.0)
    except (KeyError, ValueError) as error:
        raise DataIntegrityError(
            f"{name}: expected CRVAL{axis} and CDELT{axis} of its wavelength axis, got "
            f"{error.args[0]!r}; give the wavelengths in a file"
        ) from None
    if step == 0:
        raise DataIntegrityError(
            f"{name}: expected CDELT{axis} other than 0 for its wavelengths; give them in a file"
        )
    return value + (np.arange(1, n + 1) - pixel) * step


def read_wavelength_file(path: str | Path) -> np.ndarray:
    """Return the wavelengths of a text file, the first column, (wavelength,) float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it holds anything but numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file of wavelengths: {path}")
    try:
        return np.loadtxt(path, delimiter="," if "," in path.read_text() else None, ndmin=2)[:, 0]
    except (ValueError, UnicodeDecodeError) as error:
        raise DataIntegrityError(
            f"{path.name}: expected one wavelength on each line, got {str(error).splitlines()[0]}; "
            "write plain numbers"
        ) from None
