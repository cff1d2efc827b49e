"""Bases of a linear programme as nodes of a graph that the dual simplex walks along.

Minimise sum x over ``low <= D x <= high``, x >= 0. A node is a set of as many basic variables as
there are rows (x, or the slacks D x), dual feasible, with its inverse computed afresh from D. Which
variable enters when a row leaves by one of its sides depends on the node alone, so that links are
kept. A basic slack stands in its own row, and the basic x in those of the slacks that are not
basic. All functions are compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from tools.emission_measure.lanes import (
    LANES,
    cache_aligned,
    choose,
    first_of,
    largest,
    load,
    pointer_to,
    splat,
    store,
    total,
)

__all__ = [
    "NODES",
    "NOWHERE",
    "ROOM",
    "UNKNOWN",
    "Graph",
    "Pixel",
    "dual_value",
    "forget_nodes",
    "graph_memory",
    "graph_of",
    "member",
    "walk",
]

NODES = 16384  # at most, of one thread
UNKNOWN, NOWHERE = -1, -2  # no way was found; there is no solution
_SLOTS = 4 * NODES
_MOST_STEPS = 400
ROOM = 4096  # nodes: more than one pixel can add
_FEASIBLE = 1e-10  # of what a row changes by when the data move by their tolerance
_DUAL = 1e-9

# A node's record in numbers of eight bytes, w being the rows filled up to a multiple of eight: the
# inverse by columns (m x w), then each w: where a slack that is not basic stands (0: it is basic,
# 1: low, 2: high), weights of the rows when the worst is chosen, dual prices, links (two of four
# bytes), basic variables (one of four bytes).
_SIDE, _WEIGHT, _PRICE, _LINK, _MEMBER, _PARTS = 0, 1, 2, 3, 4, 5


@numba.njit(cache=True)
def _width(slots):
    """Return the rows filled up to a multiple of eight; slots has as many entries as channels."""
    return (len(slots) + LANES - 1) // LANES * LANES


@numba.njit(cache=True)
def _record(slots):
    """Return the length of a node's record."""
    return (len(slots) + _PARTS) * _width(slots)


class Graph(NamedTuple):
    """Pointers to the nodes of one thread, and to the programme that they belong to."""

    records: int
    integers: int
    table: int
    count: int  # type: ignore[assignment]  # compiled code reads it by position, never counts
    work: int
    costs: int
    rates: int
    rows: int
    members: int
    design: int
    widths: int
    n: int


class Pixel(NamedTuple):
    """Pointers to what belongs to the pixel in hand, each as long as the rows filled up."""

    y: int
    spread: int
    low: int
    high: int
    value: int
    bound: int
    seen: int
    row: int


