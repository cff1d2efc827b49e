"""Coupled fits of maps: a linear model, whose solution algebra gives, and a curved one."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tools.fitting.gauss_newton import CoupledProblem, fit_coupled
from tools.fitting.levenberg_marquardt import couple_parameters
from tools.physics.point_spread import PointSpread, gaussian_point_spread

SIDE, NAMES = 7, ("level", "slope")
X = np.linspace(-1, 1, 6)
SPREAD = PointSpread(np.array([[1.0, 2, 1], [2, 6, 2], [1, 2, 0.5]]))


def straight_lines(theta):
    values = theta[..., :1] + theta[..., 1:] * X
    derivatives = np.broadcast_to(np.stack([np.ones_like(X), X]), (*theta.shape, len(X)))
    return values, derivatives


def dense(operator, n):
    """Return the matrix of a linear operator on maps (y, x) of a side n."""
    columns = [operator(unit.reshape(n, n)).ravel() for unit in np.eye(n * n)]
    return np.stack(columns, 1)


def laplacian(u):
    out = np.zeros_like(u)
    for axis in (0, 1):
        for step in (1, -1):
            other = np.roll(u, step, axis)
            edge = [slice(None)] * 2
            edge[axis] = 0 if step == 1 else -1
            other[tuple(edge)] = u[tuple(edge)]
            out += u - other
    return out


def problem_of(data, weight, *, prior=(0.0, 0.0), power=1, spread=SPREAD, **options):
    own = {
        "linearise": straight_lines,
        "coupling": couple_parameters(NAMES),
        "scale": np.array([2.0, 0.5]),
        "lower": np.full(2, -1e30),
        "upper": np.full(2, 1e30),
        **options,
    }
    return CoupledProblem(
        data=data,
        weight=weight,
        prior_weight=np.array(prior),
        power=power,
        point_spread=spread,
        **own,
    )


@pytest.mark.parametrize("power", [1, 2])
def test_a_linear_problem_has_the_solution_of_its_normal_equations(generator, power):
    data = generator.normal(size=(SIDE, SIDE, len(X)))
    weight = np.full(data.shape, 3.0)
    prior, scale = np.array([0.7, 2.0]), np.array([2.0, 0.5])
    fit = fit_coupled(
        problem_of(data, weight, prior=prior, power=power),
        np.zeros((SIDE, SIDE, 2)),
        tolerance=1e-9,
        largest_steps=40,
    )
    spread, rough = dense(SPREAD.apply, SIDE), dense(laplacian, SIDE)
    rough = np.linalg.matrix_power(rough, power)
    rows = [np.hstack([spread, spread * x]) for x in X]
    left = sum(3.0 * row.T @ row for row in rows)
    left += np.kron(np.diag(prior / scale**2), rough)
    right = sum(3.0 * row.T @ data[..., k].ravel() for k, row in enumerate(rows))
    expected = np.linalg.solve(left, right).reshape(2, SIDE, SIDE)
    # single precision within products
    assert np.allclose(np.moveaxis(fit.theta, -1, 0), expected, atol=3e-3)
    assert fit.is_converged


def test_masked_values_carry_no_weight(generator):
    data = generator.normal(size=(SIDE, SIDE, len(X)))
    weight = np.full(data.shape, 2.0)
    weight[2, 3] = 0
    start = np.zeros((SIDE, SIDE, 2))
    one = fit_coupled(problem_of(data, weight, prior=(0.1, 0.1)), start)
    data[2, 3] = 1e6
    other = fit_coupled(problem_of(data, weight, prior=(0.1, 0.1)), start)
    assert np.array_equal(one.theta, other.theta)


def test_fixed_and_tied_parameters(generator):
    data = generator.normal(size=(SIDE, SIDE, len(X)))
    start = np.full((SIDE, SIDE, 2), 0.3)
    fixed = couple_parameters(NAMES, fixed=("slope",))
    fit = fit_coupled(problem_of(data, np.ones(data.shape), coupling=fixed, spread=None), start)
    assert np.allclose(fit.theta[..., 1], 0.3)
    assert np.allclose(fit.theta[..., 0], (data - 0.3 * X).mean(axis=-1), atol=1e-4)
    tied = couple_parameters(NAMES, tied={"slope": ("level", 2.0, 0.5)})
    fit = fit_coupled(problem_of(data, np.ones(data.shape), coupling=tied, spread=None), start)
    assert np.allclose(fit.theta[..., 1], 2 * fit.theta[..., 0] + 0.5)


def test_errors_are_the_scatter_of_repeated_noise(generator):
    prior, start = (0.5, 0.5), np.zeros((SIDE, SIDE, 2))
    weight = np.full((SIDE, SIDE, len(X)), 4.0)
    # truths drawn from the prior are beyond this: data of zero truth and noise show variance less
    # the prior's part, so that errors must be the larger ones
    spread = []
    for _ in range(30):
        noise = generator.normal(size=weight.shape) / 2
        spread.append(fit_coupled(problem_of(noise, weight, prior=prior), start).theta)
    scatter = np.std(spread, axis=0)
    fit = fit_coupled(problem_of(noise, weight, prior=prior), start, n_samples=30)
    assert (np.median(fit.errors, axis=(0, 1)) > np.median(scatter, axis=(0, 1))).all()
    free = fit_coupled(problem_of(noise, weight, spread=None), start, n_samples=200)
    # a straight line's own errors: sigma / sqrt(n), sigma / sqrt(sum x^2)
    expected = 0.5 / np.sqrt([len(X), np.sum(X**2)])
    assert np.allclose(np.median(free.errors, axis=(0, 1)), expected, rtol=0.1)
    assert (free.prior_share == 0).all()


def test_the_prior_s_share_grows_with_its_weight(generator):
    data, start = generator.normal(size=(SIDE, SIDE, len(X))), np.zeros((SIDE, SIDE, 2))
    shares = [
        fit_coupled(
            problem_of(data, np.ones(data.shape), prior=(a, a)), start, n_samples=1
        ).prior_share.mean()
        for a in (1e-3, 1.0, 1e3)
    ]
    assert shares[0] < 0.1 < shares[1] < shares[2]
    assert shares[2] > 0.9


def test_a_curved_model_behind_a_telescope(generator):
    spread = gaussian_point_spread(2.0, 1.0)
    axis = np.linspace(-2, 2, 30)

    def model(theta):
        height, centre = theta[..., :1], theta[..., 1:]
        e = np.exp(-0.5 * ((axis - centre) / 0.5) ** 2)
        return height * e, np.stack([e, height * e * (axis - centre) / 0.25], axis=-2)

    rough = gaussian_filter(generator.normal(size=(14, 14, 2)), (1, 1, 0)) / 0.28
    truth = np.array([3.0, 0.0]) + rough * [0.5, 0.2]
    data = spread.apply(model(truth)[0])
    data += generator.normal(size=data.shape) * 1e-2
    start = np.broadcast_to([2.5, 0.1], truth.shape).copy()
    problem = problem_of(
        data, np.full(data.shape, 1e4), spread=spread, linearise=model, prior=(1e-3, 1e-3)
    )
    fit = fit_coupled(problem, start, largest_steps=20, tolerance=1e-3)
    away = np.sqrt(np.mean((fit.theta - truth) ** 2, axis=(0, 1)))
    alone = np.sqrt(np.mean((start - truth) ** 2, axis=(0, 1)))
    assert fit.misfit.sum() / data.size < 1.3
    assert (away < alone / 2).all()


def test_what_can_t_be_fitted():
    data = np.ones((SIDE, SIDE, len(X)))
    start = np.zeros((SIDE, SIDE, 2))
    with pytest.raises(ValueError, match="power is 1 or 2"):
        fit_coupled(problem_of(data, data, power=3), start)
    start[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite start"):
        fit_coupled(problem_of(data, data), start)
