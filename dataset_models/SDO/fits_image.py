"""Images of the full Sun: what headers say of them, and averages by their coordinates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.fits_files.cards import HeaderCards, hdu_cards, map_cards
from dataset_models.fits_files.coordinates import (
    COORDINATE_KEY,
    celestial_coordinates,
    plane_pixels,
    plane_places,
)
from dataset_models.fits_files.opening import ImageInFile, image_hdus, name_of, opened_hdus
from dataset_models.solar_data import DataIntegrityError

__all__ = [
    "FIELD_ARCSEC",
    "ImageHeader",
    "average_blocks",
    "average_onto_grid",
    "grid_cells",
    "opened_image",
    "plane_cards",
    "sdo_coordinates",
    "unneeded_lost",
]

FIELD_ARCSEC = 2457.6  # of a full image: 4096 pixels of 0.6 arcsec


@dataclass(frozen=True)
class ImageHeader:
    """What a file, or a map, says of its image.

    Attributes
    ----------
    channel : int or str
        Of ``AIA_CHANNELS`` (angstrom) or ``HMI_CHANNELS``.
    time, end : datetime64[ms], UTC
        Start and end of the exposure.
    exposure_s : float
        Of the camera, also where the values were divided by it.
    quality : int
        0 is good.
    is_per_second : bool
        Whether the values have been divided by the exposure time.
    wcs : dict
        The header's coordinates in the form of ``celestial_coordinates``.
    shape : (y, x)
    limits : (float, float)
        Least and largest value that is possible, in the file's unit.
    notes : tuple of str
        What was assumed, or left out of what places and times the image.
    lost_cards : tuple of str
        Other cards without a usable value; nothing needs them.
    """

    channel: int | str
    time: np.datetime64
    end: np.datetime64
    exposure_s: float
    quality: int
    is_per_second: bool
    wcs: dict
    shape: tuple[int, int]
    limits: tuple[float, float]
    notes: tuple[str, ...] = ()
    lost_cards: tuple[str, ...] = ()


@contextlib.contextmanager
def opened_image(image: object) -> Iterator[tuple[str, HeaderCards, object]]:
    """Open a file's image, or take a map's; yield name, cards, and what holds the data.

    Whatever is wrong with a file becomes one kind of error.

    Parameters
    ----------
    image : str, Path, ImageInFile, or an object with ``data`` and ``meta``
        A FITS file of any ending in ``FITS_ENDINGS``, of which the first image counts; one of the
        images of a file; or a sunpy Map.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file can't be read or holds no image.
    """
    if isinstance(image, ImageInFile):
        with opened_hdus(image.path) as hdus:
            cards = hdu_cards(hdus, image.hdu)
            if image.plane is not None:
                cards = plane_cards(cards, image.plane)
            yield image.name, cards, hdus[image.hdu]
        return
    if not isinstance(image, (str, Path)):
        if not hasattr(image, "meta") or not hasattr(image, "data"):
            raise TypeError(f"expected a FITS file or a map, got {type(image).__name__}")
        cards = map_cards(image.meta)
        cards["NAXIS"] = np.ndim(image.data)
        for axis, side in enumerate(np.shape(image.data)[::-1], 1):
            cards[f"NAXIS{axis}"] = side
        yield f"map of {cards.get('DATE-OBS', 'unknown time')}", cards, image
        return
    with opened_hdus(Path(image)) as hdus:
        k = image_hdus(hdus, name_of(image))[0]
        yield name_of(image), hdu_cards(hdus, k), hdus[k]


def sdo_coordinates(cards: HeaderCards, shape: tuple[int, int]) -> tuple[dict, list[str]]:
    """Return an SDO image's coordinates, and what was assumed or left out; raises as the layer.

    Without any CTYPE they are helioprojective, as in all files of SDO.
    """
    lost = [key for key in cards.left_out if COORDINATE_KEY.fullmatch(key)]
    notes = [f"the card {key} has no usable value and is left out" for key in lost]
    if "CTYPE1" not in cards and "CTYPE2" not in cards:
        cards = HeaderCards({**cards, "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}, cards.left_out)
        notes.append("no CTYPE, so its coordinates are taken to be helioprojective")
    return celestial_coordinates(cards, shape), notes


def unneeded_lost(cards: HeaderCards) -> tuple[str, ...]:
    """Return the cards without a usable value that say nothing of coordinates."""
    return tuple(key for key in cards.left_out if not COORDINATE_KEY.fullmatch(key))


def plane_cards(cards: HeaderCards, plane: int) -> HeaderCards:
    """Return the cards of one plane of a cube whose planes' wavelengths are WAVE1, WAVE2, ..."""
    out = HeaderCards(cards, cards.left_out)
    out |= {"WAVELNTH": cards[f"WAVE{plane + 1}"], "NAXIS": 2}
    return out


