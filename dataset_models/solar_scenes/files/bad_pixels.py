"""Pixels of a frame that hold no brightness: found, and filled in from their neighbours.

Missing are NaN and infinity, fill values, blocks of zeros where telemetry was lost, and dark or
dead lines. A sky that is zero beyond the limb is no missing block: its edge is curved or ragged,
a block's edges are straight.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["fill_in", "find_bad_pixels"]

# instruments write these where there is no value (SDO's BLANK, IRIS level 2, old archives)
_FILL_VALUES = (-(2.0**31), -32768.0, -9999.0)
_FEWEST_FILLED = 16  # pixels of one value below all others that make it a fill value
_DARK_EDGE, _DARK_INSIDE = 0.5, 0.35  # of the lines beside; SOT's dark columns lie at 0.19
_WIDEST_EDGE, _WIDEST_INSIDE = 8, 3  # lines
_STEP = 4  # pixels between the corners of a missing block; steps of a limb are shorter
_BLOCK = 64  # a rectangle of so many zeros inside a frame is missing whatever surrounds it
_EDGE_OF_STRIP = 0.8  # of the frame's median; the limb itself is darker
_SIGNED_SHARE = 0.01  # of negative pixels: a field or a velocity, where a zero is a value
_NEIGHBOURS = np.ones((3, 3), bool)
_SMOOTHING_PX = 1.5
_MOST_REGIONS = 500
_ORDINARY_SHARE = 0.01  # of pixels that are zero here and there: clipped noise, not telemetry
_LARGE = 256  # zeros in one piece, which clipped noise hardly makes


def find_bad_pixels(image: np.ndarray) -> np.ndarray:
    """Return which pixels hold no brightness.

    Parameters
    ----------
    image : (y, x) float
        In any unit.

    Returns
    -------
    (y, x) bool
    """
    bad = ~np.isfinite(image)
    bad |= np.isin(image, _FILL_VALUES) | _repeated_minimum(image, bad)
    bad |= _zero_blocks(image, bad)
    return bad | _dark_lines(image, bad) | _dark_lines(image.T, bad.T).T


def fill_in(image: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Return a frame whose bad pixels take the nearest good value, smoothed; others stay.

    Parameters
    ----------
    image : (y, x) float32
    bad : (y, x) bool
        Not all of it.

    Returns
    -------
    (y, x) float32
    """
    out = np.array(image, np.float32)
    if not bad.any():
        return out
    places = ndimage.find_objects(ndimage.label(bad, _NEIGHBOURS)[0])
    if len(places) > _MOST_REGIONS:  # one by one they would take longer than the whole
        places = [tuple(slice(0, n) for n in bad.shape)]
    for place in places:  # a region's nearest good pixel always touches the region
        around = _widened(place, 1, bad.shape)
        nearest = ndimage.distance_transform_edt(
            bad[around], return_distances=False, return_indices=True
        )
        out[around] = out[around][tuple(nearest)]
    smoothed = out.copy()
    for place in places:  # the filter ends after 4 sigma, 6 pixels
        around = _widened(place, 8, bad.shape)
        smooth = ndimage.gaussian_filter(out[around], _SMOOTHING_PX, mode="nearest")
        inside = tuple(
            slice(s.start - a.start, s.stop - a.start) for s, a in zip(place, around, strict=True)
        )
        smoothed[place] = np.where(bad[place], smooth[inside], out[place])
    return smoothed


