"""Voigt functions against scipy.special.wofz, closed values and finite differences."""

import numpy as np
import pytest
from scipy.special import erfcx, wofz

from tools.physics.voigt import voigt_and_derivatives, voigt_faraday, voigt_lines

A, V = np.meshgrid([0.0, 1e-3, 0.05, 0.3, 0.8, 2.0, 3.0], np.linspace(-30, 30, 1201))


def test_both_functions_equal_the_complex_error_function():
    h, f, _, _ = voigt_lines(A, V)
    exact = wofz(V + 1j * A)
    # sixteen terms of Weideman (1994); scipy's function has thirteen digits
    np.testing.assert_allclose(h, exact.real, atol=2e-7)
    np.testing.assert_allclose(f, exact.imag, atol=2e-7)


def test_closed_values():
    # H(0, v) = exp(-v^2); H(a, 0) = exp(a^2) erfc(a); F(a, 0) = 0
    np.testing.assert_allclose(voigt_lines(0.0, V)[0], np.exp(-(V**2)), atol=2e-7)
    h, f, _, _ = voigt_lines(A, 0.0)
    np.testing.assert_allclose(h, erfcx(A), atol=2e-7)
    np.testing.assert_array_equal(f, 0)
    # far wings: H = a / (sqrt(pi) v^2), F = 1 / (sqrt(pi) v), next terms are 1.5 / v^2 of them
    h, f, _, _ = voigt_lines(0.5, 1e3)
    assert h == pytest.approx(0.5 / np.sqrt(np.pi) / 1e6, rel=1e-5)
    assert f == pytest.approx(1 / np.sqrt(np.pi) / 1e3, rel=1e-5)


def test_h_is_even_and_f_is_odd():
    left, right = voigt_lines(A, -V), voigt_lines(A, V)
    for k, sign in enumerate((1, -1, -1, 1)):
        np.testing.assert_allclose(left[k], sign * right[k], atol=1e-14)


def test_derivatives_equal_finite_differences():
    step = 1e-4  # fourth order: the truncation is 1e-15, rounding 1e-12
    _, _, h_v, f_v = voigt_lines(A, V)

    def slope(values):
        return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)

    moved = [voigt_lines(A, V + m * step) for m in (-2, -1, 1, 2)]
    np.testing.assert_allclose(h_v, slope([m[0] for m in moved]), atol=1e-10)
    np.testing.assert_allclose(f_v, slope([m[1] for m in moved]), atol=1e-10)
    inner = np.maximum(A, 1e-2)
    _, _, h_v, f_v = voigt_lines(inner, V)
    moved = [voigt_lines(inner + m * step, V) for m in (-2, -1, 1, 2)]
    np.testing.assert_allclose(-f_v, slope([m[0] for m in moved]), atol=1e-10)
    np.testing.assert_allclose(h_v, slope([m[1] for m in moved]), atol=1e-10)


def test_one_value_at_a_time_is_the_same():
    for a, v in ((0.1, 0.7), (0.0, -2.0), (1.5, 9.0)):
        whole = [float(part) for part in voigt_lines(a, v)]
        np.testing.assert_allclose(voigt_faraday(a, v), whole[:2], rtol=1e-12, atol=1e-16)
        np.testing.assert_allclose(voigt_and_derivatives(a, v), whole, rtol=1e-12, atol=1e-16)


def test_negative_damping_is_rejected():
    with pytest.raises(ValueError, match="damping of 0 or more, got -0.1"):
        voigt_lines([0.2, -0.1], 0.0)
