"""One SDO image, of AIA or HMI, from a FITS file or a sunpy Map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.fits_files.cards import HeaderCards, hdu_cards
from dataset_models.fits_files.opening import ImageInFile, image_hdus, name_of, opened_hdus
from dataset_models.fits_files.values import PixelValues, pixel_values
from dataset_models.SDO.AIA.fits_file import aia_header, aia_throughput
from dataset_models.SDO.fits_image import ImageHeader, average_onto_grid, opened_image, plane_cards
from dataset_models.SDO.HMI.fits_file import check_field, hmi_header
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS, CALIBRATION

__all__ = ["SDOImage", "read_header", "read_headers", "read_image", "read_values"]


@dataclass(frozen=True)
class SDOImage:
    """A calibrated image on our grid.

    Attributes
    ----------
    header : ImageHeader
    image : (y, x) float32
        In the unit of ``tools.channels.channel_unit``: AIA's brightness is divided by exposure
        and throughput. Sun's centre in the middle, north up; NaN where the file has no value.
    throughput : float
        What is left of an AIA channel's throughput at the image's time; 1 for HMI.
    mended : str
        What values were made missing, "" where none were.
    """

    header: ImageHeader
    image: np.ndarray
    throughput: float
    mended: str = ""


def read_header(image: object) -> ImageHeader:
    """Read and check the header of a file's first image, of one of its images, or of a map.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file is damaged, no image of AIA or HMI, of a channel that we do not use, or lacks
        what is needed to calibrate it.
    """
    with opened_image(image) as (name, cards, _):
        return _checked(cards, name)


def read_headers(image: object) -> tuple[list[tuple[object, ImageHeader]], list[str]]:
    """Read and check the headers of all images in a file, or of a map.

    Returns
    -------
    found : list of (place, ImageHeader)
        The place is the file itself where it holds one image, else an ``ImageInFile``.
    left_out : list of str
        A sentence for each image that can't be used, where others can.

    Raises
    ------
    FileNotFoundError, DataIntegrityError
        As ``read_header``, if no image can be used.
    """
    if not isinstance(image, (str, Path)):
        return [(image, read_header(image))], []
    path, found, left_out = Path(image), [], []
    with opened_hdus(path) as hdus:
        numbers = image_hdus(hdus, path.name)
        for k, hdu in enumerate(hdus):
            if k not in numbers:
                if hdu.header.get("NAXIS", 0) > 0:
                    left_out.append(
                        f"{path.name}[{k}]: {hdu.header.get('XTENSION', 'IMAGE')}, no image"
                    )
                continue
            cards = hdu_cards(hdus, k)
            for place, own in _images_of(path, k, cards, alone=len(numbers) == 1):
                try:
                    found.append((place, _checked(own, name_of(place))))
                except DataIntegrityError as error:
                    left_out.append(str(error))
    if not found:
        raise DataIntegrityError("; ".join(left_out))
    return found, left_out


def read_values(image: object, header: ImageHeader, *, widened: float = 1.0) -> PixelValues:
    """Read the values of an image in the file's unit, (y, x), missing and impossible ones as NaN.

    Parameters
    ----------
    widened : float
        What the upper limit is multiplied by, for values that were divided by the throughput.

    Raises
    ------
    DataIntegrityError
        If the data can't be read, or hardly any can be used.
    """
    with opened_image(image) as (name, cards, holder):
        return _values(image, header, name, cards, holder, widened)


def read_image(
    image: object,
    size: int,
    *,
    degradation_corrected: bool = False,
    calibration: str = CALIBRATION,
) -> SDOImage:
    """Read, calibrate and average an image.

    Parameters
    ----------
    image : str, Path, ImageInFile, or sunpy Map
    size : int
        Pixels along a side of the result, which spans ``FIELD_ARCSEC``.
    degradation_corrected : bool
        Whether AIA's brightness was corrected for the loss of throughput before; a file doesn't
        tell.
    calibration : str
        Version by which it is corrected, one of ``CALIBRATIONS``.

    Raises
    ------
    FileNotFoundError, DataIntegrityError
        As ``read_header``; also if the data can't be read, the file is coarser than the grid, or
        none of its pixels lies on the grid.
    """
    with opened_image(image) as (name, cards, holder):
        header = _checked(cards, name)
        throughput = 1.0
        if header.channel in AIA_CHANNELS and not degradation_corrected:
            throughput = aia_throughput(header, name, calibration)
        widened = _MOST_CORRECTION if degradation_corrected else 1.0
        values = _values(image, header, name, cards, holder, widened)
    seconds = 1.0 if header.is_per_second else header.exposure_s
    averaged = average_onto_grid(values.data / seconds / throughput, header.wcs, size, name)
    if not np.isfinite(averaged).any():
        raise DataIntegrityError(f"{name}: none of its pixels lies on the grid of the full Sun")
    return SDOImage(header, averaged.astype(np.float32), throughput, values.mended(name))


_MOST_CORRECTION = 50.0  # one over the least throughput that is corrected for


def _values(
    image: object,
    header: ImageHeader,
    name: str,
    cards: HeaderCards,
    holder: object,
    widened: float,
) -> PixelValues:
    limits = header.limits[0], header.limits[1] * widened
    plane = image.plane if isinstance(image, ImageInFile) else None
    values = pixel_values(holder, cards, name, shape=header.shape, plane=plane, limits=limits)
    check_field(header, values.data, name)
    return values


def _images_of(
    path: Path, k: int, cards: HeaderCards, *, alone: bool
) -> list[tuple[object, HeaderCards]]:
    """Return the images of one HDU with their cards: itself, or a cube's planes."""
    outer = [int(cards.get(f"NAXIS{a}", 1)) for a in range(4, int(cards.get("NAXIS", 2)) + 1)]
    planes = int(cards.get("NAXIS3", 1)) if all(n == 1 for n in outer) else 1
    named = [p for p in range(planes) if f"WAVE{p + 1}" in cards]
    if planes > 1 and len(named) == planes:
        return [(ImageInFile(path, k, p), plane_cards(cards, p)) for p in named]
    return [(path if alone else ImageInFile(path, k), cards)]


def _checked(cards: Mapping, name: str) -> ImageHeader:
    n_axes = int(cards.get("NAXIS", 2))
    sides = [int(cards.get(f"NAXIS{k}", 1)) for k in range(n_axes, 0, -1)]
    if any(side != 1 for side in sides[:-2]):
        raise DataIntegrityError(
            f"{name}: a cube of the shape {tuple(sides)} whose planes are not named as channels "
            "(WAVE1, WAVE2, ...); give one image (y, x) in an HDU of its own"
        )
    telescope = str(cards.get("TELESCOP", "unknown"))
    instrument = str(cards.get("INSTRUME", ""))
    both = f"{telescope} {instrument}".upper()
    if "AIA" in both:
        return aia_header(cards, name)
    if "HMI" in both:
        return hmi_header(cards, name)
    raise DataIntegrityError(
        f"{name}: expected an image of SDO/AIA or SDO/HMI, got one of "
        f"{f'{telescope} {instrument}'.strip()}"
    )
