"""Small symmetric systems, solved for one pixel or for sixteen at once; all functions are compiled.

Numbers of sixteen pixels stand side by side; slots has as many entries as a system has rows.
"""

from __future__ import annotations

import math

import numba

from tools.emission_measure.lanes import WIDE, load_wide, root, splat_wide, store

__all__ = ["factor_lanes", "invert_factor", "solve_positive", "substitute_lanes"]


@numba.njit(cache=True)
def factor_lanes(h, slots):
    """Give the Cholesky factor in place, with the reciprocals of its diagonal."""
    m = len(slots)
    for j in range(m):
        value = load_wide(h, (j * m + j) * WIDE)
        for k in range(j):
            part = load_wide(h, (j * m + k) * WIDE)
            value = value - part * part
        over = splat_wide(1.0) / root(value)
        store(h, (j * m + j) * WIDE, over)
        for i in range(j + 1, m):
            value = load_wide(h, (i * m + j) * WIDE)
            for k in range(j):
                value = value - load_wide(h, (i * m + k) * WIDE) * load_wide(h, (j * m + k) * WIDE)
            store(h, (i * m + j) * WIDE, value * over)


@numba.njit(cache=True)
def substitute_lanes(h, b, out, slots):
    """Solve with the factor."""
    m = len(slots)
    for i in range(m):
        value = load_wide(b, i * WIDE)
        for k in range(i):
            value = value - load_wide(h, (i * m + k) * WIDE) * load_wide(out, k * WIDE)
        store(out, i * WIDE, value * load_wide(h, (i * m + i) * WIDE))
    for back in range(m):
        i = m - 1 - back
        value = load_wide(out, i * WIDE)
        for k in range(i + 1, m):
            value = value - load_wide(h, (k * m + i) * WIDE) * load_wide(out, k * WIDE)
        store(out, i * WIDE, value * load_wide(h, (i * m + i) * WIDE))


@numba.njit(cache=True)
def invert_factor(h, out, slots):
    """Give the inverse of the factor, below and on the diagonal."""
    m = len(slots)
    for j in range(m):
        store(out, (j * m + j) * WIDE, load_wide(h, (j * m + j) * WIDE))
        for i in range(j + 1, m):
            value = splat_wide(0.0)
            for k in range(j, i):
                value = value - load_wide(h, (i * m + k) * WIDE) * load_wide(
                    out, (k * m + j) * WIDE
                )
            store(out, (i * m + j) * WIDE, value * load_wide(h, (i * m + i) * WIDE))


@numba.njit(cache=True, error_model="numpy")
def solve_positive(h, b, out):
    """Solve h out = b for a positive definite matrix, which is replaced by its factor."""
    m = len(b)
    for j in range(m):
        for k in range(j):
            h[j, j] -= h[j, k] * h[j, k]
        h[j, j] = 1.0 / math.sqrt(max(h[j, j], 1e-300))
        for i in range(j + 1, m):
            for k in range(j):
                h[i, j] -= h[i, k] * h[j, k]
            h[i, j] *= h[j, j]
    for i in range(m):
        out[i] = b[i]
        for k in range(i):
            out[i] -= h[i, k] * out[k]
        out[i] *= h[i, i]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            out[i] -= h[k, i] * out[k]
        out[i] *= h[i, i]
