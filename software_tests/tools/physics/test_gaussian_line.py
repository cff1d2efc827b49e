import numpy as np
import pytest
from scipy.optimize import curve_fit

from tools.fitting.flags import FitFlag
from tools.physics.gaussian_kernel import gaussian_kernel
from tools.physics.gaussian_line import fit_gaussian_lines, gaussian_names
from tools.physics.line_moments import (
    bisector,
    centre_of_gravity,
    doppler_velocity,
    is_absorption_line,
)

X = np.linspace(1393.2, 1394.3, 48)
STEP = X[1] - X[0]
TRUE = np.array([50.0, 1393.77, 0.09, 8.0])


def gaussian(x, height, centre, width, level=0.0):
    return height * np.exp(-0.5 * ((x - centre) / width) ** 2) + level


def spectra(generator, n, sigma):
    data = gaussian(X, *TRUE) + sigma * generator.standard_normal((n, len(X)))
    return data, np.full_like(data, sigma)


@pytest.mark.parametrize(("n_lines", "n_terms"), [(1, 0), (1, 1), (2, 2), (3, 3)])
def test_derivatives_equal_finite_differences(generator, n_lines, n_terms):
    axis = X - X.mean()
    theta = np.empty(3 * n_lines + n_terms)
    theta[0 : 3 * n_lines : 3] = generator.uniform(20, 60, n_lines)
    theta[1 : 3 * n_lines : 3] = generator.uniform(-0.2, 0.2, n_lines)
    theta[2 : 3 * n_lines : 3] = generator.uniform(0.06, 0.15, n_lines)
    theta[3 * n_lines :] = generator.uniform(1, 5, n_terms)
    settings = np.array([n_lines, n_terms], float)

    def model(parameters):
        values, derivatives = np.empty(len(axis)), np.empty((len(theta), len(axis)))
        gaussian_kernel(parameters, axis, settings, values, derivatives)
        return values, derivatives

    values, derivatives = model(theta)
    expected = sum(gaussian(axis, *theta[3 * c : 3 * c + 3]) for c in range(n_lines))
    expected = expected + sum(theta[3 * n_lines + t] * axis**t for t in range(n_terms))
    np.testing.assert_allclose(values, expected, rtol=1e-13)
    for p in range(len(theta)):
        away = np.zeros(len(theta))
        away[p] = 1e-4 * max(abs(theta[p]), 0.05)
        # fourth order: the truncation is below 1e-8 of the derivative, rounding 1e-11
        d = [model(theta + m * away)[0] for m in (-2, -1, 1, 2)]
        slope = (d[0] - 8 * d[1] + 8 * d[2] - d[3]) / (12 * away[p])
        np.testing.assert_allclose(derivatives[p], slope, atol=1e-6 * np.abs(slope).max())


def test_recovers_what_a_spectrum_was_made_of():
    fit = fit_gaussian_lines(X, gaussian(X, *TRUE)[None, None], 1.0)
    assert fit.values.shape == (1, 1, 4)
    np.testing.assert_allclose(fit.values[0, 0], TRUE, rtol=1e-9)
    np.testing.assert_allclose(fit.spectra(X)[0, 0], gaussian(X, *TRUE), rtol=1e-9)
    assert fit.flags[0, 0] == 0
    assert fit["width"][0, 0] == fit.values[0, 0, 2]


def test_chi2_and_errors_equal_those_of_curve_fit(generator):
    data, sigma = spectra(generator, 40, 2.0)
    fit = fit_gaussian_lines(X, data, sigma)
    for i in range(len(data)):
        best, covariance = curve_fit(
            gaussian, X, data[i], p0=TRUE, sigma=sigma[i], absolute_sigma=True
        )
        chi2 = np.sum(((data[i] - gaussian(X, *best)) / sigma[i]) ** 2)
        # both stop when chi2 changes by less than 1e-8
        assert fit.misfit[i] == pytest.approx(chi2, rel=1e-7)
        # the curvature is taken one small step apart, and curve_fit's by forward differences
        np.testing.assert_allclose(fit.errors[i], np.sqrt(np.diag(covariance)), rtol=2e-3)


