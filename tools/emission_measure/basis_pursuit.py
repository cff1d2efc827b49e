"""Exact basis pursuit: the smallest emission measure whose channels lie within their tolerances.

M. Cheung et al., ApJ 807 (2015) 143: minimise the sum of coefficients x >= 0 under
``max(y - t, 0) <= D x <= y + t``. The dual polytope {w: D^T w <= 1} is the same for every pixel. So
every optimal basis of one pixel is a dual-feasible start for every other, and where a step of the
dual simplex leads depends on the basis, the row and the side alone. Bases are therefore kept as
nodes of a graph with their inverses, each computed afresh from D; a pixel's solution is a walk
along the links, a product of two small matrices at every step, and nothing drifts. Each answer is
certified: its emission measure, seen through the response, lies within the bounds; the basis is
dual feasible (checked once, from D); and there is no gap between the two objectives.
"""

from __future__ import annotations

import numba
import numpy as np

from tools.emission_measure.basis_graph import (
    NODES,
    NOWHERE,
    ROOM,
    Pixel,
    dual_value,
    forget_nodes,
    graph_memory,
    graph_of,
    member,
    walk,
)
from tools.emission_measure.lanes import (
    LANES,
    any_positive,
    cache_aligned,
    choose,
    load,
    pointer_to,
    splat,
    store,
)
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
from tools.emission_measure.status import (
    INFEASIBLE,
    NO_DATA,
    NO_SIGNAL,
    OK,
    UNSOLVED,
)
from tools.fitting.threads import limited_threads

__all__ = ["TOLERANCES", "basis_functions", "solve_basis_pursuit"]

# tolerance in sigma: 1.4, then 1.5 and 2.25 times as much while nothing fits
TOLERANCES = (1.4, 2.1, 3.15)
_WIDTHS = (0.1, 0.2, 0.6)  # dex
_LOWEST = 0.04  # below it the tails of a basis function are cut
_UNBOUNDED = 1e30
_GAP, _SLACK, _LEAST_SLACK = 1e-9, 1e-8, 1e-12  # of the objective; of the bounds
_SAMPLE = 4096  # pixels whose errors say what is a small change of the data


def basis_functions(log_temperature_edges: np.ndarray) -> np.ndarray:
    """Give the published basis: single bins, and exp(-(dlogT / a)^2) for three widths a.

    Parameters
    ----------
    log_temperature_edges : (bin + 1,) float

    Returns
    -------
    (function, bin) float64
        Not normalised; tails below 0.04 are cut.
    """
    edges = np.asarray(log_temperature_edges, float)
    centres = (edges[:-1] + edges[1:]) / 2
    away = centres[:, None] - centres
    shapes = [np.exp(-((away / width) ** 2)) for width in _WIDTHS]
    return np.vstack([np.eye(len(centres)), *(np.where(s < _LOWEST, 0, s) for s in shapes)])


def solve_basis_pursuit(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    log_temperature_edges: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    tolerances: tuple[float, ...] = TOLERANCES,
    n_jobs: int = 1,
) -> Solution:
    """Solve every pixel.

    Parameters
    ----------
    dn, sigma : (pixel, channel) float64
        DN s-1 pix-1. A channel with NaN is missing: it bounds nothing.
    response : (channel, bin) float64
        DN cm5 s-1 pix-1.
    log_temperature_edges : (bin + 1,) float64
    left_out : (pixel, channel) bool, optional
        Channels that are missing, too.
    tolerances : tuple of float
        In sigma, tried in turn.
    n_jobs : int
        Threads.

    Returns
    -------
    Solution
        Without errors; ``extra`` has ``objective``, the sum of the coefficients in 1e26 cm-5, and
        ``tolerance``, in sigma, at which it was found; both NaN where there is no solution.
    """
    functions = basis_functions(log_temperature_edges)
    design = np.ascontiguousarray(response * UNIT_CM5 @ functions.T)
    (n, m), n_bins = dn.shape, response.shape[1]
    em, model = np.empty((n, n_bins)), np.empty((n, m))
    chi2, objective, used = np.empty(n), np.empty(n), np.empty(n)
    status = np.empty(n, np.uint8)
    rows = padded((response * UNIT_CM5).T)
    functions = padded(functions)
    with limited_threads(n_jobs) as threads:
        _solve_map(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            flags_of(left_out, m),
            (design, functions, rows, _typical_widths(sigma)),
            np.asarray(tolerances, float),
            graph_memory(threads, *design.shape),
            cache_aligned((threads, 7 * rows.shape[1] + functions.shape[1])),
            threads,
            (em, model, chi2, status, objective, used),
            (0,) * m,
        )
    error = np.broadcast_to(np.nan, em.shape)
    extra = {"objective": objective, "tolerance": used}
    return Solution(em, error, chi2, status, model, extra)


