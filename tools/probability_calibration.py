"""Probabilities that mean what they say: scaling, and sets that hold the true class.

Everything is fitted on a calibration set that neither training nor test has, and works on
probabilities of any classifier; logits are their logarithms, which softmax takes just as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from tools.bootstrap import FEWEST_BLOCKS, EventBootstrap, interval
from tools.class_probabilities import require_probabilities
from tools.classification_scores import LEAST_PROBABILITY, Score
from tools.random_streams import random_stream

__all__ = [
    "calibration_set",
    "PredictionSets",
    "SetScores",
    "TemperatureScaling",
    "fit_prediction_sets",
    "fit_temperature",
    "set_scores",
]

_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class TemperatureScaling:
    """Softmax of ``log p / temperature`` (Guo et al. 2017, ICML 34, section 4.2).

    Above 1 probabilities move towards one another; the likeliest class stays what it is.
    """

    temperature: float

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """Give scaled probabilities, (..., class) float64."""
        return _softmax(_logits(probability) / self.temperature)


def fit_temperature(probability: np.ndarray, truth: np.ndarray) -> TemperatureScaling:
    """Fit the temperature that gives the smallest log score.

    Parameters
    ----------
    probability : (frame, class) float
        Of a calibration set; rows that sum to 1.
    truth : (frame,) int

    Returns
    -------
    TemperatureScaling
        From 0.05 to 20: a set without a mistake would ask for 0.

    Raises
    ------
    ValueError
        If a row is no distribution or there is not one class for each frame.
    """
    logits, truth = calibration_set(probability, truth)

    def log_score(log_temperature: float) -> float:
        return -_log_softmax(logits / np.exp(log_temperature))[_rows(truth), truth].mean()

    found = minimize_scalar(
        log_score, bounds=np.log(_TEMPERATURES), method="bounded", options={"xatol": 1e-6}
    )
    return TemperatureScaling(float(np.exp(found.x)))


@dataclass(frozen=True)
class PredictionSets:
    """Sets of classes that hold the true one with a stated probability.

    All classes with ``p >= threshold``, and always the likeliest: of all rules these sets are the
    smallest (least ambiguous set-valued classifiers: Sadinle, Lei & Wasserman 2019, Journal of the
    American Statistical Association 114, 223). Without the likeliest class some sets would be
    empty, which tells an observer nothing; with it they hold the truth more often than stated
    where single answers already do.
    """

    level: float
    threshold: float

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """Give which classes each set holds, (..., class) bool."""
        probability = np.asarray(probability)
        return (probability >= self.threshold) | (
            probability == probability.max(axis=-1, keepdims=True)
        )


def fit_prediction_sets(
    probability: np.ndarray, truth: np.ndarray, groups: np.ndarray, *, level: float = 0.9
) -> PredictionSets:
    """Fit the threshold of prediction sets (split conformal prediction, by events).

    Frames of one event are not exchangeable, events are: each event weighs the same, its frames
    share that weight, and the quantile is corrected for the number of events, ``(n + 1) level / n``
    (pooling of Dunn, Wasserman & Ramdas 2023, doi 10.1080/01621459.2022.2060112, whose promise is
    kept as the number of events grows). With too few events for the level (fewer than 9 for 0.9)
    the sets hold all classes.

    Parameters
    ----------
    probability, truth
        As for ``fit_temperature``, after scaling.
    groups : (frame,) array
        Events.
    level : float
        Probability with which a set of a new event's frame holds the truth, such as 0.9.

    Raises
    ------
    ValueError
        As for ``fit_temperature``, or if the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level of prediction sets lies between 0 and 1, got {level}")
    logits, truth = calibration_set(probability, truth)
    given = np.asarray(probability, float)[_rows(truth), truth]
    event, n_events = _events(groups, len(truth))
    weight = 1 / np.bincount(event)[event] / n_events
    order = np.argsort(-given, kind="stable")
    reached = np.cumsum(weight[order])
    wanted = level * (n_events + 1) / n_events
    if wanted > 1:
        return PredictionSets(level, 0.0)
    # rounding of the sum must not cost a frame
    last = min(int(np.searchsorted(reached, wanted - 1e-9)), len(order) - 1)
    return PredictionSets(level, float(given[order[last]]))


@dataclass(frozen=True)
class SetScores:
    """How often prediction sets hold the truth, and how large they are.

    Attributes
    ----------
    coverage, mean_size : Score
        With 95 % intervals over events.
    single : float
        Share of sets with one class.
    class_coverage : (class,) float
        NaN where a class has no frame.
    """

    coverage: Score
    mean_size: Score
    single: float
    class_coverage: np.ndarray


def set_scores(
    sets: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    *,
    n_draws: int = 1000,
    seed: int = 0,
) -> SetScores:
    """Measure prediction sets, (frame, class) bool, on frames that they were not fitted on."""
    sets, truth = np.asarray(sets, bool), np.asarray(truth)
    event, n_events = _events(groups, len(truth))
    holds, size = sets[_rows(truth), truth], sets.sum(axis=1)
    generator = random_stream(seed, "bootstrap over events")
    bootstrap = EventBootstrap(event, generator=generator, n_draws=n_draws)

    def score(values: np.ndarray) -> Score:
        ends = interval(bootstrap.mean(values.astype(float)))
        return Score(
            float(values.mean()), *(ends if n_events >= FEWEST_BLOCKS else (np.nan, np.nan))
        )

    n = np.bincount(truth, minlength=sets.shape[1])
    with np.errstate(invalid="ignore"):
        per_class = np.bincount(truth, holds, minlength=sets.shape[1]) / n
    return SetScores(score(holds), score(size), float((size == 1).mean()), per_class)


def calibration_set(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give (frame, class) logits and (frame,) classes, or raise ValueError."""
    probability, truth = require_probabilities(probability), np.asarray(truth)
    n, n_classes = probability.shape
    is_class = np.issubdtype(truth.dtype, np.integer) and truth.shape == (n,)
    if not is_class or truth.min() < 0 or truth.max() >= n_classes:
        raise ValueError(
            f"expected one integer from 0 to {n_classes - 1} for each of {n} frames, got "
            f"{truth.dtype} of the shape {truth.shape}"
        )
    return _logits(probability), truth


def _events(groups: np.ndarray, n: int) -> tuple[np.ndarray, int]:
    groups = np.asarray(groups)
    if groups.shape != (n,) or n == 0:
        raise ValueError(f"expected an event for each of {n} frames, got the shape {groups.shape}")
    names, event = np.unique(groups, return_inverse=True)
    return event, len(names)


def _rows(truth: np.ndarray) -> np.ndarray:
    return np.arange(len(truth))


def _logits(probability: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probability, float), LEAST_PROBABILITY))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(_log_softmax(logits))
