"""Scores of classifiers against scikit-learn, closed forms and sets counted by hand."""

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, log_loss

from tools.classification_scores import class_scores, difference_of_sets, paired_difference

NAMES = ("a", "b", "c")


@pytest.fixture
def frames(generator):
    """Give probabilities, classes and events of 600 frames of 60 events."""
    truth = generator.integers(3, size=600)
    logits = 1.5 * np.eye(3)[truth] + generator.normal(size=(600, 3))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probability, truth, np.repeat(np.arange(60), 10)


def test_scores_equal_scikit_learn(frames):
    probability, truth, groups = frames
    found = class_scores(probability, truth, groups, classes=NAMES, n_draws=50)
    given = probability.argmax(axis=1)
    assert (found.confusion == confusion_matrix(truth, given)).all()
    assert (found.confusion.sum(axis=1) == np.bincount(truth)).all()
    assert found["balanced accuracy"].value == pytest.approx(balanced_accuracy_score(truth, given))
    assert found["macro F1"].value == pytest.approx(f1_score(truth, given, average="macro"))
    assert found["log score"].value == pytest.approx(log_loss(truth, probability))
    brier = ((probability - np.eye(3)[truth]) ** 2).sum(axis=1).mean()
    assert found["Brier"].value == pytest.approx(brier)
    assert found["recall b"].value == pytest.approx((given == truth)[truth == 1].mean())
    assert (found.n_frames, found.n_events) == (600, 60)


def test_calibration_error_by_hand():
    # two bins: 0.62 with three of four right, 0.95 with one of two right
    top = np.array([0.62] * 4 + [0.95] * 2)
    probability = np.stack([top, 1 - top], axis=1)
    truth = np.array([0, 0, 0, 1, 0, 1])
    found = class_scores(probability, truth, np.arange(6), n_draws=5)
    assert found["ECE-15"].value == pytest.approx((4 * 0.13 + 2 * 0.45) / 6)
    bins = found.reliability
    assert bins.count.tolist() == [0] * 9 + [4] + [0] * 4 + [2]  # 0.62 lies in [9/15, 10/15)
    assert bins.accuracy[[9, 14]].tolist() == [0.75, 0.5]
    assert bins.confidence[[9, 14]] == pytest.approx([0.62, 0.95])


def test_certain_answers_fall_into_the_last_bin():
    found = class_scores(np.eye(2), np.array([0, 1]), np.arange(2), n_draws=5)
    assert found["ECE-15"].value == 0
    assert found.reliability.count[-1] == 2
    assert found["log score"].value == 0


def test_a_sure_mistake_stays_finite():
    found = class_scores(np.eye(2)[[0]], np.array([1]), np.array([0]), n_draws=5)
    assert found["log score"].value == pytest.approx(-np.log(1e-12))
    assert found["Brier"].value == 2


def test_copies_of_frames_do_not_narrow_the_interval(generator):
    # 200 events, each right or wrong as a whole: the share has the error of 200 throws
    right = generator.random(200) < 0.7
    truth = np.repeat(np.arange(200) % 2, 20)
    given = np.where(np.repeat(right, 20), truth, 1 - truth)
    probability = np.where(np.eye(2)[given] > 0, 0.9, 0.1)
    groups = np.repeat(np.arange(200), 20)
    found = class_scores(probability, truth, groups, n_draws=2000)["accuracy"]
    error = np.sqrt(right.mean() * (1 - right.mean()) / 200)
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)  # 2000 draws
    single = class_scores(probability, truth, np.arange(4000), n_draws=500)["accuracy"]
    assert single.high - single.low < 0.4 * (found.high - found.low)


def test_order_and_names_of_events_do_not_matter(frames, generator):
    probability, truth, groups = frames
    order = generator.permutation(600)
    names = np.array([f"event {k:02d}" for k in groups])
    first = class_scores(probability, truth, groups, n_draws=20)
    second = class_scores(probability[order], truth[order], names[order], n_draws=20)
    assert first["Brier"].low == pytest.approx(second["Brier"].low)
    assert first["macro F1"].high == pytest.approx(second["macro F1"].high)


