"""Overlapping tiles along an axis, and how what is said of them blends into a map."""

from __future__ import annotations

import numpy as np

__all__ = ["STRIDE", "TILE", "blend", "blend_weights", "default_bin", "tile_starts"]

TILE, STRIDE = 96, 48  # pixels; networks are trained on tiles of 96


def default_bin(stride: int) -> int:
    """Return the pixels along a side of a pixel of the map: a quarter of the stride."""
    return max(stride // 4, 1)


def tile_starts(n_pixels: int, tile: int, stride: int) -> np.ndarray:
    """Return the first pixel of each tile along an axis; the last tile ends with the axis.

    Parameters
    ----------
    n_pixels, tile, stride : int
    """
    starts = np.arange(0, n_pixels - tile + 1, stride)
    return starts if starts[-1] == n_pixels - tile else np.append(starts, n_pixels - tile)


def blend_weights(n_pixels: int, tile: int, starts: np.ndarray, step: int) -> np.ndarray:
    """Return the share of each tile in each pixel of the map along one axis.

    Parameters
    ----------
    n_pixels : int
        Of the image.
    starts : (tile,) int
    step : int
        Pixels of the image in one of the map.

    Returns
    -------
    (tile, map pixel) float64
        Columns sum to 1.
    """
    window = np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2
    weight = np.zeros((len(starts), n_pixels))
    for row, start in zip(weight, starts, strict=True):
        row[start : start + tile] = window
    weight /= weight.sum(axis=0)
    first = np.arange(0, n_pixels, step)
    n = np.diff(np.append(first, n_pixels))
    return np.add.reduceat(weight, first, axis=1) / n


def blend(found: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Blend tiles: the Hann window is a product over both axes, so that two products do it.

    Parameters
    ----------
    found : (tile row, tile column, class) float
    rows : (tile row, map y) float
    columns : (tile column, map x) float

    Returns
    -------
    (class, map y, map x) float32
    """
    along = np.einsum("rck,cx->krx", found.astype(np.float32), columns.astype(np.float32))
    return np.stack([rows.T.astype(np.float32) @ layer for layer in along])
