"""Where a pixel lies on the sky: helioprojective arcseconds, also from heliographic maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dataset_models.solar_scenes.frame_header import quietly

if TYPE_CHECKING:
    from dataset_models.solar_scenes.frames import Frame

__all__ = ["position_arcsec"]

_SOLAR_RADIUS_M = 6.957e8  # IAU 2015 resolution B3
_ARCSEC = 3600.0


def position_arcsec(frame: Frame, x: float, y: float) -> tuple[float, float]:
    """Give the helioprojective position of a pixel, as seen by the frame's observer.

    Places on heliographic maps are projected by Thompson (2006, A&A 449, 791), eqs. 11 and 15; the
    observer is the header's, else the Earth at the frame's time.

    Parameters
    ----------
    frame : Frame
    x, y : float or array
        Column and row, counted from 0 at the centre of the first pixel.

    Returns
    -------
    hpc_x, hpc_y : float or array, arcsec
        To the west and to the north; NaN without coordinates, and behind the limb.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    if frame.wcs is None:
        return _plain(np.full(x.shape, np.nan), np.full(x.shape, np.nan))
    with quietly():
        longitude, latitude = frame.wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
    kind = frame.wcs.wcs.ctype[0][:4]
    if kind != "HPLN":
        observer = _observer(frame, kind)
        longitude, latitude = _projected(longitude, latitude, *observer)
    longitude = (longitude + 180) % 360 - 180
    return _plain(*(_ARCSEC * a.reshape(x.shape) for a in (longitude, latitude)))


def _projected(
    longitude: np.ndarray, latitude: np.ndarray, centre: float, tilt: float, distance_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Project places on the Sun (degrees) as seen from above ``centre`` and ``tilt`` (degrees)."""
    east, north, tilt = (np.radians(a) for a in (longitude - centre, latitude, tilt))
    radius = _SOLAR_RADIUS_M
    x = radius * np.cos(north) * np.sin(east)
    y = radius * (np.sin(north) * np.cos(tilt) - np.cos(north) * np.cos(east) * np.sin(tilt))
    z = radius * (np.sin(north) * np.sin(tilt) + np.cos(north) * np.cos(east) * np.cos(tilt))
    away = distance_m - z
    seen = z >= radius**2 / distance_m  # the limb lies where the line of sight is a tangent
    hpc_x = np.degrees(np.arctan2(x, away))
    hpc_y = np.degrees(np.arcsin(y / np.sqrt(x**2 + y**2 + away**2)))
    return np.where(seen, hpc_x, np.nan), np.where(seen, hpc_y, np.nan)


def _observer(frame: Frame, kind: str) -> tuple[float, float, float]:
    """Give the observer's longitude and latitude in degrees and distance in m, NaN if unknown."""
    keys = ("CRLN_OBS", "CRLT_OBS") if kind == "CRLN" else ("HGLN_OBS", "HGLT_OBS")
    given = [_number(frame.header, key) for key in (*keys, "DSUN_OBS")]
    if not np.isfinite(given[1]):  # both systems count latitudes alike
        given[1] = _number(frame.header, "CRLT_OBS" if kind == "HGLN" else "HGLT_OBS")
    if np.isfinite(given).all() or not frame.time:
        return tuple(given)
    from sunpy.coordinates import sun  # takes a second to import

    with quietly():
        earth = (
            sun.L0(frame.time).to_value("deg") if kind == "CRLN" else 0.0,
            sun.B0(frame.time).to_value("deg"),
            sun.earth_distance(frame.time).to_value("m"),
        )
    if not np.isfinite(given[:2]).all():
        return earth
    return given[0], given[1], earth[2]


def _number(header: dict, key: str) -> float:
    value = header.get(key)
    return float(value) if isinstance(value, (int, float)) else np.nan


def _plain(x: np.ndarray, y: np.ndarray) -> tuple:
    return (float(x), float(y)) if x.ndim == 0 else (x, y)
