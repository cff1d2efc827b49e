"""Non-negative Tikhonov inversion of one pixel: slow, and safe, with a line search.

Where Newton's method with full steps cycles, this one arrives: the dual is convex, and a step is
halved until it falls. All functions are compiled.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from tools.emission_measure.small_systems import solve_positive

__all__ = ["LOG_MU_RANGE", "NEAR", "solve_one"]

NEAR = 0.08  # of the target: how near chi2 has to come
LOG_MU_RANGE = 32.0  # above its least value


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _dual(a, b, p, w, aim, step):
    """Give the convex function whose minimum is sought, part of the way from w to aim."""
    m, n = a.shape
    total = 0.0
    for i in range(m):
        v = w[i] + step * (aim[i] - w[i])
        total += v * (0.5 * v - b[i])
    for j in range(n):
        s = 0.0
        for i in range(m):
            s += a[i, j] * (w[i] + step * (aim[i] - w[i]))
        if s > 0.0:
            total += 0.5 * p[j] * s * s
    return total


@numba.njit(cache=True, error_model="numpy")
def _solve_fixed(a, b, p, w):
    """Solve one pixel at fixed mu, safely; w is the start and the answer. Gives |w|^2."""
    m, n = a.shape
    h, aim = np.empty((m, m)), np.empty(m)
    for _ in range(100):
        for i in range(m):
            for k in range(m):
                h[i, k] = 1.0 if i == k else 0.0
        for j in range(n):
            s = 0.0
            for i in range(m):
                s += a[i, j] * w[i]
            if s > 0.0:
                for i in range(m):
                    for k in range(m):
                        h[i, k] += a[i, j] * a[k, j] * p[j]
        solve_positive(h, b, aim)
        before, step = _dual(a, b, p, w, aim, 0.0), 1.0
        while step > 1e-6 and _dual(a, b, p, w, aim, step) > before:
            step *= 0.5
        moved, size = 0.0, 0.0
        for i in range(m):
            change = step * (aim[i] - w[i])
            moved += abs(change)
            size += abs(aim[i])
            w[i] += change
        if moved < 1e-9 * (size + 1e-12):
            break
    total = 0.0
    for i in range(m):
        total += w[i] * w[i]
    return total


@numba.njit(cache=True, error_model="numpy")
def solve_one(a, b, weights, goal, least_log_mu, log_mu, w):
    """Solve one pixel within a bracket of log mu; give x, log mu and whether the goal was met.

    log_mu and w, which is changed, are where the search begins.
    """
    n = a.shape[1]
    low, high = least_log_mu, least_log_mu + LOG_MU_RANGE
    low_gap, high_gap = -math.inf, math.inf  # of log |w|^2, unknown yet
    log_mu, step, met = min(max(log_mu, low), high), 1.0, False
    for _ in range(60):
        square = _solve_fixed(a, b, weights * math.exp(-log_mu), w)
        if abs(square / goal - 1.0) < NEAR:
            met = True
            break
        gap = math.log(max(square / goal, 1e-9))
        if gap > 0.0:
            if log_mu <= low:  # no weight is small enough
                break
            high, high_gap = log_mu, gap
        else:
            low, low_gap = log_mu, gap
        if math.isinf(low_gap):
            log_mu = max(log_mu - step, low)
        elif math.isinf(high_gap):
            log_mu = min(log_mu + step, high)
        else:
            share = low_gap / (low_gap - high_gap) if step < 0.0 else 0.5
            step = -1.0 if step > 0.0 else 1.0  # in turn, so that the bracket shrinks
            log_mu = low + min(max(share, 0.05), 0.95) * (high - low)
            continue
        step *= 2.0
    x = np.zeros(n)
    for j in range(n):
        s = 0.0
        for i in range(len(b)):
            s += a[i, j] * w[i]
        x[j] = weights[j] * math.exp(-log_mu) * max(s, 0.0)
    return x, log_mu, met
