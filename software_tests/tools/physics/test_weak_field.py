"""The weak-field approximation against finite differences, closed forms and theory's variance."""

import numpy as np
import pytest

from tools.physics.weak_field import (
    LINES,
    WeakFieldLine,
    field_from_profiles,
    longitudinal_profile,
    transverse_field,
    transverse_profiles,
    wavelength_derivative,
)

LINE = LINES["CaII8542"]
OFFSET = np.linspace(-0.9, 0.9, 25)
WAVELENGTH = LINE.wavelength0 + OFFSET


def intensity(shape=(), offset=OFFSET, width=0.28):
    return np.broadcast_to(1 - 0.75 / (1 + (offset / width) ** 2), (*shape, len(offset)))


def test_the_derivative_is_exact_for_parabolas_on_an_irregular_grid():
    # Lagrange's parabola through three points is the function itself
    grid = 6302 + np.array([-0.5, -0.31, -0.3, -0.1, 0.02, 0.2, 0.55])
    values = 3 - 2 * (grid - 6302) + 5 * (grid - 6302) ** 2
    expected = -2 + 10 * (grid - 6302)
    # float64 differences of values near 5 over steps of 0.01
    np.testing.assert_allclose(wavelength_derivative(values, grid), expected, atol=1e-10)


def test_the_derivative_is_of_second_order():
    # halving the step of a smooth line divides the largest error by 4; at these steps the fourth
    # order still counts a little
    errors = []
    for n in (101, 201, 401):
        offset = np.linspace(-0.9, 0.9, n)
        exact = 1.5 * offset / 0.28**2 / (1 + (offset / 0.28) ** 2) ** 2
        found = wavelength_derivative(intensity(offset=offset), offset)
        errors.append(np.abs(found - exact).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_derivatives_by_the_parameters_are_finite_differences():
    slope = wavelength_derivative(intensity((2, 3)), WAVELENGTH)
    field, step = np.full((2, 3), 250.0), 1e-3
    v, by_field = longitudinal_profile(field, slope, LINE)
    higher, _ = longitudinal_profile(field + step, slope, LINE)
    # linear in the field: only the rounding of V, 1e-17 / 1e-3, remains
    np.testing.assert_allclose((higher - v) / step, by_field, atol=1e-12)
    b_q, b_u = np.full((2, 3), 9e4), np.full((2, 3), -4e4)
    q, u, by_square = transverse_profiles(b_q, b_u, slope, WAVELENGTH, LINE)
    more_q, more_u, _ = transverse_profiles(b_q + 1, b_u + 1, slope, WAVELENGTH, LINE)
    np.testing.assert_allclose(more_q - q, by_square, atol=1e-17)
    np.testing.assert_allclose(more_u - u, by_square, atol=1e-17)


def test_v_is_half_the_difference_of_shifted_lines():
    # a weak field shifts the two circular polarisations apart: V = (I(l + d) - I(l - d)) / 2 with
    # d = -C g B; an independent route, whose third-order term is (d / width)^2 / 6 = 1e-4
    field = 100.0
    shift = 4.67e-13 * LINE.wavelength0**2 * LINE.lande * field
    fine = np.linspace(-0.9, 0.9, 2001)
    slope = wavelength_derivative(intensity(offset=fine), fine)
    v, _ = longitudinal_profile(np.array(field), slope, LINE)
    right, left = intensity(offset=fine - shift), intensity(offset=fine + shift)
    expected = (right - left) / 2
    assert np.abs(v - expected).max() < 2e-3 * np.abs(expected).max()
    # B_los > 0: the blue wing of an absorption line has V > 0
    assert v[np.argmin(np.abs(fine + 0.2))] > 0


def test_q_and_u_are_zero_in_the_core_and_positive_in_the_wings():
    slope = wavelength_derivative(intensity(), WAVELENGTH)
    q, u, by_square = transverse_profiles(np.array(1e6), np.array(0.0), slope, WAVELENGTH, LINE)
    is_core = np.abs(OFFSET) <= LINE.core
    assert is_core.any()
    assert not q[is_core].any()
    assert (q[~is_core] > 0).all()
    assert not u.any()
    # 0.75 C^2 G (dI/dl) / (l - l0), at one wavelength
    expected = 0.75 * (4.67e-13 * 8542.091**2) ** 2 * 1.205 * slope[-1] / 0.9
    assert by_square[-1] == pytest.approx(expected, rel=1e-9)  # the sum 8542.091 + 0.9 is rounded


def test_lines_have_the_factors_of_their_levels():
    # from LS coupling: g_J = 1 + (J(J+1) + S(S+1) - L(L+1)) / (2J(J+1)); effective factors by
    # Landi Degl'Innocenti & Landolfi (2004), table of eq. 3.44 and 9.77
    def lande(j, spin, orbit):
        if j == 0:
            return 0.0
        square = j * (j + 1)
        return 1.5 + (spin * (spin + 1) - orbit * (orbit + 1)) / (2 * square)

    for name, low, up in (
        ("CaII8542", (2.5, 0.5, 2), (1.5, 0.5, 1)),
        ("MgI5173", (1, 1, 1), (1, 1, 0)),
        ("FeI6302", (1, 2, 1), (0, 2, 2)),
    ):
        g_low, g_up, j_low, j_up = lande(*low), lande(*up), low[0], up[0]
        total, away = (
            j_low * (j_low + 1) + j_up * (j_up + 1),
            j_low * (j_low + 1) - j_up * (j_up + 1),
        )
        effective = (g_low + g_up) / 2 + (g_low - g_up) * away / 4
        lessened = (g_low - g_up) ** 2 * (16 * total - 7 * away**2 - 4) / 80
        assert LINES[name].lande == pytest.approx(effective, abs=2e-3)
        assert LINES[name].transverse_lande == pytest.approx(effective**2 - lessened, abs=2e-3)


def test_the_closed_form_inverts_the_forward_model():
    generator = np.random.default_rng(0)
    slope = wavelength_derivative(intensity((5, 4)), WAVELENGTH)
    field = 500 * generator.normal(size=(5, 4))
    v, by_field = longitudinal_profile(field, slope, LINE)
    fit = field_from_profiles(v, by_field, 1e-3)
    np.testing.assert_allclose(fit.field, field, rtol=1e-12)
    assert fit.chi2.max() < 1e-9  # cancellation of sums near 1e4
    assert (fit.n_used == np.count_nonzero(slope[0, 0])).all()


def test_scatter_chi2_and_coverage_are_those_of_theory():
    generator = np.random.default_rng(1)
    shape, sigma = (100, 100), 2e-3
    slope = wavelength_derivative(intensity(shape), WAVELENGTH)
    v, by_field = longitudinal_profile(np.full(shape, 120.0), slope, LINE)
    fit = field_from_profiles(v + sigma * generator.normal(size=v.shape), by_field, sigma)
    theory = sigma / np.sqrt(np.sum(by_field[0, 0] ** 2))
    np.testing.assert_allclose(fit.weight, theory**-2, rtol=1e-12)
    away = (fit.field - 120.0) / theory
    assert away.std() == pytest.approx(1, abs=0.03)  # 1 / sqrt(2 * 10,000) = 0.7 %, four sigma
    assert np.mean(np.abs(away) < 1) == pytest.approx(0.6827, abs=0.02)  # 0.5 % per sigma
    # one parameter is fitted to n values
    n = fit.n_used[0, 0]
    assert fit.chi2.mean() == pytest.approx((n - 1) / n, abs=0.01)
    # chi2 of another field, directly
    model, _ = longitudinal_profile(np.full(shape, 90.0), slope, LINE)
    noisy = v + 0
    direct = np.mean(((noisy - model) / sigma)[..., slope[0, 0] != 0] ** 2, axis=-1)
    exact = field_from_profiles(noisy, by_field, sigma)
    np.testing.assert_allclose(exact.chi2_of(np.full(shape, 90.0)), direct, rtol=1e-8)


def test_missing_values_and_constant_spectra_have_no_answer_or_less_weight():
    slope = wavelength_derivative(intensity((1, 4)), WAVELENGTH).copy()
    v, by_field = longitudinal_profile(np.full((1, 4), 50.0), slope, LINE)
    v, by_field = v.copy(), by_field.copy()
    v[0, 1] = np.nan  # a pixel without data
    by_field[0, 2] = 0.0  # a constant intensity
    v[0, 3, :9] = np.nan  # some wavelengths are missing
    fit = field_from_profiles(v, by_field, 1e-3)
    assert np.isnan(fit.field[0, 1:3]).all()
    assert (fit.weight[0, 1:3] == 0).all()
    assert np.isnan(fit.chi2[0, 1:3]).all()
    assert fit.field[0, 3] == pytest.approx(50)
    assert 0 < fit.weight[0, 3] < fit.weight[0, 0]
    # errors that are no errors leave values out
    assert field_from_profiles(v, by_field, np.nan).weight.max() == 0
    assert field_from_profiles(v, by_field, 0.0).weight.max() == 0


def test_the_transverse_field_and_its_ambiguous_azimuth():
    azimuth = np.array([0.0, 10.0, 90.0, 135.0, 179.0])
    for turned in (azimuth, azimuth + 180):  # the same B_Q and B_U
        b_q = 300**2 * np.cos(2 * np.radians(turned))
        b_u = 300**2 * np.sin(2 * np.radians(turned))
        field, error, found, azimuth_error = transverse_field(b_q, b_u, np.full(5, 900.0))
        np.testing.assert_allclose(field, 300)
        away = (found - azimuth + 90) % 180 - 90  # 179.99... is 0
        np.testing.assert_allclose(away, 0, atol=1e-9)
        # dB_t = d(B_t^2) / (2 B_t); d phi = d(B_t^2) / (2 B_t^2)
        np.testing.assert_allclose(error, 30 / 600)
        np.testing.assert_allclose(azimuth_error, np.degrees(30 / (2 * 9e4)))
    field, error, _, azimuth_error = transverse_field(*np.zeros((2, 1)), np.array([900.0]))
    assert field == 0
    assert np.isfinite(error).all()
    assert azimuth_error == pytest.approx(180 / np.sqrt(12))


def test_what_is_rejected():
    with pytest.raises(ValueError, match="nanometres: give 8542"):
        WeakFieldLine("Ca II", 854.2, 1.1, 1.2, 0.02)
    with pytest.raises(ValueError, match="Lande factor other than 0"):
        WeakFieldLine("a line", 8542.0, 0.0, 1.2, 0.02)
    with pytest.raises(ValueError, match="three wavelengths or more"):
        wavelength_derivative(np.ones(2), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="three wavelengths or more"):
        wavelength_derivative(np.ones(3), np.array([1.0, 3.0, 2.0]))
    with pytest.raises(ValueError, match="of one shape"):
        field_from_profiles(np.ones((2, 2, 5)), np.ones((2, 2, 4)), 1.0)
    with pytest.raises(ValueError, match="expected errors that fit"):
        field_from_profiles(np.ones((2, 2, 5)), np.ones((2, 2, 5)), np.ones(3))
