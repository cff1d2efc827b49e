"""Scores of classifiers that give probabilities, with intervals over events instead of frames.

Frames of one observation are near-copies of one another, so that whole events are resampled. All
scores are functions of sums over frames: each event is summed once, and every draw only weighs
those sums.

Conventions: the Brier score is summed over the classes (0 to 2; Brier 1950, Monthly Weather Review
78, 1); the log score is in nats; the expected calibration error takes the probability of the
likeliest class in 15 equal bins ``[k/15, (k + 1)/15)``, the last one with 1 (Guo et al. 2017,
ICML 34, eq. 5). It is pushed up by few frames, and more so in resampled sets: its interval leans
upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.bootstrap import FEWEST_BLOCKS, EventBootstrap, interval
from tools.class_probabilities import checked_frames
from tools.random_streams import random_stream

__all__ = [
    "LEAST_PROBABILITY",
    "ClassReliability",
    "ClassScores",
    "Score",
    "class_scores",
    "difference_of_sets",
    "paired_difference",
]

LEAST_PROBABILITY = 1e-12  # what counts as 0: keeps the log score of one sure mistake finite
_N_BINS = 15


@dataclass(frozen=True)
class Score:
    """A score and its 95 % interval; NaN where too few events or a class without samples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.value:.3f} (no interval)"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def to_dict(self) -> dict[str, float | None]:
        """Give JSON types."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {key: float(v) if np.isfinite(v) else None for key, v in values.items()}


@dataclass(frozen=True)
class ClassReliability:
    """Reliability of the likeliest class in 15 equal bins; NaN where a bin is empty.

    Attributes
    ----------
    edges : (bin + 1,) float
    confidence : (bin,) float
        Mean probability of the likeliest class.
    accuracy : (bin,) float
        Share of frames of which it is the class.
    low, high : (bin,) float
        95 % interval of the share, over events.
    count : (bin,) int
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class ClassScores:
    """What a classifier is worth on one set of frames.

    Attributes
    ----------
    classes : tuple of str
    confusion : (truth, given) int
        Number of frames; the class given is the likeliest one.
    n_frames, n_events : int
    events_per_class : (class,) int
        Events with at least one frame of the class.
    missing : tuple of str
        Classes without a frame: left out of balanced accuracy and macro-F1.
    scores : dict of Score
        "balanced accuracy", "macro F1", "accuracy", "Brier", "log score", "ECE-15", and
        "recall CLASS" of each class that has frames.
    reliability : ClassReliability
    """

    classes: tuple[str, ...]
    confusion: np.ndarray
    n_frames: int
    n_events: int
    events_per_class: np.ndarray
    missing: tuple[str, ...]
    scores: dict[str, Score]
    reliability: ClassReliability

    def __getitem__(self, name: str) -> Score:
        return self.scores[name]

    def to_dict(self) -> dict:
        """Give JSON types."""
        return {
            "n_frames": self.n_frames,
            "n_events": self.n_events,
            "events_per_class": dict(
                zip(self.classes, self.events_per_class.tolist(), strict=True)
            ),
            "classes_without_frames": list(self.missing),
            "confusion": {"classes": list(self.classes), "rows_truth": self.confusion.tolist()},
            "scores": {name: score.to_dict() for name, score in self.scores.items()},
        }

    def text(self) -> str:
        """Give the scores as lines of text."""
        lines = [f"{self.n_frames} frames of {self.n_events} events"]
        if self.missing:
            lines[0] += f"; no frame of {', '.join(self.missing)}, left out of the means"
        if self.n_events < FEWEST_BLOCKS:
            lines[0] += f"; no intervals with fewer than {FEWEST_BLOCKS} events"
        return "\n".join(lines + [f"  {name:20s} {score}" for name, score in self.scores.items()])


