import numba
import numpy as np
import pytest
from scipy.optimize import lsq_linear

from tools.fitting.flags import FitFlag
from tools.fitting.levenberg_marquardt import (
    GAUSSIAN,
    POISSON,
    couple_parameters,
    pixel_fitter,
)

NAMES = ("level", "slope", "bend")
X = np.linspace(-1, 1, 12)


@numba.njit(error_model="numpy")
def polynomial(theta, axis, settings, values, derivatives):
    for k in range(len(axis)):
        derivatives[0, k] = 1.0
        derivatives[1, k] = axis[k]
        derivatives[2, k] = axis[k] ** 2
        values[k] = theta[0] + theta[1] * axis[k] + theta[2] * axis[k] ** 2


@pytest.fixture(scope="module")
def fit_pixel():
    return pixel_fitter(polynomial)


def fit(fit_pixel, data, weight, *, start=(0.0, 0.0, 0.0), noise=GAUSSIAN, steps=100, **options):
    lower = np.array(options.pop("lower", (-np.inf,) * 3))
    upper = np.array(options.pop("upper", (np.inf,) * 3))
    coupling = couple_parameters(NAMES, **options)
    n, p, f = len(data), 3, len(coupling.free)
    theta, covariance = np.array(start, float), np.empty((f, f))
    work = (
        np.empty(n),
        np.empty((p, n)),
        np.empty((2, n)),
        np.empty((3, p, p)),
        np.empty((4, p)),
    )
    misfit, flags, used = fit_pixel(
        X,
        np.zeros(1),
        data,
        weight,
        noise,
        theta,
        lower,
        upper,
        coupling.source,
        coupling.scale,
        coupling.offset,
        coupling.free,
        steps,
        1e-12,
        work,
        covariance,
    )
    return theta, covariance, misfit, flags, used


@pytest.fixture
def noisy(generator):
    weight = generator.uniform(0.5, 4.0, len(X))
    data = 3 - 2 * X + 0.5 * X**2 + generator.standard_normal(len(X)) / np.sqrt(weight)
    return data, weight


def test_a_linear_model_gives_the_normal_equations_answer_and_covariance(fit_pixel, noisy):
    data, weight = noisy
    theta, covariance, misfit, flags, _ = fit(fit_pixel, data, weight)
    design = np.stack([np.ones_like(X), X, X**2], axis=1)
    expected = np.linalg.inv(design.T @ (weight[:, None] * design))
    best = expected @ design.T @ (weight * data)
    # the damping of the last step leaves 1e-7 of the answer
    np.testing.assert_allclose(theta, best, rtol=1e-6)
    np.testing.assert_allclose(covariance, expected, rtol=1e-9)
    assert misfit == pytest.approx(np.sum(weight * (data - design @ best) ** 2), rel=1e-12)
    assert flags == 0


def test_bounds_give_the_constrained_minimum_and_say_so(fit_pixel, noisy):
    data, weight = noisy
    theta, _, _, flags, _ = fit(
        fit_pixel, data, weight, lower=(-np.inf, -1.0, -np.inf), start=(0.0, 1.0, 0.0)
    )
    design = np.stack([np.ones_like(X), X, X**2], axis=1)
    root = np.sqrt(weight)
    box = ([-np.inf, -1.0, -np.inf], np.full(3, np.inf))
    expected = lsq_linear(design * root[:, None], data * root, bounds=box, tol=1e-12).x
    np.testing.assert_allclose(theta, expected, atol=1e-5)  # of lsq_linear's interior points
    assert flags == FitFlag.AT_BOUND


def test_the_deviance_of_a_constant_is_least_at_the_mean_count(fit_pixel, generator):
    counts = generator.poisson(2.5, len(X)).astype(float)
    theta, covariance, misfit, flags, _ = fit(
        fit_pixel,
        counts,
        np.ones(len(X)),
        noise=POISSON,
        start=(1.0, 0.0, 0.0),
        fixed=("slope", "bend"),
    )
    mean = counts.mean()
    assert theta[0] == pytest.approx(mean, rel=1e-5)
    assert covariance[0, 0] == pytest.approx(mean / len(X), rel=1e-4)  # of a mean of counts
    logs = np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / mean), 0)
    assert misfit == pytest.approx(2 * np.sum(mean - counts + logs), rel=1e-9)
    assert flags == 0


def test_fixed_and_tied_parameters(fit_pixel):
    data = 1 + 0.5 * X + 1.5 * X**2  # bend = 2 slope + 0.5
    theta, covariance, misfit, flags, _ = fit(
        fit_pixel,
        data,
        np.ones(len(X)),
        start=(1.0, 0.0, 0.0),
        fixed=("level",),
        tied={"bend": ("slope", 2.0, 0.5)},
    )
    np.testing.assert_allclose(theta, (1.0, 0.5, 1.5), atol=1e-9)
    design = X + 2 * X**2  # the chain rule
    assert covariance[0, 0] == pytest.approx(1 / np.sum(design**2), rel=1e-9)
    assert misfit < 1e-15
    assert flags == 0


def test_says_what_the_data_do_not_determine(fit_pixel):
    weight = np.zeros(len(X))
    weight[[2, 7]] = 1.0  # two values, three parameters
    _, _, _, flags, _ = fit(fit_pixel, X.copy(), weight)
    assert flags & FitFlag.DEGENERATE


def test_says_that_steps_ran_out(fit_pixel, noisy):
    _, _, _, flags, used = fit(fit_pixel, *noisy, start=(1e3, 0, 0), steps=1)
    assert used == 1
    assert flags & FitFlag.NOT_CONVERGED


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fixed": ("height",)}, "no parameter 'height'"),
        ({"fixed": NAMES}, "at least one that is free"),
        ({"tied": {"bend": ("slope", 0.0, 1.0)}}, "must be free, by finite numbers"),
        ({"fixed": ("slope",), "tied": {"bend": ("slope", 1.0, 0.0)}}, "must be free"),
    ],
)
def test_couplings_that_cannot_be(options, text):
    with pytest.raises(ValueError, match=text):
        couple_parameters(NAMES, **options)
