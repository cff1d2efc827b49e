"""Scores against hand-counted tables, algebra and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tools.skill import (
    brier_score,
    brier_skill,
    contingency,
    reliability,
    roc_area,
    roc_curve,
    surprise,
    threshold_of_largest_tss,
)

FORECAST = np.repeat([True, False, True, False], [30, 10, 20, 140])
EVENT = np.repeat([True, True, False, False], [30, 10, 20, 140])


def test_contingency_by_hand():
    table = contingency(FORECAST, EVENT)
    assert (table.hits, table.misses, table.false_alarms, table.rejections) == (30, 10, 20, 140)
    assert table.tss == pytest.approx(30 / 40 - 20 / 160)
    # HSS = (right - right by chance) / (n - right by chance); chance: (50*40 + 150*160) / 200
    chance = (50 * 40 + 150 * 160) / 200
    assert table.hss == pytest.approx((170 - chance) / (200 - chance))


def test_chance_has_no_skill_and_perfection_has_all(generator):
    event = generator.random(200_000) < 0.2
    by_lot = contingency(generator.random(200_000) < 0.5, event)
    assert abs(by_lot.tss) < 0.02  # 5 standard errors
    assert abs(by_lot.hss) < 0.02
    assert contingency(event, event).tss == contingency(event, event).hss == 1


def test_hss_is_not_the_chance_agreement_that_a_published_benchmark_calls_so():
    assert contingency(EVENT, EVENT).hss == 1  # the chance agreement would be 0.68


def test_brier_and_log_by_hand():
    p, event = np.array([0.9, 0.2, 0.5]), np.array([True, False, True])
    assert brier_score(p, event) == pytest.approx((0.01 + 0.04 + 0.25) / 3)
    assert surprise(p, event) == pytest.approx(-np.log([0.9, 0.8, 0.5]))
    assert surprise(np.array([0.0]), np.array([True]))[0] == np.inf
    reference = ((1 / 3) ** 2 * 2 + (2 / 3) ** 2) / 3
    assert brier_skill(p, event, climatology=2 / 3) == pytest.approx(1 - 0.1 / reference)
    assert brier_skill(np.full(3, 2 / 3), event, climatology=2 / 3) == 0


def test_roc_area_equals_scikit_learn_with_ties_and_weights(generator):
    p = generator.integers(0, 12, 500) / 11  # many ties
    event = generator.random(500) < 0.2 + 0.5 * p
    weight = generator.integers(0, 4, (3, 500)).astype(float)
    assert roc_area(p, event) == pytest.approx(roc_auc_score(event, p), abs=1e-12)
    expected = [roc_auc_score(event, p, sample_weight=w) for w in weight]
    np.testing.assert_allclose(roc_area(p, event, weight), expected, atol=1e-12)


def test_roc_area_is_not_defined_without_events():
    assert np.isnan(roc_area(np.array([0.1, 0.9]), np.array([False, False])))


def test_roc_curve_runs_from_none_to_all(generator):
    p, event = generator.random(100), generator.random(100) < 0.3
    false_rate, hit_rate, thresholds = roc_curve(p, event)
    assert (false_rate[0], hit_rate[0], thresholds[0]) == (0, 0, np.inf)
    assert (false_rate[-1], hit_rate[-1]) == (1, 1)
    k = 40
    table = contingency(p >= thresholds[k], event)
    assert hit_rate[k] - false_rate[k] == pytest.approx(table.tss)


def test_largest_tss_is_the_largest_of_all_thresholds(generator):
    p = generator.random(300)
    event = generator.random(300) < p
    best = contingency(p >= threshold_of_largest_tss(p, event), event).tss
    assert best == pytest.approx(max(contingency(p >= t, event).tss for t in p))
    assert threshold_of_largest_tss(p, np.zeros(300, bool)) == 0.5


def test_reliability_counts_every_forecast():
    p = np.array([0.0, 0.05, 0.31, 0.39, 1.0])
    event = np.array([False, True, True, False, True])
    diagram = reliability(p, event)
    np.testing.assert_array_equal(diagram.count, [2, 2, 1])
    np.testing.assert_allclose(diagram.mean_probability, [0.025, 0.35, 1.0])
    np.testing.assert_allclose(diagram.frequency, [0.5, 0.5, 1.0])
