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

from tools.emission_measure.status import (
    INFEASIBLE,
    NO_DATA,
    NO_SIGNAL,
    OK,
    UNSOLVED,
)

__all__ = ["TOLERANCES", "basis_functions", "solve_basis_pursuit"]

# tolerance in sigma: 1.4, then 1.5 and 2.25 times as much while nothing fits
TOLERANCES = (1.4, 2.1, 3.15)
_WIDTHS = (0.1, 0.2, 0.6)  # dex
_LOWEST = 0.04  # below it the tails of a basis function are cut
_NODES = 16384
_MOST_STEPS = 400
_UNBOUNDED = 1e30
_FEASIBLE, _DUAL, _GAP = 1e-9, 1e-9, 1e-9
_UNKNOWN, _NOWHERE = -1, -2


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
    threads = max(min(n_jobs, n, numba.config.NUMBA_NUM_THREADS), 1)
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
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
    finally:
        numba.set_num_threads(before)
    return em, objective, status, used


@numba.njit(cache=True)
def _make_node(design, functions, members, k, nodes):
    """Fill node k for a set of basic variables; say whether it is dual feasible and regular."""
    basic, inverse, prices, side, columns, shapes, link = nodes
    m, n = design.shape
    inside = np.zeros(m, np.bool_)  # slacks that are basic
    xs = np.empty(m, np.int64)
    n_x = 0
    for r in range(m):
        variable = members[r]
        basic[k, r] = variable
        if variable >= n:
            inside[variable - n] = True
        else:
            xs[n_x] = r
            n_x += 1
    rows = np.empty(m, np.int64)
    n_rows = 0
    for i in range(m):
        if not inside[i]:
            rows[n_rows] = i
            n_rows += 1
    # invert design[rows, xs] by elimination with row exchange
    work = np.zeros((n_x, 2 * n_x))
    for a in range(n_x):
        for b in range(n_x):
            work[a, b] = design[rows[a], members[xs[b]]]
        work[a, n_x + a] = 1.0
    for b in range(n_x):
        best = b
        for a in range(b + 1, n_x):
            if abs(work[a, b]) > abs(work[best, b]):
                best = a
        if abs(work[best, b]) < 1e-13:
            return False
        if best != b:
            for c in range(2 * n_x):
                held = work[b, c]
                work[b, c] = work[best, c]
                work[best, c] = held
        scale = 1.0 / work[b, b]
        for c in range(2 * n_x):
            work[b, c] *= scale
        for a in range(n_x):
            if a != b and work[a, b] != 0.0:
                factor = work[a, b]
                for c in range(2 * n_x):
                    work[a, c] -= factor * work[b, c]
    inverse[k] = 0.0
    prices[k] = 0.0
    columns[k] = 0.0
    shapes[k] = 0.0
    link[k] = _UNKNOWN
    for b in range(n_x):
        r = xs[b]
        for a in range(n_x):
            inverse[k, r, rows[a]] = work[b, n_x + a]
            prices[k, rows[a]] += work[b, n_x + a]
        for i in range(m):
            columns[k, i, r] = design[i, members[r]]
        for t in range(functions.shape[1]):
            shapes[k, r, t] = functions[members[r], t]
    for r in range(m):
        if members[r] >= n:
            i = members[r] - n
            for a in range(n_x):
                total = 0.0
                for b in range(n_x):
                    total += design[i, members[xs[b]]] * inverse[k, xs[b], rows[a]]
                inverse[k, r, rows[a]] = total
    for i in range(m):
        side[k, i] = 0 if inside[i] else (1 if prices[k, i] >= 0.0 else 2)
    for j in range(n):
        left = 1.0
        for i in range(m):
            left -= prices[k, i] * design[i, j]
        if not left >= -_DUAL:
            return False
    return True


@numba.njit(cache=True)
def _entering(design, k, r, above, nodes):
    """Give the variable that enters when row r leaves node k by its lower or upper side."""
    basic, inverse, prices, side, columns, shapes, link = nodes
    m, n = design.shape
    sign = -1.0 if above else 1.0
    row_of = basic[k, r] - n  # the slack's channel, or negative
    best, size, chosen = 1e300, 0.0, -1
    for j in range(n):
        is_basic = False
        for q in range(m):
            if basic[k, q] == j:
                is_basic = True
        if is_basic:
            continue
        rate, cost = 0.0, 1.0
        if row_of >= 0:
            rate = design[row_of, j]
        for i in range(m):
            rate -= inverse[k, r, i] * design[i, j]
            cost -= prices[k, i] * design[i, j]
        rate *= sign
        if rate > 1e-12:
            ratio = max(cost, 0.0) / rate
            if ratio < best - 1e-12 or (ratio < best + 1e-12 and rate > size):
                best, size, chosen = min(ratio, best), rate, j
    for i in range(m):
        if side[k, i] == 0:
            continue
        rate = sign * inverse[k, r, i]
        if side[k, i] == 2:
            rate = -rate
        if rate > 1e-12:
            ratio = abs(prices[k, i]) / rate
            if ratio < best - 1e-12 or (ratio < best + 1e-12 and rate > size):
                best, size, chosen = min(ratio, best), rate, n + i
    return chosen


