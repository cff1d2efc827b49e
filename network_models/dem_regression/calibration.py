"""Intervals that cover what they say, and the limit beyond which a pixel is unlike training.

Both are found on simulated pixels that no training batch had (split conformal prediction, Romano et
al. 2019, NeurIPS 32): the network's own intervals are stretched bin by bin until 68 % of the truths
lie inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from network_models.dem_regression.simulated_pixels import N_BINS, N_CHANNELS

__all__ = ["ONE_SIGMA", "Calibration", "calibrate", "covered", "outputs_of", "signal_level"]

ONE_SIGMA = 0.6827
_LEVELS = (3.0, 10.0, 30.0, 100.0, 300.0)  # largest signal over noise of the six channels
_BLOCK = 2048  # pixels
_LARGEST_FACTOR = 64.0
_UNLIKE = 0.999  # of the calibration pixels have a smaller chi2


@dataclass(frozen=True)
class Calibration:
    """What calibration found.

    Attributes
    ----------
    factors : (3, 18) float64
        By which the distances below and above are stretched, and that above where the interval
        begins at 0.
    chi2_limits : (level,) float64
        Largest chi2 that is like training, for each level of signal.
    largest_log_em : float
        log10 of the largest total emission measure in training, cm-5.
    coverage_before : (18,) float64
        Share of the truths inside before stretching.
    """

    factors: np.ndarray
    chi2_limits: np.ndarray
    largest_log_em: float
    coverage_before: np.ndarray

    def to_dict(self) -> dict:
        """Give JSON types."""
        return {
            "signal levels": list(_LEVELS),
            "chi2 limits": [float(f"{v:.4g}") for v in self.chi2_limits],
            "largest log10 total emission measure, cm-5": round(self.largest_log_em, 2),
            "factors of the intervals": np.round(self.factors, 4).tolist(),
        }


def signal_level(dn: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Give each pixel's level of signal, 0 to 5, by its largest signal over noise."""
    return np.digitize((dn / sigma).max(axis=-1), _LEVELS)


def covered(
    truth: np.ndarray, em: np.ndarray, below: np.ndarray, above: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """Say which truths lie inside stretched intervals, whose lower ends are never below 0."""
    from_zero = below >= em
    low = np.where(from_zero, 0, em - np.minimum(factors[0] * below, em))
    high = em + np.where(from_zero, factors[2], factors[1]) * above
    return (truth >= low) & (truth <= high)


def outputs_of(network: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Give a network's output for pixels (pixel, 17): (pixel, 60) float64."""
    n = len(inputs)
    padded = np.resize(inputs, (-(-n // _BLOCK) * _BLOCK, inputs.shape[1]))
    blocks = padded.reshape(-1, _BLOCK, inputs.shape[1])
    out = network.predict({"brightness": blocks}, batch_size=8, verbose=0)
    return out.reshape(len(padded), -1)[:n].astype(float)


def calibrate(network: keras.Model, inputs: np.ndarray, targets: np.ndarray) -> Calibration:
    """Stretch a network's intervals on pixels whose truth is known.

    Parameters
    ----------
    network : keras.Model
        Of ``build_emission_network``, not calibrated yet.
    inputs : (pixel, 17) float32
    targets : (pixel, 36) float32
        As ``PixelSimulator.draw`` gives them.
    """
    output = outputs_of(network, inputs)
    em, below, above = (output[:, k * N_BINS : (k + 1) * N_BINS] for k in range(3))
    truth = targets[:, :N_BINS].astype(float)
    factors = np.ones((3, N_BINS))
    before = covered(truth, em, below, above, factors).mean(axis=0)
    from_zero = below >= em
    for j in range(N_BINS):
        for rows, which in ((~from_zero[:, j], [0, 1]), (from_zero[:, j], [2])):
            part = [values[rows, j : j + 1] for values in (truth, em, below, above)]
            if len(part[0]):
                factors[which, j] = _stretch(*part)
    dn, sigma = targets[:, N_BINS : N_BINS + N_CHANNELS], targets[:, N_BINS + N_CHANNELS :]
    sigma = sigma[:, :N_CHANNELS]
    chi2 = np.square((output[:, 3 * N_BINS :] - dn) / sigma).mean(axis=1)
    level = signal_level(dn, sigma)
    limits = []
    for k in range(len(_LEVELS) + 1):
        here = chi2[level == k]
        limits.append(np.quantile(here, _UNLIKE) if len(here) > 100 else np.quantile(chi2, _UNLIKE))
    total = float(np.log10(truth.sum(axis=1).max())) + 26.0
    return Calibration(factors, np.array(limits), total, before)


def _stretch(truth: np.ndarray, em: np.ndarray, below: np.ndarray, above: np.ndarray) -> float:
    """Give the smallest factor with which intervals cover enough; the share grows with it."""
    low, high = 0.0, _LARGEST_FACTOR
    for _ in range(40):
        middle = (low + high) / 2
        inside = covered(truth, em, below, above, np.full((3, 1), middle)).mean()
        low, high = (middle, high) if inside < ONE_SIGMA else (low, middle)
    return high