def _typical_widths(sigma: np.ndarray) -> np.ndarray:
    """Give the size of the errors, by which steps are chosen; whatever it is, answers are exact."""
    part = np.array(sigma[:: max(len(sigma) // _SAMPLE, 1)], float)
    part[~(np.isfinite(part) & (part > 0))] = np.nan
    widths = np.ones(sigma.shape[1])
    for i, column in enumerate(part.T):
        if np.isfinite(column).any():
            widths[i] = np.nanmedian(column)
    return widths


@numba.njit(cache=True)
def _bounds(pixel, tolerance, width):
    """Fill in what the channels have to lie between."""
    nothing, far, wide = splat(0.0), splat(_UNBOUNDED), splat(tolerance)
    for block in range(0, width, LANES):
        data, error = load(pixel.y, block), load(pixel.spread, block)
        data = choose(data, nothing, data, nothing)
        least = data - wide * error
        store(pixel.low, block, choose(least, nothing, least, nothing))
        store(pixel.high, block, choose(error, nothing, data + wide * error, far))


@numba.njit(cache=True)
def _is_certain(k, graph, pixel, shapes, response, n_wide, n_bins, slots):
    """Give the emission measure of node k for a pixel; say whether it is proved to be optimal."""
    m, primal = len(slots), 0.0
    width = (m + LANES - 1) // LANES * LANES
    for block in range(0, n_wide, LANES):
        store(pixel.row, block, splat(0.0))
    for r in range(m):
        variable, amount = member(graph, k, r, slots), pixel.value[r]
        if variable < graph.n and amount > 0.0:
            primal += amount
            for block in range(0, n_wide, LANES):
                part = splat(amount) * load(shapes, variable * n_wide + block)
                store(pixel.row, block, load(pixel.row, block) + part)
    see(pixel.row, response, n_bins, pixel.seen, width)
    for block in range(0, width, LANES):
        seen, least, most = load(pixel.seen, block), load(pixel.low, block), load(pixel.high, block)
        slack = (most - least) * splat(_SLACK) + splat(_LEAST_SLACK)
        if any_positive(least - slack - seen) or any_positive(seen - most - slack):
            return False, primal
    gap = primal - dual_value(graph, k, pixel.bound, slots)
    return abs(gap) <= _GAP * (1e-3 + abs(primal)), primal


@numba.njit(cache=True)
def _solve_part(first, last, data, problem, tolerances, graph, pixel, out, more, slots):
    """Solve the pixels from first to last."""
    shapes, response, n_wide, n_tolerances = problem
    status, objective, used = more
    width = (len(slots) + LANES - 1) // LANES * LANES
    forget_nodes(graph, slots)
    current = np.int64(0)
    for p in range(first, last):
        if graph.count[0] > NODES - ROOM:
            forget_nodes(graph, slots)
            current = np.int64(0)
        n_seen, has_signal = read_pixel(data, p, pixel.y, pixel.spread, slots)
        state = UNSOLVED if has_signal else (NO_SIGNAL if n_seen > 0 else NO_DATA)
        taken, total = np.nan, np.nan
        attempt = 0 if has_signal else 2 * n_tolerances
        while attempt < 2 * n_tolerances:  # at each tolerance again from the slacks, if need be
            tolerance = tolerances[attempt // 2]
            if attempt % 2 == 0:
                _bounds(pixel, tolerance, width)
            found = walk(current if attempt % 2 == 0 else 0, graph, pixel, slots)
            if found >= 0:
                sure, primal = _is_certain(
                    found, graph, pixel, shapes, response, n_wide, out.n_bins, slots
                )
                if sure:
                    current, state, taken, total = found, OK, tolerance, primal
                    break
            state = INFEASIBLE if found == NOWHERE else UNSOLVED
            attempt += 1
        used[p] = taken
        objective[p] = total
        if state == OK:
            row, y, spread, seen = pixel.row, pixel.y, pixel.spread, pixel.seen
            if not write_pixel(row, y, spread, seen, n_seen, p, out, slots):
                state = UNSOLVED
        if state != OK:
            write_nothing(p, out, slots)
        status[p] = state


@numba.njit(parallel=True, cache=True)
def _solve_map(dn, sigma, left_out, matrices, tolerances, memory, scratch, chunks, found, slots):
    design, functions, response_rows, widths = matrices
    em, model, chi2, status, objective, used = found
    n_pixels, n_wide, width = len(dn), functions.shape[1], response_rows.shape[1]
    for c in numba.prange(chunks):
        at = c * scratch.shape[1]
        pixel = Pixel(
            pointer_to(scratch, at),
            pointer_to(scratch, at + width),
            pointer_to(scratch, at + 2 * width),
            pointer_to(scratch, at + 3 * width),
            pointer_to(scratch, at + 4 * width),
            pointer_to(scratch, at + 5 * width),
            pointer_to(scratch, at + 6 * width),
            pointer_to(scratch, at + 7 * width),
        )
        problem = (
            pointer_to(functions, 0),
            pointer_to(response_rows, 0),
            n_wide,
            len(tolerances),
        )
        _solve_part(
            c * n_pixels // chunks,
            (c + 1) * n_pixels // chunks,
            point_at_data(dn, sigma, left_out),
            problem,
            pointer_to(tolerances, 0),
            graph_of(c, memory, design, widths),
            pixel,
            point_at_out(em, model, chi2),
            (pointer_to(status, 0), pointer_to(objective, 0), pointer_to(used, 0)),
            slots,
        )
