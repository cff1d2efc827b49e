"""Functions of sixteen float32 at once do what NumPy does in double precision."""

import numba
import numpy as np
import pytest

from tools.emission_measure import single_functions
from tools.emission_measure.lanes import (
    WIDE,
    bit_exponent,
    load_single,
    pointer_to,
    rounded,
    splat_single,
    store,
    times_power,
)


def applied(function, values):
    """Give a function's results for float32, a multiple of sixteen of them."""

    @numba.njit
    def work(x, out):
        for k in range(0, len(x), WIDE):
            store(pointer_to(out, 0), k, function(load_single(pointer_to(x, 0), k)))

    values = np.asarray(values, np.float32)
    out = np.empty_like(values)
    work(values, out)
    return values.astype(float), out


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# relative or absolute: a few units in the last place, which is 6e-8 to 1.2e-7 of a float32
@pytest.mark.parametrize(
    ("name", "expected", "values", "relative", "absolute"),
    [
        ("exponential", np.exp, np.linspace(-86, 86, 16000), 2e-7, 0),
        ("exponential", np.exp, np.linspace(-0.4, 0.4, 1600), 1.5e-7, 0),
        ("logarithm", np.log, np.geomspace(1.2e-38, 3e38, 16000), 3e-7, 0),
        ("logarithm", np.log, np.linspace(0.6, 1.6, 1600), 3e-7, 0),
        ("asinh", np.arcsinh, np.linspace(-6, 6, 1600), 3e-7, 2e-7),
        ("asinh", np.arcsinh, np.geomspace(1, 9e18, 1600), 3e-7, 0),
        ("sigmoid", sigmoid, np.linspace(-80, 80, 1600), 3e-7, 0),
        ("magnitude", np.abs, np.linspace(-3, 3, 160), 0, 0),
    ],
)
def test_functions_are_those_of_numpy(name, expected, values, relative, absolute):
    given, found = applied(getattr(single_functions, name), values)
    np.testing.assert_allclose(found, expected(given), rtol=relative, atol=absolute)


def test_exponentials_beyond_all_numbers_are_the_largest_and_smallest():
    _, found = applied(single_functions.exponential, np.repeat([-1e9, -200.0, 200.0, 1e9], 4))
    assert np.isfinite(found).all()
    assert (found[:8] < 1e-37).all()
    assert (found[8:] > 1e37).all()


def test_powers_of_two_are_taken_apart_and_put_together():
    values = np.geomspace(1e-30, 1e30, 160)

    @numba.njit
    def mantissa(x):
        return times_power(x, splat_single(np.float32(0)) - bit_exponent(x))

    given, power = applied(bit_exponent, values)
    _, rest = applied(mantissa, values)
    np.testing.assert_array_equal(rest * 2.0**power, given)
    assert (rest >= np.sqrt(0.5) * (1 - 1e-7)).all()
    assert (rest < np.sqrt(2) * (1 + 1e-7)).all()
    given, whole = applied(rounded, np.linspace(-40, 40, 160))
    np.testing.assert_array_equal(whole, np.rint(given))
