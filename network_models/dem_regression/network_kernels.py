"""The layers of a network of emission measure, compiled, for 32 pixels at a time.

They give what the Keras layers of ``emission_layers.py`` give (a test compares them), a block of
pixels small enough that all numbers between the layers stay in the cache. A block is rows of 32
float32, one row a column of the Keras network; functions take a pointer to the first row.
"""

from __future__ import annotations

import numba

from tools.emission_measure.lanes import WIDE, choose, lesser, load_single, splat_single, store
from tools.emission_measure.single_functions import (
    asinh,
    exponential,
    greater,
    logarithm,
    sigmoid,
)

__all__ = [
    "ACTIVATIONS",
    "BLOCK",
    "LINEAR",
    "N_FEATURES",
    "N_MISFIT",
    "UNITS",
    "add",
    "dense",
    "emission",
    "features",
    "intervals",
    "misfit",
]

BLOCK, UNITS = 32, 4  # pixels of a block; units of a dense layer that are summed side by side
_RELU, _SILU, LINEAR = 0, 1, 2
ACTIVATIONS = {"relu": _RELU, "silu": _SILU}
_CHANNELS, _BINS = 6, 18
N_FEATURES, N_MISFIT = 1 + 4 * _CHANNELS, 2 * _CHANNELS
_FLOOR_SIGMA = 0.3


@numba.njit(cache=True)
def dense(x, n, weights, bias, out, units, activation, is_added):
    """Write the activations of a dense layer, or add them to what is there.

    x: n rows; weights: (units / 4, n, 4); bias: (units,); out: units rows, units a multiple of 4.
    """
    for u in range(0, units, UNITS):
        w, to = u * n, u * BLOCK
        a0, b0 = splat_single(bias[u]), splat_single(bias[u])
        a1, b1 = splat_single(bias[u + 1]), splat_single(bias[u + 1])
        a2, b2 = splat_single(bias[u + 2]), splat_single(bias[u + 2])
        a3, b3 = splat_single(bias[u + 3]), splat_single(bias[u + 3])
        for i in range(n):
            xa, xb = load_single(x, i * BLOCK), load_single(x, i * BLOCK + WIDE)
            k = splat_single(weights[w])
            a0, b0 = a0 + k * xa, b0 + k * xb
            k = splat_single(weights[w + 1])
            a1, b1 = a1 + k * xa, b1 + k * xb
            k = splat_single(weights[w + 2])
            a2, b2 = a2 + k * xa, b2 + k * xb
            k = splat_single(weights[w + 3])
            a3, b3 = a3 + k * xa, b3 + k * xb
            w += UNITS
        _put(out, to, a0, activation, is_added)
        _put(out, to + WIDE, b0, activation, is_added)
        _put(out, to + BLOCK, a1, activation, is_added)
        _put(out, to + BLOCK + WIDE, b1, activation, is_added)
        _put(out, to + 2 * BLOCK, a2, activation, is_added)
        _put(out, to + 2 * BLOCK + WIDE, b2, activation, is_added)
        _put(out, to + 3 * BLOCK, a3, activation, is_added)
        _put(out, to + 3 * BLOCK + WIDE, b3, activation, is_added)


@numba.njit(cache=True, inline="always")
def _put(out, at, x, activation, is_added):
    if activation == _RELU:
        x = greater(x, splat_single(0.0))
    elif activation == _SILU:
        x = x * sigmoid(x)
    if is_added:
        x = x + load_single(out, at)
    store(out, at, x)


@numba.njit(cache=True)
def add(x, to, n):
    """Add n rows to others."""
    for at in range(0, n * BLOCK, WIDE):
        store(to, at, load_single(to, at) + load_single(x, at))


