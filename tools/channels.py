"""AIA's channels and what its cameras do to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tools.tables import read_table

__all__ = [
    "AIA_CHANNELS",
    "CALIBRATION",
    "CALIBRATIONS",
    "CAMERA",
    "HMI_CHANNELS",
    "Camera",
    "aia_degradation",
    "channel_name",
    "channel_unit",
    "is_extrapolated",
]

AIA_CHANNELS = (94, 131, 171, 193, 211, 304, 335, 1600)  # angstrom; the order of all images
CALIBRATIONS = ("v10", "v8")
CALIBRATION = CALIBRATIONS[0]
_ISSUED = {"v10": np.datetime64("2020-11-19"), "v8": np.datetime64("2017-12-10")}
HMI_CHANNELS = ("B_los", "continuum")  # field along the line of sight, continuum at 6173 angstrom


@dataclass(frozen=True)
class Camera:
    """One channel's camera.

    Attributes
    ----------
    dn_per_photon : float
        Of the calibration, the same in versions 8 and 10.
    exposure_s : float
        Usual exposure time.
    read_noise_dn : float
        Per full-resolution pixel and exposure (Boerner et al. 2012).
    saturation_dn : float
        Largest value that the 14-bit converter gives.
    """

    dn_per_photon: float
    exposure_s: float
    read_noise_dn: float = 1.15
    saturation_dn: float = 16383.0


CAMERA = {
    94: Camera(1.97671, 2.9),
    131: Camera(1.47100, 2.9),
    171: Camera(1.12159, 2.0),
    193: Camera(0.95137, 2.0),
    211: Camera(0.87843, 2.9),
    304: Camera(0.61097, 2.9),
    335: Camera(0.57542, 2.9),
    1600: Camera(0.11994, 2.9),
}


def channel_name(channel: int | str) -> str:
    """Return what a channel is called in pictures and tables."""
    return f"{channel} Å" if isinstance(channel, int) else f"HMI {channel}"


def channel_unit(channel: int | str) -> str:
    """Return the unit of a channel's values, in astropy's spelling."""
    return {"B_los": "G", "continuum": "DN s-1"}.get(str(channel), "DN s-1 pix-1")


def is_extrapolated(times: np.ndarray, version: str = CALIBRATION) -> np.ndarray:
    """Return which times lie after the day on which a calibration was issued, (sample,) bool.

    Later losses of throughput are extrapolated, although the tables name later ends.
    """
    return np.atleast_1d(np.asarray(times, "datetime64[s]")) > _ISSUED[_known(version)]


def _known(version: str) -> str:
    if version not in CALIBRATIONS:
        raise ValueError(f"expected a calibration of {', '.join(CALIBRATIONS)}, got {version!r}")
    return version


@cache
def _epochs(
    channel: int, version: str
) -> list[tuple[np.datetime64, np.datetime64, tuple[float, ...]]]:
    columns, rows = read_table(f"aia_degradation_{version}")
    found = []
    for row in rows:
        cells = dict(zip(columns, row, strict=True))
        if int(cells["wavelength_angstrom"]) == channel:
            numbers = ("area_cm2", "p1_per_day", "p2_per_day2", "p3_per_day3")
            start, stop = (np.datetime64(cells[name], "s") for name in ("start", "stop"))
            found.append((start, stop, tuple(float(cells[name]) for name in numbers)))
    return sorted(found)


def aia_degradation(channel: int, times: np.ndarray, version: str = CALIBRATION) -> np.ndarray:
    """Return what is left of a channel's throughput, relative to its first calibration epoch.

    Divide data by it. After the day of issue (``is_extrapolated``) it is extrapolated.

    Parameters
    ----------
    channel : int
        Angstrom.
    times : (sample,) datetime64
    version : {"v10", "v8"}
        Of the calibration: issued in November 2020 and in December 2017.

    Returns
    -------
    (sample,) float64

    Raises
    ------
    ValueError
        If the channel or version has no calibration, or a time lies before 2010-03-24.
    """
    epochs = _epochs(channel, _known(version))
    if not epochs:
        raise ValueError(
            f"no calibration for {channel} angstrom; known are {', '.join(map(str, AIA_CHANNELS))}"
        )
    times = np.atleast_1d(np.asarray(times, "datetime64[s]"))
    if (times < epochs[0][0]).any():
        raise ValueError(f"AIA's calibration begins at {epochs[0][0]}, asked for {times.min()}")
    starts = np.array([start for start, _, _ in epochs])
    which = np.searchsorted(starts, times, side="right") - 1
    area, p1, p2, p3 = np.array([numbers for _, _, numbers in epochs])[which].T
    days = (times - starts[which]) / np.timedelta64(86400, "s")
    return area * (1 + p1 * days + p2 * days**2 + p3 * days**3) / epochs[0][2][0]
