"""The six channels that see the corona's temperature, at one time, on one grid of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.fits_file import aia_throughput
from dataset_models.SDO.fits_image import ImageHeader, image_of, opened_image
from dataset_models.SDO.image_file import name_of, read_header
from dataset_models.solar_data import DataIntegrityError
from tools.channels import CAMERA
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS

__all__ = ["SixChannels", "read_six_arrays", "read_six_images"]

_LARGEST_SPREAD_S = 60.0  # AIA takes all its channels every 12 or 24 s
_POINTING_PIXELS = 0.5  # how far places may differ between the channels
_FULL_PIXEL_ARCSEC = 0.6


@dataclass(frozen=True)
class SixChannels:
    """Brightness of every pixel in the six channels.

    Attributes
    ----------
    dn : (y, x, 6) float32
        DN s-1 pix-1 (of a full-resolution pixel), corrected for degradation; NaN where missing.
        Channels in the order of ``RESPONSE_CHANNELS``; row 0 is the southern edge.
    sigma : (y, x, 6) float32
        Its error of one sigma.
    saturated : (y, x, 6) bool
    wcs : dict
        FITS keywords of the coordinates; empty where there are none.
    time : str
        Start of the first exposure, UTC; empty where unknown.
    names : tuple of str
        Of the files.
    """

    dn: np.ndarray
    sigma: np.ndarray
    saturated: np.ndarray
    wcs: dict
    time: str
    names: tuple[str, ...]


def read_six_images(
    images: Sequence[object],
    *,
    largest_spread_s: float = _LARGEST_SPREAD_S,
    degradation_corrected: bool = False,
) -> SixChannels:
    """Read six FITS files or Maps, one of each channel, of one time and pointing.

    Parameters
    ----------
    images : sequence of str, Path or sunpy Map
    largest_spread_s : float
        How far apart their times may lie.
    degradation_corrected : bool
        Whether they were corrected for AIA's loss of throughput before; a file doesn't tell.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    DataIntegrityError
        If a file is none of AIA, a channel is lacking or there twice, or times, shapes or pointing
        differ.
    """
    headers = [(image, read_header(image)) for image in images]
    by_channel: dict[int, tuple[object, ImageHeader]] = {}
    for image, header in headers:
        if header.channel not in RESPONSE_CHANNELS:
            raise DataIntegrityError(
                f"{name_of(image)}: {header.channel} is no channel of the temperature responses "
                f"({', '.join(map(str, RESPONSE_CHANNELS))} angstrom)"
            )
        if header.channel in by_channel:
            raise DataIntegrityError(
                f"{name_of(image)}: {header.channel} angstrom is there twice, also in "
                f"{name_of(by_channel[header.channel][0])}"
            )
        by_channel[header.channel] = (image, header)
    lacking = [str(c) for c in RESPONSE_CHANNELS if c not in by_channel]
    if lacking:
        raise DataIntegrityError(
            f"expected one image of each of {', '.join(map(str, RESPONSE_CHANNELS))} angstrom; "
            f"lacking: {', '.join(lacking)}"
        )
    ordered = [by_channel[channel] for channel in RESPONSE_CHANNELS]
    _require_one_view(ordered, largest_spread_s)
    rates, seconds, throughputs, saturated = [], [], [], []
    for channel, (image, header) in zip(RESPONSE_CHANNELS, ordered, strict=True):
        with opened_image(image) as (name, _, holder):
            data = image_of(holder, header.shape, name)
        left = 1.0 if degradation_corrected else aia_throughput(header, name)
        counts = data * header.exposure_s if header.is_per_second else data
        saturated.append(counts >= 0.98 * CAMERA[channel].saturation_dn)
        rates.append(counts / header.exposure_s / left)
        seconds.append(header.exposure_s)
        throughputs.append(left)
    dn = np.stack(rates, axis=-1).astype(np.float32)
    first = ordered[0][1]
    averaged = max(abs(first.wcs["CDELT1"]) / _FULL_PIXEL_ARCSEC, 1.0) ** 2
    sigma = aia_noise(
        dn,
        RESPONSE_CHANNELS,
        exposure_s=np.array(seconds),
        throughput=np.array(throughputs),
        pixels_averaged=averaged,
    )
    return SixChannels(
        dn,
        sigma.astype(np.float32),
        np.stack(saturated, axis=-1),
        first.wcs,
        str(min(header.time for _, header in ordered)),
        tuple(name_of(image) for image, _ in ordered),
    )


def read_six_arrays(path: str | Path) -> SixChannels:
    """Read an .npy array (6, y, x) of brightness in DN s-1 pix-1, corrected for degradation.

    Negative values are taken as they are; the errors are those of single exposures of the usual
    length and full-resolution pixels.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it can't be read or has another shape.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataIntegrityError(f"{path.name} can't be read as .npy: {error}") from error
    real = np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)
    if array.ndim != 3 or array.shape[0] != len(RESPONSE_CHANNELS) or not real:
        raise DataIntegrityError(
            f"{path.name}: expected numbers with the shape (6, y, x), channels "
            f"{', '.join(map(str, RESPONSE_CHANNELS))}; got {array.shape} of {array.dtype}"
        )
    dn = np.moveaxis(array, 0, -1).astype(np.float32)
    sigma = aia_noise(dn, RESPONSE_CHANNELS).astype(np.float32)
    return SixChannels(dn, sigma, np.zeros(dn.shape, bool), {}, "", (path.name,))


def _require_one_view(ordered: list[tuple[object, ImageHeader]], largest_spread_s: float) -> None:
    """Raise if images differ in time, shape or pointing."""
    times = np.array([header.time for _, header in ordered])
    spread = float((times.max() - times.min()) / np.timedelta64(1, "s"))
    if spread > largest_spread_s:
        raise DataIntegrityError(
            f"the images are {spread:.0f} s apart, from {times.min()} to {times.max()}; allowed "
            f"are {largest_spread_s:.0f} s (--spread)"
        )
    first, one = ordered[0]
    corners = _corners(one)
    for image, header in ordered[1:]:
        if header.shape != one.shape:
            raise DataIntegrityError(
                f"{name_of(image)} has {header.shape} pixels, {name_of(first)} {one.shape}; "
                "bring them onto one grid first (aiapy.calibrate.register)"
            )
        away = np.abs(_corners(header) - corners).max() / abs(one.wcs["CDELT1"])
        if away > _POINTING_PIXELS:
            raise DataIntegrityError(
                f"{name_of(image)} points elsewhere than {name_of(first)}, by {away:.1f} pixels; "
                "bring them onto one grid first (aiapy.calibrate.register)"
            )


def _corners(header: ImageHeader) -> np.ndarray:
    """Give the places of an image's corners, (4, 2) arcsec."""
    wcs, (height, width) = header.wcs, header.shape
    angle = np.radians(wcs.get("CROTA2", 0.0))
    turn = np.array(
        [
            [wcs.get("PC1_1", np.cos(angle)), wcs.get("PC1_2", -np.sin(angle))],
            [wcs.get("PC2_1", np.sin(angle)), wcs.get("PC2_2", np.cos(angle))],
        ]
    )
    pixels = np.array([[1, 1], [1, height], [width, 1], [width, height]], float)
    steps = (pixels - [wcs["CRPIX1"], wcs["CRPIX2"]]) @ turn.T * [wcs["CDELT1"], wcs["CDELT2"]]
    return steps + [wcs["CRVAL1"], wcs["CRVAL2"]]
