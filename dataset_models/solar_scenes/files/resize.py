"""Frames of another size: by exact area averages, and as Slic's preparation made them."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import sparse

__all__ = ["area_resize", "legacy_slic"]

_SLIC_SIDE = 256


def area_resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a frame: averaged over each new pixel's area to shrink, bilinear to grow.

    The mean is kept when shrinking, whatever the ratio: a pixel that lies in two new ones counts in
    each by the share that lies there.

    Parameters
    ----------
    image : (y, x) float
        Finite.
    shape : (y, x)

    Returns
    -------
    (y, x) float32
    """
    image = np.asarray(image)
    if image.ndim != 2 or len(shape) != 2 or min(*image.shape, *shape) < 1:
        raise ValueError(f"expected a frame (y, x) and its new shape, got {image.shape}, {shape}")
    if image.shape == tuple(shape):
        return np.ascontiguousarray(image, np.float32)
    # sparse sums are in double precision, and the same whatever the number of threads
    rows, columns = (_weights(n, m) for n, m in zip(image.shape, shape, strict=True))
    return np.ascontiguousarray((columns @ (rows @ image).T).T, np.float32)


def legacy_slic(image: np.ndarray) -> np.ndarray:
    """Prepare a frame as Slic did: its range stretched to bytes, then bicubic to 256 x 256.

    ``scipy.misc.imresize(image, (256, 256), "bicubic")`` did this until SciPy 1.3, by

    byte = floor(clip((value - min) * 255 / (max - min), 0, 255) + 0.5)

    and Pillow's bicubic filter; bytes stay as they are (SciPy 1.2, misc/pilutil.py).

    Parameters
    ----------
    image : (y, x)
        In any unit, finite.

    Returns
    -------
    (256, 256) uint8
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = _byte_scaled(image.astype(np.float64))
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((_SLIC_SIDE, _SLIC_SIDE), Image.Resampling.BICUBIC))


def _byte_scaled(image: np.ndarray) -> np.ndarray:
    lowest, span = image.min(), np.ptp(image)
    scaled = (image - lowest) * (255.0 / (span or 1.0))
    return (np.clip(scaled, 0, 255) + 0.5).astype(np.uint8)


def _weights(n: int, m: int) -> sparse.csr_array:
    """Return the (m, n) weights that turn n pixels into m; each row's sum is 1."""
    if m >= n:
        place = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
        left = np.minimum(place.astype(int), max(n - 2, 0))
        share = place - left
        row = np.concatenate([np.arange(m)] * 2)
        column = np.concatenate([left, np.minimum(left + 1, n - 1)])
        return sparse.csr_array((np.concatenate([1 - share, share]), (row, column)), (m, n))
    # borders of old and new pixels in units of 1 / (m n): whole numbers, so shares are exact
    borders = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    row, column = borders[:-1] // n, borders[:-1] // m
    return sparse.csr_array((np.diff(borders) / n, (row, column)), (m, n))
