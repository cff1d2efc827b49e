"""What stands before and behind a network in an inversion, compiled: its input and its result.

Blocks are (row, pixel), as ``network_kernels.py`` takes them; all else has its pixels in the first
axis.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from network_models.dem_regression.simulated_pixels import LARGEST_SIGMA, N_BINS, N_CHANNELS

__all__ = [
    "LARGEST_BEYOND",
    "LARGEST_DN",
    "MODEL_ERROR",
    "Limits",
    "Results",
    "read_block",
    "write_block",
]

MODEL_ERROR = 0.05  # of a brightness: what bins and responses may be wrong by
LARGEST_DN = 1e7  # DN s-1 pix-1: more than AIA's cameras hold in their shortest exposures
_SMALLEST_SIGMA = 1e-6  # DN s-1 pix-1: an error below it is none
LARGEST_BEYOND = 3.0  # mean square of misfits in units of noise and model error


class Limits(NamedTuple):
    """What tells a pixel's status.

    Attributes
    ----------
    levels, chi2 : (level,) float64
        Of signal over noise, and the largest chi2 of each.
    most : float
        Largest total emission measure, 1e26 cm-5.
    codes : (5,) uint8
        Statuses of a pixel that is good, unlike training, without data, without signal, not fitted.
    unit : float32
        cm-5 in which emission measure is computed.
    """

    levels: np.ndarray
    chi2: np.ndarray
    most: float
    codes: np.ndarray
    unit: np.float32


class Results(NamedTuple):
    """What is found.

    Attributes
    ----------
    em, low, high, error : (pixel, 18) float32
        cm-5; error is half of the interval from low to high.
    model : (pixel, 6) float32
        DN s-1 pix-1.
    chi2 : (pixel,) float64
    status : (pixel,) uint8
    """

    em: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    model: np.ndarray
    chi2: np.ndarray
    status: np.ndarray


@numba.njit(nogil=True, cache=True)
def read_block(first, dn, sigma, left_out, missing_sigma, given):
    """Write brightness, errors and what was seen (1 or 0) of a block of pixels, six rows each.

    dn, sigma: (pixel, 6); left_out: as ``flags_of`` gives it. Where there are no more pixels,
    nothing is seen.
    """
    n = min(len(dn) - first, given.shape[1])
    for k in range(given.shape[1]):
        for c in range(N_CHANNELS):
            y, s, good = np.float32(0), np.float32(0), False
            if k < n:
                y, s = dn[first + k, c], sigma[first + k, c]
                good = abs(y) < LARGEST_DN and _SMALLEST_SIGMA < s < LARGEST_SIGMA
                good = good and not (len(left_out) and left_out[first + k, c])
            given[c, k] = y if good else np.float32(0)
            given[N_CHANNELS + c, k] = s if good else missing_sigma
            given[2 * N_CHANNELS + c, k] = np.float32(1) if good else np.float32(0)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def write_block(first, given, found, limits, results):
    """Turn a network's output into emission measure with interval, chi2 and status.

    given: as ``read_block`` writes it; found: rows of emission measure (18), of the distances
    below and above (36), of brightness (6).
    """
    zero, half = np.float32(0), np.float32(0.5)
    n = min(len(results.em) - first, given.shape[1])
    for k in range(n):
        p = first + k
        n_seen, away, beyond, signal, total = 0, 0.0, 0.0, 0.0, 0.0
        for c in range(N_CHANNELS):
            value = found[3 * N_BINS + c, k]
            results.model[p, c] = value
            if given[2 * N_CHANNELS + c, k] > 0:
                y, s = given[c, k], given[N_CHANNELS + c, k]
                apart = (value - y) / s
                away += apart * apart
                own = MODEL_ERROR * y
                beyond += (value - y) ** 2 / (s * s + own * own)
                signal = max(signal, y / s)
                n_seen += 1
        for j in range(N_BINS):
            x = found[j, k] if n_seen else zero
            total += x
            results.em[p, j] = x * limits.unit
            low = max(x - found[N_BINS + j, k], zero) * limits.unit
            high = (x + found[2 * N_BINS + j, k]) * limits.unit if n_seen else zero
            results.low[p, j], results.high[p, j] = low, high
            results.error[p, j] = (high - low) * half
        if n_seen == 0:
            results.chi2[p], results.status[p] = np.nan, limits.codes[2]
            continue
        results.chi2[p] = away / n_seen
        level = 0
        while level < len(limits.levels) and signal >= limits.levels[level]:
            level += 1
        known = results.chi2[p] <= limits.chi2[level] and total <= limits.most  # neither is NaN
        unlike = not known or n_seen < N_CHANNELS - 1
        if signal <= 0:
            results.status[p] = limits.codes[3]
        elif unlike:
            results.status[p] = limits.codes[1]
        else:
            results.status[p] = limits.codes[4 if beyond / n_seen > LARGEST_BEYOND else 0]
