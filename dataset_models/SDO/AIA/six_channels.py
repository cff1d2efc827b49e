"""The six channels that see the corona's temperature, at one time, on one grid of pixels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from dataset_models.fits_files.opening import name_of
from dataset_models.plain_arrays import load_array
from dataset_models.reading_summary import ReadingSummary, lost_cards_note
from dataset_models.SDO.AIA.channel_alignment import corner_offset, resampled
from dataset_models.SDO.AIA.fits_file import aia_throughput, extrapolation_warning
from dataset_models.SDO.fits_image import ImageHeader
from dataset_models.SDO.image_file import read_headers, read_values
from dataset_models.solar_data import DataIntegrityError
from tools.channels import CALIBRATION, CAMERA, is_extrapolated
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.emission_measure.response_table import AIA

__all__ = ["Observation", "SixChannels", "read_six_arrays", "read_six_images"]

logger = logging.getLogger(__name__)

_LARGEST_SPREAD_S = 60.0  # AIA takes all its channels every 12 or 24 s
_POINTING_PIXELS = 0.5  # how far places may differ between the channels
_FULL_PIXEL_ARCSEC = 0.6
_SATURATED = 0.98  # of the converter's range
_EXPOSURE_S = tuple(CAMERA[c].exposure_s for c in RESPONSE_CHANNELS)


class Observation(Protocol):
    """What an inversion needs of data: brightness in some channels, read a few rows at a time."""

    instrument: str
    channels: tuple[int | str, ...]
    unit: str
    shape: tuple[int, int]
    is_corrected: bool
    is_synthetic: bool
    wcs: dict
    time: str
    names: tuple[str, ...]
    calibration: str

    def tile(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give brightness, its error of one sigma, and what is saturated, (y, x, channel)."""


