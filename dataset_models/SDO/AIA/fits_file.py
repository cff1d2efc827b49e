"""AIA's images: told and checked by their headers, with the exposure that the camera took."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dataset_models.fits_files.cards import HeaderCards, finite_number, integer
from dataset_models.fits_files.header_time import observation_time
from dataset_models.fits_files.units import is_per_second, says_normalised
from dataset_models.SDO.fits_image import ImageHeader, sdo_coordinates, unneeded_lost
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS, CALIBRATION, CAMERA, aia_degradation

__all__ = ["aia_header", "aia_throughput", "extrapolation_warning"]

_SHORTEST_EXPOSURE_S, _LONGEST_EXPOSURE_S = 1e-3, 600.0
_LEAST_THROUGHPUT = 0.02  # below, the extrapolated calibration says nothing
_LEAST = -199.0  # DN, or DN / s; read noise is 1.15 DN, -200 and less are fill values
_LARGEST_COUNTS = 10 * 16383.0  # DN; sharpening raises what a 14-bit converter gives, not tenfold
_COMMANDED = "AIMGSHCE"  # exposure that the camera was told to take, ms


def aia_throughput(header: ImageHeader, name: str, version: str = CALIBRATION) -> float:
    """Return what is left of the channel's throughput at the image's time.

    Parameters
    ----------
    version : str
        Of the calibration, one of ``CALIBRATIONS``.

    Raises
    ------
    DataIntegrityError
        If the calibration doesn't reach that time.
    """
    try:
        throughput = float(aia_degradation(header.channel, np.array([header.time]), version)[0])
    except ValueError as error:
        raise DataIntegrityError(f"{name}: {error}") from None
    if throughput < _LEAST_THROUGHPUT:
        raise DataIntegrityError(
            f"{name}: the calibration leaves {throughput:.3f} of {header.channel} angstrom's "
            f"throughput at {header.time}, too little to correct for"
        )
    return throughput


def extrapolation_warning(n_images: int, version: str) -> str:
    """Return the sentence on images after the day on which a calibration was issued."""
    return (
        f"calibration version {version[1:]}: {n_images} images are later than its issue; their "
        "loss of throughput is extrapolated"
    )


def aia_header(cards: HeaderCards, name: str) -> ImageHeader:
    """Check the header of an AIA image.

    Raises
    ------
    DataIntegrityError
        If it is of a channel that we do not use, a dark frame, taken through a thick filter, of
        level 0, or lacks or contradicts what is needed to calibrate it.
    """
    try:
        channel = integer(cards, "WAVELNTH")
    except ValueError:
        channel = cards.get("WAVELNTH")
    if channel not in AIA_CHANNELS:
        raise DataIntegrityError(
            f"{name}: expected a channel of {', '.join(map(str, AIA_CHANNELS))} angstrom, got "
            f"{channel}"
        )
    _refuse_other_kinds(cards, name)
    shape = (int(cards["NAXIS2"]), int(cards["NAXIS1"]))
    try:
        time = observation_time(cards)
        quality = integer(cards, "QUALITY", 0)
        seconds, per_second, notes = _exposure(cards, channel)
        wcs, more = sdo_coordinates(cards, shape)
    except (KeyError, ValueError, TypeError) as error:
        raise DataIntegrityError(
            f"{name}: its header lacks or garbles a value ({error})"
        ) from error
    if not _SHORTEST_EXPOSURE_S < seconds < _LONGEST_EXPOSURE_S:
        raise DataIntegrityError(f"{name}: its header's exposure time is {seconds} s")
    unit = seconds if per_second else 1.0
    return ImageHeader(
        channel=channel,
        time=time,
        end=time + np.timedelta64(round(seconds * 1000), "ms"),
        exposure_s=seconds,
        quality=quality,
        is_per_second=per_second,
        wcs=wcs,
        shape=shape,
        limits=(_LEAST, _LARGEST_COUNTS / unit),
        notes=tuple(f"{name}: {note}" for note in notes + more),
        lost_cards=unneeded_lost(cards),
    )


def _refuse_other_kinds(cards: Mapping, name: str) -> None:
    """Raise DataIntegrityError if a file shows something else than the calibrated Sun."""
    kind = str(cards.get("IMG_TYPE", "LIGHT")).strip().upper()
    filter_name = str(cards.get("WAVE_STR", "")).upper()
    try:
        level = finite_number(cards, "LVL_NUM", 1.0)
    except ValueError:
        level = 1.0  # a name instead of a number
    what = ""
    if kind not in ("LIGHT", ""):
        what = f"its IMG_TYPE is {kind}"
    elif "THICK" in filter_name:
        what = f"its filter is {filter_name}, the calibration is that of the thin ones"
    elif level < 1:
        what = f"its LVL_NUM is {level:g}: neither dark current nor flat field are corrected"
    if what:
        raise DataIntegrityError(f"{name}: expected a calibrated image of the Sun, but {what}")


def _exposure(cards: Mapping, channel: int) -> tuple[float, bool, list[str]]:
    """Return the camera's exposure in s, whether values were divided by it, and what is assumed.

    Raises
    ------
    KeyError, ValueError
        If the exposure or the unit is missing, garbled or contradictory.
    """
    seconds, per_second = finite_number(cards, "EXPTIME"), is_per_second(cards)
    normalised = says_normalised(cards)
    notes = []
    if per_second is None:
        per_second = normalised
        if normalised:
            notes.append("no unit, but HISTORY says that its exposure was normalised: DN / s")
    elif normalised and not per_second:
        raise ValueError(
            "its unit is DN, but HISTORY says that its exposure was normalised; correct BUNIT"
        )
    if seconds != 1.0:
        return seconds, per_second, notes
    # AIA takes no exposure of exactly 1 s: the card was overwritten when values were normalised
    commanded = cards.get(_COMMANDED)
    if isinstance(commanded, (int, float)) and commanded > 0 and commanded != 1000:
        seconds, source = commanded / 1000, f"{_COMMANDED}'s"
    else:
        seconds, source = CAMERA[channel].exposure_s, "the usual"
    notes.append(
        f"EXPTIME is 1 s, so its exposure was normalised; noise and saturation are those of "
        f"{source} {seconds:g} s"
    )
    return seconds, True, notes
