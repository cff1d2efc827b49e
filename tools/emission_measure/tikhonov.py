"""Non-negative Tikhonov inversion, solved by its dual in as many unknowns as there are channels.

Minimise |A x - b|^2 + mu sum x_j^2 / p_j over x >= 0, with A the response and b the data, both over
sigma. Its conditions collapse to ``(A P A^T + I) w = b``, where P is p_j / mu for the bins with
(A^T w)_j > 0 and 0 for the others; then x = P A^T w, and w is what is left of the data. mu is found
so that |w|^2 is the number of channels (the discrepancy principle). Bins and mu are found together,
by Newton's method on both, for eight pixels at once; where that does not arrive, each pixel is
solved by itself with a line search, since full steps can cycle. Error bars are those of the
Gaussian posterior on the same bins.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from tools.emission_measure.lanes import LANES, pointer_to, splat, store
from tools.emission_measure.pixels import (
    UNIT_CM5,
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
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK
from tools.emission_measure.threads import limited_threads
from tools.emission_measure.tikhonov_lanes import (
    assemble,
    eight_of,
    newton,
    next_weights,
    posterior,
    resolution_widths,
    scratch_size,
)
from tools.emission_measure.tikhonov_one import NEAR, solve_one

__all__ = ["solve_tikhonov"]

_REACHED = 0.1  # of the target: within it chi2, recomputed from the solution, counts as reached
_LESS = 0.7  # where noise alone fits: of the chi2 of no emission measure


def solve_tikhonov(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    target_chi2: float = 1.0,
    two_step: bool = True,
    resolution: bool = False,
    edges: np.ndarray | None = None,
    n_jobs: int = 1,
) -> Solution:
    """Solve every pixel.

    Parameters
    ----------
    dn, sigma : (pixel, channel) float64
        DN s-1 pix-1. A channel with NaN is missing.
    response : (channel, bin) float64
        DN cm5 s-1 pix-1.
    left_out : (pixel, channel) bool, optional
        Channels that are missing, too.
    target_chi2 : float
        Mean over the channels.
    two_step : bool
        Solve again with weights from the smoothed first solution.
    resolution : bool
        Give the resolution in temperature, too; needs the edges.
    edges : (bin + 1,) float64, optional
        log10 of K.
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
        If the resolution is asked for without edges.
    """
    (n, m), n_bins = dn.shape, response.shape[1]
    em, error, model = np.empty((n, n_bins)), np.empty((n, n_bins)), np.empty((n, m))
    chi2, status = np.empty(n), np.empty(n, np.uint8)
    if resolution and edges is None:
        raise ValueError("the resolution is in dex: give edges, log10 of K, one more than bins")
    widths = np.full((n if resolution else 0, n_bins), np.nan)
    centres = (edges[:-1] + edges[1:]) / 2 if resolution else np.zeros(n_bins)
    scaled = np.ascontiguousarray(response * UNIT_CM5)
    rows = padded(scaled.T)
    with limited_threads(n_jobs) as threads:
        chunks = 4 * threads
        _solve_map(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            flags_of(left_out, m),
            (scaled, np.ascontiguousarray(scaled.T), scaled[:, None] * scaled, rows),
            float(target_chi2),
            two_step,
            np.zeros((chunks, scratch_size(m, n_bins))),
            (em, error, model, chi2, status),
            (np.ascontiguousarray(centres, float), widths, resolution),
            (0,) * m,
        )
    extra = {"resolution": widths} if resolution else {}
    return Solution(em, error, chi2, status, model, extra)


@numba.njit(cache=True)
def _take_eight(first, last, data, target, e, slots):
    """Read eight pixels; the last one stands for those beyond it."""
    m = len(slots)
    for lane in range(LANES):
        n_seen, has_signal = read_pixel(data, min(first + lane, last - 1), e.y, e.spread, slots)
        size = 0.0
        for i in range(m):
            over = 1.0 / e.spread[i] if e.spread[i] > 0.0 else 0.0
            e.over_sigma[i * LANES + lane] = over
            e.b[i * LANES + lane] = e.y[i] * over
            size += (e.y[i] * over) ** 2
        kind, goal = OK, max(n_seen, 1) * target
        if not has_signal:
            kind = NO_SIGNAL if n_seen else NO_DATA
        elif size < goal / (1.0 - NEAR):  # noise alone fits
            kind, goal = NOT_FITTED, _LESS * size
        e.kinds[lane] = kind
        e.goal[lane] = goal


@numba.njit(cache=True)
def _repair(e, lane, scaled, is_last, slots):
    """Solve by itself a pixel that did not arrive with the others."""
    m, n = len(slots), e.n
    a, own, p = np.empty((m, n)), np.empty(m), np.empty(n)
    for i in range(m):
        own[i] = e.b[i * LANES + lane]
        for j in range(n):
            a[i, j] = scaled[i, j] * e.over_sigma[i * LANES + lane]
    for j in range(n):
        p[j] = e.weights[j * LANES + lane]
    found, log_mu, met = solve_one(a, own, p, e.goal[lane])
    if not met and e.kinds[lane] == OK and is_last:
        e.kinds[lane] = NOT_FITTED
    e.mu[lane] = math.exp(log_mu)
    for j in range(n):
        e.x[j * LANES + lane] = found[j]


@numba.njit(cache=True)
def _solve_stage(e, kept, is_last, scaled, slots):
    """Solve eight pixels with their weights, from the eight before; say whether one was repaired.

    kept: where in e.kept this stage's mu and w of the eight pixels before stand.
    """
    m = len(slots)
    for lane in range(LANES):
        known = e.kept[kept + lane] > 0.0
        e.mu[lane] = e.kept[kept + lane] if known else 1.0
        for i in range(m):
            at = i * LANES + lane
            e.w[at] = e.kept[kept + LANES + at] if known else e.b[at]
    newton(e, slots)
    repaired = False
    for lane in range(LANES):
        e.kept[kept + lane] = 0.0
        if e.done[lane] == 1.0:
            e.kept[kept + lane] = e.mu[lane]
            for i in range(m):
                at = i * LANES + lane
                e.kept[kept + LANES + at] = e.w[at]
        elif e.done[lane] == 2.0:
            if e.kinds[lane] == OK and is_last:
                e.kinds[lane] = NOT_FITTED
        elif e.kinds[lane] == OK or e.kinds[lane] == NOT_FITTED:
            _repair(e, lane, scaled, is_last, slots)
            repaired = True
    return repaired


@numba.njit(cache=True)
def _write_eight(first, last, data, target, e, rows, out, error, status, slots):
    """Write eight pixels, with chi2 from what they give."""
    width = (len(slots) + LANES - 1) // LANES * LANES
    n = e.n
    for lane in range(min(LANES, last - first)):
        p, kind = first + lane, e.kinds[lane]
        if kind == NO_SIGNAL or kind == NO_DATA:
            write_nothing(p, out, slots)
            for j in range(n):
                error[p * n + j] = np.nan
            status[p] = kind
            continue
        n_seen, _ = read_pixel(data, p, e.y, e.spread, slots)
        for j in range(n):
            e.row[j] = e.x[j * LANES + lane]
            error[p * n + j] = e.error[j * LANES + lane] * UNIT_CM5
        see(e.row, rows, n, e.seen, width)
        write_pixel(e.row, e.y, e.spread, e.seen, n_seen, p, out, slots)
        if kind == OK and not abs(out.chi2[p] - target) <= _REACHED * target:
            kind = NOT_FITTED
        status[p] = kind


@numba.njit(cache=True)
def _solve_part(
    first, last, data, scaled, target, two_step, e, rows, out, error, status, more, slots
):
    """Solve the pixels from first to last."""
    stages = 2 if two_step else 1
    for block in range(first, last, LANES):
        _take_eight(block, last, data, target, e, slots)
        repaired = False
        for j in range(e.n):
            store(e.weights, j * LANES, splat(1.0))
        for stage in range(stages):
            if stage == 1:
                next_weights(e)
            kept = stage * LANES * (len(slots) + 1)
            repaired = _solve_stage(e, kept, stage == stages - 1, scaled, slots)
        if repaired:  # the factor is not that of every pixel
            for j in range(e.n):
                for lane in range(LANES):
                    at = j * LANES + lane
                    e.used[at] = e.weights[at] / e.mu[lane] if e.x[at] > 0.0 else 0.0
            assemble(e, slots)
        posterior(e, slots)
        if more[2]:
            resolution_widths(e, more[0], e.seen, more[1], block, last, e.row, slots)
        _write_eight(block, last, data, target, e, rows, out, error, status, slots)


@numba.njit(parallel=True, cache=True)
def _solve_map(dn, sigma, left_out, matrices, target, two_step, scratch, found, more, slots):
    scaled, by_bin, products, rows = matrices
    em, error, model, chi2, status = found
    centres, widths, resolution = more
    n_pixels, chunks, n_bins = len(dn), len(scratch), em.shape[1]
    for c in numba.prange(chunks):
        _solve_part(
            c * n_pixels // chunks,
            (c + 1) * n_pixels // chunks,
            point_at_data(dn, sigma, left_out),
            scaled,
            target,
            two_step,
            eight_of(c, scratch, by_bin, products, n_bins, rows.shape[1], slots),
            pointer_to(rows, 0),
            point_at_out(em, model, chi2),
            pointer_to(error, 0),
            pointer_to(status, 0),
            (pointer_to(centres, 0), pointer_to(widths, 0), resolution),
            slots,
        )
