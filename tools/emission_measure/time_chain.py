"""Non-negative least squares of a chain: vectors in time, each of which is tied to the next one.

Minimise ``1/2 x'Hx - r'x`` over x >= 0, where H is block tridiagonal: full blocks within a time,
diagonal ones between neighbouring times. Which numbers are free is found by block principal
pivoting (Kim & Park 2011, SIAM J. Sci. Comput. 33, 3261, algorithm 2): with all that are wrong
exchanged at once and, where that does not help, one at a time, which always ends. The system of the
free numbers is solved by block elimination in time. All functions are compiled.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

__all__ = ["Chain", "chain_of", "eliminate", "inverse_blocks", "solve_chain", "substitute"]

_FULL_EXCHANGES = 3  # without progress, before numbers are exchanged one at a time
_MOST_EXCHANGES = 1000
_NEAR_ZERO = 1e-12  # of the largest number, or of the sizes that cancel in a gradient
_FAST = {"reassoc", "contract", "nsz"}  # sums in any order; NaN and infinity stay what they are
_LEAST_PIVOT = 1e-14  # of a diagonal element, which rounding may make negative


class Chain(NamedTuple):
    """Scratch of one chain of at most so many times and bins.

    h : (time, bin, bin); tie : (time, bin), minus the elements between a time and the next one;
    r, x : (time, bin); is_free : (time, bin) bool; free : (time, bin) int, the free bins of a time,
    n_free of them; inverse : (time, bin, bin), of what elimination leaves of a block; partial :
    (time, bin).
    """

    h: np.ndarray
    tie: np.ndarray
    r: np.ndarray
    x: np.ndarray
    is_free: np.ndarray
    free: np.ndarray
    n_free: np.ndarray
    inverse: np.ndarray
    partial: np.ndarray
    factor: np.ndarray
    lower: np.ndarray


@numba.njit(cache=True)
def chain_of(n_times, n_bins):
    """Return scratch."""
    return Chain(
        np.zeros((n_times, n_bins, n_bins)),
        np.zeros((n_times, n_bins)),
        np.zeros((n_times, n_bins)),
        np.zeros((n_times, n_bins)),
        np.zeros((n_times, n_bins), np.bool_),
        np.zeros((n_times, n_bins), np.int64),
        np.zeros(n_times, np.int64),
        np.zeros((n_times, n_bins, n_bins)),
        np.zeros((n_times, n_bins)),
        np.zeros((n_bins, n_bins)),
        np.zeros((n_bins, n_bins)),
    )


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _invert_block(s, k, factor, lower, out):
    """Write the inverse of a positive definite block of k rows; return log of its determinant.

    lower: the transposed inverse of the Cholesky factor.
    """
    log_determinant = 0.0
    for j in range(k):
        diagonal = s[j, j]
        value = diagonal
        for q in range(j):
            value -= factor[j, q] * factor[j, q]
        value = max(value, _LEAST_PIVOT * diagonal)
        log_determinant += math.log(value)
        over = 1.0 / math.sqrt(value)
        factor[j, j] = over
        for i in range(j + 1, k):
            value = s[i, j]
            for q in range(j):
                value -= factor[i, q] * factor[j, q]
            factor[i, j] = value * over
    for a in range(k):
        lower[a, a] = factor[a, a]
        for i in range(a + 1, k):
            value = 0.0
            for q in range(a, i):
                value += factor[i, q] * lower[a, q]
            lower[a, i] = -value * factor[i, i]
    for a in range(k):
        for b in range(a + 1):
            value = 0.0
            for q in range(a, k):
                value += lower[a, q] * lower[b, q]
            out[a, b] = value
            out[b, a] = value
    return log_determinant


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def eliminate(c, n_times):
    """Eliminate the free numbers in time; return log of the determinant of their matrix.

    ``inverse`` of a block becomes that of ``S_t = H_t - T_t-1 S_t-1^-1 T_t-1``, T the ties.
    """
    log_determinant, k_before = 0.0, 0
    for t in range(n_times):
        k = 0
        for j in range(c.h.shape[1]):
            if c.is_free[t, j]:
                c.free[t, k] = j
                k += 1
        c.n_free[t] = k
        s = c.inverse[t]
        for a in range(k):
            for b in range(a + 1):
                s[a, b] = c.h[t, c.free[t, a], c.free[t, b]]
        if t > 0 and k_before > 0:
            place = 0
            for a in range(k_before):  # where the bins of the time before stand in this one
                bin_a = c.free[t - 1, a]
                while place < k and c.free[t, place] < bin_a:
                    place += 1
                if place == k:
                    break
                if c.free[t, place] != bin_a:
                    continue
                at = 0
                for b in range(a + 1):
                    bin_b = c.free[t - 1, b]
                    while c.free[t, at] < bin_b:
                        at += 1
                    if c.free[t, at] == bin_b:
                        tied = c.tie[t - 1, bin_a] * c.tie[t - 1, bin_b]
                        s[place, at] -= tied * c.inverse[t - 1, a, b]
        log_determinant += _invert_block(s, k, c.factor, c.lower, s)
        k_before = k
    return log_determinant


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def substitute(c, n_times, r, x):
    """Solve for the free numbers, after ``eliminate``; the others become 0."""
    n = c.h.shape[1]
    for t in range(n_times):
        k, inverse = c.n_free[t], c.inverse[t]
        for a in range(k):
            j = c.free[t, a]
            value = r[t, j]
            if t > 0 and c.is_free[t - 1, j]:
                value += c.tie[t - 1, j] * c.partial[t - 1, j]
            c.lower[0, a] = value
        for a in range(k):
            value = 0.0
            for b in range(k):
                value += inverse[a, b] * c.lower[0, b]
            c.partial[t, c.free[t, a]] = value
    for t in range(n_times - 1, -1, -1):
        k, inverse = c.n_free[t], c.inverse[t]
        for j in range(n):
            x[t, j] = 0.0
        is_last = t == n_times - 1
        for a in range(k):
            j = c.free[t, a]
            tied = 0.0 if is_last or not c.is_free[t + 1, j] else c.tie[t, j] * x[t + 1, j]
            c.lower[0, a] = tied
        for a in range(k):
            value = c.partial[t, c.free[t, a]]
            if not is_last:
                for b in range(k):
                    value += inverse[a, b] * c.lower[0, b]
            x[t, c.free[t, a]] = value


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def inverse_blocks(c, n_times, blocks):
    """Write the blocks (time, bin, bin) of the inverse matrix of the free numbers, 0 elsewhere.

    ``V_t = S_t^-1 + S_t^-1 T_t V_t+1 T_t S_t^-1``, backwards in time after ``eliminate``.
    """
    n = c.h.shape[1]
    product = np.zeros((n, n))
    for t in range(n_times - 1, -1, -1):
        k, inverse = c.n_free[t], c.inverse[t]
        blocks[t] = 0.0
        for a in range(k):
            for b in range(k):
                blocks[t, c.free[t, a], c.free[t, b]] = inverse[a, b]
        if t == n_times - 1:
            continue
        later = blocks[t + 1]
        for a in range(k):  # S^-1 T V, (a, bin)
            for j in range(n):
                value = 0.0
                for b in range(k):
                    q = c.free[t, b]
                    value += inverse[a, b] * c.tie[t, q] * later[q, j]
                product[a, j] = value
        for a in range(k):
            for b in range(k):
                value = 0.0
                for d in range(k):
                    q = c.free[t, d]
                    value += product[a, q] * c.tie[t, q] * inverse[d, b]
                blocks[t, c.free[t, a], c.free[t, b]] += value


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _wrong(c, n_times, mark):
    """Mark numbers that are free and negative, or 0 and would rather grow; return how many."""
    n, count, top = c.h.shape[1], 0, 0.0
    for t in range(n_times):
        for j in range(n):
            top = max(top, abs(c.x[t, j]))
    for t in range(n_times):
        for j in range(n):
            mark[t, j] = False
            if c.is_free[t, j]:
                mark[t, j] = c.x[t, j] < -_NEAR_ZERO * top
            else:
                slope, size = -c.r[t, j], abs(c.r[t, j])
                for a in range(c.n_free[t]):
                    q = c.free[t, a]
                    part = c.h[t, j, q] * c.x[t, q]
                    slope += part
                    size += abs(part)
                if t > 0:
                    slope -= c.tie[t - 1, j] * c.x[t - 1, j]
                if t < n_times - 1:
                    slope -= c.tie[t, j] * c.x[t + 1, j]
                mark[t, j] = slope < -_NEAR_ZERO * size
            count += mark[t, j]
    return count


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def solve_chain(c, n_times, mark):
    """Solve for x, from the free numbers as they are; return whether it arrived.

    mark : (time, bin) bool, scratch. ``inverse`` is left as ``eliminate`` makes it.
    """
    n = c.h.shape[1]
    fewest, tries = n_times * n + 1, _FULL_EXCHANGES
    for _ in range(_MOST_EXCHANGES):
        eliminate(c, n_times)
        substitute(c, n_times, c.r, c.x)
        count = _wrong(c, n_times, mark)
        if count == 0:
            for t in range(n_times):
                for j in range(n):
                    c.x[t, j] = max(c.x[t, j], 0.0)
            return True
        is_single = False
        if count < fewest:
            fewest, tries = count, _FULL_EXCHANGES
        elif tries > 0:
            tries -= 1
        else:
            is_single = True
        for back in range(n_times * n):
            at = n_times * n - 1 - back
            t, j = at // n, at % n
            if mark[t, j]:
                c.is_free[t, j] = not c.is_free[t, j]
                if is_single:
                    break
    for t in range(n_times):
        for j in range(n):
            c.x[t, j] = max(c.x[t, j], 0.0)
    return False
