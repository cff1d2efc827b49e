"""Grids of images at several times: whether the same plasma stays in a pixel, as the Sun turns."""

from __future__ import annotations

import dataclasses

import numpy as np

from dataset_models.SDO.AIA.channel_alignment import corner_offset, resampled
from dataset_models.SDO.AIA.six_channels import SixChannels
from dataset_models.solar_data import DataIntegrityError

__all__ = ["followed_wcs", "grid_offset", "on_one_grid"]

MOST_PIXELS = 1.0  # cutouts that follow the Sun in whole pixels stay within that
_LARGEST_FIELD = 0.6  # of the Sun's radius: a larger field does not move as one
_RADIUS_ARCSEC = 960.0  # the Sun's; it changes by 1.7 % in a year
# Snodgrass & Ulrich 1990, ApJ 351, 309, magnetic features: degrees a day, sidereal
_RATE_DEG_DAY = (14.38, -1.95, -2.17)
_EARTH_DEG_DAY = 0.9856


def followed_wcs(wcs: dict, shape: tuple[int, int], elapsed_s: float) -> dict:
    """Return coordinates that were carried along with the Sun's rotation at a field's centre.

    The tilt of the axis towards the observer (at most 7.3 degrees) is left out: within an hour it
    moves nothing by more than 0.1 of what rotation does. A field with its centre off the disc, or
    that is larger than 0.6 solar radii, stays where it is.

    Parameters
    ----------
    wcs : dict
        FITS keywords in arcsec, without a turn by more than some degrees.
    shape : (y, x)
    elapsed_s : float
        May be negative.
    """
    row, column = (np.array(shape) - 1) / 2
    x = wcs.get("CRVAL1", 0.0) + (column + 1 - wcs["CRPIX1"]) * wcs["CDELT1"]
    y = wcs.get("CRVAL2", 0.0) + (row + 1 - wcs["CRPIX2"]) * wcs["CDELT2"]
    along = np.sqrt(max(_RADIUS_ARCSEC**2 - y**2, 0.0))
    side_arcsec = max(shape) * abs(wcs["CDELT1"])
    if not abs(x) < along or side_arcsec > _LARGEST_FIELD * _RADIUS_ARCSEC:
        return dict(wcs)
    square = (y / _RADIUS_ARCSEC) ** 2
    rate = _RATE_DEG_DAY[0] + _RATE_DEG_DAY[1] * square + _RATE_DEG_DAY[2] * square**2
    angle = np.radians((rate - _EARTH_DEG_DAY) * elapsed_s / 86400)
    moved = along * np.sin(np.arcsin(x / along) + angle) - x
    return {**wcs, "CRPIX1": wcs["CRPIX1"] - moved / wcs["CDELT1"]}


def grid_offset(shape: tuple[int, int], wcs: dict, first: dict, elapsed_s: float) -> float:
    """Return how far an image lies from the first one, carried along with the Sun, in pixels.

    0 where there are no coordinates to tell.
    """
    if not wcs and not first:
        return 0.0
    if not wcs or not first:
        return np.inf
    return corner_offset(shape, followed_wcs(first, shape, elapsed_s), wcs)


def on_one_grid(
    given: SixChannels,
    first_shape: tuple[int, int],
    first_wcs: dict,
    elapsed_s: float,
    *,
    is_coregistered: bool,
) -> SixChannels:
    """Return the channels on the first time's grid, as the Sun carried it.

    Images within a pixel of it stay as they are.

    Parameters
    ----------
    given : SixChannels
    first_shape : (y, x)
    first_wcs : dict
        Of the first time.
    elapsed_s : float
        Since the first time.
    is_coregistered : bool
        Whether to interpolate where they lie elsewhere.

    Raises
    ------
    DataIntegrityError
        If they lie elsewhere and are not to be interpolated, or grids differ too much for it.
    """
    same_shape = given.shape == first_shape
    away = grid_offset(given.shape, given.wcs, first_wcs, elapsed_s) if same_shape else np.inf
    if away <= MOST_PIXELS:
        return given
    if not is_coregistered or not given.wcs or not first_wcs:
        raise DataIntegrityError(
            f"{given.time}: expected {first_shape} pixels within {MOST_PIXELS:g} of the first "
            f"time's grid, as the Sun's rotation carries it; got {given.shape}, "
            f"{away:.1f} pixels away; give --coregister"
        )
    grid = followed_wcs(first_wcs, first_shape, elapsed_s)
    full = given.saturation_dn / (given.exposure_s * given.throughput)
    moved = np.empty((*first_shape, given.dn.shape[2]), np.float32)
    for k in range(moved.shape[2]):
        image = np.asarray(given.dn[..., k], float)
        overfull = image >= full[k]
        name = f"{given.time}, channel {given.channels[k]}"
        moved[..., k] = resampled(
            np.where(overfull, np.nan, image), given.wcs, first_shape, grid, name
        )
        if overfull.any():
            share = resampled(overfull.astype(float), given.wcs, first_shape, grid, name)
            moved[share > 0.25, k] = full[k] * 1.001
    return dataclasses.replace(given, dn=moved, wcs=grid)