def test_classes_without_frames_are_left_out_and_named(frames):
    probability, truth, groups = frames
    kept = truth != 1
    found = class_scores(probability[kept], truth[kept], groups[kept], classes=NAMES, n_draws=20)
    assert found.missing == ("b",)
    assert "no frame of b" in found.text()
    recall = [(probability[truth == k].argmax(axis=1) == k).mean() for k in (0, 2)]
    assert found["balanced accuracy"].value == pytest.approx(np.mean(recall))
    assert "recall b" not in found.scores
    assert found.events_per_class[1] == 0


def test_a_class_of_one_event_gives_no_interval(frames):
    probability, truth, groups = frames
    truth = np.where(groups == 0, 1, np.where(truth == 1, 0, truth))
    found = class_scores(probability, truth, groups, n_draws=200)
    assert np.isnan(found["balanced accuracy"].low)  # event 0 lacks in 37 % of the draws
    assert np.isfinite(found["Brier"].low)


def test_few_events_give_no_interval(frames):
    probability, truth, groups = frames
    found = class_scores(probability, truth, groups // 10, n_draws=20)
    assert found.n_events == 6
    assert all(np.isnan(score.low) for score in found.scores.values())
    assert "no intervals" in found.text()
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["scores"]["Brier"]["low"] is None


def test_a_paired_difference_is_narrower_than_either(frames, generator):
    probability, truth, groups = frames
    better = 0.95 * probability + 0.05 * np.eye(3)[truth]
    found = paired_difference(better, probability, truth, groups, n_draws=400)["Brier"]
    alone = class_scores(probability, truth, groups, n_draws=400)["Brier"]
    assert found.value == pytest.approx(
        class_scores(better, truth, groups, n_draws=5)["Brier"].value - alone.value
    )
    assert found.high < 0
    assert found.high - found.low < 0.3 * (alone.high - alone.low)
    same = paired_difference(probability, probability, truth, groups, n_draws=50)
    assert all(s.value == s.low == s.high == 0 for s in same.values())


def test_the_difference_of_two_sets_knows_which_events_they_share(frames):
    """Sets of the same events differ by nothing in every draw; of other events, as two samples do.

    The variance of a difference of independent means is the sum of their variances.
    """
    probability, truth, groups = frames
    whole = probability, truth, groups
    twice = tuple(np.concatenate([part, part]) for part in whole)  # every event, twice as often
    found = difference_of_sets(twice, whole, n_draws=50)["Brier"]
    assert found.value == pytest.approx(0, abs=1e-12)
    assert max(abs(found.low), abs(found.high)) < 1e-12
    first, second = ((probability[at], truth[at], groups[at]) for at in (groups < 30, groups >= 30))
    apart = difference_of_sets(first, second, n_draws=4000)["accuracy"]
    alone = [class_scores(*of, n_draws=4000)["accuracy"] for of in (first, second)]
    assert apart.value == pytest.approx(alone[0].value - alone[1].value)
    widths = [s.high - s.low for s in alone]
    # of 60 events about 30 are drawn from either set, more or fewer: a little wider than the sum
    assert 0.95 < (apart.high - apart.low) / np.hypot(*widths) < 1.15


def test_wrong_input_gets_a_sentence(frames):
    probability, truth, groups = frames
    cases = [
        ((np.log(probability), truth, groups), "not logits"),
        ((probability * np.nan, truth, groups), "sum to 1"),
        ((probability, truth[:-1], groups), "one class and one event"),
        ((probability[:, :2] / probability[:, :2].sum(1, keepdims=True), truth, groups), "0 to 1"),
        ((probability, truth + 0.0, groups), "integers"),
        ((np.zeros((0, 3)), truth[:0], groups[:0]), "at least one frame"),
    ]
    for arguments, text in cases:
        with pytest.raises(ValueError, match=text):
            class_scores(*arguments)
    with pytest.raises(ValueError, match="names of classes"):
        class_scores(probability, truth, groups, classes=("a", "b"))
    with pytest.raises(ValueError, match="same frames and classes"):
        paired_difference(probability, probability[:, :2], truth, groups)
    two = probability[:, :2] / probability[:, :2].sum(1, keepdims=True), truth % 2, groups
    with pytest.raises(ValueError, match="3 classes in both, got 2"):
        difference_of_sets((probability, truth, groups), two)
