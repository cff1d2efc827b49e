"""One AIA image from a FITS file or a map: checked by its header, calibrated, averaged."""

from __future__ import annotations

import astropy.units as u
import numpy as np
from astropy.io import fits

from dataset_models.SDO.fits_image import ImageHeader, coordinates, number_of, time_of
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS, aia_degradation

__all__ = ["aia_header", "aia_throughput"]

_SHORTEST_EXPOSURE_S, _LONGEST_EXPOSURE_S = 1e-3, 600.0
_LEAST_THROUGHPUT = 0.02  # below, the extrapolated calibration says nothing


def aia_throughput(header: ImageHeader, name: str) -> float:
    """Give what is left of the channel's throughput at the image's time.

    Raises
    ------
    DataIntegrityError
        If the calibration doesn't reach that time.
    """
    try:
        throughput = float(aia_degradation(header.channel, np.array([header.time]))[0])
    except ValueError as error:
        raise DataIntegrityError(f"{name}: {error}") from None
    if throughput < _LEAST_THROUGHPUT:
        raise DataIntegrityError(
            f"{name}: the calibration leaves {throughput:.3f} of {header.channel} angstrom's "
            f"throughput at {header.time}, too little to correct for"
        )
    return throughput


def aia_header(header: fits.Header, name: str) -> ImageHeader:
    """Check the header of an AIA image.

    Raises
    ------
    DataIntegrityError
        If it is of a channel that we do not use, or lacks what is needed to calibrate it.
    """
    try:
        channel = number_of(header, "WAVELNTH")
    except ValueError:
        channel = header.get("WAVELNTH")
    if channel not in AIA_CHANNELS:
        raise DataIntegrityError(
            f"{name}: expected a channel of {', '.join(map(str, AIA_CHANNELS))} angstrom, got "
            f"{channel}"
        )
    try:
        time = time_of(header)
        exposure_s, quality = float(header["EXPTIME"]), number_of(header, "QUALITY", 0)
        wcs = coordinates(header)
    except (KeyError, ValueError, TypeError) as error:
        raise DataIntegrityError(
            f"{name}: its header lacks or garbles a value ({error})"
        ) from error
    if not _SHORTEST_EXPOSURE_S < exposure_s < _LONGEST_EXPOSURE_S:
        raise DataIntegrityError(f"{name}: its header's exposure time is {exposure_s} s")
    return ImageHeader(
        channel=channel,
        time=time,
        end=time + np.timedelta64(round(exposure_s * 1000), "ms"),
        exposure_s=exposure_s,
        quality=quality,
        is_per_second=_is_per_second(str(header.get("BUNIT", "DN")), name),
        wcs=wcs,
        shape=(int(header["NAXIS2"]), int(header["NAXIS1"])),
    )


def _is_per_second(text: str, name: str) -> bool:
    """Say whether a unit is per second; DN, counts and DN per pixel are not."""
    try:
        unit = u.Unit(text.replace("DN", "ct").replace("dn", "ct").replace("counts", "ct"))
    except ValueError:
        raise DataIntegrityError(f"{name}: the unit {text!r} can't be read") from None
    for power, answer in ((0, False), (-1, True)):
        if any((unit / (base * u.s**power)).is_unity() for base in (u.ct, u.ct / u.pix)):
            return answer
    raise DataIntegrityError(f"{name}: expected DN or DN / s, got {text!r}")
