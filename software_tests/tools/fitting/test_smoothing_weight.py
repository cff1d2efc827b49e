"""The choice of a prior without the truth, compared with the best choice by the truth."""

import numpy as np
import pytest
from scipy.fft import idctn
from scipy.ndimage import gaussian_filter

from tools.fitting.linear import LaplacianPrior, solve_laplacian
from tools.fitting.smoothing_weight import CRITERIA, choose_laplacian, choose_total_variation

SHAPE = (96, 96)


def drawn_from_prior(prior, shape, generator):
    precision = prior.precision(shape)
    spread = np.where(precision > 0, 1 / np.sqrt(np.where(precision > 0, precision, 1)), 0.0)
    return idctn(spread * generator.normal(size=shape), norm="ortho")


def blobs(shape, share, generator, width=5):
    smooth = gaussian_filter(generator.normal(size=shape), width)
    return smooth < np.quantile(smooth, share)


def rms(away, known):
    return float(np.sqrt(np.mean(away[known] ** 2)))


def least_error(values, weight, truth):
    """Return the least error over strengths and powers 1 to 4, by the truth."""
    unit = weight[weight > 0].mean()
    errors = []
    for power in (1, 2, 3, 4):
        for log_strength in np.arange(-3, 2.5 * power + 1, 0.25 * power):
            prior = LaplacianPrior(10.0**log_strength * unit, power)
            solution = solve_laplacian(values, weight, prior, tolerance=1e-2).values
            errors.append(rms(solution - truth, weight > 0))
    return min(errors)


@pytest.mark.parametrize("criterion", ["risk", "evidence"])
@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_evidence_and_risk_find_the_prior_that_a_map_was_drawn_from(criterion, power):
    # on 9,215 modes the evidence knows a power to a few per cent; the risk only needs the least
    # error, which the next powers reach nearly as well
    generator = np.random.default_rng(1)
    prior = LaplacianPrior(3.0, power)
    values = drawn_from_prior(prior, SHAPE, generator) + generator.normal(size=SHAPE)
    choice = choose_laplacian(values, np.ones(SHAPE), criterion=criterion)
    assert abs(choice.prior.power - power) <= (0.0 if criterion == "evidence" else 1.0)
    if criterion == "evidence":
        assert choice.prior.strength == pytest.approx(3.0, rel=0.25)
    assert not choice.is_at_end
    kept = np.mean(1 / (1 + prior.precision(SHAPE)))
    assert choice.kept_share == pytest.approx(kept, rel=0.35)


@pytest.mark.parametrize("masked", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["smooth", "edges"])
def test_the_choice_by_risk_is_nearly_the_best(masked, kind):
    # the figures that this is built for: 10 % on smooth maps, 15 % with edges
    generator = np.random.default_rng(2)
    truth = gaussian_filter(generator.normal(size=SHAPE), 4)
    truth /= truth.std()
    if kind == "edges":
        truth = np.where(truth > 0.7, 5.0, 0.0) + truth
    sigma = 0.2 * np.exp(0.1 * gaussian_filter(generator.normal(size=SHAPE), 6) * 20)
    values, weight = truth + sigma * generator.normal(size=SHAPE), sigma**-2
    if masked:
        weight = np.where(blobs(SHAPE, masked, generator), 0.0, weight)
    choice = choose_laplacian(values, weight)
    solution = solve_laplacian(values, weight, choice.prior).values
    limit = 1.10 if kind == "smooth" else 1.15
    assert rms(solution - truth, weight > 0) < limit * least_error(values, weight, truth)


