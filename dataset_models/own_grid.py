"""From the network's grid back to the grid that an image had before it was resampled.

Every resampling here is linear, and a map goes back by its transpose. A derivative by a pixel of
the network's image so becomes the derivative by a pixel of the file's, in the unit that the network
takes (AIA: DN s-1 pix-1, corrected for exposure and degradation); and what the pixels add up to
stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dataset_models.fits_files.opening import name_of
from dataset_models.SDO.AIA.dat_folder import DatImages
from dataset_models.SDO.fits_folder import FITSImages
from dataset_models.SDO.fits_image import grid_cells
from dataset_models.SDO.sources import StoreImages
from dataset_models.store import ImageSource

__all__ = ["OwnGrid", "own_grids", "resample", "resampling_matrix"]


@dataclass(frozen=True)
class OwnGrid:
    """The grid of a file's image.

    Attributes
    ----------
    name : str
        Of the file.
    channels : tuple of int
        Which of the map's channels the file holds.
    wcs : dict
        FITS keywords of the file's coordinates (``celestial_coordinates``); empty without any.
    shape : (y, x)
    back : callable
        From a map on the network's grid (y, x) to one on this grid.
    """

    name: str
    channels: tuple[int, ...]
    wcs: dict
    shape: tuple[int, int]
    back: Callable[[np.ndarray], np.ndarray]


def own_grids(source: ImageSource, index: int) -> list[OwnGrid]:
    """Return the grids of the files that one image of a source was made of.

    Parameters
    ----------
    source : ImageSource
        FITS files, raw files, or a store of a larger size; none for a store of the same size.
    index : int
        Of the image.
    """
    size, every = source.size, tuple(range(len(source.channels)))
    if isinstance(source, FITSImages):
        return [
            _of_fits(place, header, size, source.channels.index(header.channel))
            for place, header in source.files(index)
        ]
    if isinstance(source, DatImages):
        path, side = source.file(index)
        return [_of_blocks(path.name, side, size, every, {})] if side != size else []
    if isinstance(source, StoreImages) and source.store.size != size:
        wcs = source.store.wcs(index)
        return [_of_blocks(source.store.path.name, source.store.size, size, every, wcs)]
    return []


def resampling_matrix(n_from: int, n_to: int) -> np.ndarray:
    """Return the matrix that resamples one axis, (n_to, n_from); each row adds up to 1.

    Fewer pixels are averages over the old ones by their overlap; more are interpolated linearly
    between pixel centres.
    """
    if n_to <= n_from:
        edges = np.arange(n_to + 1) * n_from / n_to
        pixels = np.arange(n_from)
        low = np.maximum(edges[:-1, None], pixels)
        high = np.minimum(edges[1:, None], pixels + 1)
        return np.clip(high - low, 0, None) * n_to / n_from
    centres = np.clip((np.arange(n_to) + 0.5) * n_from / n_to - 0.5, 0, n_from - 1)
    return np.clip(1 - np.abs(centres[:, None] - np.arange(n_from)), 0, None)


def resample(
    images: np.ndarray, shape: tuple[int, int], name: str
) -> tuple[np.ndarray, list[OwnGrid]]:
    """Resample images (..., y, x, channel) to another (y, x), and give their own grid."""
    before = images.shape[-3:-1]
    if before == tuple(shape):
        return images, []
    rows, columns = (resampling_matrix(a, b) for a, b in zip(before, shape, strict=True))
    out = np.einsum("iy,...yxc,jx->...ijc", rows, images, columns, optimize=True)
    grid = OwnGrid(
        name,
        tuple(range(images.shape[-1])),
        {},
        before,
        lambda values: rows.T @ values @ columns,
    )
    return out.astype(np.float32), [grid]


def _of_fits(place: object, header, size: int, channel: int) -> OwnGrid:
    def back(values: np.ndarray) -> np.ndarray:
        cell, share = grid_cells(header.shape, header.wcs, size)
        inside = cell >= 0
        out = np.zeros(header.shape)
        out[inside] = values.ravel()[cell[inside]] * share[inside]
        return out

    wcs = header.wcs | {"DATE-OBS": str(header.time)}
    return OwnGrid(name_of(place), (channel,), wcs, header.shape, back)


def _of_blocks(name: str, side: int, size: int, channels: tuple[int, ...], wcs: dict) -> OwnGrid:
    n = side // size

    def back(values: np.ndarray) -> np.ndarray:
        return np.repeat(np.repeat(values, n, axis=0), n, axis=1) / n**2

    return OwnGrid(name, channels, wcs, (side, side), back)
