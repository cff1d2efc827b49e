import numba
import numpy as np
import pytest

from tools.physics.fast_exponential import exponential

X = np.concatenate([np.linspace(-700, 700, 200_001), np.linspace(-1, 1, 100_001)])


def evaluate(function, fastmath):
    @numba.njit(fastmath=fastmath, error_model="numpy")
    def fill(x, out):
        for k in range(len(x)):
            out[k] = function(x[k])

    out = np.empty_like(X)
    fill(X, out)
    return out


# a caller's fastmath was once handed down to it where it had none, and undid its rounding
@pytest.mark.parametrize("fastmath", [False, {"reassoc", "contract", "nsz", "arcp"}, True])
def test_equals_numpy_s_exponential_whatever_the_caller_allows(fastmath):
    options = {k: v for k, v in exponential.targetoptions.items() if k != "nopython"}
    fresh = numba.njit(**options)(exponential.py_func)  # not compiled before
    # 1e-15 is 4.5 roundings: of the reduced argument, the polynomial and the product
    np.testing.assert_allclose(evaluate(fresh, fastmath), np.exp(X), rtol=1e-15)


def test_clips_what_would_overflow():
    assert exponential(-1e4) == pytest.approx(np.exp(-700.0), rel=1e-15)
    assert exponential(1e4) == pytest.approx(np.exp(700.0), rel=1e-15)
