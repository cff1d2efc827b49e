"""Vectors of eight and of sixteen numbers do what NumPy does."""

import numba
import numpy as np
import pytest

from tools.emission_measure.lanes import (
    LANES,
    WIDE,
    any_positive,
    cache_aligned,
    choose,
    first_of,
    largest,
    lesser,
    load,
    load_single,
    load_wide,
    pointer_to,
    root,
    splat,
    splat_single,
    splat_wide,
    store,
    total,
)


def _made(read, fill):
    @numba.njit
    def work(a, b, out, numbers):
        x, y = read(pointer_to(a, 0), 0), read(pointer_to(b, 0), 0)
        to = pointer_to(out, 0)
        width = out.shape[1]
        store(to, 0, x + y * fill(2.0) - x / y)
        store(to, width, choose(x, y, x, fill(0.0)))
        store(to, 2 * width, lesser(x, y))
        store(to, 3 * width, root(y))
        numbers[0], numbers[1] = largest(x), total(x)
        numbers[2], numbers[3] = first_of(x, largest(x)), any_positive(x - y)
        numbers[4] = any_positive(x - x)

    return work


@pytest.mark.parametrize(
    ("width", "read", "fill"), [(LANES, load, splat), (WIDE, load_wide, splat_wide)]
)
def test_vectors_do_what_numpy_does(width, read, fill):
    generator = np.random.default_rng(0)
    a, b = generator.normal(0, 1, width), generator.uniform(0.5, 2, width)
    out, numbers = np.empty((4, width)), np.empty(5)
    _made(read, fill)(a, b, out, numbers)
    expected = [a + 2 * b - a / b, np.where(a > b, a, 0), np.minimum(a, b), np.sqrt(b)]
    np.testing.assert_allclose(out, expected, rtol=1e-14, atol=1e-15)
    wanted = [a.max(), a.sum(), a.argmax(), (a > b).any(), 0]
    np.testing.assert_allclose(numbers, wanted, rtol=1e-13)


def test_singles_do_what_numpy_does():
    @numba.njit
    def work(a, b, out):
        x, y = load_single(pointer_to(a, 0), 0), load_single(pointer_to(b, 0), 0)
        to = pointer_to(out, 0)
        store(to, 0, x + y * splat_single(2.0) - x / y)
        store(to, WIDE, choose(x, y, x, splat_single(0.0)))
        store(to, 2 * WIDE, lesser(x, y))
        store(to, 3 * WIDE, root(y))

    generator = np.random.default_rng(0)
    a = generator.normal(0, 1, WIDE).astype(np.float32)
    b = generator.uniform(0.5, 2, WIDE).astype(np.float32)
    out = np.empty((4, WIDE), np.float32)
    work(a, b, out)
    expected = [a + 2 * b - a / b, np.where(a > b, a, 0), np.minimum(a, b), np.sqrt(b)]
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_aligned_zeros_begin_at_a_cache_line(dtype):
    made = [cache_aligned((n, 16), dtype) for n in (1, 3, 5000)]
    for array, n in zip(made, (1, 3, 5000), strict=True):
        assert array.ctypes.data % 64 == 0
        assert array.shape == (n, 16)
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert not array.any()
