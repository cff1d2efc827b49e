"""Scores of inversions follow from their definitions by algebra."""

import numpy as np
import pytest

from tools.emission_measure.scores import (
    blocks_of_map,
    covered,
    misfit,
    paired_interval,
    relative_l1,
    temperature_distance,
    total_error,
)

EDGES = np.array([6.0, 6.1, 6.3, 6.4])
TRUTH = np.array([[1.0, 2.0, 1.0], [0.0, 4.0, 0.0]]) * 1e27


def test_truth_is_at_no_distance():
    assert (relative_l1(TRUTH, TRUTH) == 0).all()
    assert (temperature_distance(TRUTH, TRUTH, EDGES) == 0).all()
    assert (total_error(TRUTH, TRUTH) == 0).all()


def test_twice_the_truth_has_its_shape():
    np.testing.assert_allclose(relative_l1(2 * TRUTH, TRUTH), 1)
    np.testing.assert_allclose(total_error(2 * TRUTH, TRUTH), 1)
    np.testing.assert_allclose(temperature_distance(2 * TRUTH, TRUTH, EDGES), 0, atol=1e-15)


def test_all_moved_by_one_bin():
    found = np.array([[0.0, 0.0, 5.0]])
    truth = np.array([[0.0, 5.0, 0.0]])
    # all of the truth's bin is missing, and as much is elsewhere; the middles are 6.2 and 6.35
    np.testing.assert_allclose(relative_l1(found, truth), 2)
    np.testing.assert_allclose(temperature_distance(found, truth, EDGES), 0.15)


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_pixels_without_an_answer_count(nothing):
    found = np.full((2, 3), nothing)
    np.testing.assert_allclose(relative_l1(found, TRUTH), 1)
    np.testing.assert_allclose(total_error(found, TRUTH), 1)
    np.testing.assert_allclose(temperature_distance(found, TRUTH, EDGES), 0.4)


def test_misfit_is_the_mean_square():
    model, dn = np.array([[1.0, 2.0]]), np.array([[2.0, 2.0]])
    np.testing.assert_allclose(misfit(model, dn, np.array([[0.5, 1.0]])), (2.0**2 + 0) / 2)


def test_coverage_of_a_gaussian_is_known():
    generator = np.random.default_rng(0)
    truth = 10 + generator.standard_normal((50_000, 2))
    found = covered(np.full_like(truth, 9.0), np.full_like(truth, 11.0), truth)
    # 68.27 %; of 100,000 draws the share spreads by 0.15 %
    assert found.mean() == pytest.approx(0.6827, abs=0.006)


def test_bounds_that_are_not_given_and_bins_that_are_empty():
    found = covered(
        np.array([[np.nan, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 1e-7, 1e-5]])
    )
    assert np.isnan(found[0, 0])
    assert found[0, 1:].tolist() == [1, 0]


def test_blocks_tile_a_map():
    blocks = blocks_of_map(4, 2).reshape(4, 4)
    assert blocks.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


def test_paired_interval_forgets_what_is_common():
    generator = np.random.default_rng(1)
    common = np.repeat(generator.standard_normal(200) * 100, 16)
    blocks = np.repeat(np.arange(200), 16)
    difference, low, high = paired_interval(
        common - 0.5, common, blocks, generator=generator, statistic=np.mean
    )
    np.testing.assert_allclose([difference, low, high], -0.5, rtol=1e-9)


def test_blocks_widen_the_interval_as_the_mean_of_blocks_says():
    generator = np.random.default_rng(2)
    values = np.repeat(generator.standard_normal(400), 25)
    _, low, high = paired_interval(
        values,
        np.zeros_like(values),
        np.repeat(np.arange(400), 25),
        generator=generator,
        statistic=np.mean,
        n_draws=2000,
    )
    # 2 x 1.96 / sqrt(400 blocks), not of 10,000 pixels; drawn and estimated to about 6 %
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.12)


def test_one_block_gives_no_interval():
    with pytest.raises(ValueError, match="two blocks"):
        paired_interval(np.ones(4), np.ones(4), np.zeros(4), generator=np.random.default_rng(0))
    with pytest.raises(ValueError, match="same pixels"):
        paired_interval(np.ones(4), np.ones(3), np.zeros(4), generator=np.random.default_rng(0))