@pytest.mark.parametrize("level", [0.5, 2.0, 5.0])
def test_intervals_of_one_sigma_cover_68_percent(generator, level):
    data, sigma = spectra(generator, 3000, level)
    fit = fit_gaussian_lines(X, data, sigma)
    covered = np.mean(np.abs(fit.values - TRUE) < fit.errors, axis=0)
    # 68.3 % is a normal law's share; 4 % are 4.7 deviations of 3000 draws
    assert np.abs(covered - 0.683).max() < 0.04


def test_errors_follow_from_residuals_where_the_data_have_none(generator):
    data, _ = spectra(generator, 3000, 2.0)
    fit = fit_gaussian_lines(X, data)
    covered = np.mean(np.abs(fit.values - TRUE) < fit.errors, axis=0)
    assert np.abs(covered - 0.683).max() < 0.04
    # 44 degrees of freedom: the mean of 3000 variances is known to 0.4 %
    assert np.mean(fit.chi2) == pytest.approx(4.0, rel=0.02)


def test_counts_have_no_bias_to_a_low_background(generator):
    mean = gaussian(X, 60.0, 1393.75, 0.1, 8.0)
    counts = generator.poisson(mean, (4000, len(X))).astype(float)
    fit = fit_gaussian_lines(X, counts, noise="poisson")
    off = fit["continuum"] - 8.0
    assert abs(off.mean()) < 0.05 * off.std()
    covered = np.mean(np.abs(off) < fit.error("continuum"))
    assert abs(covered - 0.683) < 0.04
    # the known bias of weights of 1 / counts, 0.39 of the spread at like counts
    biased = fit_gaussian_lines(X, counts, np.sqrt(np.maximum(counts, 1)))["continuum"] - 8.0
    assert biased.mean() < -0.25 * biased.std()


def test_two_blended_components_are_found(generator):
    parts = np.array([40.0, 1393.68, 0.06, 25.0, 1393.86, 0.08])
    mean = gaussian(X, *parts[:3]) + gaussian(X, *parts[3:]) + 5.0
    data = mean + 0.4 * generator.standard_normal((300, len(X)))
    fit = fit_gaussian_lines(X, data, 0.4, n_components=2, starts=3)
    off = (fit.values[:, :6] - parts) / fit.errors[:, :6]
    assert np.mean(np.abs(off) < 5) > 0.99  # a wrong minimum lies tens of sigma away
    assert np.mean(fit.flags == 0) > 0.97
    np.testing.assert_allclose(np.median(fit.values[:, :6], axis=0), parts, rtol=0.02)


def test_several_starts_are_never_worse_than_one(generator):
    mean = gaussian(X, 30, 1393.6, 0.05) + gaussian(X, 28, 1393.75, 0.05) + 2.0
    data = mean + generator.standard_normal((200, len(X)))
    one = fit_gaussian_lines(X, data, 1.0, n_components=2)
    five = fit_gaussian_lines(X, data, 1.0, n_components=2, starts=5)
    assert (five.misfit <= one.misfit * (1 + 1e-12)).all()


def test_ties_and_fixed_values_hold_exactly(generator):
    mean = gaussian(X, 40, 1393.6, 0.07) + gaussian(X, 20, 1393.95, 0.07) + 3.0
    data = mean + 0.5 * generator.standard_normal((50, len(X)))
    fit = fit_gaussian_lines(
        X,
        data,
        0.5,
        n_components=2,
        fixed={"continuum": 3.0},
        tied={
            "width_2": ("width_1", 1.0, 0.0),
            "centre_2": ("centre_1", 1.0, 0.35),
            "amplitude_2": ("amplitude_1", 0.5, 0.0),
        },
    )
    assert (fit["continuum"] == 3.0).all()
    assert (fit.error("continuum") == 0).all()
    assert (fit["width_2"] == fit["width_1"]).all()
    np.testing.assert_allclose(fit["centre_2"] - fit["centre_1"], 0.35, atol=1e-9)
    np.testing.assert_allclose(fit.error("amplitude_2"), 0.5 * fit.error("amplitude_1"))
    assert (fit.degrees == len(X) - 3).all()
    assert np.abs(np.mean(fit["amplitude_1"]) - 40) < 5 * fit.error("amplitude_1")[0] / np.sqrt(50)


