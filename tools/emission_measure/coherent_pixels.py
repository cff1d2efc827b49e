"""Compiled: emission measure of single pixels at all their times together.

Times without any channel are taken out of a pixel's chain; what they lie between is tied across
the gap. All numbers are in ``UNIT_CM5`` and over sigma.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from tools.emission_measure.coherent_prior import (
    TOTAL_VARIATION,
    set_levels,
    set_reweighted,
    set_smoothness,
    set_system,
    set_ties,
)
from tools.emission_measure.pixels import UNIT_CM5, is_known
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK, UNSOLVED
from tools.emission_measure.time_chain import (
    chain_of,
    eliminate,
    inverse_blocks,
    solve_chain,
    substitute,
)

__all__ = ["Asked", "solve_pixels"]

_FIRST_MU = 1.0
# The largest mu, and the least one over that with which data and priors would weigh the same: with
# less, rounding decides, and chi2 hardly falls any more.
_LARGEST_LOG_MU = 30.0
_LEAST_SHARE = 1e-8
_AT_LEAST = 0.5
_NEAR = 0.01  # of the goal: how near chi2 has to come
_FITTED = 0.1  # of the goal: as other solvers call it fitted
_LESS = 0.7  # where noise alone fits: of the chi2 of no emission measure
_MOST_STEPS = 60
# chi2 over its number of data that 1 of 1000 times passes, by the number of data (chi-square)
_UNLIKELY = np.array([np.inf, 10.83, 6.91, 5.42, 4.62, 4.10, 3.74])


class Asked(NamedTuple):
    """What is asked of all pixels: see ``solve_coherent``."""

    penalty: int
    weight: float
    target: float
    with_evidence: bool
    steady: float


@numba.njit(cache=True, error_model="numpy")
def _misfit(x, b, over, scaled, times, counted, n_times, chi2):
    """Write chi2 of each time, a sum; return that of the times which count."""
    total = 0.0
    for t in range(n_times):
        chi2[t] = 0.0
        for i in range(len(scaled)):
            seen = 0.0
            for j in range(scaled.shape[1]):
                seen += scaled[i, j] * x[t, j]
            chi2[t] += (seen * over[times[t], i] - b[times[t], i]) ** 2
        total += chi2[t] if counted[t] else 0.0
    return total


@numba.njit(cache=True, error_model="numpy")
def _prior_slope(c, n_times, gram, counted, pull, answer):
    """Return half of how chi2 of the times that count grows with log mu.

    dx / dlog mu = -H^-1 mu Q x and dchi2 / dx = -2 (r - gram x) = -2 mu Q x, over the free numbers.
    """
    for t in range(n_times):
        for a in range(c.n_free[t]):
            j = c.free[t, a]
            value = c.r[t, j]  # mu Q x = r - gram x where x is free
            for b in range(c.n_free[t]):
                q = c.free[t, b]
                value -= gram[t, j, q] * c.x[t, q]
            pull[t, j] = value
    substitute(c, n_times, pull, answer)
    total = 0.0
    for t in range(n_times):
        for a in range(c.n_free[t] if counted[t] else 0):
            j = c.free[t, a]
            total += pull[t, j] * answer[t, j]
    return total


@numba.njit(cache=True, error_model="numpy")
def _solve_one(c, work, n_times, asked, goal, scaled, fixed, least, log_mu):
    """Find x and mu of a chain; return log mu, whether chi2 is reached and whether it arrived."""
    gram, prior, level, tie, now, b, over, times, counted, chi2, pull, answer, before, mark = work
    is_fixed = fixed > 0.0
    if is_fixed:
        log_mu = math.log(fixed)
    is_tv = asked.penalty == TOTAL_VARIATION and asked.weight > 0.0
    low, high = least, _LARGEST_LOG_MU
    if not is_fixed:
        log_mu = min(max(log_mu, low + 2.0 * _AT_LEAST), high)
    for t in range(n_times):
        for j in range(c.h.shape[1]):
            before[t, j] = -1.0
            now[t, j] = tie[t, j]
    if is_tv:  # begin with the changes of the reference
        set_reweighted(level, level, tie, n_times, now)
    arrived = False
    for _ in range(_MOST_STEPS * (5 if is_tv else 1)):
        set_system(c, n_times, gram, prior, now, math.exp(log_mu), asked.weight)
        arrived = solve_chain(c, n_times, mark)
        moved, top = 0.0, 0.0
        if is_tv:
            for t in range(n_times):
                for j in range(c.h.shape[1]):
                    moved = max(moved, abs(c.x[t, j] - before[t, j]))
                    top = max(top, c.x[t, j])
                    before[t, j] = c.x[t, j]
            set_reweighted(c.x, level, tie, n_times, now)
        is_steady = not is_tv or moved <= asked.steady * top
        if is_fixed:
            if is_steady:
                return log_mu, True, arrived
            continue
        total = _misfit(c.x, b, over, scaled, times, counted, n_times, chi2)
        gap = math.log(max(total, 1e-9 * goal) / goal)
        if abs(gap) < _NEAR:
            if is_steady:
                return log_mu, True, arrived
            continue
        if not is_tv:  # weights that change move the bracket
            if gap > 0.0:
                high = log_mu
            else:
                low = log_mu
        if gap > 0.0 and log_mu <= least + _AT_LEAST:
            break  # no mu is small enough
        slope = 2.0 * _prior_slope(c, n_times, gram, counted, pull, answer) / total
        aim = log_mu + min(max(-gap / max(slope, 0.05), -4.0), 4.0)
        if not low < aim < high:
            aim = 0.5 * (low + high) if not is_tv else min(max(aim, low), high)
        if high - low < 1e-6:
            break
        log_mu = aim
    return log_mu, False, arrived


@numba.njit(cache=True, error_model="numpy")
def _sum_up(c, n_times, gram, counted, blocks, asked, energy):
    """Return effective data (a trace) and log evidence of the free numbers, after the solution."""
    log_h = eliminate(c, n_times)
    inverse_blocks(c, n_times, blocks)
    trace = 0.0
    for t in range(n_times):
        for a in range(c.n_free[t] if counted[t] else 0):
            j = c.free[t, a]
            for b in range(c.n_free[t]):
                q = c.free[t, b]
                trace += blocks[t, j, q] * gram[t, q, j]
    evidence = 0.0
    if asked.with_evidence:
        for t in range(n_times):
            for a in range(c.h.shape[1]):
                for b in range(c.h.shape[1]):
                    c.h[t, a, b] -= gram[t, a, b]
        evidence = 0.5 * (eliminate(c, n_times) - log_h - energy)
        for t in range(n_times):
            for a in range(c.h.shape[1]):
                for b in range(c.h.shape[1]):
                    c.h[t, a, b] += gram[t, a, b]
        eliminate(c, n_times)
    return trace, evidence


@numba.njit(cache=True, error_model="numpy")
def _write(p, c, n_times, gram, blocks, chi2, counts, times, scaled, signal, kind, out):
    """Write what was found at the times of the chain."""
    em, error, model, chi2_map, status, prior_share = out
    n = c.h.shape[1]
    for t in range(n_times):
        at = times[t]
        if not signal[at]:
            status[p, at] = NO_SIGNAL
            continue
        total, by_data = 0.0, 0.0
        for j in range(n):
            x = c.x[t, j]
            em[p, at, j] = x * UNIT_CM5
            total += x
            if c.is_free[t, j]:
                error[p, at, j] = math.sqrt(blocks[t, j, j]) * UNIT_CM5
                own = 0.0
                for a in range(c.n_free[t]):
                    own += blocks[t, j, c.free[t, a]] * gram[t, c.free[t, a], j]
                by_data += own * x
                continue
            slope = -c.r[t, j]
            for a in range(c.n_free[t]):
                slope += c.h[t, j, c.free[t, a]] * c.x[t, c.free[t, a]]
            if t > 0:
                slope -= c.tie[t - 1, j] * c.x[t - 1, j]
            if t < n_times - 1:
                slope -= c.tie[t, j] * c.x[t + 1, j]
            slope = max(slope, 0.0)
            # where chi2 with the penalties has grown by 1
            error[p, at, j] = UNIT_CM5 / (slope + math.sqrt(slope * slope + c.h[t, j, j]))
        for i in range(len(scaled)):
            seen = 0.0
            for j in range(n):
                seen += scaled[i, j] * c.x[t, j]
            model[p, at, i] = seen
        chi2_map[p, at] = chi2[t] / counts[at]
        share = 1.0 - by_data / total if total > 0.0 else 1.0
        prior_share[p, at] = min(max(share, 0.0), 1.0)
        own_kind = kind
        if kind == OK and chi2_map[p, at] > _UNLIKELY[min(counts[at], len(_UNLIKELY) - 1)]:
            own_kind = NOT_FITTED
        status[p, at] = own_kind
        if not chi2_map[p, at] < np.inf:
            status[p, at] = UNSOLVED
            em[p, at] = 0.0
            model[p, at] = 0.0
            error[p, at] = np.nan
            chi2_map[p, at] = np.nan


@numba.njit(cache=True, error_model="numpy")
def _solve_part(first, last, dn, sigma, left_out, given, matrices, asked, out, sums):
    """Solve the pixels from first to last."""
    reference, tilt, wider, clock, fixed = given
    scaled, smooth, slope = matrices
    em, error, model, chi2_map, status, prior_share = out
    log_mus, traces, evidences, data, squares = sums
    n_all, m = dn.shape[1:]
    n = scaled.shape[1]
    c = chain_of(n_all, n)
    gram, blocks = np.zeros((n_all, n, n)), np.zeros((n_all, n, n))
    prior = np.zeros((n_all, n, n))
    level, tie, now = np.ones((n_all, n)), np.ones((n_all, n)), np.ones((n_all, n))
    b, over = np.zeros((n_all, m)), np.zeros((n_all, m))
    times, counts = np.zeros(n_all, np.int64), np.zeros(n_all, np.int64)
    chi2, gap = np.zeros(n_all), np.ones(n_all)
    pull, answer, before = np.zeros((n_all, n)), np.zeros((n_all, n)), np.zeros((n_all, n))
    mark, signal = np.zeros((n_all, n), np.bool_), np.zeros(n_all, np.bool_)
    counted = np.zeros(n_all, np.bool_)
    work = gram, prior, level, tie, now, b, over, times, counted, chi2, pull, answer, before, mark
    log_mu = math.log(_FIRST_MU)
    for p in range(first, last):
        n_times, size, n_data = 0, 0.0, 0
        for t in range(n_all):
            counts[t], signal[t] = 0, False
            for i in range(m):
                y, s = dn[p, t, i], sigma[p, t, i]
                known = is_known(y, s)
                if len(left_out) > 0:
                    known = known and left_out[p, t, i] == 0
                over[t, i] = 1.0 / (s * wider[p, t]) if known else 0.0
                b[t, i] = y * over[t, i] if known else 0.0
                counts[t] += 1 if known else 0
                signal[t] = signal[t] or (known and y > 0.0)
                size += b[t, i] * b[t, i]
            em[p, t] = 0.0
            model[p, t] = 0.0
            error[p, t] = np.nan
            chi2_map[p, t] = np.nan
            prior_share[p, t] = np.nan
            status[p, t] = NO_DATA
            if counts[t] > 0:
                times[n_times] = t
                n_times += 1
        any_counts = False  # where nothing fits any frame, all count
        for t in range(n_times):
            any_counts = any_counts or wider[p, times[t]] == 1.0
        counted_size = 0.0
        for t in range(n_times):
            at = times[t]
            counted[t] = wider[p, at] == 1.0 or not any_counts
            if counted[t]:
                n_data += counts[at]
                for i in range(m):
                    counted_size += b[at, i] * b[at, i]
        data[p], log_mus[p], traces[p], evidences[p] = n_data, np.nan, np.nan, np.nan
        squares[p] = np.nan
        has_signal = False
        for t in range(n_times):
            has_signal = has_signal or signal[times[t]]
        if not has_signal:
            for t in range(n_times):
                status[p, times[t]] = NO_SIGNAL
            continue
        for t in range(n_times - 1):
            gap[t] = clock[times[t + 1]] - clock[times[t]]
        set_levels(reference[p], times, n_times, tilt[p], slope, level, before)
        set_ties(level, gap, n_times, asked.penalty, tie)
        set_smoothness(level, smooth, n_times, prior)
        for t in range(n_times):
            at = times[t]
            for j in range(n):
                value = 0.0
                for i in range(m):
                    value += scaled[i, j] * over[at, i] * b[at, i]
                c.r[t, j] = value
                c.is_free[t, j] = reference[p, at, j] > 0.0
                for q in range(j + 1):
                    value = 0.0
                    for i in range(m):
                        value += scaled[i, j] * scaled[i, q] * over[at, i] * over[at, i]
                    gram[t, j, q] = value
                    gram[t, q, j] = value
        goal, kind = n_data * asked.target, OK
        if counted_size < goal / (1.0 - _FITTED):
            kind, goal = NOT_FITTED, _LESS * counted_size
        top = 0.0
        for t in range(n_times):
            for j in range(n):
                top = max(top, level[t, j])
        least = math.log(_LEAST_SHARE * size / (n_times * top))
        log_mu, _, arrived = _solve_one(
            c, work, n_times, asked, goal, scaled, fixed[p], least, log_mu
        )
        total = _misfit(c.x, b, over, scaled, times, counted, n_times, chi2)
        if fixed[p] == 0.0 and total > goal * (1.0 + _FITTED):
            kind = NOT_FITTED
        if not arrived:
            kind = UNSOLVED
        energy = 0.0
        if asked.with_evidence:  # the least of the whole sum: b'b - r'x
            energy = size
            for t in range(n_times):
                for j in range(n):
                    energy -= c.r[t, j] * c.x[t, j]
        traces[p], evidences[p] = _sum_up(c, n_times, gram, counted, blocks, asked, energy)
        log_mus[p], squares[p] = log_mu, total
        for t in range(n_times):
            chi2[t] *= wider[p, times[t]] ** 2
        _write(p, c, n_times, gram, blocks, chi2, counts, times, scaled, signal, kind, out)
        if not least + 6.0 < log_mu < _LARGEST_LOG_MU - 6.0:
            log_mu = math.log(_FIRST_MU)


@numba.njit(parallel=True, cache=True)
def solve_pixels(dn, sigma, left_out, given, matrices, asked, out, sums, chunks):
    """Solve all pixels; see ``solve_coherent``.

    given : reference (pixel, time, bin) cm-5; tilt and factors of the errors (pixel, time); seconds
    over their usual step; mu (pixel,), 0 where it is to be found.
    matrices : response (channel, bin) in units, smoothness (bin, bin), slope (bin,).
    sums : log mu, effective data, log evidence, number of data, chi2 (pixel,).
    """
    n = len(dn)
    for k in numba.prange(chunks):
        first, last = k * n // chunks, (k + 1) * n // chunks
        _solve_part(first, last, dn, sigma, left_out, given, matrices, asked, out, sums)
