"""Where a pixel lies on the sky: helioprojective arcseconds, also from heliographic maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from dataset_models.fits_files.opening import quietly

if TYPE_CHECKING:
    from astropy.wcs import WCS


__all__ = ["beyond_limb", "position_arcsec", "sky_position"]

_SOLAR_RADIUS_M = 6.957e8  # IAU 2015 resolution B3
_ASTRONOMICAL_UNIT_M = 1.495978707e11
_ARCSEC = 3600.0


class _Placed(Protocol):
    """A frame, as far as its place on the sky goes."""

    wcs: WCS | None
    header: dict
    time: str


def position_arcsec(frame: _Placed, x: float, y: float) -> tuple[float, float]:
    """Return the helioprojective position of a pixel, as seen by the frame's observer.

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
    return sky_position(frame.wcs, frame.header, frame.time, x, y)


def sky_position(wcs: WCS | None, header: dict, time: str, x: float, y: float) -> tuple:
    """Return what ``position_arcsec`` does, of coordinates whose image is not read."""
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    if wcs is None:
        return _plain(np.full(x.shape, np.nan), np.full(x.shape, np.nan))
    with quietly():
        longitude, latitude = wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
    kind = wcs.wcs.ctype[0][:4]
    if kind != "HPLN":
        observer = _observer(header, time, kind)
        longitude, latitude = _projected(longitude, latitude, *observer)
    longitude = (longitude + 180) % 360 - 180
    return _plain(*(_ARCSEC * a.reshape(x.shape) for a in (longitude, latitude)))


def beyond_limb(wcs: WCS | None, header: dict, shape: tuple[int, int]) -> np.ndarray | None:
    """Return which pixels lie beyond the solar limb, None without helioprojective coordinates.

    Parameters
    ----------
    wcs : astropy.wcs.WCS or None
    header : dict
        With RSUN_OBS (arcsec) or DSUN_OBS (m); else the Sun is seen from one astronomical unit.
    shape : (y, x)

    Returns
    -------
    (y, x) bool, or None
    """
    if wcs is None or wcs.wcs.ctype[0][:4] != "HPLN":
        return None
    radius = _number(header, "RSUN_OBS")
    if not radius > 0:
        distance_m = _number(header, "DSUN_OBS")
        distance_m = distance_m if distance_m > 2 * _SOLAR_RADIUS_M else _ASTRONOMICAL_UNIT_M
        radius = _ARCSEC * np.degrees(np.arcsin(_SOLAR_RADIUS_M / distance_m))
    # in the plane of the sky, which is good to an arcsecond where the limb is
    centre = (np.array(wcs.wcs.crval) + 180) % 360 - 180
    column = np.arange(shape[1])[None] + 1 - wcs.wcs.crpix[0]
    row = np.arange(shape[0])[:, None] + 1 - wcs.wcs.crpix[1]
    matrix = wcs.pixel_scale_matrix
    x, y = (c + m[0] * column + m[1] * row for c, m in zip(centre, matrix, strict=True))
    return np.hypot(x, y) * _ARCSEC > radius


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


def _observer(header: dict, time: str, kind: str) -> tuple[float, float, float]:
    """Return the observer's longitude and latitude in degrees and distance in m, NaN if unknown."""
    keys = ("CRLN_OBS", "CRLT_OBS") if kind == "CRLN" else ("HGLN_OBS", "HGLT_OBS")
    given = [_number(header, key) for key in (*keys, "DSUN_OBS")]
    if not np.isfinite(given[1]):  # both systems count latitudes alike
        given[1] = _number(header, "CRLT_OBS" if kind == "HGLN" else "HGLT_OBS")
    if np.isfinite(given).all() or not time:
        return tuple(given)
    from sunpy.coordinates import sun  # takes a second to import

    with quietly():
        earth = (
            sun.L0(time).to_value("deg") if kind == "CRLN" else 0.0,
            sun.B0(time).to_value("deg"),
            sun.earth_distance(time).to_value("m"),
        )
    if not np.isfinite(given[:2]).all():
        return earth
    return given[0], given[1], earth[2]


def _number(header: dict, key: str) -> float:
    value = header.get(key)
    return float(value) if isinstance(value, (int, float)) else np.nan


def _plain(x: np.ndarray, y: np.ndarray) -> tuple:
    return (float(x), float(y)) if x.ndim == 0 else (x, y)
