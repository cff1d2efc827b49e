"""Non-negative Tikhonov inversion of eight pixels at once, by Newton's method on bins and mu.

All functions are compiled; numbers of eight pixels stand side by side.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba

from tools.emission_measure.lanes import (
    LANES,
    any_positive,
    choose,
    lesser,
    load,
    pointer_to,
    root,
    splat,
    store,
)
from tools.emission_measure.small_systems import (
    factor_lanes,
    invert_factor,
    substitute_lanes,
)
from tools.emission_measure.tikhonov_one import LARGEST_LOG_MU, LEAST_LOG_MU, NEAR

__all__ = [
    "Eight",
    "assemble",
    "eight_of",
    "newton",
    "next_weights",
    "posterior",
    "resolution_widths",
    "scratch_size",
]

_MOST_STEPS = 14
_LARGEST_CHANGE = 3.0  # of log mu in a step
_LEAST_MU, _LARGEST_MU = math.exp(LEAST_LOG_MU), math.exp(LARGEST_LOG_MU)
_LOWEST_WEIGHT = 1e-4  # of the largest bin, in the second solution


class Eight(NamedTuple):
    """Pointers to what belongs to eight pixels; m channels or n bins of eight numbers each."""

    over_sigma: int
    b: int
    w: int
    new: int
    slope: int
    goal: int
    mu: int
    done: int
    h: int
    inverse: int
    weights: int
    signal: int
    used: int
    x: int
    error: int
    kept: int
    kinds: int
    y: int
    spread: int
    seen: int
    row: int
    response: int
    products: int
    n: int


def scratch_size(m: int, n: int) -> int:
    """Give how many numbers an Eight points to, without the response and its products."""
    width = -(-m // LANES)
    return LANES * (5 * m + 3 + 2 * m * m + 5 * n + 2 * (m + 1) + 1 + 3 * width + n)


@numba.njit(cache=True)
def eight_of(c, scratch, response, products, n, width, slots):
    """Give the Eight of part c; response is (bin, channel), products (channel, channel, bin)."""
    m, at = len(slots), c * scratch.shape[1]
    channels, bins, square = m * LANES, n * LANES, m * m * LANES
    first = at + 5 * channels + 3 * LANES + 2 * square
    rest = first + 5 * bins
    one = rest + 2 * (m + 1) * LANES + LANES
    return Eight(
        pointer_to(scratch, at),
        pointer_to(scratch, at + channels),
        pointer_to(scratch, at + 2 * channels),
        pointer_to(scratch, at + 3 * channels),
        pointer_to(scratch, at + 4 * channels),
        pointer_to(scratch, at + 5 * channels),
        pointer_to(scratch, at + 5 * channels + LANES),
        pointer_to(scratch, at + 5 * channels + 2 * LANES),
        pointer_to(scratch, at + 5 * channels + 3 * LANES),
        pointer_to(scratch, at + 5 * channels + 3 * LANES + square),
        pointer_to(scratch, first),
        pointer_to(scratch, first + bins),
        pointer_to(scratch, first + 2 * bins),
        pointer_to(scratch, first + 3 * bins),
        pointer_to(scratch, first + 4 * bins),
        pointer_to(scratch, rest),
        pointer_to(scratch, rest + 2 * (m + 1) * LANES),
        pointer_to(scratch, one),
        pointer_to(scratch, one + width),
        pointer_to(scratch, one + 2 * width),
        pointer_to(scratch, one + 3 * width),
        pointer_to(response, 0),
        pointer_to(products, 0),
        n,
    )


@numba.njit(cache=True)
def _logarithm(x):
    """Give log x, to a few per cent where x is far from 1: good enough for steps."""
    q = root(root(x))
    square = q * q
    return splat(12.0) * (square - splat(1.0)) / (square + splat(4.0) * q + splat(1.0))


@numba.njit(cache=True)
def _exponential(x):
    """Give exp x for x within 3 of 0, to a thousandth."""
    y = x * splat(0.25)
    even, odd = splat(1.0) + y * y * splat(1.0 / 12.0), y * splat(0.5)
    part = (even + odd) / (even - odd)
    part = part * part
    return part * part


@numba.njit(cache=True)
def _signals(e, w, out, slots):
    """Give A^T w for every bin."""
    m, n = len(slots), e.n
    for i in range(m):  # slope is free here
        store(e.slope, i * LANES, load(e.over_sigma, i * LANES) * load(w, i * LANES))
    for j in range(n):
        value = splat(0.0)
        for i in range(m):
            value = value + splat(e.response[j * m + i]) * load(e.slope, i * LANES)
        store(out, j * LANES, value)


@numba.njit(cache=True)
def assemble(e, slots):
    """Build A P A^T + I from the bins in used, and factor it."""
    m, n = len(slots), e.n
    for i in range(m):
        for k in range(i + 1):
            even, odd = splat(0.0), splat(0.0)
            row = (i * m + k) * n
            for j in range(0, n - 1, 2):
                even = even + splat(e.products[row + j]) * load(e.used, j * LANES)
                odd = odd + splat(e.products[row + j + 1]) * load(e.used, (j + 1) * LANES)
            if n % 2:
                even = even + splat(e.products[row + n - 1]) * load(e.used, (n - 1) * LANES)
            value = (even + odd) * load(e.over_sigma, i * LANES) * load(e.over_sigma, k * LANES)
            if i == k:
                value = value + splat(1.0)
            store(e.h, (i * m + k) * LANES, value)
    factor_lanes(e.h, slots)


@numba.njit(cache=True)
def newton(e, slots):
    """Find bins and mu together; leaves the factor and the bins.

    done: 1 where chi2 is at its target, 2 where no mu is small enough, 0 where it has not arrived.
    """
    m, n = len(slots), e.n
    nothing, one = splat(0.0), splat(1.0)
    goal = load(e.goal, 0)
    _signals(e, e.w, e.signal, slots)
    for _ in range(_MOST_STEPS):
        mu = load(e.mu, 0)
        over = one / mu
        for j in range(n):
            p = load(e.weights, j * LANES) * over
            store(e.used, j * LANES, choose(load(e.signal, j * LANES), nothing, p, nothing))
        assemble(e, slots)
        substitute_lanes(e.h, e.b, e.w, slots)
        _signals(e, e.w, e.signal, slots)
        changed = nothing  # does w switch on other bins than it was solved with?
        for j in range(n):
            now = choose(load(e.signal, j * LANES), nothing, one, nothing)
            before = choose(load(e.used, j * LANES), nothing, one, nothing)
            changed = changed + (now - before) * (now - before)
        substitute_lanes(e.h, e.w, e.slope, slots)
        square, turn = nothing, nothing
        for i in range(m):
            value = load(e.w, i * LANES)
            square = square + value * value
            turn = turn + value * load(e.slope, i * LANES)
        ratio = square / goal
        away = choose(ratio, one, ratio - one, one - ratio)
        met = choose(splat(NEAR), away, one, nothing)
        least = choose(mu, splat(_LEAST_MU * 1.001), nothing, one)
        hopeless = choose(ratio, one, least, nothing)
        done = choose(met, nothing, one, hopeless + hopeless)
        done = choose(changed, nothing, nothing, done)
        store(e.done, 0, done)
        open_ = choose(done, nothing, nothing, one)
        if not any_positive(open_):
            break
        rate = splat(2.0) * (one - turn / choose(square, splat(1e-300), square, one))
        rate = choose(rate, splat(0.05), rate, splat(0.05))
        change = _logarithm(choose(ratio, splat(1e-12), ratio, splat(1e-12))) / rate
        change = lesser(change, splat(_LARGEST_CHANGE))
        change = choose(change, splat(-_LARGEST_CHANGE), change, splat(-_LARGEST_CHANGE))
        change = choose(splat(NEAR / 2), away, nothing, change)  # only the bins have to settle
        mu = mu * _exponential((nothing - change) * open_)
        mu = choose(mu, splat(_LEAST_MU), mu, splat(_LEAST_MU))
        store(e.mu, 0, lesser(mu, splat(_LARGEST_MU)))
    for j in range(n):
        value = load(e.signal, j * LANES)
        value = choose(value, nothing, value, nothing)
        store(e.x, j * LANES, value * load(e.used, j * LANES))


@numba.njit(cache=True)
def next_weights(e):
    """Give the weights of the second solution: the first one, smoothed over five bins."""
    n = e.n
    top = splat(0.0)
    for j in range(n):
        value = load(e.x, j * LANES)
        top = choose(value, top, value, top)
    lowest = top * splat(_LOWEST_WEIGHT)
    for j in range(n):
        first, last = max(0, j - 2), min(n, j + 3)
        value = splat(0.0)
        for q in range(first, last):
            value = value + load(e.x, q * LANES)
        value = value * splat(1.0 / (last - first))
        value = choose(value, lowest, value, lowest) + splat(1e-12)
        store(e.weights, j * LANES, value)


@numba.njit(cache=True)
def posterior(e, slots):
    """Give one sigma of every bin: P - P A^T (A P A^T + I)^-1 A P on the bins in use.

    Bins that are 0 have the variance that they would have if they were let in.
    """
    m, n = len(slots), e.n
    over = splat(1.0) / load(e.mu, 0)
    invert_factor(e.h, e.inverse, slots)
    for i in range(m):
        for k in range(i + 1):
            at = (i * m + k) * LANES
            store(e.inverse, at, load(e.inverse, at) * load(e.over_sigma, k * LANES))
    for j in range(n):
        square = splat(0.0)
        for i in range(m):
            value = splat(0.0)
            for k in range(i + 1):
                at = (i * m + k) * LANES
                value = value + load(e.inverse, at) * splat(e.response[j * m + k])
            square = square + value * value
        prior = load(e.weights, j * LANES) * over
        used = load(e.used, j * LANES)
        let_in = prior / (splat(1.0) + prior * square)
        variance = choose(used, splat(0.0), prior - prior * prior * square, let_in)
        store(e.error, j * LANES, root(choose(variance, splat(0.0), variance, splat(0.0))))


@numba.njit(cache=True)
def resolution_widths(e, centres, half, out, first, last, row, slots):
    """Give the widths at half maximum of the resolution matrix's rows; after ``posterior``.

    Row j, P_j a_j^T (A P A^T + I)^-1 A, says what a solution's bin j holds of a true emission
    measure. A row without a positive value has none: NaN. half: scratch of as many numbers as
    channels; row: as bins.
    """
    m, n = len(slots), e.n
    for lane in range(min(LANES, last - first)):
        for j in range(n):
            place = (first + lane) * n + j
            out[place] = math.nan
            if not e.used[j * LANES + lane] > 0.0:
                continue
            for k in range(m):  # inverse is L^-1 over sigma: half = its transpose times z
                half[k] = 0.0
            for i in range(m):
                z = 0.0
                for k in range(i + 1):
                    z += e.inverse[(i * m + k) * LANES + lane] * e.response[j * m + k]
                for k in range(i + 1):
                    half[k] += e.inverse[(i * m + k) * LANES + lane] * z
            top, at = 0.0, 0
            for q in range(n):
                value = 0.0
                for k in range(m):
                    value += half[k] * e.response[q * m + k]
                row[q] = value
                if value > top:
                    top, at = value, q
            if not top > 0.0:
                continue
            left, right = at, at
            while left > 0 and row[left] > 0.5 * top:
                left -= 1
            while right < n - 1 and row[right] > 0.5 * top:
                right += 1
            low, high = centres[left], centres[right]
            if row[left] <= 0.5 * top:
                part = (0.5 * top - row[left]) / (row[left + 1] - row[left])
                low += part * (centres[left + 1] - centres[left])
            if row[right] <= 0.5 * top:
                part = (0.5 * top - row[right]) / (row[right - 1] - row[right])
                high -= part * (centres[right] - centres[right - 1])
            out[place] = high - low
