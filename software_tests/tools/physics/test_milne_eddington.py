"""Milne-Eddington profiles against plain numpy, closed limits and finite differences."""

import numpy as np
import pytest
from scipy.special import wofz

from benchmarks.milne_eddington import draw_atmospheres
from benchmarks.plain_stokes import plain_stokes, weideman_function
from tools.physics.milne_eddington import (
    PARAMETERS,
    hinode_wavelengths,
    line_settings,
    synthesise,
    synthesise_with_derivatives,
)
from tools.physics.weak_field import WeakFieldLine, longitudinal_profile, wavelength_derivative
from tools.physics.zeeman import FE_6301, FE_6302

LINES = (FE_6301, FE_6302)
AXIS = hinode_wavelengths()
QUIET = np.array([0.0, 40.0, 30.0, 0.5, 35.0, 8.0, 0.3, 0.25, 0.7])


def with_field(strength, inclination=40.0, azimuth=30.0, **others):
    theta = QUIET.copy()
    theta[:3] = strength, inclination, azimuth
    for name, value in others.items():
        theta[PARAMETERS.index(name)] = value
    return theta


def test_equals_the_solution_in_plain_numpy():
    theta = draw_atmospheres(60, seed=4)
    plain = [plain_stokes(t, AXIS, LINES, plasma_function=weideman_function) for t in theta]
    np.testing.assert_allclose(synthesise(theta, AXIS), plain, atol=1e-10)
    both, _ = synthesise_with_derivatives(theta, AXIS)
    np.testing.assert_allclose(both, plain, atol=1e-12)
    # the exact Voigt function: opacities of up to 40 times an error of 1e-7
    exact = [plain_stokes(t, AXIS, LINES, plasma_function=wofz) for t in theta]
    np.testing.assert_allclose(synthesise(theta, AXIS), exact, atol=3e-6)


def test_without_a_field_it_is_a_pure_voigt_line():
    profile = synthesise(QUIET, AXIS, (FE_6302,))
    centre = FE_6302.wavelength * (1 + 0.5 / 299792.458)
    v = (AXIS - centre) / 0.035
    opacity = FE_6302.strength * 8.0 * wofz(v + 0.3j).real
    np.testing.assert_allclose(profile[0], 0.25 + 0.7 / (1 + opacity), atol=2e-5)
    np.testing.assert_allclose(profile[1:], 0, atol=1e-15)


@pytest.mark.parametrize("line", LINES, ids=["6301", "6302"])
@pytest.mark.parametrize("strength", [20.0, -20.0])
def test_weak_fields_follow_the_weak_field_approximation(line, strength):
    axis = np.linspace(line.wavelength - 0.4, line.wavelength + 0.4, 801)
    stokes = synthesise(with_field(strength, inclination=30.0), axis, (line,))
    weak = WeakFieldLine("test", line.wavelength, line.effective_lande, 1.0, 0.1)
    slope = wavelength_derivative(stokes[0], axis)
    expected, _ = longitudinal_profile(strength * np.cos(np.pi / 6), slope, weak)
    # next terms are (splitting / width)^2 = (1 / 40)^2 of V; numerical derivatives 1e-5
    inner = slice(3, -3)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(stokes[3][inner], expected[inner], atol=2e-3 * largest)
    # positive in the blue wing of an absorption line where the field points to the observer
    blue = stokes[3][np.argmin(np.abs(axis - line.wavelength + 0.05))]
    assert np.sign(blue) == np.sign(strength)


def test_strong_fields_split_the_line_to_its_components():
    axis = np.linspace(6301.6, 6303.4, 3601)
    theta = with_field(4000.0, inclination=0.0, velocity=0.0, doppler_width=20.0, damping=0.05)
    stokes = synthesise(theta, axis, (FE_6302,))
    shift = 4.66864e-13 * FE_6302.wavelength**2 * 2.49 * 4000
    for side, sign in ((axis < FE_6302.wavelength, 1), (axis > FE_6302.wavelength, -1)):
        place = axis[side][np.argmax(sign * stokes[3][side])]
        # half a wavelength step
        assert place == pytest.approx(FE_6302.wavelength - sign * shift, abs=3e-4)
        # each sigma component is circularly polarised: I - |V| sees it alone
        deepest = np.min(stokes[0][side])
        opacity = 8.0 * FE_6302.strength * wofz(0.05j).real / 2
        # K has (1 + h) on the diagonal and h beside: I = 1 - h / (1 + 2 h); wings of the other 1e-3
        assert deepest == pytest.approx(0.25 + 0.7 * (1 - opacity / (1 + 2 * opacity)), abs=2e-3)