@numba.njit(cache=True)
def features(dn, sigma, seen, over_largest, out, scale):
    """Write the features and the scale, as ``BrightnessFeatures`` does.

    dn, sigma, seen: six rows, ``seen`` 1 or 0; over_largest: six numbers; out: 25 rows (without
    those of the version); scale: one row, 1e26 cm-5.
    """
    zero, floor = splat_single(0.0), splat_single(_FLOOR_SIGMA)
    for at in range(0, BLOCK, WIDE):
        total = splat_single(1e-6)
        for c in range(_CHANNELS):
            row = c * BLOCK + at
            y, s = load_single(dn, row), load_single(sigma, row)
            value = (greater(y, zero) + floor * s) * splat_single(over_largest[c])
            total = total + load_single(seen, row) * value
        store(scale, at, total)
        store(out, at, logarithm(total) * splat_single(1 / 3))
        over = splat_single(1.0) / total
        for c in range(_CHANNELS):
            row = c * BLOCK + at
            y, s, here = load_single(dn, row), load_single(sigma, row), load_single(seen, row)
            largest = splat_single(over_largest[c]) * over
            value = (greater(y, zero) + floor * s) * largest + splat_single(1e-4)
            share = here * (logarithm(value) + splat_single(2.0)) * splat_single(0.5)
            error = logarithm(s * largest + splat_single(1e-5))
            noise = here * (error + splat_single(5.0)) * splat_single(1 / 3)
            signal = asinh(here * y / s) * splat_single(1 / 3)
            first = BLOCK + row
            store(out, first, share)
            store(out, first + _CHANNELS * BLOCK, noise)
            store(out, first + 2 * _CHANNELS * BLOCK, signal)
            store(out, first + 3 * _CHANNELS * BLOCK, here)


@numba.njit(cache=True)
def emission(logits, scale, out):
    """Write the emission measure in 18 bins, as ``Emission`` does."""
    low, high = splat_single(-20.0), splat_single(8.0)
    for at in range(0, BLOCK, WIDE):
        s = load_single(scale, at)
        for row in range(at, _BINS * BLOCK, BLOCK):
            x = load_single(logits, row) - splat_single(3.0)
            store(out, row, s * exponential(lesser(greater(x, low), high)))


@numba.njit(cache=True)
def misfit(synthesised, dn, sigma, seen, out):
    """Write what differs from the observed channels, 12 rows, as ``Misfit`` does."""
    zero, half = splat_single(0.0), splat_single(0.5)
    most, two = splat_single(2.5), splat_single(2.0)
    for at in range(0, BLOCK, WIDE):
        for row in range(at, _CHANNELS * BLOCK, BLOCK):
            y, s, here = load_single(dn, row), load_single(sigma, row), load_single(seen, row)
            model = load_single(synthesised, row)
            store(out, row, here * asinh((y - model) / s) * half)
            floor = splat_single(_FLOOR_SIGMA) * s
            ratio = logarithm((greater(y, zero) + floor) / (model + floor))
            ratio = lesser(greater(ratio, zero - most), most)
            store(out, row + _CHANNELS * BLOCK, two * here * ratio)


@numba.njit(cache=True)
def intervals(logits, em, scale, factors):
    """Turn 36 rows of logits into distances below and above, in place, as ``Intervals`` does.

    factors: (3, 18) numbers.
    """
    one, low, high = splat_single(1.0), splat_single(-14.0), splat_single(6.0)
    for at in range(0, BLOCK, WIDE):
        s = load_single(scale, at)
        for j in range(_BINS):
            row = j * BLOCK + at
            share = splat_single(1.1) * sigmoid(load_single(logits, row))
            nearly = lesser(splat_single(factors[j]) * share, one)
            below = choose(one, share, nearly, one)
            store(logits, row, below * load_single(em, row))
            apart = load_single(logits, row + _BINS * BLOCK) - splat_single(3.0)
            factor, from_zero = factors[_BINS + j], factors[2 * _BINS + j]
            above = choose(one, share, splat_single(factor), splat_single(from_zero))
            apart = exponential(lesser(greater(apart, low), high))
            store(logits, row + _BINS * BLOCK, above * s * apart)
