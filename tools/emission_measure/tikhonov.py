"""Non-negative Tikhonov inversion, solved by its dual in as many unknowns as there are channels.

Minimise |A x - b|^2 + mu sum x_j^2 / p_j over x >= 0, with A the response and b the data, both over
sigma. Its conditions collapse to ``(A P A^T + I) w = b``, where P is p_j / mu for the bins with
(A^T w)_j > 0 and 0 for the others; then x = P A^T w, and w is what is left of the data. mu is found
so that |w|^2 is the number of channels (the discrepancy principle). Bins and mu are found together,
by Newton's method on both, for sixteen pixels at once, the next pixel taking the place of one that
has arrived; what does not arrive is solved by itself with a line search. Error bars are those of
the Gaussian posterior on the same bins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from tools.emission_measure.lanes import (
    LANES,
    WIDE,
    any_positive,
    cache_aligned,
    choose,
    load_wide,
    pointer_to,
    splat_wide,
    store,
    total,
)
from tools.emission_measure.pixels import (
    UNIT_CM5,
    Data,
    Out,
    Solution,
    flags_of,
    padded,
    point_at_data,
    point_at_out,
    read_pixel,
    see,
    write_nothing,
    write_pixel,
)
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK, UNSOLVED
from tools.emission_measure.tikhonov_lanes import (
    FIRST,
    LEAST_MU,
    ONLY,
    assemble,
    first_stage,
    group_of,
    keep_first,
    newton_step,
    posterior,
    resolution_width,
    scratch_size,
    second_stage,
)
from tools.emission_measure.tikhonov_one import NEAR, solve_one
from tools.fitting.threads import limited_threads

__all__ = ["PRIOR_SLOPE", "TWO_STEP_SIGNAL", "solve_tikhonov"]

_REACHED = 0.1  # of the target: within it chi2, recomputed from the solution, counts as reached
_MOST_STEPS = 20.0  # of Newton's method, before a pixel is solved by itself
_AT_ONCE = 4.0  # arrivals that are worth the work of taking the next ones
# By which power of the temperature the first solution's weights rise where there is flaring plasma.
# With the same weights in every bin what a flare gives in channels that see cool plasma, too, such
# as 131 A, is taken for cool plasma; with much steeper ones cool plasma for a flare.
PRIOR_SLOPE = 1.5
_SECOND_SHARE = 0.26  # of this slope, for the weights of the second solution
_STEEPEST = 5.0
# Below this total signal to noise a second solution takes time and changes little.
TWO_STEP_SIGNAL = 50.0
_LESS = 0.7  # where noise alone fits: of the chi2 of no emission measure


def solve_tikhonov(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    edges: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    target_chi2: float = 1.0,
    prior_slope: float = 0.0,
    tilted: np.ndarray | None = None,
    two_step: bool = True,
    resolution: bool = False,
    n_jobs: int = 1,
) -> Solution:
    """Solve every pixel.

    Parameters
    ----------
    dn, sigma : (pixel, channel) float64
        DN s-1 pix-1. A channel with NaN is missing.
    response : (channel, bin) float64
        DN cm5 s-1 pix-1.
    edges : (bin + 1,) float64
        log10 of K.
    left_out : (pixel, channel) bool, optional
        Channels that are missing, too.
    target_chi2 : float
        Mean over the channels.
    prior_slope : float
        Weights p of the first solution go with this power of the temperature, from -5 to 5; 0 for
        the same in every bin.
    tilted : (pixel,) float, optional
        How far they do, from 0, the same in every bin, to 1. 1 everywhere if it is not given.
    two_step : bool
        Solve again with weights from the smoothed first solution, where the total signal to noise,
        ``sqrt(sum (dn / sigma)^2)``, is ``TWO_STEP_SIGNAL`` or more.
    resolution : bool
        Give the resolution in temperature, too.
    n_jobs : int
        Threads.

    Returns
    -------
    Solution
        Never negative. NOT_FITTED where no weight of the regularisation brings chi2 to its target.
        Errors are one sigma of the Gaussian posterior. ``extra["resolution"]`` (pixel, bin), dex:
        the width at half maximum of the resolution matrix's row, NaN where a bin is 0; the grid
        bounds it.

    Raises
    ------
    ValueError
        If the slope is beyond its range, or ``tilted`` is not one number for each pixel.
    """
    if not abs(prior_slope) <= _STEEPEST:
        raise ValueError(f"prior_slope must be within {_STEEPEST:g} of 0, got {prior_slope}")
    (n, m), n_bins = dn.shape, response.shape[1]
    em, error, model = np.empty((n, n_bins)), np.empty((n, n_bins)), np.empty((n, m))
    chi2, status = np.empty(n), np.empty(n, np.uint8)
    widths = np.full((n if resolution else 0, n_bins), np.nan)
    centres = (edges[:-1] + edges[1:]) / 2
    first_weights = 10.0 ** (prior_slope * (centres - centres.mean()))
    tilt = np.ones(n) if tilted is None else np.ascontiguousarray(tilted, float)
    if tilt.shape != (n,):
        raise ValueError(f"tilted has the shape {tilt.shape}, expected ({n},): one for each pixel")
    scaled = np.ascontiguousarray(response * UNIT_CM5)
    rows, top = padded(scaled.T), scaled.max(axis=1)
    with limited_threads(n_jobs) as threads:
        chunks = 4 * threads
        _solve_map(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            flags_of(left_out, m),
            tilt,
            (
                scaled,
                np.ascontiguousarray(scaled.T),
                scaled[:, None] * scaled,
                rows,
                np.divide(1.0, top, out=np.zeros(m), where=top > 0),
                first_weights / first_weights.mean(),
                10.0 ** (_SECOND_SHARE * prior_slope * (centres - centres.mean())),
            ),
            float(target_chi2),
            two_step,
            cache_aligned((2 * chunks, scratch_size(m, n_bins))),
            np.zeros((chunks, 3 * rows.shape[1] + n_bins)),
            (em, error, model, chi2, status),
            (np.ascontiguousarray(centres, float), widths, resolution),
            (0,) * m,
        )
    extra = {"resolution": widths} if resolution else {}
    return Solution(em, error, chi2, status, model, extra)


class Small(NamedTuple):
    """Pointers to scratch of one pixel."""

    y: int
    spread: int
    seen: int
    row: int


class Map(NamedTuple):
    """What belongs to all pixels: data, results, and pointers to errors, status and the response.

    tilt: how far weights rise with temperature. largest: 1 over the largest response of a channel.
    """

    data: Data
    out: Out
    tilt: int
    error: int
    status: int
    rows: int
    largest: int
    target: float


@numba.njit(cache=True)
def _take(p, lane, two_step, g, given, small, slots):
    """Read a pixel into a lane and say whether it has to be solved; else write what there is."""
    m = len(slots)
    n_seen, has_signal = read_pixel(given.data, p, small.y, small.spread, slots)
    if not has_signal:
        write_nothing(p, given.out, slots)
        for j in range(g.n):
            given.error[p * g.n + j] = math.nan
        given.status[p] = NO_SIGNAL if n_seen else NO_DATA
        return False
    size, amount = 0.0, 0.0
    for i in range(m):
        amount = max(amount, small.y[i] * given.largest[i])
        over = 1.0 / small.spread[i] if small.spread[i] > 0.0 else 0.0
        g.over_sigma[i * WIDE + lane] = over
        g.b[i * WIDE + lane] = small.y[i] * over
        size += (small.y[i] * over) ** 2
    g.kind[lane], g.goal[lane] = OK, n_seen * given.target
    if size < g.goal[lane] / (1.0 - NEAR):  # noise alone fits
        g.kind[lane], g.goal[lane] = NOT_FITTED, _LESS * size
    g.pixel[lane], g.count[lane], g.tilt[lane] = p, 0.0, given.tilt[p]
    g.stage[lane] = FIRST if two_step and size >= TWO_STEP_SIGNAL**2 else ONLY
    g.least[lane] = LEAST_MU * math.sqrt(size) / max(amount * amount, 1e-24)
    return True


@numba.njit(cache=True)
def _repair(g, lane, scaled, slots):
    """Solve by itself a pixel that does not arrive with the others."""
    m, n = len(slots), g.n
    a, own, p, w = np.empty((m, n)), np.empty(m), np.empty(n), np.empty(m)
    for i in range(m):
        own[i] = g.b[i * WIDE + lane]
        w[i] = g.w[i * WIDE + lane]
        for j in range(n):
            a[i, j] = scaled[i, j] * g.over_sigma[i * WIDE + lane]
    for j in range(n):
        p[j] = g.weights[j * WIDE + lane]
    least, log_mu = math.log(g.least[lane]), math.log(g.mu[lane])
    found, log_mu, met = solve_one(a, own, p, g.goal[lane], least, log_mu, w)
    g.done[lane] = 1.0 if met else 2.0
    g.mu[lane] = math.exp(log_mu)
    for j in range(n):
        g.x[j * WIDE + lane] = found[j]
        g.signal[j * WIDE + lane] = found[j] / p[j]


@numba.njit(cache=True)
def _move(g, lane, o, to, slots):
    """Move a solved pixel from its lane to where results are collected."""
    o.pixel[to], o.mu[to] = g.pixel[lane], g.mu[lane]
    is_missed = g.kind[lane] == OK and g.done[lane] == 2.0
    o.kind[to] = NOT_FITTED if is_missed else g.kind[lane]
    for i in range(len(slots)):
        o.over_sigma[i * WIDE + to] = g.over_sigma[i * WIDE + lane]
    for j in range(g.n):
        o.x[j * WIDE + to] = g.x[j * WIDE + lane]
        o.weights[j * WIDE + to] = g.weights[j * WIDE + lane]


@numba.njit(cache=True)
def _write(o, filled, given, small, more, slots):
    """Write the pixels that were collected, with chi2 from what they give."""
    n, target = o.n, given.target
    width = (len(slots) + LANES - 1) // LANES * LANES
    nothing, over = splat_wide(0.0), splat_wide(1.0) / load_wide(o.mu, 0)
    for j in range(n):
        p = load_wide(o.weights, j * WIDE) * over
        store(o.used, j * WIDE, choose(load_wide(o.x, j * WIDE), nothing, p, nothing))
    assemble(o, slots)
    posterior(o, slots)
    for lane in range(filled):
        p, kind = int(o.pixel[lane]), int(o.kind[lane])
        n_seen, _ = read_pixel(given.data, p, small.y, small.spread, slots)
        for j in range(n):
            small.row[j] = o.x[j * WIDE + lane]
            given.error[p * n + j] = o.error[j * WIDE + lane] * UNIT_CM5
        see(small.row, given.rows, n, small.seen, width)
        row, y, spread, seen = small.row, small.y, small.spread, small.seen
        if not write_pixel(row, y, spread, seen, n_seen, p, given.out, slots):
            write_nothing(p, given.out, slots)
            kind = UNSOLVED
            for j in range(n):
                given.error[p * n + j] = np.nan
        if kind == OK and not abs(given.out.chi2[p] - target) <= _REACHED * target:
            kind = NOT_FITTED
        given.status[p] = kind
        if more.is_asked:
            at = p * n
            resolution_width(o, lane, more.centres, small, more.widths, at, slots)


@numba.njit(cache=True)
def _solve_part(first, last, scaled, two_step, g, o, given, small, more, slots):
    """Solve the pixels from first to last."""
    following, n_active, filled = first, 0, 0
    for lane in range(WIDE):
        g.pixel[lane], g.count[lane] = -1.0, -math.inf
        g.mu[lane], g.goal[lane], g.least[lane] = 1.0, 1.0, 1.0
        g.kept[g.n * WIDE + lane] = 1.0
        for j in range(g.n):
            g.kept[j * WIDE + lane] = 1.0  # every bin
        while following < last and g.pixel[lane] < 0.0:
            if _take(following, lane, two_step, g, given, small, slots):
                n_active += 1
            following += 1
    first_stage(g)
    while n_active:
        newton_step(g, slots)
        late = choose(
            load_wide(g.count, 0),
            splat_wide(_MOST_STEPS),
            splat_wide(1.0) - load_wide(g.done, 0),
            splat_wide(0.0),
        )
        is_late = any_positive(late)
        if is_late:
            for lane in range(WIDE):
                if g.count[lane] > _MOST_STEPS and g.done[lane] == 0.0:
                    _repair(g, lane, scaled, slots)
        arrived = choose(load_wide(g.done, 0), splat_wide(0.0), splat_wide(1.0), splat_wide(0.0))
        if total(arrived) < min(_AT_ONCE, n_active) and not is_late:  # who has arrived stays there
            continue
        keep_first(g)
        if two_step:
            second_stage(g)
        n_new = 0
        for lane in range(WIDE):
            if g.done[lane] == 0.0:
                continue
            _move(g, lane, o, filled, slots)
            filled += 1
            if filled == WIDE:
                _write(o, filled, given, small, more, slots)
                filled = 0
            n_active -= 1
            g.pixel[lane] = -1.0
            while following < last and g.pixel[lane] < 0.0:
                if _take(following, lane, two_step, g, given, small, slots):
                    n_active += 1
                    n_new += 1
                following += 1
            if g.pixel[lane] < 0.0:  # no pixel is left for it
                g.count[lane] = -math.inf
                for i in range(len(slots)):
                    g.b[i * WIDE + lane] = 0.0
        if n_new:
            first_stage(g)
    if filled:
        _write(o, filled, given, small, more, slots)


class More(NamedTuple):
    """Pointers to what the resolution needs, and whether it is asked for."""

    centres: int
    widths: int
    is_asked: bool


@numba.njit(parallel=True, cache=True)
def _solve_map(
    dn, sigma, left_out, tilt, matrices, target, two_step, scratch, one, found, more, slots
):
    scaled, by_bin, products, rows, largest, first, second = matrices
    em, error, model, chi2, status = found
    centres, widths, resolution = more
    n_pixels, chunks, width = len(dn), len(one), rows.shape[1]
    for c in numba.prange(chunks):
        at = c * one.shape[1]
        _solve_part(
            c * n_pixels // chunks,
            (c + 1) * n_pixels // chunks,
            scaled,
            two_step,
            group_of(2 * c, scratch, by_bin, products, first, second, slots),
            group_of(2 * c + 1, scratch, by_bin, products, first, second, slots),
            Map(
                point_at_data(dn, sigma, left_out),
                point_at_out(em, model, chi2),
                pointer_to(tilt, 0),
                pointer_to(error, 0),
                pointer_to(status, 0),
                pointer_to(rows, 0),
                pointer_to(largest, 0),
                target,
            ),
            Small(
                pointer_to(one, at),
                pointer_to(one, at + width),
                pointer_to(one, at + 2 * width),
                pointer_to(one, at + 3 * width),
            ),
            More(pointer_to(centres, 0), pointer_to(widths, 0), resolution),
            slots,
        )
