"""Linear inversions with spatial priors against dense algebra, a convex minimum and coverage."""

import numpy as np
import pytest
from scipy.fft import idctn
from scipy.ndimage import gaussian_filter

from tools.fitting.linear import (
    LaplacianPrior,
    draw_posterior,
    laplacian_eigenvalues,
    posterior_variance,
    prior_share,
    solve_laplacian,
    solve_total_variation,
)

SHAPE = (11, 14)


def dense_laplacian(shape):
    """Return the five-point Laplacian with free boundary, built edge by edge."""
    number = np.arange(np.prod(shape)).reshape(shape)
    matrix = np.zeros((number.size, number.size))
    pairs = [*zip(number[1:].ravel(), number[:-1].ravel(), strict=True)]
    pairs += [*zip(number[:, 1:].ravel(), number[:, :-1].ravel(), strict=True)]
    for a, b in pairs:
        matrix[a, a] += 1
        matrix[b, b] += 1
        matrix[a, b] -= 1
        matrix[b, a] -= 1
    return matrix


def dense_precision(shape, prior):
    """Return a L^p by the eigenvalues of the dense matrix."""
    values, vectors = np.linalg.eigh(dense_laplacian(shape))
    values = np.clip(values, 0, None) * (values > 1e-9)
    return prior.strength * (vectors * values**prior.power) @ vectors.T


def weights(shape, seed=0, masked=0.2, variation=0.3):
    generator = np.random.default_rng(seed)
    smooth = gaussian_filter(generator.normal(size=shape), 3)
    weight = 0.04 * np.exp(variation * smooth / smooth.std())
    blobs = gaussian_filter(generator.normal(size=shape), 2)
    return np.where(blobs < np.quantile(blobs, masked), 0.0, weight) if masked else weight


def test_eigenvalues_are_those_of_the_dense_matrix():
    expected = np.linalg.eigvalsh(dense_laplacian(SHAPE))
    found = np.sort(laplacian_eigenvalues(SHAPE).ravel())
    np.testing.assert_allclose(found, expected, atol=1e-12)  # LAPACK's rounding


@pytest.mark.parametrize("power", [0.5, 1, 1.5, 2, 3, 4])
@pytest.mark.parametrize("masked", [0.0, 0.25])
def test_solution_is_that_of_the_dense_system(power, masked):
    weight = weights(SHAPE, masked=masked)
    values = np.where(weight > 0, 100 * np.random.default_rng(1).normal(size=SHAPE), np.nan)
    prior = LaplacianPrior(0.1, power)
    solution = solve_laplacian(values, weight, prior, tolerance=1e-10)
    matrix = np.diag(weight.ravel()) + dense_precision(SHAPE, prior)
    right = (weight * np.nan_to_num(values)).ravel()
    expected = np.linalg.solve(matrix, right).reshape(SHAPE)
    assert solution.is_converged
    # values near 100, residual 1e-10 sigma, conditions up to 1e6 within masks
    np.testing.assert_allclose(solution.values, expected, rtol=1e-4, atol=1e-4)


def test_uniform_weights_are_solved_in_one_step():
    values = np.random.default_rng(0).normal(size=SHAPE)
    solution = solve_laplacian(values, np.full(SHAPE, 4.0), LaplacianPrior(3.0, 2))
    assert solution.n_iterations == 0
    matrix = 4 * np.eye(values.size) + dense_precision(SHAPE, LaplacianPrior(3.0, 2))
    expected = np.linalg.solve(matrix, 4 * values.ravel()).reshape(SHAPE)
    np.testing.assert_allclose(solution.values, expected, atol=1e-10)


def test_limits_of_the_strength():
    values, weight = 10 * np.random.default_rng(0).normal(size=SHAPE), weights(SHAPE, masked=0)
    none = solve_laplacian(values, weight, LaplacianPrior(0.0, 1), tolerance=1e-8).values
    np.testing.assert_allclose(none, values, atol=1e-5)  # 1e-8 sigma of 5
    flat = solve_laplacian(values, weight, LaplacianPrior(1e9, 1), tolerance=1e-10).values
    mean = np.average(values, weights=weight)
    np.testing.assert_allclose(flat, mean, atol=1e-4)  # the prior is finite


def test_maps_without_any_value():
    nothing = solve_laplacian(np.full(SHAPE, np.nan), np.ones(SHAPE), LaplacianPrior(1.0, 1))
    assert np.isnan(nothing.values).all()
    assert nothing.is_converged
    assert np.isnan(posterior_variance(np.zeros(SHAPE), LaplacianPrior(1.0, 1))).all()
    assert np.isnan(solve_total_variation(np.ones(SHAPE), np.zeros(SHAPE), 1.0).values).all()
    # one value is everyone's
    weight = np.zeros(SHAPE)
    weight[3, 3] = 1.0
    one = solve_laplacian(np.full(SHAPE, 7.0), weight, LaplacianPrior(1.0, 1), tolerance=1e-9)
    np.testing.assert_allclose(one.values, 7, atol=1e-6)


def test_variance_is_exact_for_uniform_weights():
    for power in (1, 2.5, 4):
        prior = LaplacianPrior(0.7, power)
        exact = np.diag(np.linalg.inv(0.3 * np.eye(154) + dense_precision(SHAPE, prior)))
        found = posterior_variance(np.full(SHAPE, 0.3), prior)
        np.testing.assert_allclose(found, exact.reshape(SHAPE), rtol=1e-8)


