"""Abstaining keeps the share that it promises, and risks add up."""

import numpy as np
import pytest

from tools.abstention import (
    abstention_score,
    fit_abstention,
    given_one_of_the_classes,
    risk_coverage,
    threshold_at_coverage,
)


@pytest.fixture
def calibrated(generator):
    """Give 20000 rows that are right as often as they say, and the classes."""
    weight = np.exp(2 * generator.normal(size=(20000, 4)))
    probability = weight / weight.sum(axis=1, keepdims=True)
    truth = (probability.cumsum(axis=1) < generator.random((20000, 1))).sum(axis=1)
    return probability, truth.clip(max=3)


def test_probabilities_given_one_of_the_classes():
    found = given_one_of_the_classes(np.array([[0.2, 0.2, 0.6], [0, 0, 1.0]]))
    assert found == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5]]))


def test_abstention_scores():
    sure, none, torn = [0.98, 0.01, 0.01], [0.05, 0.05, 0.9], [0.5, 0.5, 0.0]
    probability = np.array([sure, none, torn])
    assert abstention_score(probability) == pytest.approx([0.02, 0.95, 0.5])
    entropy = abstention_score(probability, "entropy")
    assert entropy[1:] == pytest.approx([1.0, 1.0])
    p = 0.98 / 0.99
    assert entropy[0] == pytest.approx(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)))
    with pytest.raises(ValueError, match="there are error, entropy"):
        abstention_score(probability, "energy")


def test_the_curve_counts_mistakes_among_the_surest():
    curve = risk_coverage(np.array([0.3, 0.1, 0.2, 0.2]), np.array([True, False, True, False]))
    assert curve.coverage.tolist() == [0.25, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 1 / 3, 0.5])
    assert curve.threshold.tolist() == [0.1, 0.2, 0.3]
    assert curve.area == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 * 0.5)


def test_calibrated_scores_give_the_risk_that_they_say(calibrated, generator):
    probability, truth = calibrated
    score = 1 - probability.max(axis=1)
    curve = risk_coverage(score, probability.argmax(axis=1) != truth)
    expected = np.cumsum(np.sort(score)) / np.arange(1, len(score) + 1)
    assert curve.risk[2000:] == pytest.approx(expected[2000:], abs=0.02)


def test_the_threshold_keeps_the_share():
    score = np.arange(10) / 10
    for share in (0.1, 0.75, 0.9, 1.0):
        kept = (score <= threshold_at_coverage(score, share)).mean()
        assert share <= kept < share + 0.1


def test_abstention_keeps_its_share_and_never_names_none(calibrated):
    probability, truth = calibrated
    abstain = fit_abstention(probability, truth, coverage=0.8)
    of_classes = probability[truth < 3]
    assert (abstention_score(of_classes) <= abstain.threshold).mean() == pytest.approx(
        0.8, abs=1e-3
    )
    assert abstain(np.array([[0.3, 0.3, 0.0, 0.4], [1.0, 0, 0, 0]])).tolist() == [True, False]
    assert abstain(probability)[probability.argmax(axis=1) == 3].all()
    with pytest.raises(ValueError, match="none of the classes"):
        fit_abstention(probability, np.full(len(truth), 3))


def test_wrong_input_gets_a_sentence():
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        threshold_at_coverage(np.ones(3), 0)
    with pytest.raises(ValueError, match="for each frame"):
        risk_coverage(np.ones(3), np.ones(2, bool))