@dataclass(frozen=True)
class SixChannels:
    """Brightness of every pixel in the six channels.

    Attributes
    ----------
    dn : (y, x, 6) float
        DN s-1 pix-1 (of a full-resolution pixel); NaN where missing. May lie on disk. Channels in
        the order of ``RESPONSE_CHANNELS``; row 0 is the southern edge.
    wcs : dict
        FITS keywords of the coordinates; empty where there are none.
    time : str
        Start of the first exposure, UTC; empty where unknown.
    names : tuple of str
        Of the files.
    exposure_s : (6,) float
    throughput : (6,) float
        What was left of each channel's, and was divided by; 1 where it was not.
    pixels_averaged : float
        Full-resolution pixels in a pixel.
    saturation_dn : float
        From where on an exposure is overfull; infinite where the data don't tell.
    is_corrected : bool
        Whether the loss of throughput was corrected for.
    is_synthetic : bool
    calibration : str
        Version of AIA's calibration that the loss of throughput is taken from; empty if unknown.
    """

    dn: np.ndarray
    wcs: dict
    time: str
    names: tuple[str, ...]
    exposure_s: np.ndarray = field(default_factory=lambda: np.array(_EXPOSURE_S))
    throughput: np.ndarray = field(default_factory=lambda: np.ones(len(RESPONSE_CHANNELS)))
    pixels_averaged: float = 1.0
    saturation_dn: float = _SATURATED * CAMERA[171].saturation_dn
    is_corrected: bool = True
    is_synthetic: bool = False
    calibration: str = ""

    instrument = AIA
    channels = RESPONSE_CHANNELS
    unit = "DN s-1 pix-1"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.dn.shape[:2]

    def tile(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give some rows.

        Returns
        -------
        dn, sigma : (y, x, 6) float32
            Brightness and its error of one sigma, DN s-1 pix-1.
        saturated : (y, x, 6) bool
        """
        with np.errstate(over="ignore"):
            dn = np.array(self.dn[rows], np.float32, order="C")
        dn[~np.isfinite(dn)] = np.nan
        sigma = aia_noise(
            dn,
            RESPONSE_CHANNELS,
            exposure_s=self.exposure_s,
            throughput=self.throughput,
            pixels_averaged=self.pixels_averaged,
        )
        counts = dn * (self.exposure_s * self.throughput).astype(np.float32)
        return dn, sigma.astype(np.float32), counts >= self.saturation_dn

    @property
    def sigma(self) -> np.ndarray:
        """The errors of all pixels, (y, x, 6) float32."""
        return self.tile(slice(None))[1]

    @property
    def saturated(self) -> np.ndarray:
        """What is saturated of all pixels, (y, x, 6) bool."""
        return self.tile(slice(None))[2]


def read_six_images(
    images: Sequence[object],
    *,
    largest_spread_s: float = _LARGEST_SPREAD_S,
    degradation: str = "data",
    is_coregistered: bool = False,
    calibration: str = CALIBRATION,
) -> SixChannels:
    """Read six FITS files or Maps, one of each channel, of one time and pointing.

    Parameters
    ----------
    images : sequence of str, Path or sunpy Map
    largest_spread_s : float
        How far apart their times may lie.
    degradation : str
        ``data``: correct for AIA's loss of throughput; ``before``: they were corrected, which a
        file doesn't tell; ``response``: leave the data as they are, the response is scaled.
    is_coregistered : bool
        Whether to interpolate images onto the first one's pixels where their places differ.
    calibration : str
        Version of AIA's calibration that they are corrected by, one of ``CALIBRATIONS``.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    DataIntegrityError
        If a file is none of AIA, a channel is lacking or there twice, or times, shapes or pointing
        differ.
    """
    headers, left_out = _headers(images)
    by_channel = _by_channel(headers)
    ordered = [by_channel[channel] for channel in RESPONSE_CHANNELS]
    _require_one_time(ordered, largest_spread_s)
    grid_image, grid = headers[0]
    if not is_coregistered:
        _require_one_grid(ordered, grid_image, grid)
    mended: list[str] = []
    notes = lost_cards_note(Counter(key for _, header in ordered for key in header.lost_cards))
    late = int(is_extrapolated([h.time for _, h in ordered], calibration).sum())
    if late and degradation != "before":
        notes.append(extrapolation_warning(late, calibration))
    dn = np.empty((*grid.shape, len(ordered)), np.float32)
    seconds, throughputs = [], []
    for k, (image, header) in enumerate(ordered):
        if header.quality:
            mended.append(f"{name_of(image)}: its QUALITY is {header.quality:#x}; look at it")
        left, divided = _throughput(header, name_of(image), degradation, calibration)
        widened = 1 / left if degradation == "before" else 1.0
        values = read_values(image, header, widened=widened)
        mended += [values.mended(name_of(image))] if values.mended(name_of(image)) else []
        rate = _rate(values.data, header, grid, is_coregistered, name_of(image))
        dn[..., k] = rate / divided
        seconds.append(header.exposure_s)
        throughputs.append(left)
    mended += [note for _, header in ordered for note in header.notes]
    n_given = len(ordered) + len(left_out)
    summary = ReadingSummary(n_given, tuple(left_out), tuple(mended), tuple(notes))
    level = logging.WARNING if left_out or mended or notes else logging.INFO
    for line in summary.lines(what="images"):
        logger.log(level, "%s", line)
    return SixChannels(
        dn,
        grid.wcs,
        str(min(header.time for _, header in ordered)),
        tuple(name_of(image) for image, _ in ordered),
        exposure_s=np.array(seconds),
        throughput=np.array(throughputs),
        pixels_averaged=max(abs(grid.wcs["CDELT1"]) / _FULL_PIXEL_ARCSEC, 1.0) ** 2,
        is_corrected=degradation != "response",
        calibration="" if degradation == "before" else calibration,
    )


def read_six_arrays(path: str | Path, *, pixels_averaged: float = 1.0) -> SixChannels:
    """Read an .npy array (6, y, x) of brightness in DN s-1 pix-1, corrected for degradation.

    Negative values are taken as they are; the errors are those of single exposures of the usual
    length. The array stays on disk.

    Parameters
    ----------
    path : str or Path
    pixels_averaged : float
        Full-resolution pixels whose mean a pixel is.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it can't be read or has another shape.
    """
    array = load_array(path, "channels " + ", ".join(map(str, RESPONSE_CHANNELS)))
    if array.shape[0] != len(RESPONSE_CHANNELS):
        raise DataIntegrityError(
            f"{Path(path).name}: expected numbers with the shape (6, y, x), channels "
            f"{', '.join(map(str, RESPONSE_CHANNELS))}; got {array.shape}"
        )
    return SixChannels(
        np.moveaxis(array, 0, -1),
        {},
        "",
        (Path(path).name,),
        pixels_averaged=pixels_averaged,
        saturation_dn=np.inf,
    )


def _headers(images: Sequence[object]) -> tuple[list[tuple[object, ImageHeader]], list[str]]:
    """Return all images in the files with their headers, and a sentence for each left out."""
    headers, left_out = [], []
    for image in images:
        found, unused = read_headers(image)
        headers += found
        left_out += unused
    return headers, left_out


def _by_channel(headers: list[tuple[object, ImageHeader]]) -> dict[int, tuple[object, ImageHeader]]:
    """Give the images by channel; raise where one is lacking, there twice, or another's."""
    found: dict[int, tuple[object, ImageHeader]] = {}
    for image, header in headers:
        if header.channel not in RESPONSE_CHANNELS:
            raise DataIntegrityError(
                f"{name_of(image)}: {header.channel} is no channel of the temperature responses "
                f"({', '.join(map(str, RESPONSE_CHANNELS))} angstrom)"
            )
        if header.channel in found:
            raise DataIntegrityError(
                f"{name_of(image)}: {header.channel} angstrom is there twice, also in "
                f"{name_of(found[header.channel][0])}"
            )
        found[header.channel] = (image, header)
    lacking = [str(c) for c in RESPONSE_CHANNELS if c not in found]
    if lacking:
        raise DataIntegrityError(
            f"expected one image of each of {', '.join(map(str, RESPONSE_CHANNELS))} angstrom; "
            f"lacking: {', '.join(lacking)}"
        )
    return found


def _throughput(
    header: ImageHeader, name: str, degradation: str, calibration: str
) -> tuple[float, float]:
    """Give what is, or was, divided by (the noise needs it), and what to divide by now."""
    if degradation == "response":
        return 1.0, 1.0
    try:
        left = aia_throughput(header, name, calibration)
    except DataIntegrityError:
        if degradation == "data":
            raise
        left = 1.0
    return left, left if degradation == "data" else 1.0


def _rate(
    data: np.ndarray, header: ImageHeader, grid: ImageHeader, is_coregistered: bool, name: str
) -> np.ndarray:
    """Give DN s-1 pix-1, (y, x), on the grid; saturated pixels stay so when they are moved."""
    seconds = header.exposure_s
    rate = data / seconds if not header.is_per_second else data
    same = header.shape == grid.shape and corner_offset(grid.shape, grid.wcs, header.wcs) < 0.01
    if not is_coregistered or same:
        return rate
    full = _SATURATED * CAMERA[header.channel].saturation_dn / seconds
    overfull = rate >= full
    moved = resampled(np.where(overfull, np.nan, rate), header.wcs, grid.shape, grid.wcs, name)
    if overfull.any():
        share = resampled(overfull.astype(float), header.wcs, grid.shape, grid.wcs, name)
        moved[share > 0.25] = CAMERA[header.channel].saturation_dn / seconds
    return moved


def _require_one_time(ordered: list[tuple[object, ImageHeader]], largest_spread_s: float) -> None:
    """Raise if images were taken at different times."""
    times = np.array([header.time for _, header in ordered])
    spread = float((times.max() - times.min()) / np.timedelta64(1, "s"))
    if spread > largest_spread_s:
        raise DataIntegrityError(
            f"the images are {spread:.0f} s apart, from {times.min()} to {times.max()}; allowed "
            f"are {largest_spread_s:.0f} s (--spread)"
        )


def _require_one_grid(
    ordered: list[tuple[object, ImageHeader]], first: object, grid: ImageHeader
) -> None:
    """Raise if images differ in shape or pointing."""
    remedy = "bring them onto one grid first (aiapy.calibrate.register), or give --coregister"
    for image, header in ordered:
        if header.shape != grid.shape:
            raise DataIntegrityError(
                f"{name_of(image)} has {header.shape} pixels, {name_of(first)} {grid.shape}; "
                f"{remedy}"
            )
        away = corner_offset(grid.shape, grid.wcs, header.wcs)
        if not away <= _POINTING_PIXELS:
            raise DataIntegrityError(
                f"{name_of(image)} points elsewhere than {name_of(first)}, by {away:.1f} pixels; "
                f"{remedy}"
            )
