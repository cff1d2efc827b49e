"""Compiled: priors of emission measure in log T and time, written as a chain's matrix."""

from __future__ import annotations

import math

import numba
import numpy as np

from tools.emission_measure.pixels import UNIT_CM5

__all__ = [
    "KINK",
    "PENALTIES",
    "TOTAL_VARIATION",
    "set_levels",
    "set_reweighted",
    "set_smoothness",
    "set_system",
    "set_ties",
]

TOTAL_VARIATION, RELATIVE, QUADRATIC = 0, 1, 2
PENALTIES = {  # the first one is the default: the best on training flares
    "total-variation": TOTAL_VARIATION,
    "relative": RELATIVE,
    "quadratic": QUADRATIC,
}
KINK = 0.05  # of the level: smaller changes count by their square, larger ones by their size
_LOWEST = 1e-3  # of the largest level of a time, below which no level falls


@numba.njit(cache=True, error_model="numpy")
def set_levels(reference, times, n_times, tilt, slope, level, rows):
    """Write the running level of every bin: the reference, smoothed over bins and times."""
    n = reference.shape[1]
    for t in range(n_times):
        own = reference[times[t]]
        top = 0.0
        for j in range(n):
            first, last = max(0, j - 2), min(n, j + 3)
            value = 0.0
            for q in range(first, last):
                value += own[q]
            rows[t, j] = value / ((last - first) * UNIT_CM5)
            top = max(top, own[j] / UNIT_CM5)
        for j in range(n):
            rows[t, j] = max(rows[t, j], _LOWEST * top) if top > 0.0 else 0.0
            rows[t, j] *= 1.0 + tilt[times[t]] * (slope[j] - 1.0)
    for t in range(n_times):
        for j in range(n):
            value, share = 2.0 * rows[t, j], 2.0
            if t > 0:
                value, share = value + rows[t - 1, j], share + 1.0
            if t < n_times - 1:
                value, share = value + rows[t + 1, j], share + 1.0
            level[t, j] = value / share
    top = 0.0
    for t in range(n_times):
        for j in range(n):
            top = max(top, level[t, j])
    for t in range(n_times):
        for j in range(n):
            level[t, j] = max(level[t, j], 1e-9 * top) if top > 0.0 else 1.0


@numba.njit(cache=True, error_model="numpy")
def _brightness(level, t, n_times):
    """Return the total level of a time over the mean of all times.

    Divided by it, priors weigh relative amounts: else those of bright times would decide, and faint
    ones be over-fitted.
    """
    own, mean = 0.0, 0.0
    for k in range(n_times):
        for j in range(level.shape[1]):
            own += level[k, j] if k == t else 0.0
            mean += level[k, j] / n_times
    return own / mean


@numba.njit(cache=True, error_model="numpy")
def set_ties(level, gap, n_times, penalty, tie):
    """Write the weights of squared changes, for a weight of 1 in time."""
    n = level.shape[1]
    for j in range(n):
        mean = 0.0
        for t in range(n_times):
            mean += level[t, j] / n_times
        for t in range(n_times - 1):
            here = 0.5 * (level[t, j] + level[t + 1, j])
            if penalty == QUADRATIC:
                tie[t, j] = 1.0 / (mean * gap[t])
            elif penalty == RELATIVE:
                tie[t, j] = 1.0 / (here * gap[t])
            else:
                tie[t, j] = 1.0 / here
    if penalty == QUADRATIC:
        return
    for t in range(n_times - 1):
        bright = 0.5 * (_brightness(level, t, n_times) + _brightness(level, t + 1, n_times))
        for j in range(n):
            tie[t, j] /= bright


@numba.njit(cache=True, error_model="numpy")
def set_reweighted(x, level, tie, n_times, now):
    """Write weights of squares that stand for the size of changes (Huber's function)."""
    for t in range(n_times - 1):
        for j in range(x.shape[1]):
            here = 0.5 * (level[t, j] + level[t + 1, j])
            now[t, j] = tie[t, j] / max(abs(x[t + 1, j] - x[t, j]) / here, KINK)


@numba.njit(cache=True, error_model="numpy")
def set_smoothness(level, smooth, n_times, prior):
    """Write ``D M D`` of every time, D = 1 over the root of the level."""
    n = level.shape[1]
    over = np.empty(n)
    for t in range(n_times):
        bright = _brightness(level, t, n_times)
        for j in range(n):
            over[j] = 1.0 / math.sqrt(level[t, j] * bright)
        for a in range(n):
            for b in range(n):
                prior[t, a, b] = smooth[a, b] * over[a] * over[b]


@numba.njit(cache=True, error_model="numpy")
def set_system(c, n_times, gram, prior, tie, mu, weight):
    """Write the matrix ``gram + mu (D M D + weight L)``."""
    n = c.h.shape[1]
    for t in range(n_times):
        for a in range(n):
            for b in range(n):
                c.h[t, a, b] = gram[t, a, b] + mu * prior[t, a, b]
            c.tie[t, a] = 0.0
    for t in range(n_times - 1):
        for j in range(n):
            tied = mu * weight * tie[t, j]
            c.tie[t, j] = tied
            c.h[t, j, j] += tied
            c.h[t + 1, j, j] += tied
