"""The inversion of J. Plowman and A. Caspi, ApJ 905 (2020) 17: smooth in the logarithm.

The emission measure per dex is exp(s). About the present s the data are linear in it, and the next
one minimises chi2 plus the mean square slope of s over a constant; steps end where chi2 reaches its
target. With s as a sum of steps between neighbouring bins the system has as many unknowns as there
are channels: its matrix is made of cumulative sums.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from tools.emission_measure.pixels import UNIT_CM5, Solution, finish_map, known_of
from tools.emission_measure.small_systems import solve_positive
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK, UNSOLVED
from tools.fitting.threads import limited_threads

__all__ = ["solve_plowman_caspi"]

_SLOPE = 8.0  # e-folds over the whole range of log T that cost as much as chi2 = 1 in each channel
_LEVEL = 1e3  # spread of the level of s: any
_MOST_STEPS = 100
_LARGEST_CHANGE = 2.0  # of s, in one step
_NEAR = 0.1  # of the target chi2
_LEAST_GAIN = 1e-3  # of chi2 in a step; slower ones end it


def solve_plowman_caspi(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    log_temperature_edges: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    target_chi2: float = 1.0,
    n_jobs: int = 1,
) -> Solution:
    """Solve every pixel.

    Parameters
    ----------
    dn, sigma : (pixel, channel) float64
        DN s-1 pix-1. A channel with NaN is missing.
    response : (channel, bin) float64
        DN cm5 s-1 pix-1.
    log_temperature_edges : (bin + 1,) float
    left_out : (pixel, channel) bool, optional
        Channels that are missing, too.
    target_chi2 : float
        Mean over the channels.
    n_jobs : int
        Threads.

    Returns
    -------
    Solution
        Positive; without errors.
    """
    known = known_of(dn, sigma)
    if left_out is not None:
        known &= left_out == 0
    data = np.ascontiguousarray(np.where(known, dn, 0.0))
    over_sigma = np.ascontiguousarray(np.where(known, 1 / np.where(known, sigma, 1), 0.0))
    widths = np.diff(log_temperature_edges)
    between = (widths[:-1] + widths[1:]) / 2
    slope = _SLOPE / np.sqrt(len(response))
    scale = slope * np.sqrt(between * (log_temperature_edges[-1] - log_temperature_edges[0]))
    em, model = np.zeros((len(dn), len(widths))), np.empty(dn.shape)
    status, chi2 = np.full(len(dn), UNSOLVED, np.uint8), np.empty(len(dn))
    with limited_threads(n_jobs) as threads:
        _solve_map(
            data,
            over_sigma,
            np.ascontiguousarray(response * UNIT_CM5 * widths),
            np.concatenate([[_LEVEL], scale]),
            float(target_chi2),
            4 * threads,
            em,
            status,
        )
        em *= UNIT_CM5 * widths
        finish_map(data, over_sigma, np.ascontiguousarray(response, float), em, model, chi2)
    is_lost = (status <= NOT_FITTED) & ~np.isfinite(chi2)
    if is_lost.any():
        em[is_lost], model[is_lost], chi2[is_lost], status[is_lost] = 0, 0, np.nan, UNSOLVED
    return Solution(em, np.broadcast_to(np.nan, em.shape), chi2, status, model)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _chi2_of(a, b, s, change, part, x):
    """Give x = exp(s + part * change) and the sum of squares that is left."""
    m, n = a.shape
    for j in range(n):
        x[j] = math.exp(min(s[j] + part * change[j], 60.0))
    total = 0.0
    for i in range(m):
        left = b[i]
        for j in range(n):
            left -= a[i, j] * x[j]
        total += left * left
    return total


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _next(a, b, s, x, scale, sums, h, b_linear, z, change):
    """Solve the system that is linear about s; gives the change of s."""
    m, n = a.shape
    for i in range(m):
        left, running = b[i], 0.0
        for j in range(n - 1, -1, -1):
            part = a[i, j] * x[j]
            left += part * (s[j] - 1.0)
            running += part
            sums[i, j] = running * scale[j]
        b_linear[i] = left
    for i in range(m):
        for k in range(i + 1):
            total = 1.0 if i == k else 0.0
            for j in range(n):
                total += sums[i, j] * sums[k, j]
            h[i, k] = total
    solve_positive(h, b_linear, z)
    level, largest = 0.0, 0.0
    for j in range(n):
        step = 0.0
        for i in range(m):
            step += sums[i, j] * z[i]
        level += step * scale[j]
        change[j] = level - s[j]
        largest = max(largest, abs(change[j]))
    if largest > _LARGEST_CHANGE:
        for j in range(n):
            change[j] *= _LARGEST_CHANGE / largest


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def _solve_map(data, over_sigma, response, scale, target, chunks, em, status):
    n_pixels, m = data.shape
    n = response.shape[1]
    total_response = np.empty(m)
    for i in range(m):
        total_response[i] = response[i].sum()
    for c in numba.prange(chunks):
        a, b, h, z = np.empty((m, n)), np.empty(m), np.empty((m, m)), np.empty(m)
        b_linear = np.empty(m)
        s, x, change, sums = np.empty(n), np.empty(n), np.empty(n), np.empty((m, n))
        for p in range(c * n_pixels // chunks, (c + 1) * n_pixels // chunks):
            n_seen, n_positive, seen, known = 0, 0, 0.0, 0.0
            for i in range(m):
                b[i] = data[p, i] * over_sigma[p, i]
                for j in range(n):
                    a[i, j] = response[i, j] * over_sigma[p, i]
                if over_sigma[p, i] > 0.0:
                    n_seen += 1
                    r = total_response[i] * over_sigma[p, i]
                    seen += r * max(b[i], 0.01)
                    known += r * r
                    if b[i] > 0.0:
                        n_positive += 1
            if n_positive == 0:
                status[p] = NO_SIGNAL if n_seen > 0 else NO_DATA
                continue
            goal = n_seen * target
            for j in range(n):
                s[j] = math.log(seen / known)
                change[j] = 0.0
            now = _chi2_of(a, b, s, change, 0.0, x)
            for _ in range(_MOST_STEPS):
                if now <= goal * (1.0 + _NEAR):
                    break
                _next(a, b, s, x, scale, sums, h, b_linear, z, change)
                part, before = 1.0, now
                now = _chi2_of(a, b, s, change, part, x)
                while now > before and part > 1e-3:
                    part *= 0.5
                    now = _chi2_of(a, b, s, change, part, x)
                if now < goal * (1.0 - _NEAR):  # too far: as far as chi2 = target
                    low, high = 0.0, part
                    for _ in range(30):
                        part = 0.5 * (low + high)
                        now = _chi2_of(a, b, s, change, part, x)
                        if abs(now - goal) < _NEAR * goal:
                            break
                        if now > goal:
                            low = part
                        else:
                            high = part
                for j in range(n):
                    s[j] += part * change[j]
                if before - now < _LEAST_GAIN * before:
                    break
            status[p] = OK if now <= goal * (1.0 + _NEAR) else NOT_FITTED
            for j in range(n):
                em[p, j] = x[j]
