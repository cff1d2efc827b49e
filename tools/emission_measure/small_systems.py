"""Small symmetric systems, solved for one pixel or for sixteen at once; all functions are compiled.

Arrays of sixteen pixels have them as their last axis.
"""

from __future__ import annotations

import math

import numba

__all__ = ["LANES", "factor_lanes", "solve_positive", "substitute_lanes"]

LANES = 16


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def factor_lanes(h):
    """Give the Cholesky factor in place, with the reciprocals of its diagonal."""
    m = len(h)
    for j in range(m):
        for k in range(j):
            for lane in range(LANES):
                h[j, j, lane] -= h[j, k, lane] * h[j, k, lane]
        for lane in range(LANES):
            h[j, j, lane] = 1.0 / math.sqrt(h[j, j, lane])
        for i in range(j + 1, m):
            for k in range(j):
                for lane in range(LANES):
                    h[i, j, lane] -= h[i, k, lane] * h[j, k, lane]
            for lane in range(LANES):
                h[i, j, lane] *= h[j, j, lane]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def substitute_lanes(h, b, out):
    """Solve with the factor."""
    m = len(h)
    for i in range(m):
        for lane in range(LANES):
            out[i, lane] = b[i, lane]
        for k in range(i):
            for lane in range(LANES):
                out[i, lane] -= h[i, k, lane] * out[k, lane]
        for lane in range(LANES):
            out[i, lane] *= h[i, i, lane]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            for lane in range(LANES):
                out[i, lane] -= h[k, i, lane] * out[k, lane]
        for lane in range(LANES):
            out[i, lane] *= h[i, i, lane]


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
