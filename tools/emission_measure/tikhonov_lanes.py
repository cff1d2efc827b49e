"""Non-negative Tikhonov inversion of sixteen pixels at once, by Newton's method on bins and mu.

All functions are compiled; numbers of sixteen pixels stand side by side. Each of them is at a step
and a stage of its own: who has arrived makes room for the next pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba

from tools.emission_measure.lanes import (
    WIDE,
    choose,
    lesser,
    load_wide,
    pointer_to,
    root,
    splat_wide,
    store,
)
from tools.emission_measure.small_systems import (
    factor_lanes,
    invert_factor,
    substitute_lanes,
)
from tools.emission_measure.tikhonov_one import LOG_MU_RANGE, NEAR

__all__ = [
    "FIRST",
    "LEAST_MU",
    "ONLY",
    "Group",
    "assemble",
    "first_stage",
    "group_of",
    "keep_first",
    "newton_step",
    "posterior",
    "resolution_width",
    "scratch_size",
    "second_stage",
]

FIRST, SECOND, ONLY = 0.0, 1.0, 2.0  # which solution is sought: of two, or the only one

_FULL_STEPS = 8.0  # of Newton's method; later ones go half the way, since full steps can cycle
# A first solution only gives weights: how near its chi2 has to come, and steps that are enough.
# Nearer ones change medians of L1 by less than 0.002 of themselves.
_ROUGHLY, _ENOUGH = 0.15, 10.0
_LARGEST_CHANGE = 3.0  # of log mu in a step
_RANGE = math.exp(LOG_MU_RANGE)
# times the mean weight and the signal to noise, over the square of the emission measure (1e26 cm-5)
# that one channel alone would give: with less, chi2 hardly falls any more
LEAST_MU = math.exp(-8.0)
_LOWEST_WEIGHT = 1e-4  # of the largest bin, in the second solution


class Group(NamedTuple):
    """Pointers to what belongs to sixteen pixels; m channels or n bins of sixteen numbers each."""

    over_sigma: int
    b: int
    w: int
    slope: int
    goal: int
    mu: int
    least: int
    done: int
    count: int  # type: ignore[assignment]  # compiled code reads it by position, never counts
    stage: int
    pixel: int
    kind: int
    tilt: int
    h: int
    inverse: int
    weights: int
    signal: int
    used: int
    x: int
    error: int
    kept: int
    response: int
    products: int
    first_weights: int
    second_weights: int
    n: int


def scratch_size(m: int, n: int) -> int:
    """Return how many numbers a Group points to, without what is the same for all."""
    return WIDE * (4 * m + 9 + 2 * m * m + 6 * n + 1)


@numba.njit(cache=True)
def group_of(c, scratch, response, products, first_weights, second_weights, slots):
    """Return row c of scratch as a Group.

    response is (bin, channel), products (channel, channel, bin), both weights (bin,).
    """
    n = len(first_weights)
    m, at = len(slots), c * scratch.shape[1]
    channels, bins, square = m * WIDE, n * WIDE, m * m * WIDE
    one = at + 4 * channels
    first = one + 9 * WIDE
    rest = first + 2 * square
    return Group(
        pointer_to(scratch, at),
        pointer_to(scratch, at + channels),
        pointer_to(scratch, at + 2 * channels),
        pointer_to(scratch, at + 3 * channels),
        pointer_to(scratch, one),
        pointer_to(scratch, one + WIDE),
        pointer_to(scratch, one + 2 * WIDE),
        pointer_to(scratch, one + 3 * WIDE),
        pointer_to(scratch, one + 4 * WIDE),
        pointer_to(scratch, one + 5 * WIDE),
        pointer_to(scratch, one + 6 * WIDE),
        pointer_to(scratch, one + 7 * WIDE),
        pointer_to(scratch, one + 8 * WIDE),
        pointer_to(scratch, first),
        pointer_to(scratch, first + square),
        pointer_to(scratch, rest),
        pointer_to(scratch, rest + bins),
        pointer_to(scratch, rest + 2 * bins),
        pointer_to(scratch, rest + 3 * bins),
        pointer_to(scratch, rest + 4 * bins),
        pointer_to(scratch, rest + 5 * bins),
        pointer_to(response, 0),
        pointer_to(products, 0),
        pointer_to(first_weights, 0),
        pointer_to(second_weights, 0),
        n,
    )


@numba.njit(cache=True)
def _logarithm(x):
    """Return log x, to a few per cent where x is far from 1: good enough for steps."""
    q = root(root(x))
    square, one = q * q, splat_wide(1.0)
    return splat_wide(12.0) * (square - one) / (square + splat_wide(4.0) * q + one)


@numba.njit(cache=True)
def _exponential(x):
    """Return exp x for x within 3 of 0, to a thousandth."""
    y = x * splat_wide(0.25)
    even, odd = splat_wide(1.0) + y * y * splat_wide(1.0 / 12.0), y * splat_wide(0.5)
    part = (even + odd) / (even - odd)
    part = part * part
    return part * part


@numba.njit(cache=True)
def _over_sigma(g, w, slots):
    """Put w over sigma into slope, which is free."""
    for i in range(len(slots)):
        store(g.slope, i * WIDE, load_wide(g.over_sigma, i * WIDE) * load_wide(w, i * WIDE))


@numba.njit(cache=True)
def _signal(g, j, slots):
    """Return (A^T w)_j from w over sigma in slope."""
    m = len(slots)
    value = splat_wide(0.0)
    for i in range(m):
        value = value + splat_wide(g.response[j * m + i]) * load_wide(g.slope, i * WIDE)
    return value


@numba.njit(cache=True)
def assemble(g, slots):
    """Build A P A^T + I from the bins in used, and factor it."""
    m, n = len(slots), g.n
    for i in range(m):
        for k in range(i + 1):
            even, odd = splat_wide(0.0), splat_wide(0.0)
            row = (i * m + k) * n
            for j in range(0, n - 1, 2):
                even = even + splat_wide(g.products[row + j]) * load_wide(g.used, j * WIDE)
                after = load_wide(g.used, (j + 1) * WIDE)
                odd = odd + splat_wide(g.products[row + j + 1]) * after
            if n % 2:
                last = load_wide(g.used, (n - 1) * WIDE)
                even = even + splat_wide(g.products[row + n - 1]) * last
            value = (even + odd) * load_wide(g.over_sigma, i * WIDE)
            value = value * load_wide(g.over_sigma, k * WIDE)
            if i == k:
                value = value + splat_wide(1.0)
            store(g.h, (i * m + k) * WIDE, value)
    factor_lanes(g.h, slots)


@numba.njit(cache=True)
def newton_step(g, slots):
    """Take a step in bins and mu together.

    done: 1 where chi2 is at its target, 2 where no mu is small enough, 0 where it has not arrived.
    Where it has, x is the emission measure of mu before this step, which stays.
    """
    m, n = len(slots), g.n
    nothing, one = splat_wide(0.0), splat_wide(1.0)
    goal, mu = load_wide(g.goal, 0), load_wide(g.mu, 0)
    over = one / mu
    for j in range(n):
        p = load_wide(g.weights, j * WIDE) * over
        store(g.used, j * WIDE, choose(load_wide(g.signal, j * WIDE), nothing, p, nothing))
    assemble(g, slots)
    substitute_lanes(g.h, g.b, g.w, slots)
    count = load_wide(g.count, 0) + one
    store(g.count, 0, count)
    kept = choose(count, splat_wide(_FULL_STEPS), splat_wide(0.5), nothing)
    changed = nothing  # does w switch on other bins than it was solved with?
    _over_sigma(g, g.w, slots)
    for j in range(n):
        signal, before = _signal(g, j, slots), load_wide(g.signal, j * WIDE)
        is_on = choose(signal, nothing, one, nothing)
        away = is_on - choose(before, nothing, one, nothing)
        changed = changed + away * away
        store(g.x, j * WIDE, choose(signal, nothing, signal, nothing) * load_wide(g.used, j * WIDE))
        store(g.signal, j * WIDE, signal + kept * (before - signal))
    substitute_lanes(g.h, g.w, g.slope, slots)
    square, turn = nothing, nothing
    for i in range(m):
        value = load_wide(g.w, i * WIDE)
        square = square + value * value
        turn = turn + value * load_wide(g.slope, i * WIDE)
    ratio = square / goal
    away = choose(ratio, one, ratio - one, one - ratio)
    stage = load_wide(g.stage, 0)
    near = choose(stage, nothing, splat_wide(NEAR), splat_wide(_ROUGHLY))
    met = choose(near, away, one, nothing)
    least = load_wide(g.least, 0)
    hopeless = choose(ratio, one, choose(mu, least * splat_wide(1.001), nothing, one), nothing)
    done = choose(met, nothing, one, hopeless + hopeless)
    done = choose(changed, nothing, nothing, done)
    late = choose(count, splat_wide(_ENOUGH), splat_wide(SECOND) - stage, nothing)
    done = choose(late, nothing, one, done)
    store(g.done, 0, done)
    rate = splat_wide(2.0) * (one - turn / choose(square, splat_wide(1e-300), square, one))
    rate = choose(rate, splat_wide(0.05), rate, splat_wide(0.05))
    change = _logarithm(choose(ratio, splat_wide(1e-12), ratio, splat_wide(1e-12))) / rate
    change = lesser(change, splat_wide(_LARGEST_CHANGE))
    change = choose(change, splat_wide(-_LARGEST_CHANGE), change, splat_wide(-_LARGEST_CHANGE))
    change = choose(splat_wide(NEAR / 2), away, nothing, change)  # only the bins have to settle
    change = choose(done, nothing, nothing, change)
    mu = mu * _exponential(nothing - change)
    mu = choose(mu, least, mu, least)
    store(g.mu, 0, lesser(mu, least * splat_wide(_RANGE)))


@numba.njit(cache=True)
def keep_first(g):
    """Keep mu and bins of the first solutions that have arrived, for the pixels to come."""
    nothing = splat_wide(0.0)
    arrived = load_wide(g.done, 0)
    from_second = splat_wide(SECOND) - load_wide(g.stage, 0)  # 0 where it is the second
    arrived = choose(from_second * from_second, nothing, arrived, nothing)
    for j in range(g.n):
        before, signal = load_wide(g.kept, j * WIDE), load_wide(g.signal, j * WIDE)
        store(g.kept, j * WIDE, choose(arrived, nothing, signal, before))
    at = g.n * WIDE
    store(g.kept, at, choose(arrived, nothing, load_wide(g.mu, 0), load_wide(g.kept, at)))


@numba.njit(cache=True)
def first_stage(g):
    """Begin pixels anew where count is 0: from bins and mu of the pixel before."""
    nothing, one = splat_wide(0.0), splat_wide(1.0)
    going, tilt = load_wide(g.count, 0), load_wide(g.tilt, 0)
    for j in range(g.n):
        weight, signal = load_wide(g.weights, j * WIDE), load_wide(g.signal, j * WIDE)
        fresh = one + tilt * (splat_wide(g.first_weights[j]) - one)
        store(g.weights, j * WIDE, choose(going, nothing, weight, fresh))
        store(g.signal, j * WIDE, choose(going, nothing, signal, load_wide(g.kept, j * WIDE)))
    mu = choose(going, nothing, load_wide(g.mu, 0), load_wide(g.kept, g.n * WIDE))
    least = load_wide(g.least, 0)
    store(g.mu, 0, lesser(choose(mu, least, mu, least), least * splat_wide(_RANGE)))


@numba.njit(cache=True)
def second_stage(g):
    """Begin the second solution where the first has arrived.

    Weights are the first solution, smoothed over five bins. It begins with the bins of the first
    one, and with the mu for which the total emission measure would stay.
    """
    n = g.n
    nothing, one = splat_wide(0.0), splat_wide(1.0)
    tilt = load_wide(g.tilt, 0)
    arrived = choose(load_wide(g.stage, 0), nothing, nothing, load_wide(g.done, 0))
    top, total = nothing, nothing
    for j in range(n):
        value = load_wide(g.x, j * WIDE)
        top = choose(value, top, value, top)
        total = total + value
    lowest = top * splat_wide(_LOWEST_WEIGHT)
    total = choose(top, nothing, total, splat_wide(1.0 * n))
    again = nothing
    for j in range(n):
        first, last = max(0, j - 2), min(n, j + 3)
        value = nothing
        for q in range(first, last):
            value = value + load_wide(g.x, q * WIDE)
        value = value * splat_wide(1.0 / (last - first))
        value = choose(value, lowest, value, lowest)
        value = value * (one + tilt * (splat_wide(g.second_weights[j]) - one))
        value = value + splat_wide(1e-12)
        value = choose(top, nothing, value, one)  # a first solution of 0 says nothing
        value = choose(arrived, nothing, value, load_wide(g.weights, j * WIDE))
        store(g.weights, j * WIDE, value)
        signal = load_wide(g.signal, j * WIDE)
        again = again + value * choose(signal, nothing, signal, nothing)
    mu = again / total
    least = load_wide(g.least, 0) * total * splat_wide(1.0 / n)
    least = choose(arrived, nothing, least, load_wide(g.least, 0))
    store(g.least, 0, least)
    mu = choose(mu, least, mu, least)
    mu = lesser(mu, least * splat_wide(_RANGE))
    store(g.mu, 0, choose(arrived, nothing, mu, load_wide(g.mu, 0)))
    store(g.count, 0, choose(arrived, nothing, splat_wide(0.5), load_wide(g.count, 0)))
    store(g.stage, 0, choose(arrived, nothing, splat_wide(SECOND), load_wide(g.stage, 0)))
    store(g.done, 0, choose(arrived, nothing, nothing, load_wide(g.done, 0)))


@numba.njit(cache=True)
def posterior(g, slots):
    """Return one sigma of every bin: P - P A^T (A P A^T + I)^-1 A P on the bins in use.

    Bins that are 0 have the variance that they would have if they were let in.
    """
    m, n = len(slots), g.n
    over = splat_wide(1.0) / load_wide(g.mu, 0)
    invert_factor(g.h, g.inverse, slots)
    for i in range(m):
        for k in range(i + 1):
            at = (i * m + k) * WIDE
            store(g.inverse, at, load_wide(g.inverse, at) * load_wide(g.over_sigma, k * WIDE))
    for j in range(n):
        square = splat_wide(0.0)
        for i in range(m):
            value = splat_wide(0.0)
            for k in range(i + 1):
                at = (i * m + k) * WIDE
                value = value + load_wide(g.inverse, at) * splat_wide(g.response[j * m + k])
            square = square + value * value
        prior = load_wide(g.weights, j * WIDE) * over
        used = load_wide(g.used, j * WIDE)
        let_in = prior / (splat_wide(1.0) + prior * square)
        variance = choose(used, splat_wide(0.0), prior - prior * prior * square, let_in)
        store(g.error, j * WIDE, root(choose(variance, splat_wide(0.0), variance, splat_wide(0.0))))


@numba.njit(cache=True)
def resolution_width(g, lane, centres, small, out, first, slots):
    """Return the widths at half maximum of the resolution matrix's rows; after ``posterior``.

    Row j, P_j a_j^T (A P A^T + I)^-1 A, says what a solution's bin j holds of a true emission
    measure. A row without a positive value has none: NaN. They are written from out[first].
    """
    m, n = len(slots), g.n
    half, row = small.seen, small.row  # free here
    for j in range(n):
        out[first + j] = math.nan
        if not g.used[j * WIDE + lane] > 0.0:
            continue
        for k in range(m):  # inverse is L^-1 over sigma: half = its transpose times z
            half[k] = 0.0
        for i in range(m):
            z = 0.0
            for k in range(i + 1):
                z += g.inverse[(i * m + k) * WIDE + lane] * g.response[j * m + k]
            for k in range(i + 1):
                half[k] += g.inverse[(i * m + k) * WIDE + lane] * z
        top, at = 0.0, 0
        for q in range(n):
            value = 0.0
            for k in range(m):
                value += half[k] * g.response[q * m + k]
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
        out[first + j] = high - low
