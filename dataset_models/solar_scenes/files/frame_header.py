"""What the header of any instrument's frame says: time, instrument, region, coordinates."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from astropy.wcs import WCS

from dataset_models.fits_files.coordinates import (
    COORDINATE_KEY,
    astropy_wcs,
    celestial_coordinates,
)
from dataset_models.fits_files.header_time import TIME_KEYS, observation_time

__all__ = ["frame_time", "frame_wcs", "instrument_of", "is_needed", "region_number"]

_SCANNED = {*TIME_KEYS, "TIMESYS", "TELESCOP", "INSTRUME", "NOAA_AR", "NOAA_NUM"}
_SCANNED |= {"XCEN", "YCEN", "XTENSION", "COMMENT", "HISTORY", "INHERIT"}
_FIRST_REGION = 100  # smaller numbers count regions in SHARP headers, 0 is none


def is_needed(key: str) -> bool:
    """Return whether a card says something of time, instrument or place."""
    return key in _SCANNED or bool(COORDINATE_KEY.fullmatch(key))


def frame_time(cards: Mapping) -> str:
    """Return the time of observation in UTC as ISO text with milliseconds, "" where unknown."""
    try:
        return str(observation_time(cards))
    except (KeyError, ValueError):
        return ""


def instrument_of(cards: Mapping) -> str:
    """Return telescope and instrument as one text, "" where the header names none."""
    words = (str(cards.get(key, "")).strip() for key in ("TELESCOP", "INSTRUME"))
    return " ".join(word for word in words if word)


def region_number(cards: Mapping) -> int:
    """Return NOAA's number of the active region, 0 where the header names none."""
    for key in ("NOAA_AR", "NOAA_NUM"):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = int(cards.get(key, 0))
            if number >= _FIRST_REGION:
                return number
    return 0


def frame_wcs(cards: Mapping, shape: tuple[int, int]) -> WCS | None:
    """Return the coordinates of a frame, None where they can't be used.

    Helioprojective ones, also in SolarSoft's spelling ``Solar-X``, and heliographic maps,
    Carrington's or Stonyhurst's. Only the cards of the coordinates are taken, so that others,
    however damaged, do no harm. A scale that is missing is not invented.
    """
    try:
        coordinates = celestial_coordinates(cards, shape, with_maps=True)
        wcs = astropy_wcs(coordinates, time=frame_time(cards))
    except (KeyError, ValueError):
        return None
    wcs.pixel_shape = shape[::-1]
    return wcs
