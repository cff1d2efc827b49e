"""One SDO image, of AIA or HMI, from a FITS file or a sunpy Map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.SDO.AIA.fits_file import aia_header, aia_throughput
from dataset_models.SDO.fits_image import (
    ImageHeader,
    average_onto_grid,
    image_of,
    opened_image,
)
from dataset_models.SDO.HMI.fits_file import hmi_header
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS

__all__ = ["SDOImage", "read_header", "read_image"]


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
    """

    header: ImageHeader
    image: np.ndarray
    throughput: float


def read_header(image: object) -> ImageHeader:
    """Read and check the header of a file, or of a map, without its data.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file is damaged, no image of AIA or HMI, of a channel that we do not use, or lacks
        what is needed to calibrate it.
    """
    with opened_image(image) as (name, header, _):
        return _checked(header, name)


def read_image(image: object, size: int, *, degradation_corrected: bool = False) -> SDOImage:
    """Read, calibrate and average an image.

    Parameters
    ----------
    image : str, Path, or sunpy Map
        A FITS file, also gzipped or tile-compressed.
    size : int
        Pixels along a side of the result, which spans ``FIELD_ARCSEC``.
    degradation_corrected : bool
        Whether AIA's brightness was corrected for the loss of throughput before; a file doesn't
        tell.

    Raises
    ------
    FileNotFoundError, DataIntegrityError
        As ``read_header``; also if the data can't be read or the file is coarser than the grid.
    """
    with opened_image(image) as (name, cards, holder):
        header = _checked(cards, name)
        data = image_of(holder, header.shape, name)
    throughput = 1.0
    if header.channel in AIA_CHANNELS and not degradation_corrected:
        throughput = aia_throughput(header, name)
    seconds = 1.0 if header.is_per_second else header.exposure_s
    averaged = average_onto_grid(data / seconds / throughput, header.wcs, size, name)
    return SDOImage(header, averaged.astype(np.float32), throughput)


def _checked(header: fits.Header, name: str) -> ImageHeader:
    telescope = str(header.get("TELESCOP", "unknown"))
    instrument = str(header.get("INSTRUME", ""))
    both = f"{telescope} {instrument}".upper()
    if "AIA" in both:
        return aia_header(header, name)
    if "HMI" in both:
        return hmi_header(header, name)
    raise DataIntegrityError(
        f"{name}: expected an image of SDO/AIA or SDO/HMI, got one of "
        f"{f'{telescope} {instrument}'.strip()}"
    )


def name_of(image: object) -> str:
    """Give what an image is called in messages."""
    return Path(image).name if isinstance(image, (str, Path)) else "map"