@numba.njit(cache=True)
def _slot_of(members, table, keys):
    """Give the place of a set of variables in the hash table: its own, or the empty one for it."""
    low, high = np.uint64(0), np.uint64(0)
    for variable in members:
        if variable < 64:
            low |= np.uint64(1) << np.uint64(variable)
        else:
            high |= np.uint64(1) << np.uint64(variable - 64)
    size = np.uint64(len(table))
    mixed = (low ^ (high * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    place = (mixed ^ (mixed >> np.uint64(31))) % size
    while table[place] >= 0:
        if keys[place, 0] == low and keys[place, 1] == high:
            break
        place = (place + np.uint64(1)) % size
    keys[place, 0] = low
    keys[place, 1] = high
    return place


@numba.njit(cache=True)
def _follow(design, functions, k, r, above, nodes, table, keys, count):
    """Give the node behind a link, made if it is new; count[0] is the number of nodes."""
    basic, inverse, prices, side, columns, shapes, link = nodes
    m = len(basic[k])
    chosen = _entering(design, k, r, above, nodes)
    if chosen < 0:
        link[k, r, above] = _NOWHERE
        return _NOWHERE
    members = basic[k].copy()
    members[r] = chosen
    for a in range(1, m):  # sorted: one node per set
        b = a
        while b > 0 and members[b - 1] > members[b]:
            held = members[b]
            members[b] = members[b - 1]
            members[b - 1] = held
            b -= 1
    place = _slot_of(members, table, keys)
    if table[place] < 0:
        if count[0] >= len(basic) or not _make_node(design, functions, members, count[0], nodes):
            return _UNKNOWN
        table[place] = count[0]
        count[0] += 1
    link[k, r, above] = table[place]
    return table[place]


@numba.njit(cache=True)
def _walk(design, functions, start, low, high, value, bound, nodes, table, keys, count, slots):
    """Walk from a node to the optimal one; give it, or -2 (infeasible), or -1 (no way found).

    slots has as many entries as there are channels: the compiler knows a tuple's length.
    """
    basic, inverse, prices, side, columns, shapes, link = nodes
    m, n = len(slots), design.shape[1]
    k = start
    for _ in range(_MOST_STEPS):
        for i in range(m):
            s = side[k, i]
            bound[i] = 0.0 if s == 0 else (low[i] if s == 1 else high[i])
        worst, row, above = _FEASIBLE, -1, 0
        for r in range(m):
            total = 0.0
            for i in range(m):
                total += inverse[k, r, i] * bound[i]
            value[r] = total
            variable = basic[k, r]
            if variable < n:
                if -total > worst:
                    worst, row, above = -total, r, 0
            else:
                i = variable - n
                scale = 1.0 / (high[i] - low[i] + 1e-300)
                below, over = (low[i] - total) * scale, (total - high[i]) * scale
                if below > worst:
                    worst, row, above = below, r, 0
                if over > worst:
                    worst, row, above = over, r, 1
        if row < 0:
            return k
        following = link[k, row, above]
        if following == _UNKNOWN:
            following = _follow(design, functions, k, row, above, nodes, table, keys, count)
        if following < 0:
            return following
        k = following
    return _UNKNOWN


@numba.njit(cache=True)
def _is_certified(k, low, high, value, bound, nodes, n, slots):
    """Say whether a pixel's answer is proved from the original matrix alone."""
    basic, inverse, prices, side, columns, shapes, link = nodes
    m = len(slots)
    primal, dual = 0.0, 0.0
    for r in range(m):
        if basic[k, r] < n:
            if value[r] < -_FEASIBLE:
                return False
            primal += value[r]
    for i in range(m):
        seen = 0.0
        for r in range(m):
            if basic[k, r] < n:
                seen += columns[k, i, r] * value[r]
        slack = 1e-8 * (high[i] - low[i]) + 1e-12
        if not (low[i] - slack <= seen <= high[i] + slack):
            return False
        dual += prices[k, i] * bound[i]
    return abs(primal - dual) <= _GAP * (1e-3 + abs(primal))


@numba.njit(parallel=True, cache=True)
def _solve_map(
    dn, sigma, design, functions, tolerances, chunks, em, objective, status, used, slots
):
    n_pixels, m = dn.shape
    n, n_bins = design.shape[1], functions.shape[1]
    for c in numba.prange(chunks):
        nodes = (
            np.empty((_NODES, m), np.int64),
            np.empty((_NODES, m, m)),
            np.empty((_NODES, m)),
            np.empty((_NODES, m), np.int8),
            np.empty((_NODES, m, m)),
            np.empty((_NODES, m, n_bins)),
            np.empty((_NODES, m, 2), np.int32),
        )
        table = np.full(4 * _NODES, -1, np.int32)
        keys = np.zeros((4 * _NODES, 2), np.uint64)
        count = np.zeros(1, np.int64)
        low, high, value, bound = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
        slacks = n + np.arange(m)
        current = _UNKNOWN
        for p in range(c * n_pixels // chunks, (c + 1) * n_pixels // chunks):
            if current < 0 or count[0] > _NODES - m:  # from the beginning: slacks alone
                table[:] = -1
                _make_node(design, functions, slacks, 0, nodes)
                table[_slot_of(slacks, table, keys)] = 0
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
                found = _walk(
                    design,
                    functions,
                    current,
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
                certain = found >= 0 and _is_certified(
                    found, low, high, value, bound, nodes, n, slots
                )
                if not certain and current != 0:  # again, from the slacks alone
                    found = _walk(
                        design,
                        functions,
                        0,
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
                    certain = found >= 0 and _is_certified(
                        found, low, high, value, bound, nodes, n, slots
                    )
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
                status[p] = INFEASIBLE if found == _NOWHERE else UNSOLVED
                if found == _UNKNOWN and count[0] >= _NODES:
                    current = _UNKNOWN
                    break
