"""HMI's full-disc images, line-of-sight field and continuum: told and checked by their headers."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from dataset_models.SDO.fits_image import ImageHeader, coordinates, number_of, time_of
from dataset_models.solar_data import DataIntegrityError
from tools.channels import HMI_CHANNELS

__all__ = ["hmi_header"]

_CONTENT = {"magnetogram": "B_los", "continuum": "continuum"}
_UNITS = {"B_los": ("gauss", "g", "mx/cm^2", "mx cm-2"), "continuum": ("dn/s", "dn / s", "ct / s")}
_CADENCE_S = 45.0  # an observable is known when its last filtergram is in


def hmi_header(header: fits.Header, name: str) -> ImageHeader:
    """Check the header of an HMI image.

    Raises
    ------
    DataIntegrityError
        If it is no full-disc field along the line of sight and no continuum, has another unit, or
        lacks what is needed to place it.
    """
    content = str(header.get("CONTENT", "unknown"))
    channel = next((c for word, c in _CONTENT.items() if word in content.lower()), None)
    if channel is None:
        raise DataIntegrityError(
            f"{name}: expected an HMI magnetogram or continuum ({', '.join(HMI_CHANNELS)}), got "
            f"one whose CONTENT is {content!r}"
        )
    unit = str(header.get("BUNIT", "none"))
    if unit.strip().lower() not in _UNITS[channel]:
        raise DataIntegrityError(
            f"{name}: expected {channel} in {' or '.join(_UNITS[channel][:2])}, got {unit!r}"
        )
    try:
        time, quality = time_of(header), number_of(header, "QUALITY", 0)
        wcs = coordinates(header)
        cadence_s = float(header.get("CADENCE", _CADENCE_S))
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
        shape=(int(header["NAXIS2"]), int(header["NAXIS1"])),
    )
