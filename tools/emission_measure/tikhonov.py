"""Non-negative Tikhonov inversion, solved by its dual in as many unknowns as there are channels.

Minimise |A x - b|^2 + mu sum x_j^2 / p_j over x >= 0, with A the response and b the data, both over
sigma. Its conditions collapse to ``(A P A^T + I) w = b``, where P is p_j / mu for the bins with
(A^T w)_j > 0 and 0 for the others; then x = P A^T w, and w is what is left of the data. mu is found
so that |w|^2 is the number of channels (the discrepancy principle). Bins and mu are found together,
by Newton's method on both, for sixteen pixels at once; where that does not arrive, each pixel is
solved by itself with a line search, since full steps can cycle. Error bars are those of the
Gaussian posterior on the same bins.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from tools.emission_measure.small_systems import (
    LANES,
    factor_lanes,
    solve_positive,
    substitute_lanes,
)
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK, UNSOLVED
from tools.emission_measure.threads import limited_threads

__all__ = ["solve_tikhonov"]

_MOST_STEPS = 14
_NEAR = 0.08  # of the target: how near chi2 has to come
_LEAST_LOG_MU, _LARGEST_LOG_MU, _LARGEST_CHANGE = -10.0, 22.0, 3.0
_LOWEST_WEIGHT = 1e-4  # of the largest bin, in the second solution


def solve_tikhonov(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    *,
    target_chi2: float = 1.0,
    two_step: bool = True,
    n_jobs: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve every pixel.

    Parameters
    ----------
    dn, sigma : (pixel, channel) float64
        A channel with NaN is missing.
    response : (channel, bin) float64
        Data per unit of emission measure, in a unit in which both are of order one.
    target_chi2 : float
        Mean over the channels.
    two_step : bool
        Solve again with weights from the smoothed first solution.
    n_jobs : int
        Threads.

    Returns
    -------
    em, error : (pixel, bin) float64
    status : (pixel,) uint8
        NOT_FITTED where no weight of the regularisation brings chi2 to its target.
    """
    known = np.isfinite(dn) & np.isfinite(sigma) & (sigma > 0)
    n, n_bins = len(dn), response.shape[1]
    em, error = np.zeros((n, n_bins)), np.full((n, n_bins), np.nan)
    status = np.full(n, UNSOLVED, np.uint8)
    with limited_threads(n_jobs) as threads:
        _solve_map(
            np.ascontiguousarray(np.where(known, dn, 0.0)),
            np.ascontiguousarray(np.where(known, 1 / np.where(known, sigma, 1.0), 0.0)),
            np.ascontiguousarray(response, float),
            float(target_chi2),
            two_step,
            4 * threads,
            em,
            error,
            status,
        )
    return em, error, status


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _assemble(products, response, over_sigma, weights, inverse_mu, w, used, h):
    """Build A P A^T + I for every lane, from the bins that w switches on; say which these are."""
    m, n = response.shape
    for i in range(m):
        for k in range(i + 1):
            for lane in range(LANES):
                h[i, k, lane] = 0.0
    for j in range(n):
        for lane in range(LANES):
            used[j, lane] = 0.0
        for i in range(m):
            r = response[i, j]
            for lane in range(LANES):
                used[j, lane] += r * over_sigma[i, lane] * w[i, lane]
        for lane in range(LANES):
            p = weights[j, lane] * inverse_mu[lane]
            used[j, lane] = p if used[j, lane] > 0.0 else 0.0
        for i in range(m):
            for k in range(i + 1):
                r = products[i, k, j]
                for lane in range(LANES):
                    h[i, k, lane] += r * used[j, lane]
    for i in range(m):
        for k in range(i + 1):
            for lane in range(LANES):
                h[i, k, lane] *= over_sigma[i, lane] * over_sigma[k, lane]
        for lane in range(LANES):
            h[i, i, lane] += 1.0


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _same_bins(response, over_sigma, used, w, same):
    """Say for every lane whether w switches on just the bins that it was solved with."""
    m, n = response.shape
    for lane in range(LANES):
        same[lane] = 1.0
    signal = np.empty(LANES)
    for j in range(n):
        for lane in range(LANES):
            signal[lane] = 0.0
        for i in range(m):
            r = response[i, j]
            for lane in range(LANES):
                signal[lane] += r * over_sigma[i, lane] * w[i, lane]
        for lane in range(LANES):
            if (signal[lane] > 0.0) != (used[j, lane] > 0.0):
                same[lane] = 0.0


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _newton(products, response, over_sigma, b, weights, log_mu, goal, work, done):
    """Find bins and mu together, for all lanes; leaves the factor and the bins in work.

    done: 1 where chi2 is at its target, 2 where no mu is small enough, 0 where it has not arrived.
    """
    w, new, slope, used, h, inverse_mu, same = work
    m = len(response)
    for lane in range(LANES):
        done[lane] = 0.0
    for _ in range(_MOST_STEPS):
        for lane in range(LANES):
            inverse_mu[lane] = math.exp(-log_mu[lane])
        _assemble(products, response, over_sigma, weights, inverse_mu, w, used, h)
        factor_lanes(h)
        substitute_lanes(h, b, new)
        _same_bins(response, over_sigma, used, new, same)
        substitute_lanes(h, new, slope)
        all_done = True
        for lane in range(LANES):
            square, turn = 0.0, 0.0
            for i in range(m):
                square += new[i, lane] * new[i, lane]
                turn += new[i, lane] * slope[i, lane]
                w[i, lane] = new[i, lane]
            ratio = square / goal[lane]
            near = abs(ratio - 1.0) < _NEAR
            hopeless = ratio > 1.0 and log_mu[lane] <= _LEAST_LOG_MU
            done[lane] = 0.0
            if same[lane] > 0.0 and (near or hopeless):
                done[lane] = 1.0 if near else 2.0
                continue
            all_done = False
            rate = max(2.0 * (1.0 - turn / max(square, 1e-300)), 0.05)
            change = -math.log(max(ratio, 1e-12)) / rate
            change = min(max(change, -_LARGEST_CHANGE), _LARGEST_CHANGE)
            if abs(ratio - 1.0) < _NEAR / 2:
                change = 0.0  # only the bins have to settle
            log_mu[lane] = min(max(log_mu[lane] + change, _LEAST_LOG_MU), _LARGEST_LOG_MU)
        if all_done:
            break


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
def _solve_one(a, b, weights, goal):
    """Solve one pixel within a bracket of log mu; give x, log mu and whether the goal was met."""
    n = a.shape[1]
    low, high = _LEAST_LOG_MU, _LARGEST_LOG_MU
    w, log_mu = b.copy(), low
    square = _solve_fixed(a, b, weights * math.exp(-log_mu), w)
    met = square <= goal * (1.0 + _NEAR)  # else no weight is small enough
    if met and square < goal * (1.0 - _NEAR):
        low_gap, high_gap = math.log(square / goal), math.log((b * b).sum() / goal)
        met = False
        for step in range(40):
            share = low_gap / (low_gap - high_gap) if step % 3 < 2 else 0.5
            log_mu = low + min(max(share, 0.05), 0.95) * (high - low)
            square = _solve_fixed(a, b, weights * math.exp(-log_mu), w)
            if abs(square / goal - 1.0) < _NEAR:
                met = True
                break
            if square > goal:
                high, high_gap = log_mu, math.log(square / goal)
            else:
                low, low_gap = log_mu, math.log(max(square / goal, 1e-9))
    x = np.zeros(n)
    for j in range(n):
        s = 0.0
        for i in range(len(b)):
            s += a[i, j] * w[i]
        x[j] = weights[j] * math.exp(-log_mu) * max(s, 0.0)
    return x, log_mu, met


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def _solve_map(dn, one_over_sigma, response, target, two_step, chunks, em, error, status):
    n_pixels, m = dn.shape
    n = response.shape[1]
    products = np.empty((m, m, n))
    for i in range(m):
        for k in range(m):
            for j in range(n):
                products[i, k, j] = response[i, j] * response[k, j]
    n_blocks = (n_pixels + LANES - 1) // LANES
    for c in numba.prange(chunks):
        over_sigma, b = np.empty((m, LANES)), np.empty((m, LANES))
        weights, x = np.empty((n, LANES)), np.empty((n, LANES))
        log_mu, goal, done = np.zeros(LANES), np.empty(LANES), np.empty(LANES)
        kept_mu, kept_w = np.zeros((2, LANES)), np.zeros((2, m, LANES))
        has_kept = np.zeros((2, LANES))
        work = (
            np.empty((m, LANES)),
            np.empty((m, LANES)),
            np.empty((m, LANES)),
            np.empty((n, LANES)),
            np.empty((m, m, LANES)),
            np.empty(LANES),
            np.empty(LANES),
        )
        w, new, slope, used, h, inverse_mu, same = work
        kinds = np.empty(LANES, np.uint8)
        for block in range(c * n_blocks // chunks, (c + 1) * n_blocks // chunks):
            first = block * LANES
            for lane in range(LANES):
                p = min(first + lane, n_pixels - 1)
                n_seen, size, positive = 0, 0.0, False
                for i in range(m):
                    over_sigma[i, lane] = one_over_sigma[p, i]
                    b[i, lane] = dn[p, i] * one_over_sigma[p, i]
                    n_seen += 1 if one_over_sigma[p, i] > 0.0 else 0
                    size += b[i, lane] * b[i, lane]
                    positive = positive or b[i, lane] > 0.0
                goal[lane] = max(n_seen, 1) * target
                kinds[lane] = OK if positive else (NO_SIGNAL if n_seen else NO_DATA)
                if positive and size < goal[lane] / (1.0 - _NEAR):  # noise alone fits
                    goal[lane] = 0.7 * size
                    kinds[lane] = NOT_FITTED
            for stage in range(2 if two_step else 1):
                for j in range(n):
                    for lane in range(LANES):
                        if stage == 0:
                            weights[j, lane] = 1.0
                        else:
                            near, total, top = 0, 0.0, 0.0
                            for q in range(n):
                                top = max(top, x[q, lane])
                            for q in range(max(0, j - 2), min(n, j + 3)):
                                total += x[q, lane]
                                near += 1
                            weights[j, lane] = max(total / near, _LOWEST_WEIGHT * top) + 1e-12
                for lane in range(LANES):
                    log_mu[lane] = kept_mu[stage, lane]
                    for i in range(m):  # the bins of a pixel near by are a good start
                        kept = has_kept[stage, lane] > 0.0
                        w[i, lane] = kept_w[stage, i, lane] if kept else b[i, lane]
                _newton(products, response, over_sigma, b, weights, log_mu, goal, work, done)
                for j in range(n):
                    for lane in range(LANES):
                        signal = 0.0
                        for i in range(m):
                            signal += response[i, j] * over_sigma[i, lane] * w[i, lane]
                        x[j, lane] = used[j, lane] * max(signal, 0.0)
                for lane in range(LANES):
                    has_kept[stage, lane] = 1.0 if done[lane] == 1.0 else 0.0
                    if done[lane] == 1.0:
                        kept_mu[stage, lane] = log_mu[lane]
                        for i in range(m):
                            kept_w[stage, i, lane] = w[i, lane]
                        continue
                    last = stage == (1 if two_step else 0)
                    if done[lane] == 2.0:
                        kept_mu[stage, lane] = 0.0
                        if kinds[lane] == OK and last:
                            kinds[lane] = NOT_FITTED
                        continue
                    kept_mu[stage, lane] = 0.0
                    if kinds[lane] == NO_SIGNAL or kinds[lane] == NO_DATA:
                        continue
                    a, own, p = np.empty((m, n)), np.empty(m), np.empty(n)
                    for i in range(m):
                        own[i] = b[i, lane]
                        for j in range(n):
                            a[i, j] = response[i, j] * over_sigma[i, lane]
                    for j in range(n):
                        p[j] = weights[j, lane]
                    found, log_mu[lane], met = _solve_one(a, own, p, goal[lane])
                    if not met and kinds[lane] == OK and last:
                        kinds[lane] = NOT_FITTED
                    for j in range(n):
                        x[j, lane] = found[j]
            # posterior on the bins of the last solution: P - P A^T (A P A^T + I)^-1 A P
            for lane in range(LANES):
                inverse_mu[lane] = math.exp(-log_mu[lane])
            for i in range(m):
                for k in range(i + 1):
                    for lane in range(LANES):
                        h[i, k, lane] = 0.0
            for j in range(n):
                for lane in range(LANES):
                    on = x[j, lane] > 0.0
                    used[j, lane] = weights[j, lane] * inverse_mu[lane] if on else 0.0
                for i in range(m):
                    for k in range(i + 1):
                        for lane in range(LANES):
                            h[i, k, lane] += products[i, k, j] * used[j, lane]
            for i in range(m):
                for k in range(i + 1):
                    for lane in range(LANES):
                        h[i, k, lane] *= over_sigma[i, lane] * over_sigma[k, lane]
                for lane in range(LANES):
                    h[i, i, lane] += 1.0
            factor_lanes(h)
            for j in range(n):
                for lane in range(LANES):
                    same[lane] = 0.0
                for i in range(m):
                    for lane in range(LANES):
                        new[i, lane] = response[i, j] * over_sigma[i, lane]
                    for k in range(i):
                        for lane in range(LANES):
                            new[i, lane] -= h[i, k, lane] * new[k, lane]
                    for lane in range(LANES):
                        new[i, lane] *= h[i, i, lane]
                        same[lane] += new[i, lane] * new[i, lane]
                for lane in range(LANES):
                    p = first + lane
                    if p < n_pixels:
                        prior = weights[j, lane] * inverse_mu[lane]
                        error[p, j] = math.sqrt(max(prior - prior * prior * same[lane], 0.0))
                        em[p, j] = x[j, lane]
            for lane in range(LANES):
                p = first + lane
                if p < n_pixels:
                    status[p] = kinds[lane]
                    if kinds[lane] == NO_SIGNAL or kinds[lane] == NO_DATA:
                        for j in range(n):
                            em[p, j] = 0.0
                            error[p, j] = np.nan
