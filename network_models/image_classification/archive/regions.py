"""Regions of a probability map: where one class is the likeliest, and likely enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

__all__ = ["Region", "find_regions"]

_FEWEST_CELLS = 4  # of the map: half a stride along both sides, where a map has a quarter of it
_NEIGHBOURS = np.ones((3, 3), int)  # cells that touch at a corner belong together


@dataclass(frozen=True)
class Region:
    """A connected region of one class.

    Attributes
    ----------
    probability : (class,) float
        Mean of the map over the region; sums to 1.
    x, y : float
        Centre in pixels of the image, weighted by the probability of the region's class; 0 is the
        middle of the first pixel.
    cells_x, cells_y : (cell,) float
        Middle of each of its cells in pixels of the image.
    cell_pixels : (cell,) int
        Pixels of the image in each cell.
    """

    probability: np.ndarray
    x: float
    y: float
    cells_x: np.ndarray
    cells_y: np.ndarray
    cell_pixels: np.ndarray

    @property
    def area_px(self) -> int:
        """Area in pixels of the image."""
        return int(self.cell_pixels.sum())


def find_regions(
    probability: np.ndarray,
    shape: tuple[int, int],
    step: int,
    *,
    left_out: Sequence[int],
    threshold: float = 0.5,
) -> list[Region]:
    """Find the connected regions of each class, the largest first.

    Parameters
    ----------
    probability : (class, y, x) float
        Of a map; sums to 1 over the classes.
    shape : (y, x)
        Of the image.
    step : int
        Pixels of the image along a side of a cell of the map.
    left_out : sequence of int
        Classes that make no regions: quiet Sun, none of these.
    threshold : float
        Smallest probability of the class in its region.

    Returns
    -------
    list of Region
        Those of four cells or more.
    """
    likeliest = probability.argmax(axis=0)
    middle, size = zip(*(_cells(n, step) for n in shape), strict=True)
    found = []
    for k in range(len(probability)):
        if k in left_out:
            continue
        label, n = ndimage.label((likeliest == k) & (probability[k] >= threshold), _NEIGHBOURS)
        for number, box in enumerate(ndimage.find_objects(label, n), 1):
            rows, columns = np.nonzero(label[box] == number)
            if len(rows) < _FEWEST_CELLS:
                continue
            rows, columns = rows + box[0].start, columns + box[1].start
            found.append(_region(probability[:, rows, columns], k, rows, columns, middle, size))
    return sorted(found, key=lambda region: (-region.area_px, region.y, region.x))


def _cells(n: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle and the size of the map's cells along an axis, in pixels."""
    first = np.arange(0, n, step)
    size = np.minimum(step, n - first)
    return first + (size - 1) / 2, size


def _region(
    values: np.ndarray,
    k: int,
    rows: np.ndarray,
    columns: np.ndarray,
    middle: tuple[np.ndarray, np.ndarray],
    size: tuple[np.ndarray, np.ndarray],
) -> Region:
    values = values.astype(float)
    pixels = size[0][rows] * size[1][columns]
    y, x = middle[0][rows], middle[1][columns]
    weight = values[k] * pixels
    return Region(
        np.average(values, axis=1, weights=pixels),
        float(np.average(x, weights=weight)),
        float(np.average(y, weights=weight)),
        x,
        y,
        pixels,
    )