def class_scores(
    probability: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    *,
    classes: Sequence[str] | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> ClassScores:
    """Score a classifier, with 95 % intervals from a bootstrap over events.

    Parameters
    ----------
    probability : (frame, class) float
        Rows that sum to 1.
    truth : (frame,) int
        Column of the true class.
    groups : (frame,) array
        The event that each frame belongs to.
    classes : sequence of str, optional
        Names of the columns.
    n_draws : int
    seed : int

    Returns
    -------
    ClassScores
        No interval is given for fewer than 10 events, nor for a score of which a class lacks in
        more than 2.5 % of the draws.

    Raises
    ------
    ValueError
        If shapes don't agree, there is no frame, a row is no distribution, or a class is none of
        the columns.
    """
    probability, truth, groups = checked_frames(probability, truth, groups)
    n_classes = probability.shape[1]
    names = tuple(classes) if classes is not None else tuple(map(str, range(n_classes)))
    if len(names) != n_classes:
        raise ValueError(f"{len(names)} names of classes for {n_classes} columns: {names}")
    bootstrap = _bootstrap(groups, n_draws, seed)
    parts = _parts(probability, truth)
    whole = _Scored({key: part.sum(axis=0)[None] for key, part in parts.items()}, truth)
    block = bootstrap.block_of_sample
    drawn = _Scored({key: _drawn(bootstrap, part, block) for key, part in parts.items()}, truth)
    values, draws = whole.scores(names), drawn.scores(names)
    scores = {name: _score(values[name][0], draws[name], bootstrap) for name in values}
    confusion = whole.sums["confusion"][0].reshape(n_classes, n_classes).astype(int)
    pairs = np.unique(np.stack([truth, bootstrap.block_of_sample]), axis=1)
    events = np.bincount(pairs[0], minlength=n_classes)
    missing = tuple(name for name, n in zip(names, events, strict=True) if n == 0)
    return ClassScores(
        names,
        confusion,
        len(truth),
        bootstrap.n_blocks,
        events,
        missing,
        scores,
        _reliability(whole, drawn, bootstrap),
    )


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    *,
    classes: Sequence[str] | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> dict[str, Score]:
    """Give every score of the first classifier less that of the second, on the same frames.

    Both are judged on the same resampled events, so that what makes an event hard for both does
    not widen the interval of the difference.

    Parameters
    ----------
    first, second : (frame, class) float
    truth, groups, classes, n_draws, seed
        As for ``class_scores``.

    Raises
    ------
    ValueError
        As for ``class_scores``, and if the classifiers have different columns.
    """
    if np.shape(first) != np.shape(second):
        raise ValueError(
            f"expected two classifiers of the same frames and classes, got {np.shape(first)} and "
            f"{np.shape(second)}"
        )
    sets = ((given, truth, groups) for given in (first, second))
    return difference_of_sets(*sets, classes=classes, n_draws=n_draws, seed=seed)


def difference_of_sets(
    first: tuple[np.ndarray, np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    classes: Sequence[str] | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> dict[str, Score]:
    """Give every score on a first set of frames less that on a second one.

    Events are drawn from those of both sets; one that has frames in both counts as often in both.

    Parameters
    ----------
    first, second : ((frame, class), (frame,), (frame,))
        Probability, truth and groups of each set, as for ``class_scores``.
    classes, n_draws, seed
        As for ``class_scores``.

    Raises
    ------
    ValueError
        As for ``class_scores``, and if the sets have different classes.
    """
    sets = [checked_frames(*of) for of in (first, second)]
    n_classes = sets[0][0].shape[1]
    if sets[1][0].shape[1] != n_classes:
        raise ValueError(f"expected {n_classes} classes in both, got {sets[1][0].shape[1]}")
    names = tuple(classes) if classes is not None else tuple(map(str, range(n_classes)))
    bootstrap = _bootstrap(np.concatenate([groups for *_, groups in sets]), n_draws, seed)
    blocks = np.split(bootstrap.block_of_sample, [len(sets[0][2])])
    values, draws = [], []
    for (probability, truth, _), block in zip(sets, blocks, strict=True):
        parts = _parts(probability, truth)
        whole = {key: part.sum(axis=0)[None] for key, part in parts.items()}
        values.append(_Scored(whole, truth).scores(names))
        drawn = {key: _drawn(bootstrap, part, block) for key, part in parts.items()}
        draws.append(_Scored(drawn, truth).scores(names))
    return {
        name: _score(
            (values[0][name] - values[1][name])[0], draws[0][name] - draws[1][name], bootstrap
        )
        for name in values[0]
        if name in values[1]
    }


def _bootstrap(groups: np.ndarray, n_draws: int, seed: int) -> EventBootstrap:
    generator = random_stream(seed, "bootstrap over events")
    return EventBootstrap(groups, generator=generator, n_draws=n_draws)


def _parts(probability: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Give what each frame adds to the sums that the scores are made of, (frame, number)."""
    n, n_classes = probability.shape
    frame = np.arange(n)
    given, top = probability.argmax(axis=1), probability.max(axis=1)
    confusion = np.zeros((n, n_classes * n_classes))
    confusion[frame, truth * n_classes + given] = 1
    bins = np.zeros((3, n, _N_BINS))
    index = np.minimum((top * _N_BINS).astype(int), _N_BINS - 1)
    bins[:, frame, index] = np.ones(n), top, given == truth
    single = np.zeros((n, 3))
    of_truth = probability[frame, truth]
    single[:, 0] = 1
    single[:, 1] = (probability**2).sum(axis=1) - 2 * of_truth + 1
    single[:, 2] = -np.log(np.maximum(of_truth, LEAST_PROBABILITY))
    return {
        "confusion": confusion,
        "single": single,
        "count": bins[0],
        "confidence": bins[1],
        "correct": bins[2],
    }


def _drawn(bootstrap: EventBootstrap, part: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Give the sums of each resampled set, (draw, number), from the event of each frame."""
    per_event = np.zeros((bootstrap.n_blocks, part.shape[1]))
    np.add.at(per_event, block, part)
    return bootstrap.counts @ per_event


class _Scored:
    """Sums over some sets of frames, each (set, number), and the scores that they give."""

    def __init__(self, sums: dict[str, np.ndarray], truth: np.ndarray):
        self.sums = sums
        self._present = np.unique(truth)

    def scores(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Give each score, (set,); NaN where a class of the whole set has no frame."""
        confusion = self.sums["confusion"].reshape(-1, len(names), len(names))
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        true, given = confusion.sum(axis=2), confusion.sum(axis=1)
        n = self.sums["single"][:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = (hits / true)[:, self._present]
            f1 = (2 * hits / (true + given))[:, self._present]
        f1[np.isnan(recall)] = np.nan
        gap = np.abs(self.sums["correct"] - self.sums["confidence"]).sum(axis=1)
        found = {
            "balanced accuracy": recall.mean(axis=1),
            "macro F1": f1.mean(axis=1),
            "accuracy": hits.sum(axis=1) / n,
            "Brier": self.sums["single"][:, 1] / n,
            "log score": self.sums["single"][:, 2] / n,
            "ECE-15": gap / n,
        }
        for k, column in zip(self._present, recall.T, strict=True):
            found[f"recall {names[k]}"] = column
        return found


def _score(value: float, draws: np.ndarray, bootstrap: EventBootstrap) -> Score:
    if bootstrap.n_blocks < FEWEST_BLOCKS:
        return Score(float(value), float("nan"), float("nan"))
    return Score(float(value), *interval(draws))


def _reliability(whole: _Scored, drawn: _Scored, bootstrap: EventBootstrap) -> ClassReliability:
    def shares(of: _Scored, key: str) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return of.sums[key] / of.sums["count"]

    accuracy = shares(whole, "correct")[0]
    draws = shares(drawn, "correct")
    scores = [_score(v, d, bootstrap) for v, d in zip(accuracy, draws.T, strict=True)]
    return ClassReliability(
        np.linspace(0, 1, _N_BINS + 1),
        shares(whole, "confidence")[0],
        accuracy,
        np.array([s.low for s in scores]),
        np.array([s.high for s in scores]),
        whole.sums["count"][0].astype(int),
    )