def test_masked_values_count_as_absent(generator):
    data, sigma = spectra(generator, 20, 1.0)
    kept = np.ones(len(X), bool)
    kept[[3, 20, 21, 40]] = False
    holes, no_error = data.copy(), sigma.copy()
    holes[:, ~kept] = np.nan
    no_error[:, ~kept] = 0.0
    expected = fit_gaussian_lines(X, np.where(kept, data, np.inf), sigma)
    for fit in (fit_gaussian_lines(X, holes, sigma), fit_gaussian_lines(X, data, no_error)):
        np.testing.assert_array_equal(fit.values, expected.values)
        assert (fit.degrees == kept.sum() - 4).all()
    cut = fit_gaussian_lines(X[kept], data[:, kept], sigma[:, kept])
    np.testing.assert_allclose(cut.misfit, expected.misfit, rtol=1e-6)


def test_own_wavelengths_of_each_spectrum_and_any_number_format(generator):
    data, sigma = spectra(generator, 6, 1.0)
    common = fit_gaussian_lines(X, data, sigma)
    shifts = 0.01 * np.arange(6)
    own = fit_gaussian_lines(X + shifts[:, None], data, sigma)
    # the sum of a wavelength and a shift is rounded to 2e-13
    np.testing.assert_allclose(own["centre"], common["centre"] + shifts, atol=1e-6)
    np.testing.assert_allclose(own.misfit, common.misfit, rtol=1e-6)
    big = fit_gaussian_lines(X.astype(">f8"), data.astype(">f8"), sigma.astype(">f4"))
    np.testing.assert_allclose(big.misfit, common.misfit, rtol=1e-6)
    single = fit_gaussian_lines(X, data.astype("f4"), sigma)
    np.testing.assert_allclose(single.misfit, common.misfit, rtol=1e-4)


def flags_of(values, sigma=1.0, **options):
    fit = fit_gaussian_lines(X, np.asarray(values)[None], sigma, **options)
    return fit, FitFlag(int(fit.flags[0]))


def test_flags_say_what_is_wrong(generator):
    line = gaussian(X, *TRUE) + 0.3 * generator.standard_normal(len(X))
    fit, flags = flags_of(np.full(len(X), np.nan))
    assert flags == FitFlag.NO_DATA
    assert np.isnan(fit.values).all()
    _, flags = flags_of(line, 0.3, saturation=50.0)
    assert flags & FitFlag.SATURATED
    fit, flags = flags_of(-30 + gaussian(X, -20, 1393.7, 0.1), is_absorption=True)
    assert flags & FitFlag.NEGATIVE_CONTINUUM
    assert np.isnan(fit.values).all()
    _, flags = flags_of(np.zeros(len(X)), is_absorption=False)
    assert flags & FitFlag.DEGENERATE
    fit, flags = flags_of(line, 0.3, minimum_width=0.15)
    assert flags & FitFlag.AT_BOUND
    assert fit["width"][0] == 0.15
    _, flags = flags_of(gaussian(X, 50, 1393.5, 0.05) + gaussian(X, 40, 1393.9, 0.05), 1.0)
    assert flags & FitFlag.POOR_FIT
    _, flags = flags_of(10 * generator.standard_normal(len(X)), None, is_absorption=False)
    assert flags & (FitFlag.POOR_FIT | FitFlag.UNRESOLVED)