def _repeated_minimum(image: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Find a negative value that stands in many pixels, far below all others."""
    good = image[~bad]
    none = np.zeros(image.shape, bool)
    if good.size == 0 or good.min() >= 0:
        return none
    lowest = good.min()
    others = good[good > lowest]
    if good.size - others.size < _FEWEST_FILLED or others.size == 0:
        return none
    middle, low = np.percentile(others, (50, 1))
    gap = others.min() - lowest
    return (image == lowest) & ~bad if gap > 2 * (middle - low) else none


def _zero_blocks(image: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Find connected zeros with straight edges beside pixels that are clearly not zero."""
    zero = image == 0
    out = np.zeros(image.shape, bool)
    if not zero.any() or zero.all():
        return out
    number, _ = ndimage.label(zero)
    size = np.bincount(number.ravel())
    size[0] = 0
    if size[size < _FEWEST_FILLED].sum() > _ORDINARY_SHARE * image.size:
        number, _ = ndimage.label((size >= _LARGE)[number])
    others = image[~zero & ~bad]
    usual = float(np.median(np.abs(others))) if others.size else 0.0
    is_signed = (others < 0).mean() > _SIGNED_SHARE if others.size else False
    for k, place in enumerate(ndimage.find_objects(number), 1):
        region = number[place] == k
        if (is_signed and region.size < _BLOCK) or not _has_straight_edges(region):
            continue
        around = _widened(place, 1, image.shape)
        inside = number[around] == k
        rim = image[around][ndimage.binary_dilation(inside, _NEIGHBOURS) & ~inside & ~bad[around]]
        if _is_missing(region, place, rim, usual, image.shape):
            out[place] |= region
    return out


def _is_missing(
    region: np.ndarray, place: tuple[slice, slice], rim: np.ndarray, usual: float, shape: tuple
) -> bool:
    """Return whether a block of zeros is missing data, by its size, place and rim."""
    touches = [s.start == 0 for s in place] + [
        s.stop == n for s, n in zip(place, shape, strict=True)
    ]
    if region.sum() >= _BLOCK and not any(touches) and region.all():
        return True
    if rim.size == 0 or rim.min() * rim.max() <= 0:  # of both signs, or zero beside zero
        return False
    rim = np.abs(rim)
    least = _EDGE_OF_STRIP if sum(touches) >= 3 else 0.2
    return bool(np.median(rim) >= least * usual and np.percentile(rim, 10) >= 0.3 * np.median(rim))


def _has_straight_edges(region: np.ndarray) -> bool:
    """Return whether a region is a rectangle, or rectangles joined with corners far apart."""
    if region.all():
        return True
    padded = np.pad(region, 1)
    for axis in (0, 1):
        edge = np.flatnonzero(np.diff(padded.astype(np.int8), axis=axis).any(axis=1 - axis))
        if np.diff(edge).min() < _STEP:
            return False
    return True


def _dark_lines(image: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Find columns that are dark beside their neighbours, or dead: one value from top to bottom.

    A column counts only if nearly all its pixels are dark beside the same rows of its neighbours,
    so that no feature of the Sun that ends within the frame does.
    """
    out = np.zeros(image.shape, bool)
    used = np.flatnonzero(~bad.all(axis=0))
    n = len(used)
    if n < 4 * _WIDEST_EDGE:
        return out
    values, good = (image, ~bad) if n == image.shape[1] else (image[:, used], ~bad[:, used])
    level = _mean(values, good, axis=0)
    lowest = np.min(values, axis=0, where=good, initial=np.inf)
    constant = lowest == np.max(values, axis=0, where=good, initial=-np.inf)
    dark = _dead(values, lowest, constant)
    for way in (1, -1):
        n_dark = _n_dark_at_start(values[:, ::way], good[:, ::way], level[::way], dark[::way])
        dark[::way][:n_dark] = True
    usual = ndimage.median_filter(level, 4 * _WIDEST_INSIDE + 1, mode="nearest")
    for k in np.flatnonzero(level < _DARK_INSIDE * usual):
        sides = k - _WIDEST_INSIDE - 1, k + _WIDEST_INSIDE + 1
        if 0 <= sides[0] and sides[1] < n:
            dark[k] |= all(_is_dark(values, good, [k], [side]) for side in sides)
    out[:, used[dark]] = True
    return out


def _dead(values: np.ndarray, lowest: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Return which columns have one value that neighbours do not share: no sky of one value."""
    out = np.zeros(len(lowest), bool)
    for k in np.flatnonzero(constant):
        near = np.arange(max(k - _WIDEST_INSIDE, 0), min(k + _WIDEST_INSIDE + 1, len(lowest)))
        near = near[~constant[near]]
        out[k] = len(near) > 0 and (values[:, near] == lowest[k]).mean() < 0.05
    return out


def _n_dark_at_start(
    values: np.ndarray, good: np.ndarray, level: np.ndarray, dead: np.ndarray
) -> int:
    """Count the dark or dead columns from the first one on; they end with a sharp step."""
    for n in range(_WIDEST_EDGE, 0, -1):
        beside = level[n : n + _WIDEST_EDGE // 2]
        if beside.min() <= 0 or beside.max() > 1.3 * beside.min():  # the limb is no flat field
            continue
        is_dark = (level[:n] < _DARK_EDGE * beside[0]) | dead[:n]
        if is_dark.all() and _is_dark(values, good, np.flatnonzero(~dead[:n]), range(n, n + 3)):
            return n
    return 0


def _is_dark(values: np.ndarray, good: np.ndarray, columns: object, beside: object) -> bool:
    """Return whether nearly all pixels of columns are dark beside the same rows of others."""
    columns, beside = list(columns), list(beside)
    if not columns:
        return False
    row = _mean(values[:, beside], good[:, beside], axis=1)[:, None]
    known = good[:, columns] & np.isfinite(row)
    if not known.any() or np.median(row[np.isfinite(row)]) <= 0:
        return False
    return bool((values[:, columns] < 0.7 * row)[known].mean() >= 0.95)


def _mean(values: np.ndarray, good: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of the good values along an axis, NaN where there are none."""
    count = good.sum(axis=axis)
    total = np.where(good, values, 0).sum(axis=axis, dtype=float)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _widened(place: tuple[slice, ...], margin: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(place, shape, strict=True)
    )
