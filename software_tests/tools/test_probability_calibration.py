"""Scaling finds what made the probabilities, and sets cover what they promise."""

import numpy as np
import pytest

from tools.classification_scores import class_scores
from tools.probability_calibration import (
    PredictionSets,
    fit_prediction_sets,
    fit_temperature,
    set_scores,
)


def softmax(logits):
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def drawn_from(probability, generator):
    """Draw a class from each row: the rows are then calibrated by construction."""
    edges = probability.cumsum(axis=1)
    return (edges < generator.random((len(edges), 1))).sum(axis=1).clip(max=edges.shape[1] - 1)


@pytest.fixture
def calibrated(generator):
    """Give 20000 rows that are right as often as they say, and the classes."""
    probability = softmax(2 * generator.normal(size=(20000, 4)))
    return probability, drawn_from(probability, generator)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_made_them_is_found(calibrated, temperature):
    probability, truth = calibrated
    sharpened = softmax(np.log(probability) * temperature)
    scaling = fit_temperature(sharpened, truth)
    assert scaling.temperature == pytest.approx(temperature, rel=0.03)  # 20000 throws
    after = class_scores(scaling(sharpened), truth, np.arange(len(truth)), n_draws=5)
    assert after["ECE-15"].value < 0.012  # of perfect probabilities: 15 bins of 1300, 0.006
    assert (scaling(sharpened).argmax(axis=1) == sharpened.argmax(axis=1)).all()


def test_a_set_without_mistakes_stays_finite():
    probability = np.array([[0.9, 0.1], [0.2, 0.8]])
    truth = np.array([0, 1])
    assert fit_temperature(probability, truth).temperature == pytest.approx(0.05, rel=1e-3)
    assert np.isfinite(fit_temperature(np.eye(2), truth)(np.eye(2))).all()


def test_sets_cover_new_events(calibrated):
    probability, truth = calibrated
    groups = np.arange(20000) // 2
    half = slice(0, 10000), slice(10000, 20000)
    sets = fit_prediction_sets(probability[half[0]], truth[half[0]], groups[half[0]])
    found = set_scores(sets(probability[half[1]]), truth[half[1]], groups[half[1]], n_draws=200)
    assert found.coverage.value == pytest.approx(0.9, abs=0.012)  # 3 sigma of two samples of 10000
    assert found.coverage.low < 0.9 + 0.01
    assert found.mean_size.value < 2.2
    assert 0 <= found.single <= 1
    assert (found.class_coverage > 0.8).all()


def test_every_event_weighs_the_same():
    # one event of 1000 hard frames among 19 easy ones of one frame: 95 % of the events are easy
    truth = np.zeros(1019, int)
    top = np.r_[np.full(19, 0.8), np.full(1000, 0.1)]
    probability = np.stack([top, 1 - top], axis=1)
    groups = np.r_[np.arange(19), np.full(1000, 19)]
    assert fit_prediction_sets(probability, truth, groups, level=0.9).threshold == 0.8
    frames = fit_prediction_sets(probability, truth, np.arange(1019), level=0.9)
    assert frames.threshold == 0.1


def test_the_quantile_is_that_of_split_conformal_prediction():
    # n = 19 single frames at 0.9: the ceil(20 * 0.9) = 18th largest probability of the truth
    top = np.arange(19, 0, -1) / 20
    probability = np.stack([top, 1 - top], axis=1)
    sets = fit_prediction_sets(probability, np.zeros(19, int), np.arange(19), level=0.9)
    assert sets.threshold == top[17]


def test_too_few_events_give_all_classes():
    probability = np.tile([0.7, 0.2, 0.1], (8, 1))
    sets = fit_prediction_sets(probability, np.zeros(8, int), np.arange(8))
    assert sets(probability).all()


def test_a_set_is_never_empty():
    sets = PredictionSets(0.9, 0.8)
    assert sets(np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])).tolist() == [
        [True, False, False],
        [True, False, False],
    ]


def test_wrong_input_gets_a_sentence(calibrated):
    probability, truth = calibrated
    with pytest.raises(ValueError, match="not logits"):
        fit_temperature(np.log(probability), truth)
    with pytest.raises(ValueError, match="one integer from 0 to 3"):
        fit_temperature(probability, truth[:-1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_prediction_sets(probability, truth, truth, level=90)
    with pytest.raises(ValueError, match="an event for each"):
        fit_prediction_sets(probability, truth, truth[:3])