def test_azimuth_turns_q_and_u():
    first = synthesise(with_field(1500.0, azimuth=0.0), AXIS)
    turned = synthesise(with_field(1500.0, azimuth=25.0), AXIS)
    c, s = np.cos(np.radians(50)), np.sin(np.radians(50))
    np.testing.assert_allclose(turned[[0, 3]], first[[0, 3]], atol=1e-14)
    np.testing.assert_allclose(turned[1], c * first[1] - s * first[2], atol=1e-14)
    np.testing.assert_allclose(turned[2], s * first[1] + c * first[2], atol=1e-14)
    np.testing.assert_allclose(
        synthesise(with_field(1500.0, azimuth=205.0), AXIS), turned, atol=1e-14
    )


def test_mirrored_fields():
    first = synthesise(with_field(1500.0), AXIS)
    # the field the other way round changes the sign of V, and of nothing else in I and Q
    other = synthesise(with_field(1500.0, inclination=140.0), AXIS)
    np.testing.assert_allclose(other[0], first[0], atol=1e-14)
    np.testing.assert_allclose(other[3], -first[3], atol=1e-14)
    # a negative strength is the opposite vector: inclination to 180 less it, the same azimuth
    np.testing.assert_allclose(synthesise(with_field(-1500.0), AXIS), other, atol=1e-12)
    np.testing.assert_allclose(
        synthesise(with_field(1500.0, inclination=-40.0), AXIS), first, atol=1e-14
    )


def test_velocity_moves_lines_to_the_red():
    axis = np.linspace(6301.9, 6303.1, 4801)
    for speed in (-3.0, 3.0):
        intensity = synthesise(with_field(0.0, velocity=speed), axis, (FE_6302,))[0]
        place = axis[np.argmin(intensity)]
        expected = FE_6302.wavelength * (1 + speed / 299792.458)
        assert place == pytest.approx(expected, abs=2.5e-4)  # a step


def test_derivatives_equal_finite_differences():
    theta = np.concatenate([draw_atmospheres(12, seed=5), [with_field(0.0), with_field(3e3, 0.0)]])
    _, derivatives = synthesise_with_derivatives(theta, AXIS)
    for p in range(9):
        step = 1e-4 * np.array([1e3, 50, 50, 2, 30, 5, 0.3, 1, 1])[p]
        moved = []
        for m in (-2, -1, 1, 2):
            other = theta.copy()
            other[:, p] += m * step
            moved.append(synthesise_with_derivatives(other, AXIS)[0])
        slope = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * step)
        # fourth order in float64: truncation and rounding are below 1e-8 of the largest slope
        np.testing.assert_allclose(
            derivatives[:, p], slope, atol=1e-7 * np.abs(slope).max(), err_msg=PARAMETERS[p]
        )


def test_shapes_and_threads():
    theta = draw_atmospheres(70).reshape(7, 10, 9)
    one, two = (synthesise(theta, AXIS, n_jobs=n) for n in (1, 2))
    assert one.shape == (7, 10, 4, 112)
    np.testing.assert_array_equal(one, two)
    assert synthesise_with_derivatives(theta, AXIS)[1].shape == (7, 10, 9, 4, 112)
    assert (AXIS[0], AXIS[-1]) == (6300.892, 6303.267)


def test_rejects_what_is_no_atmosphere():
    with pytest.raises(ValueError, match="nine parameters"):
        synthesise(QUIET[:8], AXIS)
    with pytest.raises(ValueError, match="must be above 0"):
        synthesise(with_field(0.0, doppler_width=0.0), AXIS)
    with pytest.raises(ValueError, match="at least one spectral line"):
        line_settings(())
