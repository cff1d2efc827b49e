"""Maps of class probabilities over images of any size, blended from overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from astropy.wcs import WCS

from network_models.image_classification.archive.tile_blending import (
    STRIDE,
    TILE,
    blend,
    blend_weights,
    default_bin,
    tile_starts,
)
from network_models.layers.compiled import compiled_network
from tools.abstention import given_one_of_the_classes

__all__ = ["map_wcs", "probability_map"]

_TILES_AT_ONCE = 64  # a millisecond per tile; more only fill the memory


def probability_map(
    network: keras.Model | Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    tile: int = TILE,
    stride: int = STRIDE,
    *,
    map_bin: int | None = None,
    raw: bool = False,
) -> np.ndarray:
    """Return the probability of each class at each place of an image.

    The network sees overlapping tiles; the last one of a row or column ends at the image's edge.
    Each place has the mean of the tiles over it, weighted by a Hann window, ``sin2(pi y / tile)
    sin2(pi x / tile)`` at the centre of each pixel. Nothing in the map is finer than the stride.

    Parameters
    ----------
    network : keras.Model or callable
        ``{"image": (batch, y, x, channel)}`` to (batch, class) probabilities, the last one of
        which is "none of these"; or the function that ``compiled_network`` makes of it.
    image : (y, x) or (y, x, channel) float
        Brightness in any unit, without missing pixels.
    tile, stride : int
        Pixels.
    map_bin : int, optional
        Pixels of the image along a side of a pixel of the map, which has the mean of its pixels; a
        quarter of the stride by default. 1 gives the image's own grid, 400 MB for 4096 x 4096. The
        last pixels of a row or column have the mean of what lies in the image.
    raw : bool
        Give all classes' probabilities as they are; they sum to 1.

    Returns
    -------
    (class, y, x) float32
        The probability of each class given that it is not the last, which sum to 1; then the
        probability of the last, that is of abstaining. ``ceil(side / map_bin)`` pixels.

    Raises
    ------
    ValueError
        If the image is smaller than a tile or has missing pixels, the stride leaves gaps, or the
        bin is wider than the stride.
    """
    image = _checked(image, tile, stride)
    step = default_bin(stride) if map_bin is None else map_bin
    if not 1 <= step <= stride:
        raise ValueError(f"a pixel of the map has 1 to {stride} (the stride) pixels, got {step}")
    function = compiled_network(network) if isinstance(network, keras.Model) else network
    starts = [tile_starts(n, tile, stride) for n in image.shape[:2]]
    found = _tile_probabilities(function, image, tile, starts)
    weights = [
        blend_weights(n, tile, first, step)
        for n, first in zip(image.shape[:2], starts, strict=True)
    ]
    blended = blend(found, *weights)
    if raw:
        return blended
    given = given_one_of_the_classes(np.moveaxis(blended, 0, -1))
    return np.concatenate([np.moveaxis(given, -1, 0), blended[-1:]])


def map_wcs(wcs: WCS, step: int) -> WCS:
    """Return the coordinates of a map whose pixels have ``step`` x ``step`` pixels of the image.

    With FITS' pixel 1 at the centre of the first pixel, ``CRPIX' = (CRPIX - 0.5) / step + 0.5``,
    and the scale (CDELT, or the CD matrix) is ``step`` times as large.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Of the image, without tables of distortion.
    step : int
    """
    binned = wcs.deepcopy()
    binned.wcs.crpix = (np.asarray(wcs.wcs.crpix) - 0.5) / step + 0.5
    if wcs.wcs.has_cd():
        binned.wcs.cd = np.asarray(wcs.wcs.cd) * step
    else:
        binned.wcs.cdelt = np.asarray(wcs.wcs.cdelt) * step
    if wcs.pixel_shape is not None:
        binned.pixel_shape = tuple(-(-n // step) for n in wcs.pixel_shape)
    binned.wcs.set()
    return binned


def _checked(image: np.ndarray, tile: int, stride: int) -> np.ndarray:
    """Return the image as (y, x, channel) float32, or raise ValueError."""
    image = np.asarray(image, np.float32)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3:
        raise ValueError(f"expected an image (y, x) or (y, x, channel), got {image.shape}")
    if not 1 <= stride <= tile:
        raise ValueError(
            f"expected a stride of 1 to {tile} pixels (the tile), got {stride}: tiles would leave "
            "gaps"
        )
    high, wide = image.shape[:2]
    if min(high, wide) < tile:
        raise ValueError(
            f"an image of {wide} x {high} pixels is smaller than a tile of {tile} x {tile}; give a "
            "larger image or a smaller --tile"
        )
    if not np.isfinite(image).all():
        raise ValueError("the image has missing pixels; fill them in (read_frame does)")
    return image


def _tile_probabilities(
    function: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    tile: int,
    starts: list[np.ndarray],
) -> np.ndarray:
    """Return what the network says of each tile, (tile row, tile column, class) float32."""
    rows, columns = starts
    parts, n = [], len(rows) * len(columns)
    for tiles in _batches(image, tile, rows, columns):
        parts.append(np.asarray(function(tiles)))
    return np.concatenate(parts)[:n].reshape(len(rows), len(columns), -1)


def _batches(
    image: np.ndarray, tile: int, rows: np.ndarray, columns: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield batches of tiles, all of one shape: compiled functions are compiled for it once."""
    corners = [(y, x) for y in rows for x in columns]
    size = min(_TILES_AT_ONCE, len(corners))
    for first in range(0, len(corners), size):
        batch = np.zeros((size, tile, tile, image.shape[2]), np.float32)
        for k, (y, x) in enumerate(corners[first : first + size]):
            batch[k] = image[y : y + tile, x : x + tile]
        yield batch
