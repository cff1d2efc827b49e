"""The flag "unlike training": how far a sample's input lies from what the network has seen."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np

from tools.run_folder import RunFolder

__all__ = ["Novelty", "novelty_of_run"]

_QUANTILE = 0.999
_SHRINKAGE = 0.05
_FEWEST_OBSERVED = 0.9
_NEWEST_H = 6


@dataclass(frozen=True)
class Novelty:
    """Mahalanobis distance to the training features, with the distance that is still usual.

    Attributes
    ----------
    mean : (feature,) float64
    precision : (feature, feature) float64
        Inverse of the shrunken covariance.
    limit : float
        99.9 % quantile of the distance within the training set.
    """

    mean: np.ndarray
    precision: np.ndarray
    limit: float

    @classmethod
    def of_training(cls, features: np.ndarray) -> Novelty:
        """Learn from the training features, (sample, feature)."""
        features = np.asarray(features, float)
        mean, covariance = features.mean(axis=0), np.cov(features, rowvar=False)
        scale = np.diag(np.diag(covariance) + 1e-6)
        precision = np.linalg.inv((1 - _SHRINKAGE) * covariance + _SHRINKAGE * scale)
        distance = cls(mean, precision, np.inf).distance(features)
        return cls(mean, precision, float(np.quantile(distance, _QUANTILE)))

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Return the distance of each row of features, (sample,)."""
        off = np.asarray(features, float) - self.mean
        return np.sqrt(np.einsum("ij,jk,ik->i", off, self.precision, off))

    def reasons(self, features: np.ndarray, observed: np.ndarray) -> list[str]:
        """Say for each sample why it is unlike training; empty where it is not.

        Parameters
        ----------
        features : (sample, feature)
        observed : (sample, hour) float
            Share of each hour of the history that was observed, the newest last.
        """
        out = []
        for distance, hours in zip(self.distance(features), observed, strict=True):
            reasons, share = [], hours.mean()
            if hours[-_NEWEST_H:].mean() < _FEWEST_OBSERVED:
                reasons.append(f"the last {_NEWEST_H} h before the forecast are not covered")
            if share < _FEWEST_OBSERVED:
                reasons.append(f"only {100 * share:.0f} % of the history is covered by the data")
            if distance > self.limit:
                reasons.append(
                    f"input unlike any in training (distance {distance:.1f}, usual up to "
                    f"{self.limit:.1f})"
                )
            out.append("; ".join(reasons))
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is saved with the run."""
        return {"mean": self.mean, "precision": self.precision, "limit": np.array(self.limit)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Novelty:
        """Make it again from what was saved."""
        return cls(arrays["mean"], arrays["precision"], float(arrays["limit"]))


def novelty_of_run(run: RunFolder) -> Novelty:
    """Return what a finished run learned of its training features.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run saved none, or the file is damaged.
    """
    path = run / "performance/novelty.npz"
    try:
        with np.load(path, allow_pickle=False) as saved:
            return Novelty.from_arrays(dict(saved))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{run.path} is not finished: it lacks performance/novelty.npz; give its training "
            "command again"
        ) from None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}); train the run again") from error
