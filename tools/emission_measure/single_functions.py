"""Exponential, logarithm and their kin of sixteen float32 at once, for compiled code.

Each reduces its argument by powers of two and sums a series; errors are a few units in the last
place, as tests show.
"""

from __future__ import annotations

import math

import numba

from tools.emission_measure.lanes import (
    bit_exponent,
    choose,
    lesser,
    root,
    rounded,
    splat_single,
    times_power,
)

__all__ = ["asinh", "exponential", "greater", "logarithm", "magnitude", "sigmoid"]

_LOG2_E = 1 / math.log(2)
_LN2_HIGH = 0.693359375  # so few bits that its products with exponents are exact
_LN2_LOW = math.log(2) - _LN2_HIGH
_LARGEST_EXPONENT = 87.0  # beyond it, results or their reciprocals are no float32
# 1 / k! of exp(r), |r| < 0.35, and 1 / (2 k + 1) of artanh(f), |f| < 0.172: what is left out is
# below half of the last place.
_C2, _C3, _C4, _C5, _C6, _C7 = (1 / math.factorial(k) for k in range(2, 8))
_A3, _A5, _A7, _A9 = (1 / k for k in (3, 5, 7, 9))


@numba.njit(cache=True)
def greater(a, b):
    """Give the greater of two, lane by lane."""
    return choose(a, b, a, b)


@numba.njit(cache=True)
def magnitude(a):
    """Give the absolute values."""
    return greater(a, splat_single(0.0) - a)


@numba.njit(cache=True)
def exponential(x):
    """Give exp(x), of x between -87 and 87."""
    x = lesser(greater(x, splat_single(-_LARGEST_EXPONENT)), splat_single(_LARGEST_EXPONENT))
    n = rounded(x * splat_single(_LOG2_E))
    r = x - n * splat_single(_LN2_HIGH) - n * splat_single(_LN2_LOW)
    s = splat_single(_C7) * r + splat_single(_C6)
    s = s * r + splat_single(_C5)
    s = s * r + splat_single(_C4)
    s = s * r + splat_single(_C3)
    s = s * r + splat_single(_C2)
    s = s * r * r + r + splat_single(1.0)
    return times_power(s, n)


@numba.njit(cache=True)
def logarithm(x):
    """Give ln(x) of positive numbers that are no smaller than 1.2e-38."""
    n = bit_exponent(x)
    m = times_power(x, splat_single(0.0) - n)
    one = splat_single(1.0)
    f = (m - one) / (m + one)
    q = f * f
    s = splat_single(_A9) * q + splat_single(_A7)
    s = s * q + splat_single(_A5)
    s = s * q + splat_single(_A3)
    twice = f + f
    return n * splat_single(_LN2_HIGH) + (n * splat_single(_LN2_LOW) + twice * q * s + twice)


@numba.njit(cache=True)
def asinh(x):
    """Give asinh(x), |x| < 1e19; its error is 1e-7 where x is small."""
    size = magnitude(x)
    found = logarithm(size + root(size * size + splat_single(1.0)))
    zero = splat_single(0.0)
    return choose(zero, x, zero - found, found)


@numba.njit(cache=True)
def sigmoid(x):
    """Give 1 / (1 + exp(-x))."""
    one = splat_single(1.0)
    return one / (one + exponential(splat_single(0.0) - x))
