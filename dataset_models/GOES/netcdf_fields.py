"""Reads variables of NOAA's netCDF-4 files by the CF conventions: packing, fills, units, flags.

Source: CF Metadata Conventions 1.11, sections 2.5 (missing data), 3.1 (units), 3.5 (flags) and 8.1
(packed data).
"""

from __future__ import annotations

import contextlib
import re

import astropy.units as u
import h5py
import numpy as np

from dataset_models.solar_data import DataIntegrityError
from tools.times import parse_time

__all__ = ["attribute", "good_samples", "read_flux", "read_times", "unknown_flags"]

_NO_DATA = (-9999.0, -99999.0)  # NOAA's fills, also in files that don't declare them
_GOOD = ("good_data", "good", "valid", "ok", "good_quality")
_LONGEST_MS = 100 * 366 * 8.64e7  # a time further from its epoch is a fill, or damage
_W_M2 = u.W / u.m**2
_SPELLED = {"watts": "W", "watt": "W", "milliwatts": "mW", "milliwatt": "mW"}
_SPELLED |= {"meter": "m", "meters": "m", "metre": "m", "metres": "m"}
_STEPS_MS = {
    name: step
    for step, names in (
        (1.0, "milliseconds millisecond msec ms"),
        (1e3, "seconds second secs sec s"),
        (6e4, "minutes minute mins min"),
        (3.6e6, "hours hour hrs hr h"),
        (8.64e7, "days day d"),
    )
    for name in names.split()
}
_FLAGS = (
    "{}_flags",
    "{}_flag",
    "{}_qual_flag",
    "{}_quality_flag",
    "{}_quality_flags",
    "{}_quality",
)
_LIKE_FLAGS = re.compile(r"flag|qual|dqf|(^|_)qc(_|$)|status")
# of the operational processing, of single detectors, of what an average left out, of the platform
_OTHER_FLAGS = re.compile(
    r".*_swpc_flags?|xrs[ab][12]_flags?|.*_flag_excluded|yaw_flip_flag|electron_correction_flag"
)


def attribute(owner: h5py.File | h5py.Dataset, name: str) -> str:
    """Return an attribute as text, "" where there is none."""
    value = owner.attrs.get(name, "")
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode() if isinstance(value, bytes) else str(value)


def read_flux(variable: h5py.Dataset, name: str) -> np.ndarray:
    """Return a flux, (sample,) float64 in W m-2; NaN where the file has none.

    Raises
    ------
    DataIntegrityError
        If its unit is no irradiance.
    """
    values = _unpacked(variable)
    text = attribute(variable, "units").strip()
    if not text:
        return values
    text = text.lower() if text.isupper() and "MW" not in text else text
    spelled = re.sub(r"[A-Za-z]+", lambda m: _SPELLED.get(m[0].lower(), m[0]), text)
    spelled = re.sub(r"^w\b", "W", spelled)
    spelled = re.sub(r"(?<=[A-Za-z])\^?-?\d", lambda m: m[0].replace("^", ""), spelled)
    try:
        factor = u.Unit(spelled).to(_W_M2)
    except (ValueError, u.UnitConversionError):
        raise DataIntegrityError(
            f"the unit of {name} is {text!r}; expected an irradiance such as W m-2"
        ) from None
    return values * factor


def read_times(variable: h5py.Dataset) -> np.ndarray:
    """Return times, (sample,) datetime64[ms]; NaT where the file has none.

    Raises
    ------
    DataIntegrityError
        If the unit is no ``seconds since EPOCH``.
    """
    units = attribute(variable, "units")
    match = re.fullmatch(r"(\w+) since (.+?)", units.strip())
    if match is None or match[1].lower() not in _STEPS_MS:
        raise DataIntegrityError(f"unknown time unit {units!r}")
    try:
        padded = re.sub(r"(?<=-)(\d)(?=\D|$)", r"0\1", match[2])
        epoch = parse_time(padded, what="the epoch")
    except ValueError as error:
        raise DataIntegrityError(f"unknown time unit {units!r} ({error})") from None
    value = _unpacked(variable)
    known = np.isfinite(value)
    steps = np.round(np.where(known, value, 0) * _STEPS_MS[match[1].lower()])
    known &= np.abs(steps) < _LONGEST_MS
    steps[~known] = 0
    times = epoch + steps.astype("timedelta64[ms]")
    times[~known] = np.datetime64("NaT")
    return times


def good_samples(file: h5py.File, names: dict[str, str], channel: str) -> np.ndarray | None:
    """Return which samples a channel's flags call good; None where it has no flags.

    Every flag variable of the channel counts. Good is the value of ``good_data`` under its mask;
    without meanings, 0.

    Parameters
    ----------
    names : dict
        The file's variables by their names in small letters.
    channel : str
        Such as ``xrsb`` or ``b``.
    """
    good = None
    for form in _FLAGS:
        name = names.get(form.format(channel))
        if name is None:
            continue
        stored = np.asarray(file[name][:], float)
        known = np.isfinite(stored)
        flags = np.where(known, stored, 0).astype(np.int64)
        meanings = attribute(file[name], "flag_meanings").split()
        values = np.atleast_1d(_numbers(file[name].attrs.get("flag_values", [0])))
        masks = np.atleast_1d(_numbers(file[name].attrs.get("flag_masks", [-1])))
        index = next((k for k, word in enumerate(meanings) if word.lower() in _GOOD), None)
        if index is None or index >= len(values):  # every value that is listed is a fault
            is_good = known & (flags == 0)
        else:
            mask = int(masks[index]) if len(masks) > index else -1
            is_good = known & ((flags & mask) == int(values[index]))
        fill = file[name].attrs.get("_FillValue")
        if fill is not None:
            is_good &= stored != float(np.ravel(fill)[0])
        good = is_good if good is None else good & is_good
    return good


def unknown_flags(names: dict[str, str], channels: tuple[str, ...]) -> list[str]:
    """Return the flag variables that no rule here knows."""
    known = {form.format(channel) for form in _FLAGS for channel in channels}
    return sorted(
        name
        for lower, name in names.items()
        if _LIKE_FLAGS.search(lower) and lower not in known and not _OTHER_FLAGS.fullmatch(lower)
    )


def _unpacked(variable: h5py.Dataset) -> np.ndarray:
    """Return values as float64: fills as NaN, then scaled and shifted."""
    stored = np.asarray(variable[:])
    if attribute(variable, "_Unsigned").lower() == "true" and stored.dtype.kind == "i":
        stored = stored.view(stored.dtype.str.replace("i", "u"))
    values = stored.astype(float)
    missing = ~np.isfinite(values) | np.isin(values, _NO_DATA)
    for name in ("_FillValue", "missing_value"):
        for fill in np.ravel(variable.attrs.get(name, [])):
            with contextlib.suppress(TypeError, ValueError):  # a text is no fill of numbers
                number = np.asarray(fill).astype(stored.dtype) if stored.dtype.kind == "f" else fill
                missing |= values == float(number)
    values = values * float(np.ravel(variable.attrs.get("scale_factor", 1.0))[0])
    values = values + float(np.ravel(variable.attrs.get("add_offset", 0.0))[0])
    values[missing] = np.nan
    return values


def _numbers(value: object) -> np.ndarray:
    return np.asarray(value).astype(np.int64)