def test_the_estimated_risk_is_the_error():
    # Stein's estimate is unbiased: over 50 maps its mean is the mean squared error
    generator = np.random.default_rng(3)
    truth = gaussian_filter(generator.normal(size=(48, 48)), 3) * 10
    prior = LaplacianPrior(5.0, 2)
    kept = np.mean(1 / (1 + prior.precision((48, 48))))
    estimates, errors = [], []
    for _ in range(50):
        values = truth + generator.normal(size=truth.shape)
        solution = solve_laplacian(values, np.ones(truth.shape), prior).values
        estimates.append(np.mean((solution - values) ** 2) + 2 * kept - 1)
        errors.append(np.mean((solution - truth) ** 2))
    spread = np.std(estimates) / np.sqrt(50)
    assert np.mean(estimates) == pytest.approx(np.mean(errors), abs=4 * spread)


def test_discrepancy_reaches_a_chi2_of_one():
    generator = np.random.default_rng(4)
    truth = 3 * gaussian_filter(generator.normal(size=SHAPE), 4) * 10
    values = truth + 0.5 * generator.normal(size=SHAPE)
    choice = choose_laplacian(values, np.full(SHAPE, 4.0), criterion="discrepancy")
    solution = solve_laplacian(values, np.full(SHAPE, 4.0), choice.prior).values
    # strengths are tried in steps of 0.04 dex of the turning point
    assert np.mean(4 * (solution - values) ** 2) == pytest.approx(1, abs=0.02)


def test_noise_alone_is_smoothed_away_and_no_noise_is_kept():
    generator = np.random.default_rng(5)
    noise = generator.normal(size=SHAPE)
    for criterion in ("risk", "evidence"):
        assert choose_laplacian(noise, np.ones(SHAPE), criterion=criterion).kept_share < 0.01
        loud = choose_laplacian(1e4 * noise, np.ones(SHAPE), criterion=criterion)
        assert loud.kept_share > 0.99


def test_units_do_not_matter():
    # values in another unit: the strength scales by its square, the power stays
    generator = np.random.default_rng(6)
    values = gaussian_filter(generator.normal(size=SHAPE), 3) * 10 + generator.normal(size=SHAPE)
    mask = blobs(SHAPE, 0.2, generator)
    weight = np.where(mask, 0.0, 1.0)
    one = choose_laplacian(values, weight, seed=1)
    other = choose_laplacian(1e-3 * values, 1e6 * weight, seed=1)
    assert one.prior.power == other.prior.power
    assert other.prior.strength == pytest.approx(1e6 * one.prior.strength, rel=1e-6)
    assert choose_laplacian(values, weight, seed=1) == one  # and is the same again


def test_total_variation_is_chosen_nearly_as_well_as_by_the_truth():
    from tools.fitting.linear import solve_total_variation

    generator = np.random.default_rng(7)
    truth = np.where(gaussian_filter(generator.normal(size=(64, 64)), 6) > 0, 10.0, 0.0)
    weight = np.where(blobs((64, 64), 0.15, generator), 0.0, 1.0)
    values = truth + generator.normal(size=truth.shape)
    errors = [
        rms(solve_total_variation(values, weight, s).values - truth, weight > 0)
        for s in np.geomspace(0.1, 10, 13)
    ]
    for criterion in ("risk", "gcv"):
        _, found = choose_total_variation(values, weight, criterion=criterion)
        # strengths are tried in steps of a factor of 1.8
        assert rms(found - truth, weight > 0) < 1.15 * min(errors)
    _, found = choose_total_variation(values, weight, criterion="discrepancy")
    assert rms(found - truth, weight > 0) < 1.0  # less than the noise: it smooths too much


def test_what_is_rejected():
    values, weight = np.ones(SHAPE), np.ones(SHAPE)
    with pytest.raises(ValueError, match=", ".join(CRITERIA)):
        choose_laplacian(values, weight, criterion="guess")
    with pytest.raises(ValueError, match="16 pixels with values or more, got 0"):
        choose_laplacian(np.full(SHAPE, np.nan), weight)
    with pytest.raises(ValueError, match="no closed form"):
        choose_total_variation(values, weight, criterion="evidence")
    with pytest.raises(ValueError, match="16 pixels with values or more, got 0"):
        choose_total_variation(values, 0 * weight)