def average_onto_grid(data: np.ndarray, wcs: dict, size: int, name: str = "image") -> np.ndarray:
    """Average pixels onto the grid by their places on the sky; never a sum.

    Parameters
    ----------
    data : (y, x) float
        NaN where there is no value.
    wcs : dict
        Coordinates in the form of ``celestial_coordinates``.
    size : int
        Pixels along a side of the result.

    Returns
    -------
    (size, size) float64
        Mean of the pixels whose centres lie in each cell; where there is none, the pixel that the
        cell's centre lies in; NaN beyond the image and where it has no value.
    """
    step = FIELD_ARCSEC / size
    if max(abs(wcs["CDELT1"]), abs(wcs["CDELT2"])) > 1.05 * step:
        raise DataIntegrityError(
            f"{name}: its pixels of {abs(wcs['CDELT1']):.2f} arcsec are coarser than the "
            f"{step:.2f} arcsec of {size} pixels; ask for fewer"
        )
    cell = _cells(data.shape, wcs, size)
    used = (cell >= 0) & np.isfinite(data)
    index = cell[used]
    count = np.bincount(index, minlength=size * size)
    total = np.bincount(index, data[used], minlength=size * size)
    mean = np.divide(total, count, out=np.full(size * size, np.nan), where=count > 0)
    empty = np.flatnonzero(count == 0)
    centre = (np.stack(np.divmod(empty, size)) + 0.5) * step - FIELD_ARCSEC / 2
    mean[empty] = _value_at(data, wcs, centre[1], centre[0])
    return mean.reshape(size, size)


def grid_cells(shape: tuple[int, int], wcs: dict, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of the grid that each pixel is averaged into, and its share of the mean.

    Parameters
    ----------
    shape : (y, x)
        Of the image; all its pixels are taken to have values.
    wcs, size
        As for ``average_onto_grid``.

    Returns
    -------
    cell : (y, x) int
        row * size + column; -1 beyond the grid.
    share : (y, x) float
        One over the number of pixels in the cell.
    """
    cell = _cells(shape, wcs, size)
    count = np.bincount(cell[cell >= 0], minlength=size * size)
    return cell, 1 / np.maximum(count, 1)[cell]


def _cells(shape: tuple[int, int], wcs: dict, size: int) -> np.ndarray:
    """Return the cell that each pixel's centre lies in, (y, x) int, -1 beyond the grid."""
    step = FIELD_ARCSEC / size
    x, y = plane_places(shape, wcs)
    column = np.floor((x + FIELD_ARCSEC / 2) / step).astype(int)
    row = np.floor((y + FIELD_ARCSEC / 2) / step).astype(int)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    return np.where(inside, row * size + column, -1)


def average_blocks(image: np.ndarray, size: int) -> np.ndarray:
    """Average square blocks of pixels, leaving out those without a value.

    Parameters
    ----------
    image : (channel, y, x) float
        NaN where there is no value; its sides are whole multiples of ``size``.
    size : int
        Pixels along a side of the result.

    Returns
    -------
    (channel, size, size) float32
        NaN where a block has no value.
    """
    n = image.shape[1] // size
    blocks = image.reshape(len(image), size, n, size, n)
    known = np.isfinite(blocks)
    count = known.sum(axis=(2, 4))
    total = np.where(known, blocks, 0).sum(axis=(2, 4), dtype=float)
    out = np.full(count.shape, np.nan)
    return np.divide(total, count, out=out, where=count > 0).astype(np.float32)


def _value_at(data: np.ndarray, wcs: dict, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the pixels that places in arcsec lie in, NaN beyond the image."""
    column, row = plane_pixels(wcs, x, y)
    inside = (np.abs(column - (data.shape[1] - 1) / 2) <= data.shape[1] / 2) & (
        np.abs(row - (data.shape[0] - 1) / 2) <= data.shape[0] / 2
    )
    out = np.full(len(x), np.nan)
    column = np.clip(np.round(column[inside]).astype(int), 0, data.shape[1] - 1)
    row = np.clip(np.round(row[inside]).astype(int), 0, data.shape[0] - 1)
    out[inside] = data[row, column]
    return out
