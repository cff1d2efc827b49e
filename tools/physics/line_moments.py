"""Numbers of a line without a fit: starts of Gaussian fits, centre of gravity, bisector, velocity.

Velocities are positive away from the observer (red): v = c (l - l_rest) / l_rest, in km/s.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "LIGHT_SPEED_KM_S",
    "bisector",
    "centre_of_gravity",
    "doppler_velocity",
    "is_absorption_line",
    "write_line_starts",
]

LIGHT_SPEED_KM_S = 299792.458  # exact, SI
_BLOCKS = 8
_GOLDEN = 0.6180339887498949  # its multiples spread evenly
_EDGE_SHARE = 0.12  # of the wavelengths on either side that stand for the continuum


def doppler_velocity(centre: ArrayLike, rest: ArrayLike) -> np.ndarray:
    """Return the velocity of a line's centre along the line of sight, km/s, red positive.

    Parameters
    ----------
    centre, rest : array_like
        Wavelengths in one unit.
    """
    rest = np.asarray(rest, float)
    return LIGHT_SPEED_KM_S * (np.asarray(centre, float) - rest) / rest


def is_absorption_line(values: ArrayLike) -> bool:
    """Return whether the mean spectrum dips more below its ends than it rises above them.

    Parameters
    ----------
    values : (..., wavelength) array_like
        NaN where there is no value.

    Raises
    ------
    ValueError
        If no spectrum has a value.
    """
    values = np.asarray(values, float)
    values = values.reshape(-1, values.shape[-1])
    good = np.isfinite(values)
    count = good.sum(axis=0)
    if not count.any():
        raise ValueError("expected spectra with finite values, got none: check the data's mask")
    kept = count > 0.1 * count.max()
    mean = np.where(good, values, 0.0).sum(axis=0)[kept] / count[kept]
    n = max(int(_EDGE_SHARE * len(mean)), 1)
    level = np.concatenate([mean[:n], mean[-n:]]).mean()
    return bool(level - mean.min() > mean.max() - level)


def centre_of_gravity(
    wavelength: ArrayLike, values: ArrayLike, continuum: ArrayLike | None = None
) -> np.ndarray:
    """Return the centre of gravity of a line's depth or height, in the wavelength's unit.

    sum (I - I_c) l dl / sum (I - I_c) dl over the finite values (Uitenbroek 2003, ApJ 592, 1225).

    Parameters
    ----------
    wavelength : (wavelength,) array_like
        Increasing.
    values : (..., wavelength) array_like
    continuum : (...) array_like, optional
        The mean of the two ends without it.

    Returns
    -------
    (...) float64
        NaN where nothing stands out.
    """
    wavelength, values = np.asarray(wavelength, float), np.asarray(values, float)
    if continuum is None:
        continuum = (values[..., 0] + values[..., -1]) / 2
    middle = wavelength.mean()
    step = np.gradient(wavelength)
    excess = (values - np.asarray(continuum, float)[..., None]) * step
    excess = np.where(np.isfinite(excess), excess, 0.0)
    total = excess.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = middle + (excess * (wavelength - middle)).sum(axis=-1) / total
    return np.where(total == 0, np.nan, centre)


def bisector(wavelength: ArrayLike, values: ArrayLike, levels: ArrayLike) -> np.ndarray:
    """Return the middles between a line's two wings at shares of its depth or height.

    Each wing is followed from the extremum outwards to the first crossing, linear between values.

    Parameters
    ----------
    wavelength : (wavelength,) array_like
        Increasing.
    values : (..., wavelength) array_like
        The mean of the two ends is taken as continuum.
    levels : (level,) array_like
        0 (continuum) to 1 (extremum), both excluded.

    Returns
    -------
    (..., level) float64
        In the wavelength's unit; NaN where a wing does not reach the level.

    Raises
    ------
    ValueError
        If a level is outside 0 to 1.
    """
    wavelength, values = np.asarray(wavelength, float), np.asarray(values, float)
    levels = np.atleast_1d(np.asarray(levels, float))
    if not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"expected levels between 0 and 1, got {levels.tolist()}: 0.5 is halfway")
    flat = values.reshape(-1, values.shape[-1])
    ends = (flat[:, 0] + flat[:, -1]) / 2
    excess = flat - ends[:, None]
    out = np.full((len(flat), len(levels)), np.nan)
    for i, row in enumerate(excess):
        if not np.isfinite(row).all():
            continue
        peak = int(np.argmax(np.abs(row)))
        share = row / row[peak] if row[peak] else row
        for j, level in enumerate(levels):
            left = _crossing(wavelength[: peak + 1][::-1], share[: peak + 1][::-1], level)
            right = _crossing(wavelength[peak:], share[peak:], level)
            out[i, j] = (left + right) / 2
    return out.reshape(values.shape[:-1] + (len(levels),))


def _crossing(wavelength: np.ndarray, share: np.ndarray, level: float) -> float:
    """Return where a falling wing first reaches the level, NaN if it does not."""
    below = np.flatnonzero(share < level)
    if not len(below) or below[0] == 0:
        return np.nan
    k = below[0]
    part = (share[k - 1] - level) / (share[k - 1] - share[k])
    return float(wavelength[k - 1] + part * (wavelength[k] - wavelength[k - 1]))


@numba.njit(error_model="numpy")
def write_line_starts(axis, data, weight, signs, n_lines, n_terms, limits, way, rest, theta):
    """Write the start of a fit of Gaussians; compiled.

    Lines are found one after the other in what the former leave, highest first, and then put in
    order of wavelength. Of further ways (for several starts) odd ones split the highest into
    neighbours, even ones make all wider or narrower; lines within limits are spread over these.

    Parameters
    ----------
    axis, data, weight : (wavelength,) float64
        A weight of 0 marks no value; the axis increases.
    signs : (line,) float64
        1 for emission, -1 for absorption. If they differ, the first line is taken to be the broad
        one in which the others lie.
    n_lines, n_terms : int
        Gaussians and terms of the continuum.
    limits : (line, 2) float64
        Wavelengths between which a line is looked for; infinite: anywhere.
    way : int
        0 is the best guess.
    rest : (wavelength,) float64
        Work space.
    theta : (parameter,) float64
        Written, as ``gaussian_kernel`` takes it.
    """
    n = len(axis)
    sign, is_mixed = signs[0], False
    for c in range(1, n_lines):
        is_mixed = is_mixed or signs[c] != sign
    level = _second_lowest_block(data, weight, sign)
    for k in range(n):
        rest[k] = sign * (data[k] - level) if weight[k] > 0 else 0.0
    span = axis[n - 1] - axis[0]
    step = span / (n - 1)
    for c in range(n_lines):
        if is_mixed and c == 0:
            height, at, width = _broad_line(axis, rest, weight, step)
        else:
            height, at, width = _highest_peak(axis, rest, weight, step, limits[c])
        theta[3 * c], theta[3 * c + 1], theta[3 * c + 2] = signs[c] * height, at, width
        if c == n_lines - 1:
            break  # nothing is looked for in what it leaves
        for k in range(n):
            u = (axis[k] - at) / width
            if weight[k] > 0 and abs(u) < 6:
                rest[k] -= height * math.exp(-0.5 * u * u)
        if signs[c + 1] != signs[c]:
            for k in range(n):
                rest[k] = -rest[k]
    if way > 0 and not is_mixed:
        _other_way(axis, data, weight, sign * level, sign, theta, n_lines, limits, way)
    if way > 0 and is_mixed:
        theta[0] *= 1.0 + 0.4 * (way % 3)
        for c in range(1, n_lines):  # from its place to either side, wider or narrower
            theta[3 * c + 1] += 0.5 * theta[2] * ((_GOLDEN * way) % 1.0 - 0.5)
            theta[3 * c + 2] *= 0.5 + 0.5 * (way % 4)
    for c in range(1, n_lines):  # a few lines: insertion
        for b in range(c, 0, -1):
            is_free = math.isinf(limits[b, 0]) and math.isinf(limits[b - 1, 0]) and not is_mixed
            if is_free and theta[3 * b + 1] < theta[3 * b - 2]:
                for p in range(3):
                    kept = theta[3 * b + p]
                    theta[3 * b + p] = theta[3 * b - 3 + p]
                    theta[3 * b - 3 + p] = kept
    for term in range(n_terms):
        theta[3 * n_lines + term] = level if term == 0 else 0.0


@numba.njit(error_model="numpy")
def _broad_line(axis, rest, weight, step):
    """Return height, place and width from the moments of all that stands out."""
    total, first, second, height = 0.0, 0.0, 0.0, 1e-12
    for k in range(len(axis)):
        if weight[k] > 0 and rest[k] > 0:
            d = 0.5 * (axis[min(k + 1, len(axis) - 1)] - axis[max(k - 1, 0)])
            total += rest[k] * d
            first += rest[k] * d * axis[k]
            second += rest[k] * d * axis[k] ** 2
            height = max(height, rest[k])
    if not total > 0:
        return height, 0.5 * (axis[0] + axis[-1]), 2.0 * step
    place = first / total
    return height, place, max(math.sqrt(max(second / total - place**2, 0.0)), step)


@numba.njit(error_model="numpy")
def _other_way(axis, data, weight, floor, sign, theta, n_lines, limits, way):
    """Change the best start into another one."""
    height, at, width = theta[0], theta[1], theta[2]
    for c in range(n_lines):
        if not math.isinf(limits[c, 0]):
            share = (0.5 + _GOLDEN * (way + n_lines * c)) % 1.0
            place = limits[c, 0] + share * (limits[c, 1] - limits[c, 0])
            k = min(max(np.searchsorted(axis, place), 0), len(axis) - 1)
            excess = sign * data[k] - floor if weight[k] > 0 else 0.0
            theta[3 * c] = sign * max(excess, 0.1 * abs(height))
            theta[3 * c + 1] = place
            theta[3 * c + 2] *= 0.6 + 0.4 * (way % 3)
        elif way % 2 == 1 and n_lines > 1:
            theta[3 * c] = height * (0.8 if c == 0 else 0.6)
            theta[3 * c + 1] = at + width * (c - 0.5 * (n_lines - 1)) * (1.0 + 0.3 * way)
            theta[3 * c + 2] = 0.6 * width
        elif way % 2 == 1:  # beside its place, to the red or the blue
            theta[3 * c + 1] += theta[3 * c + 2] * (0.8 if way % 4 == 1 else -0.8)
            theta[3 * c + 2] *= 0.7
        else:
            theta[3 * c + 2] *= 1.0 + 0.5 * way if way % 4 == 2 else 1.0 / (0.5 * way)


@numba.njit(error_model="numpy")
def _second_lowest_block(data, weight, sign):
    """Return the second lowest (of absorption: highest) mean of eight parts of the spectrum."""
    n = len(data)
    n_blocks = min(_BLOCKS, max(n // 2, 1))
    low, second = np.inf, np.inf
    for b in range(n_blocks):
        total, used = 0.0, 0
        for k in range(b * n // n_blocks, (b + 1) * n // n_blocks):
            if weight[k] > 0:
                total += data[k]
                used += 1
        if used == 0:
            continue
        mean = sign * total / used
        if mean < low:
            low, second = mean, low
        elif mean < second:
            second = mean
    return sign * (second if second < np.inf else low) if low < np.inf else 0.0


@numba.njit(error_model="numpy")
def _highest_peak(axis, rest, weight, step, limits):
    """Return height, place and width of the highest peak within limits."""
    n = len(axis)
    best, at = -np.inf, -1
    for k in range(n):
        if weight[k] <= 0 or axis[k] < limits[0] or axis[k] > limits[1]:
            continue
        total, used = 2.0 * rest[k], 2.0  # smoothed, so that one noisy value is no line
        if k > 0 and weight[k - 1] > 0:
            total += rest[k - 1]
            used += 1.0
        if k < n - 1 and weight[k + 1] > 0:
            total += rest[k + 1]
            used += 1.0
        if total / used > best:
            best, at = total / used, k
    if at < 0:  # no value there
        middle = 0.5 * (max(limits[0], axis[0]) + min(limits[1], axis[n - 1]))
        return 1e-12, middle, 2.0 * step
    height = max(rest[at], best)
    if not height > 0:
        return max(abs(height), 1e-12), axis[at], 2.0 * step
    area, first, lo, hi = 0.0, 0.0, at, at
    while lo > 0 and (rest[lo - 1] > 0.3 * height or weight[lo - 1] <= 0):
        lo -= 1
    while hi < n - 1 and (rest[hi + 1] > 0.3 * height or weight[hi + 1] <= 0):
        hi += 1
    for k in range(max(lo, 0), min(hi, n - 1) + 1):
        if weight[k] > 0:
            area += rest[k]
            first += rest[k] * (axis[k] - axis[at])
    place = axis[at] + first / area if area > 0 else axis[at]
    # between the places of 0.3 of the height lie 88 % of a Gaussian's area
    width = area * step / (0.88 * 2.5066 * height)
    return height, place, min(max(width, 0.6 * step), 0.25 * (axis[n - 1] - axis[0]))
