"""When to give no answer: scores that speak against naming a class, and what abstaining saves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.classification_scores import LEAST_PROBABILITY
from tools.probability_calibration import calibration_set

__all__ = [
    "ABSTENTION_SCORES",
    "Abstention",
    "RiskCoverage",
    "abstention_score",
    "fit_abstention",
    "given_one_of_the_classes",
    "risk_coverage",
    "threshold_at_coverage",
]


def given_one_of_the_classes(probability: np.ndarray) -> np.ndarray:
    """Give the probabilities of all classes but the last, given that it is one of them.

    Parameters
    ----------
    probability : (..., class + 1) float
        The last is "none of these".

    Returns
    -------
    (..., class) float
        Rows that sum to 1; all alike where nothing but "none" is possible.
    """
    probability = np.asarray(probability)[..., :-1]
    total = probability.sum(axis=-1, keepdims=True)
    alike = np.full_like(probability, 1 / probability.shape[-1])
    return np.divide(probability, total, out=alike, where=total > 0)


def _risk_of_error(probability: np.ndarray) -> np.ndarray:
    return 1 - probability[..., :-1].max(axis=-1)


def _none_or_entropy(probability: np.ndarray) -> np.ndarray:
    given = given_one_of_the_classes(probability)
    logarithm = np.log(np.maximum(given, LEAST_PROBABILITY))
    entropy = -(given * logarithm).sum(axis=-1) / np.log(given.shape[-1])
    return np.maximum(probability[..., -1], entropy)


# "error" is the chance that naming a class is wrong, be it another class or none of them: of
# calibrated probabilities no other rule errs less at the same number of answers (Chow 1970, IEEE
# Transactions on Information Theory 16, 41). "entropy" is the larger of the probability of none and
# the entropy of the others, as a share of the largest one. Energy needs logits with their sum,
# which probabilities have lost.
_SCORES = {"error": _risk_of_error, "entropy": _none_or_entropy}
ABSTENTION_SCORES = tuple(_SCORES)


def abstention_score(probability: np.ndarray, kind: str = "error") -> np.ndarray:
    """Give how much speaks against naming one of the classes, 0 to 1.

    Parameters
    ----------
    probability : (..., class + 1) float
        The last is "none of these".
    kind : {"error", "entropy"}
        The chance that the named class is wrong; or the larger of the probability of none and of
        the entropy of the others, as a share of the largest one.
    """
    if kind not in _SCORES:
        raise ValueError(f"no abstention score {kind!r}; there are {', '.join(_SCORES)}")
    return _SCORES[kind](np.asarray(probability, float))


@dataclass(frozen=True)
class Abstention:
    """When to name none of the classes: above a threshold, or where "none" is the likeliest.

    Attributes
    ----------
    score : {"error", "entropy"}
    threshold : float
    coverage : float
        Share of calibration frames of the classes that were to get an answer.
    """

    score: str
    threshold: float
    coverage: float

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """Give whether to abstain, (...) bool, for (..., class + 1) probabilities."""
        probability = np.asarray(probability)
        is_none = probability.argmax(axis=-1) == probability.shape[-1] - 1
        return is_none | (abstention_score(probability, self.score) > self.threshold)


def fit_abstention(
    probability: np.ndarray, truth: np.ndarray, *, coverage: float = 0.95, kind: str = "error"
) -> Abstention:
    """Fit the threshold up to which a share of the frames of the classes gets an answer.

    Parameters
    ----------
    probability : (frame, class + 1) float
        Of a calibration set, after scaling; the last is "none of these".
    truth : (frame,) int
        Frames of the last class are left out: nobody misses an answer there.
    coverage : float
    kind : {"error", "entropy"}

    Raises
    ------
    ValueError
        If no frame is of the classes, or the coverage is none.
    """
    _, truth = calibration_set(probability, truth)
    is_class = truth < np.shape(probability)[1] - 1
    if not is_class.any():
        raise ValueError("all calibration frames are none of the classes; give some that are")
    score = abstention_score(np.asarray(probability)[is_class], kind)
    return Abstention(kind, threshold_at_coverage(score, coverage), coverage)


@dataclass(frozen=True)
class RiskCoverage:
    """How often answers are wrong when only the surest are given.

    Attributes
    ----------
    coverage : (answer,) float
        Share of frames with an answer, rising.
    risk : (answer,) float
        Share of wrong ones among them.
    threshold : (answer,) float
        Largest abstention score that still gets an answer.
    """

    coverage: np.ndarray
    risk: np.ndarray
    threshold: np.ndarray

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC; Geifman & El-Yaniv 2017, NeurIPS 30)."""
        return float(np.average(self.risk, weights=np.diff(self.coverage, prepend=0)))


def risk_coverage(score: np.ndarray, wrong: np.ndarray) -> RiskCoverage:
    """Give the risk-coverage curve of an abstention score; equal scores share one point.

    Parameters
    ----------
    score : (frame,) float
    wrong : (frame,) bool
        Whether the answer would be wrong.
    """
    score, wrong = np.asarray(score, float), np.asarray(wrong, bool)
    if score.shape != wrong.shape or score.ndim != 1 or not len(score):
        raise ValueError(
            f"expected a score and a mistake for each frame, got {score.shape} and {wrong.shape}"
        )
    order = np.argsort(score, kind="stable")
    last = np.append(np.diff(score[order]) > 0, True)
    n = np.arange(1, len(score) + 1)
    return RiskCoverage(
        (n / len(score))[last], (np.cumsum(wrong[order]) / n)[last], score[order][last]
    )


def threshold_at_coverage(score: np.ndarray, coverage: float) -> float:
    """Give the abstention score up to which at least this share of the frames gets an answer."""
    if not 0 < coverage <= 1:
        raise ValueError(f"a coverage lies above 0 and up to 1, got {coverage}")
    return float(np.quantile(np.asarray(score, float), coverage, method="inverted_cdf"))