@pytest.mark.parametrize("place", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(("width", "is_resolved"), [(0.3, False), (0.45, False), (1.0, True)])
def test_a_width_below_the_sampling_is_not_resolved(generator, place, width, is_resolved):
    data = gaussian(X, 100.0, X[20] + place * STEP, width * STEP, 5.0)
    data = data + 0.5 * generator.standard_normal((50, len(X)))
    fit = fit_gaussian_lines(X, data, 0.5, is_absorption=False)
    share = np.mean((fit.flags & FitFlag.UNRESOLVED) != 0)
    assert share == (0.0 if is_resolved else pytest.approx(1.0, abs=0.1))
    fixed = fit_gaussian_lines(X, data, 0.5, is_absorption=False, fixed={"width": width * STEP})
    assert not ((fixed.flags & FitFlag.UNRESOLVED) != 0).any()


def test_nothing_is_missing_without_a_flag(generator):
    data = generator.standard_normal((400, 9)) * 10.0 ** generator.uniform(-8, 8, (400, 1))
    data[generator.random(data.shape) < 0.4] = np.nan
    data[:20] = 0.0
    data[20:30] = 1e300
    for noise in ("gaussian", "poisson"):
        for terms in (0, 1, 3):
            fit = fit_gaussian_lines(X[:9], data, continuum_terms=terms, noise=noise)
            is_silent = (fit.flags & (FitFlag.NO_DATA | FitFlag.NEGATIVE_CONTINUUM)) != 0
            assert np.isfinite(fit.values[~is_silent]).all()
            assert np.isnan(fit.values[is_silent]).all()
            lacks = ~np.isfinite(fit.errors).all(axis=-1)
            assert (fit.flags[lacks] != 0).all()


def test_absorption_is_recognised_and_its_amplitude_negative(generator):
    data = gaussian(X, -60.0, 1393.7, 0.1, 100.0) + generator.standard_normal((10, len(X)))
    assert is_absorption_line(data)
    assert not is_absorption_line(-data)
    fit = fit_gaussian_lines(X, data, 1.0)
    np.testing.assert_allclose(fit["amplitude"], -60, atol=5 * fit.error("amplitude").max())


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((X, np.ones((2, 5))), {}, "last axis must be that of the wavelengths"),
        ((X[::-1], np.ones((2, 48))), {}, "increase"),
        ((X[:2], np.ones((2, 2))), {}, "at least 3 wavelengths"),
        ((np.ones((3, 48)) * X, np.ones((2, 48))), {}, "neither as one axis"),
        ((X, np.ones((2, 48))), {"noise": "shot"}, "noise is"),
        ((X, np.ones((2, 48))), {"n_components": 0}, "1 or more components"),
        ((X, np.ones((2, 48))), {"start": {"sigma": 1.0}}, "no parameter 'sigma'"),
        ((X, np.ones((2, 48))), {"fixed": {"width": np.nan}}, "must be finite"),
        ((X, np.ones((2, 48))), {"bounds": {"width": (0.2, 0.1)}}, "must increase"),
        ((X, np.ones((2, 48))), {"bounds": {"fwhm": (0.2, 0.3)}}, "no such parameter"),
        ((X, np.ones((2, 48))), {"minimum_width": 9.0}, "minimum_width"),
    ],
)
def test_input_that_does_not_fit_together(arguments, options, text):
    with pytest.raises(ValueError, match=text):
        fit_gaussian_lines(*arguments, **options)


def test_names():
    assert gaussian_names(1, 2) == ("amplitude", "centre", "width", "continuum", "slope")
    assert gaussian_names(2, 0)[3] == "amplitude_2"


def test_velocity_is_positive_away_from_the_observer():
    # c times a shift of one part in a million
    assert doppler_velocity(6563.0 * (1 + 1e-6), 6563.0) == pytest.approx(0.299792458, rel=1e-6)


def test_moments_and_bisectors_of_a_symmetric_line_are_its_centre():
    fine = np.linspace(1393.0, 1394.6, 400)
    for sign in (1, -1):
        line = gaussian(fine, sign * 50.0, 1393.77, 0.09, 100.0)
        # the wings end at 8.5 widths; linear interpolation between values 0.004 apart
        assert centre_of_gravity(fine, line) == pytest.approx(1393.77, abs=1e-9)
        np.testing.assert_allclose(bisector(fine, line, [0.2, 0.5, 0.8]), 1393.77, atol=2e-4)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bisector(fine, line, [1.0])