@pytest.mark.parametrize(("power", "strength"), [(1, 0.2), (2, 1.0), (4, 2.5)])
def test_variance_with_masks_is_near_the_exact_one(power, strength):
    shape, prior = (40, 40), LaplacianPrior(strength, power)
    weight = weights(shape)
    basis = idctn(np.eye(1600).reshape(1600, 40, 40), axes=(1, 2), norm="ortho").reshape(1600, -1)
    precision = basis.T @ (prior.precision(shape).reshape(-1, 1) * basis)
    exact = np.diag(np.linalg.inv(np.diag(weight.ravel()) + precision)).reshape(shape)
    found = posterior_variance(weight, prior)
    known = weight > 0
    assert np.isnan(found[~known]).all()
    away = found[known] / exact[known] - 1
    # as documented: 16 draws, averaged, and pixels beside masks
    assert np.sqrt(np.mean(away**2)) < 0.2
    assert abs(away.mean()) < 0.1
    share = prior_share(weight, found)
    np.testing.assert_allclose(share[~known], 1)
    expected = 1 - weight[known] * exact[known]  # 1 less the leverage
    np.testing.assert_allclose(share[known], expected, atol=0.1)


def test_the_intervals_cover_truths_that_are_drawn_from_the_prior():
    shape, generator = (128, 128), np.random.default_rng(5)
    prior, weight = LaplacianPrior(0.5, 2), weights((128, 128))
    precision = prior.precision(shape)
    spread = np.where(precision > 0, 1 / np.sqrt(np.where(precision > 0, precision, 1)), 0.0)
    inside = []
    for _ in range(4):
        truth = idctn(spread * generator.normal(size=shape), norm="ortho")
        sigma = np.where(weight > 0, weight, np.inf) ** -0.5
        values = truth + sigma * generator.normal(size=shape)
        solution = solve_laplacian(values, weight, prior).values
        error = np.sqrt(posterior_variance(weight, prior))
        inside.append((np.abs(solution - truth) < error)[weight > 0])
    # 68 % by 4 maps of some 1,000 independent places each
    assert np.mean(inside) == pytest.approx(0.6827, abs=0.04)


def test_draws_have_the_mean_and_the_variance_of_the_posterior():
    prior, weight = LaplacianPrior(0.2, 1), weights(SHAPE, masked=0.1)
    values, generator = np.random.default_rng(2).normal(size=SHAPE), np.random.default_rng(3)
    draws = np.array(
        [draw_posterior(values, weight, prior, generator, tolerance=1e-6) for _ in range(1500)]
    )
    covariance = np.linalg.inv(np.diag(weight.ravel()) + dense_precision(SHAPE, prior))
    mean = (covariance @ (weight * values).ravel()).reshape(SHAPE)
    variance = np.diag(covariance).reshape(SHAPE)
    # 1,500 draws: 2.6 % of a sigma and 3.7 % of a variance, five sigma of the largest of 154
    assert np.abs((draws.mean(0) - mean) / np.sqrt(variance)).max() < 0.13
    assert np.abs(draws.var(0) / variance - 1).max() < 0.2


def test_total_variation_of_a_step_is_the_closed_form():
    # one dimension, repeated over rows: each side of a step of n columns moves towards the other
    # by strength / (n w) (Strong & Chan 2003, Inverse Problems 19, S165)
    values = np.zeros((12, 16))
    values[:, 8:] = 100.0
    weight = np.full(values.shape, 1.0)
    solution = solve_total_variation(values, weight, 20.0, tolerance=1e-5, most_rounds=200)
    # the flow through the step is 20 s / sqrt(s^2 + 0.1^2) = 20 (1 - 5e-7) for s = 95, and makes
    # the means; e = 0.1 leaves slopes e f / sqrt(1 - f^2), below 0.19 for flows f of 7 / 8
    np.testing.assert_allclose(solution.values[:, :8].mean(), 2.5, atol=1e-3)
    np.testing.assert_allclose(solution.values[:, 8:].mean(), 97.5, atol=1e-3)
    assert np.abs(np.diff(solution.values[:, :8], axis=1)).max() < 0.19
    assert np.ptp(solution.values, axis=0).max() < 1e-3


def test_total_variation_is_a_minimum_and_fills_masks():
    generator = np.random.default_rng(4)
    weight = weights((24, 24), masked=0.2)
    values = np.where(
        weight > 0, 50 * (np.arange(24) > 11) + 5 * generator.normal(size=(24, 24)), 0
    )
    found = solve_total_variation(values, weight, 0.3, tolerance=1e-6, most_rounds=300).values

    def objective(x):
        down = np.diff(x, axis=0, append=x[-1:])
        right = np.diff(x, axis=1, append=x[:, -1:])
        least = 0.1 * np.median(weight[weight > 0]) ** -0.5
        smooth = np.sqrt(down**2 + right**2 + least**2).sum()
        return 0.5 * np.sum(weight * (x - values) ** 2) + 0.3 * smooth

    best = objective(found)
    for size in (1e-2, 0.1, 1.0):
        for _ in range(5):
            assert objective(found + size * generator.normal(size=found.shape)) > best
    known = found[:, 16:][weight[:, 16:] > 0]
    assert known.std() < 5 * 0.7  # the noise is 5
    assert np.isfinite(found).all()


def test_what_is_rejected():
    prior = LaplacianPrior(1.0, 1)
    with pytest.raises(ValueError, match="of one shape"):
        solve_laplacian(np.ones((3, 4)), np.ones((4, 3)), prior)
    with pytest.raises(ValueError, match="finite weights of 0 or more"):
        solve_laplacian(np.ones((3, 4)), -np.ones((3, 4)), prior)
    with pytest.raises(ValueError, match="choose_laplacian"):
        LaplacianPrior(-1.0, 1)
    with pytest.raises(ValueError, match="strength of 0 or more"):
        solve_total_variation(np.ones((3, 4)), np.ones((3, 4)), -1.0)
