"""Bases of a linear programme as nodes of a graph that the dual simplex walks along.

Minimise sum x over ``low <= D x <= high``, x >= 0. A node is a set of as many basic variables as
there are rows (x, or the slacks D x), dual feasible, with its inverse computed afresh from D. Which
variable enters when a row leaves by one of its sides depends on the node alone, so that links are
kept. All functions are compiled.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = [
    "NODES",
    "NOWHERE",
    "UNKNOWN",
    "empty_nodes",
    "is_certified",
    "make_node",
    "slot_of",
    "walk",
]

NODES = 16384  # at most, of one thread
UNKNOWN, NOWHERE = -1, -2  # no way was found; there is no solution
_MOST_STEPS = 400
_FEASIBLE, _DUAL, _GAP = 1e-9, 1e-9, 1e-9


@numba.njit(cache=True)
def empty_nodes(m, n_bins):
    """Give the arrays of the nodes, for m rows and functions of so many bins.

    Basic variables; inverse; dual prices; where a slack that is not basic stands (1: low, 2: high);
    columns of D; functions of the basic x; links by row and side.
    """
    return (
        np.empty((NODES, m), np.int64),
        np.empty((NODES, m, m)),
        np.empty((NODES, m)),
        np.empty((NODES, m), np.int8),
        np.empty((NODES, m, m)),
        np.empty((NODES, m, n_bins)),
        np.empty((NODES, m, 2), np.int32),
    )


@numba.njit(cache=True)
def make_node(design, functions, members, k, nodes):
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
    link[k] = UNKNOWN
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
def slot_of(members, table, keys):
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
        link[k, r, above] = NOWHERE
        return NOWHERE
    members = basic[k].copy()
    members[r] = chosen
    for a in range(1, m):  # sorted: one node per set
        b = a
        while b > 0 and members[b - 1] > members[b]:
            held = members[b]
            members[b] = members[b - 1]
            members[b - 1] = held
            b -= 1
    place = slot_of(members, table, keys)
    if table[place] < 0:
        if count[0] >= len(basic) or not make_node(design, functions, members, count[0], nodes):
            return UNKNOWN
        table[place] = count[0]
        count[0] += 1
    link[k, r, above] = table[place]
    return table[place]


@numba.njit(cache=True)
def walk(design, functions, start, low, high, value, bound, nodes, table, keys, count, slots):
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
        if following == UNKNOWN:
            following = _follow(design, functions, k, row, above, nodes, table, keys, count)
        if following < 0:
            return following
        k = following
    return UNKNOWN


@numba.njit(cache=True)
def is_certified(k, low, high, value, bound, nodes, n, slots):
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
