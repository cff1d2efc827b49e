"""HMI's full-disc images, line-of-sight field and continuum: told and checked by their headers."""

from __future__ import annotations

import numpy as np

from dataset_models.fits_files.cards import HeaderCards, finite_number, integer
from dataset_models.fits_files.header_time import observation_time
from dataset_models.SDO.fits_image import ImageHeader, sdo_coordinates, unneeded_lost
from dataset_models.solar_data import DataIntegrityError
from tools.channels import HMI_CHANNELS

__all__ = ["check_field", "hmi_header"]

_CONTENT = {"magnetogram": "B_los", "continuum": "continuum"}
_UNITS = {"B_los": ("gauss", "g", "mx/cm^2", "mx cm-2"), "continuum": ("dn/s", "dn / s", "ct / s")}
_OTHER_FIELDS = ("vector", "strength", "inclination", "azimuth", "disambig", "error")
_LIMITS = {"B_los": (-1e4, 1e4), "continuum": (-999.0, 3e5)}  # G; DN / s, the quiet Sun has 6e4
_FEWEST_SIGNED = 1000  # pixels of which some lie below 0, if both polarities can be seen
_CADENCE_S = 45.0  # an observable is known when its last filtergram is in


def hmi_header(cards: HeaderCards, name: str) -> ImageHeader:
    """Check the header of an HMI image.

    Raises
    ------
    DataIntegrityError
        If it is no full-disc field along the line of sight and no continuum, has another unit, or
        lacks what is needed to place it.
    """
    content = str(cards.get("CONTENT", "unknown"))
    channel = next((c for word, c in _CONTENT.items() if word in content.lower()), None)
    if channel is None or any(word in content.lower() for word in _OTHER_FIELDS):
        raise DataIntegrityError(
            f"{name}: expected an HMI magnetogram or continuum ({', '.join(HMI_CHANNELS)}), got "
            f"one whose CONTENT is {content!r}"
        )
    unit = str(cards.get("BUNIT", "none"))
    if unit.strip().lower() not in _UNITS[channel]:
        raise DataIntegrityError(
            f"{name}: expected {channel} in {' or '.join(_UNITS[channel][:2])}, got {unit!r}"
        )
    try:
        shape = (int(cards["NAXIS2"]), int(cards["NAXIS1"]))
        time, quality = observation_time(cards), integer(cards, "QUALITY", 0)
        wcs, notes = sdo_coordinates(cards, shape)
        cadence_s = finite_number(cards, "CADENCE", _CADENCE_S)
        if not 0 < cadence_s <= 3600:
            raise ValueError(f"CADENCE is {cadence_s}")
    except (KeyError, ValueError, TypeError) as error:
        raise DataIntegrityError(
            f"{name}: its header lacks or garbles a value ({error})"
        ) from error
    return ImageHeader(
        channel=channel,
        time=time,
        end=time + np.timedelta64(round(cadence_s * 1000), "ms"),
        exposure_s=1.0,
        quality=quality,
        is_per_second=True,
        wcs=wcs,
        shape=shape,
        limits=_LIMITS[channel],
        notes=tuple(f"{name}: {note}" for note in notes),
        lost_cards=unneeded_lost(cards),
    )


def check_field(header: ImageHeader, data: np.ndarray, name: str) -> None:
    """Raise DataIntegrityError if a field along the line of sight is never negative.

    A strength, an inclination or an azimuth is not; the field of both polarities is.
    """
    if header.channel != "B_los":
        return
    known = data[np.isfinite(data)]
    if known.size >= _FEWEST_SIGNED and known.min() >= 0 and known.max() > known.min():
        raise DataIntegrityError(
            f"{name}: expected a field along the line of sight, but no pixel is negative; a field "
            "strength looks like this"
        )
