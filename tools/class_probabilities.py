"""What may be scored as probabilities of classes: distributions, one for each frame."""

from __future__ import annotations

import numpy as np

__all__ = ["checked_frames", "require_probabilities"]

_SUM_TOLERANCE = 1e-3  # of float32 probabilities, half precision included


def require_probabilities(probability: np.ndarray) -> np.ndarray:
    """Give (frame, class) float64; raises ValueError where a row is no distribution."""
    probability = np.asarray(probability, float)
    if probability.ndim != 2 or probability.shape[1] < 2 or not len(probability):
        raise ValueError(
            f"expected probabilities (frame, class) of at least one frame and two classes, got the "
            f"shape {probability.shape}"
        )
    total = probability.sum(axis=1)
    good = (probability >= 0).all(axis=1) & (np.abs(total - 1) <= _SUM_TOLERANCE)
    if not good.all():
        k = int(np.argmin(good))
        raise ValueError(
            f"expected probabilities that sum to 1, got {probability[k]} in row {k}; give the "
            "output of a softmax, not logits"
        )
    return probability / total[:, None]


def checked_frames(
    probability: np.ndarray, truth: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give probability, truth and groups of frames; raises ValueError where they don't agree."""
    probability = require_probabilities(probability)
    truth, groups = np.asarray(truth), np.asarray(groups)
    n, n_classes = probability.shape
    if truth.shape != (n,) or groups.shape != (n,):
        raise ValueError(
            f"expected one class and one event for each of {n} frames, got the shapes "
            f"{truth.shape} and {groups.shape}"
        )
    if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= n_classes:
        raise ValueError(
            f"expected classes as integers from 0 to {n_classes - 1}, got {np.unique(truth)}; "
            "leave out the frames of other classes"
        )
    return probability, truth, groups
