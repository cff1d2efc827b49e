"""Shapes of emission measure that no formula gives: others times smooth random curves (synthetic).

The logarithm of the curve is a Gaussian process in log T, of another scale and height for every
draw: the part of the training that is not parametric.
"""

from __future__ import annotations

import numpy as np

from tools.emission_measure.families import FINE_LOG_T

__all__ = ["random_curves", "roughened"]

_WAVES = 48  # of random frequency, whose sum is the process (Rahimi & Recht 2007, NeurIPS 20)
_SCALES = (0.04, 0.5)  # dex of temperature over which a curve changes
_HEIGHTS = (0.1, 0.8)  # dex of emission measure, one standard deviation
_AT_ONCE = 4096


def random_curves(
    n: int, generator: np.random.Generator, *, scale: np.ndarray | None = None
) -> np.ndarray:
    """Draw curves of a Gaussian process with the covariance ``exp(-(x - x')^2 / (2 l^2))``.

    Parameters
    ----------
    n : int
    generator : numpy.random.Generator
    scale : (n,) float, optional
        l in dex of temperature; drawn evenly in the logarithm from 0.04 to 0.5 if left out.

    Returns
    -------
    (n, 180) float64
        At ``FINE_LOG_T``; mean 0, standard deviation 1 over draws.
    """
    if scale is None:
        scale = np.exp(generator.uniform(*np.log(_SCALES), n))
    out = np.empty((n, len(FINE_LOG_T)))
    for first in range(0, n, _AT_ONCE):
        part = slice(first, min(first + _AT_ONCE, n))
        shape = (part.stop - first, _WAVES)
        frequency = generator.standard_normal(shape) / np.asarray(scale)[part, None]
        phase = generator.uniform(0, 2 * np.pi, shape)
        step = np.exp(1j * frequency * (FINE_LOG_T[1] - FINE_LOG_T[0]))
        wave = np.exp(1j * (frequency * FINE_LOG_T[0] + phase))
        for k in range(len(FINE_LOG_T)):
            out[part, k] = wave.real.sum(axis=1)
            wave *= step
    return out * np.sqrt(2 / _WAVES)


def roughened(fine: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Multiply shapes by ten to the power of a random curve, of another height for each.

    Parameters
    ----------
    fine : (n, 180) float
        At ``FINE_LOG_T``.
    generator : numpy.random.Generator

    Returns
    -------
    (n, 180) float64
        Of unit sum.
    """
    height = np.exp(generator.uniform(*np.log(_HEIGHTS), (len(fine), 1)))
    value = fine * 10.0 ** (height * random_curves(len(fine), generator))
    return value / np.maximum(value.sum(axis=1, keepdims=True), 1e-300)
