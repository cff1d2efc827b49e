"""Exact basis pursuit: the smallest emission measure whose channels lie within their tolerances.

M. Cheung et al., ApJ 807 (2015) 143: minimise the sum of coefficients x >= 0 under
``max(y - t, 0) <= D x <= y + t``. The dual polytope {w: D^T w <= 1} is the same for every pixel. So
every optimal basis of one pixel is a dual-feasible start for every other, and where a step of the
dual simplex leads depends on the basis, the row and the side alone. Bases are therefore kept as
nodes of a graph with their inverses, each computed afresh from D; a pixel's solution is a walk
along the links, a product of two small matrices at every step, and nothing drifts. Each answer is
certified from D: primal feasible, dual feasible (checked once per basis), no gap.
"""

from __future__ import annotations

import numba
import numpy as np

from tools.emission_measure.basis_graph import (
    NODES,
    NOWHERE,
    UNKNOWN,
    empty_nodes,
    is_certified,
    make_node,
    slot_of,
    walk,
)
from tools.emission_measure.status import (
    INFEASIBLE,
    NO_DATA,
    NO_SIGNAL,
    OK,
    UNSOLVED,
)
from tools.emission_measure.threads import limited_threads

__all__ = ["TOLERANCES", "basis_functions", "solve_basis_pursuit"]

# tolerance in sigma: 1.4, then 1.5 and 2.25 times as much while nothing fits
TOLERANCES = (1.4, 2.1, 3.15)
_WIDTHS = (0.1, 0.2, 0.6)  # dex
_LOWEST = 0.04  # below it the tails of a basis function are cut
_UNBOUNDED = 1e30
_ROOM = 4096  # nodes: more than one pixel can add


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
    functions: np.ndarray,
    *,
    tolerances: tuple[float, ...] = TOLERANCES,
    n_jobs: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Solve every pixel.

    Parameters
    ----------
    dn, sigma : (pixel, channel) float64
        A channel with NaN is missing: it bounds nothing.
    response : (channel, bin) float64
        Data per unit of emission measure, in a unit in which both are of order one.
    functions : (function, bin) float64
    tolerances : tuple of float
        In sigma, tried in turn.
    n_jobs : int
        Threads.

    Returns
    -------
    em : (pixel, bin) float64
    objective : (pixel,) float64
        Sum of the coefficients; NaN where there is no solution.
    status : (pixel,) uint8
    tolerance : (pixel,) float64
        In sigma, at which the solution was found; NaN where there is none.
    """
    design = np.ascontiguousarray(response @ functions.T, float)
    n = len(dn)
    em, objective = np.zeros((n, functions.shape[1])), np.full(n, np.nan)
    status, used = np.full(n, UNSOLVED, np.uint8), np.full(n, np.nan)
    with limited_threads(n_jobs) as threads:
        _solve_map(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            design,
            np.ascontiguousarray(functions, float),
            np.asarray(tolerances, float),
            threads,
            em,
            objective,
            status,
            used,
            (0,) * len(design),
        )
    return em, objective, status, used


@numba.njit(parallel=True, cache=True)
def _solve_map(
    dn, sigma, design, functions, tolerances, chunks, em, objective, status, used, slots
):
    n_pixels, m = dn.shape
    n, n_bins = design.shape[1], functions.shape[1]
    for c in numba.prange(chunks):
        nodes = empty_nodes(m, n_bins)
        table = np.full(4 * NODES, -1, np.int32)
        keys = np.zeros((4 * NODES, 2), np.uint64)
        count = np.zeros(1, np.int64)
        low, high, value, bound = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
        slacks = n + np.arange(m)
        current = UNKNOWN
        for p in range(c * n_pixels // chunks, (c + 1) * n_pixels // chunks):
            if current < 0 or count[0] > NODES - _ROOM:  # from the beginning: slacks alone
                table[:] = -1
                make_node(design, functions, slacks, 0, nodes)
                table[slot_of(slacks, table, keys)] = 0
                count[0] = 1
                current = 0
            n_seen, has_signal = 0, False
            for i in range(m):
                if np.isfinite(dn[p, i]) and np.isfinite(sigma[p, i]) and sigma[p, i] > 0:
                    n_seen += 1
                    has_signal = has_signal or dn[p, i] > 0
            if n_seen == 0:
                status[p] = NO_DATA
                continue
            if not has_signal:
                status[p] = NO_SIGNAL
                continue
            for tolerance in tolerances:
                for i in range(m):
                    y, t = dn[p, i], tolerance * sigma[p, i]
                    if np.isfinite(y) and np.isfinite(t) and t > 0:
                        y = max(y, 0.0)
                        low[i], high[i] = max(y - t, 0.0), y + t
                    else:
                        low[i], high[i] = 0.0, _UNBOUNDED
                found, certain = UNKNOWN, False
                for start in (current, 0):  # if it must be, from the slacks alone
                    found = walk(
                        design,
                        functions,
                        start,
                        low,
                        high,
                        value,
                        bound,
                        nodes,
                        table,
                        keys,
                        count,
                        slots,
                    )
                    certain = found >= 0 and is_certified(
                        found, low, high, value, bound, nodes, n, slots
                    )
                    if certain or current == 0:
                        break
                if certain:
                    current = found
                    status[p] = OK
                    used[p] = tolerance
                    total = 0.0
                    for r in range(m):
                        if nodes[0][found, r] < n and value[r] > 0.0:
                            total += value[r]
                            for t in range(n_bins):
                                em[p, t] += value[r] * nodes[5][found, r, t]
                    objective[p] = total
                    break
                status[p] = INFEASIBLE if found == NOWHERE else UNSOLVED