def graph_memory(threads: int, m: int, n: int) -> tuple[np.ndarray, ...]:
    """Return room for the nodes of every thread, for m rows and n functions."""
    width = -(-m // LANES) * LANES
    length = NODES * (m + _PARTS) * width
    records = cache_aligned((threads, length))
    table = np.empty((threads, _SLOTS), np.int32)
    numbers = np.empty((threads, 4 * m * m + 2 * n))
    integers = np.empty((threads, 1 + 2 * m), np.int64)
    return records, records.view(np.int32), table, numbers, integers


@numba.njit(cache=True)
def graph_of(c, memory, design, widths):
    """Return the graph of thread c."""
    records, small, table, numbers, integers = memory
    m, n = design.shape
    first = c * numbers.shape[1]
    return Graph(
        pointer_to(records, c * records.shape[1]),
        pointer_to(small, c * small.shape[1]),
        pointer_to(table, c * _SLOTS),
        pointer_to(integers, c * integers.shape[1]),
        pointer_to(numbers, first),
        pointer_to(numbers, first + 4 * m * m),
        pointer_to(numbers, first + 4 * m * m + n),
        pointer_to(integers, c * integers.shape[1] + 1),
        pointer_to(integers, c * integers.shape[1] + 1 + m),
        pointer_to(design, 0),
        pointer_to(widths, 0),
        n,
    )


@numba.njit(cache=True)
def forget_nodes(graph, slots):
    """Begin with the slacks alone."""
    for q in range(_SLOTS):
        graph.table[q] = -1
    for i in range(len(slots)):
        graph.members[i] = graph.n + i
    _make_node(0, graph, slots)
    graph.table[_slot_of(graph, slots)] = 0
    graph.count[0] = 1


@numba.njit(cache=True)
def member(graph, k, r, slots):
    """Return the variable in row r of node k."""
    at = k * _record(slots) + (len(slots) + _MEMBER) * _width(slots)
    return np.int64(graph.integers[2 * at + r])


@numba.njit(cache=True)
def dual_value(graph, k, bound, slots):
    """Return the value of the dual's solution, which is a bound on every pixel's objective."""
    at = k * _record(slots) + (len(slots) + _PRICE) * _width(slots)
    value = 0.0
    for block in range(0, _width(slots), LANES):
        value += total(load(graph.records, at + block) * load(bound, block))
    return value


@numba.njit(cache=True)
def _reduced_costs(graph, at, slots):
    """Fill in 1 - D^T w for a node's prices."""
    design, records, costs, n = graph.design, graph.records, graph.costs, graph.n
    for j in range(n):
        left = 1.0
        for i in range(len(slots)):
            left -= records[at + i] * design[i * n + j]
        costs[j] = left


@numba.njit(cache=True)
def _make_node(k, graph, slots):
    """Fill node k for graph.members, sorted; say whether it is dual feasible and regular."""
    records, integers, members, widths = graph.records, graph.integers, graph.members, graph.widths
    design, work, rows = graph.design, graph.work, graph.rows
    m, n, w = len(slots), graph.n, _width(slots)
    wide = 2 * m
    base = k * _record(slots)
    side, weight = base + (m + _SIDE) * w, base + (m + _WEIGHT) * w
    price, link = base + (m + _PRICE) * w, base + (m + _LINK) * w
    for q in range(_record(slots)):
        records[base + q] = 0.0
    for q in range(2 * w):
        integers[2 * link + q] = UNKNOWN
    n_rows = 0  # rows of slacks that are not basic, in which the x stand
    for i in range(m):
        inside = False
        for q in range(m):
            inside = inside or members[q] == n + i
        integers[2 * (base + (m + _MEMBER) * w) + i] = n + i if inside else members[n_rows]
        if not inside:
            rows[n_rows] = i
            n_rows += 1
    # invert design[rows, x] by elimination with row exchange
    for a in range(n_rows):
        for b in range(n_rows):
            work[a * wide + b] = design[rows[a] * n + members[b]]
            work[a * wide + n_rows + b] = 1.0 if a == b else 0.0
    for b in range(n_rows):
        best = b
        for a in range(b + 1, n_rows):
            if abs(work[a * wide + b]) > abs(work[best * wide + b]):
                best = a
        if abs(work[best * wide + b]) < 1e-13:
            return False
        if best != b:
            for c in range(2 * n_rows):
                held = work[b * wide + c]
                work[b * wide + c] = work[best * wide + c]
                work[best * wide + c] = held
        scale = 1.0 / work[b * wide + b]
        for c in range(2 * n_rows):
            work[b * wide + c] *= scale
        for a in range(n_rows):
            if a != b and work[a * wide + b] != 0.0:
                factor = work[a * wide + b]
                for c in range(2 * n_rows):
                    work[a * wide + c] -= factor * work[b * wide + c]
    for a in range(n_rows):
        column = base + rows[a] * w
        for b in range(n_rows):
            records[column + rows[b]] = work[b * wide + n_rows + a]
            records[price + rows[a]] += work[b * wide + n_rows + a]
        for i in range(m):  # a basic slack is its row of D times the basic x
            if integers[2 * (base + (m + _MEMBER) * w) + i] == n + i:
                value = 0.0
                for b in range(n_rows):
                    value += design[i * n + members[b]] * work[b * wide + n_rows + a]
                records[column + i] = value
    for a in range(n_rows):
        records[side + rows[a]] = 1.0 if records[price + rows[a]] >= 0.0 else 2.0
    for r in range(m):
        square = widths[r] ** 2 if records[side + r] == 0.0 else 0.0
        for i in range(m):
            square += (records[base + i * w + r] * widths[i]) ** 2
        records[weight + r] = 1.0 / np.sqrt(square)
    _reduced_costs(graph, price, slots)
    for j in range(n):
        if not graph.costs[j] >= -_DUAL:
            return False
    return True


@numba.njit(cache=True)
def _entering(k, r, above, graph, slots):
    """Return the variable that enters when row r leaves node k by its lower or upper side."""
    records, design, costs, rates = graph.records, graph.design, graph.costs, graph.rates
    m, n, w = len(slots), graph.n, _width(slots)
    base = k * _record(slots)
    side, price = base + (m + _SIDE) * w, base + (m + _PRICE) * w
    sign = -1.0 if above else 1.0
    is_slack = member(graph, k, r, slots) >= n
    _reduced_costs(graph, price, slots)
    for j in range(n):
        rate = design[r * n + j] if is_slack else 0.0
        for i in range(m):
            rate -= records[base + i * w + r] * design[i * n + j]
        rates[j] = sign * rate
    for q in range(m):
        if member(graph, k, q, slots) < n:
            rates[member(graph, k, q, slots)] = 0.0
    best, size, chosen = 1e300, 0.0, -1
    for j in range(n):
        if rates[j] > 1e-12:
            ratio = max(costs[j], 0.0) / rates[j]
            if ratio < best - 1e-12 or (ratio < best + 1e-12 and rates[j] > size):
                best, size, chosen = min(ratio, best), rates[j], j
    for i in range(m):
        if records[side + i] > 0.0:
            rate = sign * records[base + i * w + r]
            if records[side + i] > 1.0:
                rate = -rate
            if rate > 1e-12:
                ratio = abs(records[price + i]) / rate
                if ratio < best - 1e-12 or (ratio < best + 1e-12 and rate > size):
                    best, size, chosen = min(ratio, best), rate, n + i
    return chosen


@numba.njit(cache=True)
def _slot_of(graph, slots):
    """Return the place of graph.members in the hash table: its own, or the empty one for it."""
    members, table, m = graph.members, graph.table, len(slots)
    mixed = np.uint64(0)
    for q in range(m):
        mixed = (mixed ^ np.uint64(members[q])) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    place = np.int64(mixed % np.uint64(_SLOTS))
    while table[place] >= 0:
        # x stand in order; a slack that is basic is there, too, and their number is m
        k, n_same, n_x = np.int64(table[place]), 0, 0
        for r in range(m):
            variable = member(graph, k, r, slots)
            if variable == members[n_x]:
                n_x += 1
                n_same += 1
            else:
                for q in range(m):
                    if members[q] == variable:
                        n_same += 1
        if n_same == m:
            break
        place = (place + 1) % _SLOTS
    return place


@numba.njit(cache=True)
def _follow(k, r, above, graph, slots):
    """Return the node behind a link, made if it is new."""
    members, m = graph.members, len(slots)
    at = 2 * (k * _record(slots) + (m + _LINK) * _width(slots)) + 2 * r + above
    chosen = _entering(k, r, above, graph, slots)
    if chosen < 0:
        graph.integers[at] = NOWHERE
        return NOWHERE
    for q in range(m):
        members[q] = chosen if q == r else member(graph, k, q, slots)
    for a in range(1, m):  # sorted: one node per set
        b = a
        while b > 0 and members[b - 1] > members[b]:
            held = members[b]
            members[b] = members[b - 1]
            members[b - 1] = held
            b -= 1
    place = _slot_of(graph, slots)
    if graph.table[place] < 0:
        new = graph.count[0]
        if new >= NODES or not _make_node(new, graph, slots):
            return UNKNOWN
        graph.table[place] = new
        graph.count[0] = new + 1
    graph.integers[at] = graph.table[place]
    return np.int64(graph.table[place])


@numba.njit(cache=True)
def walk(start, graph, pixel, slots):
    """Walk from a node to the optimal one; give it, or -2 (infeasible), or -1 (no way found).

    slots has as many entries as there are channels: the compiler knows a tuple's length. Leaves the
    basic variables in value and what the other slacks are held at in bound.
    """
    records, integers = graph.records, graph.integers
    low, high, value, bound = pixel.low, pixel.high, pixel.value, pixel.bound
    m, w, length = len(slots), _width(slots), _record(slots)
    nothing, one, two, far = splat(0.0), splat(0.5), splat(1.5), splat(1e300)
    k = np.int64(start)
    for _ in range(_MOST_STEPS):
        base = k * length
        for block in range(0, w, LANES):
            stands = load(records, base + (m + _SIDE) * w + block)
            held = choose(stands, one, load(low, block), nothing)
            store(bound, block, choose(stands, two, load(high, block), held))
        worst, row = _FEASIBLE, -1
        for block in range(0, w, LANES):
            found, more = nothing, nothing
            for i in range(0, m - 1, 2):
                found = found + load(records, base + i * w + block) * splat(bound[i])
                more = more + load(records, base + (i + 1) * w + block) * splat(bound[i + 1])
            if m % 2:
                found = found + load(records, base + (m - 1) * w + block) * splat(bound[m - 1])
            found = found + more
            store(value, block, found)
            stands = load(records, base + (m + _SIDE) * w + block)
            under = choose(stands, one, nothing, load(low, block)) - found
            over = found - choose(stands, one, far, load(high, block))
            out = choose(under, over, under, over) * load(records, base + (m + _WEIGHT) * w + block)
            size = largest(out)
            if size > worst:
                worst, row = size, block + first_of(out, size)
        if row < 0:
            return k
        is_slack = records[base + (m + _SIDE) * w + row] == 0.0
        above = 1 if is_slack and value[row] > high[row] else 0
        following = np.int64(integers[2 * (base + (m + _LINK) * w) + 2 * row + above])
        if following == UNKNOWN:
            following = _follow(k, row, above, graph, slots)
        if following < 0:
            return following
        k = following
    return UNKNOWN
