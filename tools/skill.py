"""Scores of probability forecasts: contingency tables, proper scores, reliability, ROC.

All functions take plain arrays. ``probability`` is (sample,) float in [0, 1] and ``event`` is
(sample,) bool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Contingency",
    "Reliability",
    "brier_score",
    "brier_skill",
    "contingency",
    "reliability",
    "roc_area",
    "roc_curve",
    "surprise",
    "threshold_of_largest_tss",
]


@dataclass(frozen=True)
class Contingency:
    """Counts of a yes/no forecast: hits, misses, false alarms, correct rejections."""

    hits: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray
    rejections: np.ndarray

    @property
    def tss(self) -> np.ndarray:
        """True skill statistic, ``H / (H + M) - F / (F + R)`` (Hanssen & Kuipers 1965)."""
        return _ratio(self.hits, self.hits + self.misses) - _ratio(
            self.false_alarms, self.false_alarms + self.rejections
        )

    @property
    def hss(self) -> np.ndarray:
        """Heidke skill score (Heidke 1926), 0 for chance agreement, 1 for a perfect forecast.

        ``2 (H R - M F) / [(H + M) (M + R) + (H + F) (F + R)]``.
        """
        h, m, f, r = self.hits, self.misses, self.false_alarms, self.rejections
        return _ratio(2 * (h * r - m * f), (h + m) * (m + r) + (h + f) * (f + r))


def contingency(forecast: np.ndarray, event: np.ndarray) -> Contingency:
    """Count hits, misses, false alarms and correct rejections of a yes/no forecast."""
    forecast, event = np.asarray(forecast, bool), np.asarray(event, bool)
    cells = (forecast & event, ~forecast & event, forecast & ~event, ~forecast & ~event)
    return Contingency(*(np.asarray(cell.sum()) for cell in cells))


def threshold_of_largest_tss(probability: np.ndarray, event: np.ndarray) -> float:
    """Return the probability at which a yes/no forecast has the largest TSS.

    To be called with training data only. With no event, or nothing but events, there is no such
    threshold and 0.5 is given.
    """
    event = np.asarray(event, bool)
    if event.all() or not event.any():
        return 0.5
    false_rate, hit_rate, thresholds = roc_curve(probability, event)
    return float(thresholds[np.argmax(hit_rate - false_rate)])


def brier_score(probability: np.ndarray, event: np.ndarray) -> float:
    """Return the mean squared error of a probability (Brier 1950); 0 is perfect."""
    return float(np.mean((probability - np.asarray(event, float)) ** 2))


def brier_skill(probability: np.ndarray, event: np.ndarray, *, climatology: float) -> float:
    """Return ``1 - Brier / Brier of climatology``; NaN if climatology is perfect."""
    reference = brier_score(np.full(len(event), climatology), event)
    return float("nan") if reference == 0 else 1 - brier_score(probability, event) / reference


def surprise(probability: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Return ``-ln`` of the probability given to what came, (sample,); its mean is the log score.

    Infinite where something came that was given no chance (Good 1952).
    """
    given = np.where(np.asarray(event, bool), probability, 1 - np.asarray(probability))
    with np.errstate(divide="ignore"):
        return -np.log(given)


@dataclass(frozen=True)
class Reliability:
    """Reliability diagram: mean probability, observed frequency and count of each filled bin."""

    mean_probability: np.ndarray
    frequency: np.ndarray
    count: np.ndarray


def reliability(probability: np.ndarray, event: np.ndarray, *, n_bins: int = 10) -> Reliability:
    """Return the reliability of probabilities in equal bins from 0 to 1."""
    index = np.minimum((np.asarray(probability) * n_bins).astype(int), n_bins - 1)
    count = np.bincount(index, minlength=n_bins)
    filled = count > 0
    total = np.bincount(index, probability, minlength=n_bins)[filled]
    events = np.bincount(index, np.asarray(event, float), minlength=n_bins)[filled]
    return Reliability(total / count[filled], events / count[filled], count[filled])


def roc_curve(
    probability: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return false alarm rate, hit rate and thresholds (yes at or above), from none to all.

    The first point is (0, 0) with an infinite threshold.
    """
    order = np.argsort(-np.asarray(probability), kind="stable")
    value, event = np.asarray(probability)[order], np.asarray(event, bool)[order]
    last = np.append(value[1:] != value[:-1], True)  # ties share one point
    hits, alarms = np.r_[0.0, np.cumsum(event)[last]], np.r_[0.0, np.cumsum(~event)[last]]
    with np.errstate(invalid="ignore"):
        return alarms / alarms[-1], hits / hits[-1], np.r_[np.inf, value[last]]


def roc_area(
    probability: np.ndarray, event: np.ndarray, weight: np.ndarray | None = None
) -> float | np.ndarray:
    """Return the area under the ROC curve; 0.5 is chance, NaN without events or non-events.

    ``weight`` may be (draw, sample): then one area for each draw, after a single sort.
    """
    order = np.argsort(-np.asarray(probability), kind="stable")
    value, event = np.asarray(probability)[order], np.asarray(event, bool)[order]
    weight = np.ones(len(event)) if weight is None else np.asarray(weight, float)[..., order]
    last = np.append(value[1:] != value[:-1], True)
    hits = np.cumsum(weight * event, axis=-1)[..., last]
    alarms = np.cumsum(weight * ~event, axis=-1)[..., last]
    start = np.zeros((*hits.shape[:-1], 1))
    hits, alarms = (np.concatenate([start, part], axis=-1) for part in (hits, alarms))
    area = np.trapezoid(hits, alarms, axis=-1)
    area = _ratio(area, hits[..., -1] * alarms[..., -1])
    return float(area) if area.ndim == 0 else area


def _ratio(numerator: Any, denominator: Any) -> Any:
    """Divide; NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(numerator, denominator, dtype=float)
