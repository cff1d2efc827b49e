"""Levenberg-Marquardt for many pixels at once, for models that are plain functions of arrays.

Compiled models are fitted faster by ``levenberg_marquardt``. Here each step is taken by all pixels
together, and pixels that have converged leave the batch, so that the slowest ones do not cost what
all do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.fitting.flags import FitFlag

__all__ = ["BatchedFit", "fit_batched"]

Linearised = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
_FIRST_DAMPING, _MOST_DAMPING = 1e-3, 1e10
_LEAST_PIVOT = 1e-11  # of a normal matrix with unit diagonal


@dataclass(frozen=True)
class BatchedFit:
    """Fitted pixels.

    Attributes
    ----------
    free : (pixel, free) float64
    covariance : (pixel, free, free) float64
        NaN where the data do not determine all parameters.
    misfit : (pixel,) float64
        Sum of weight times squared residual.
    flags : (pixel,) uint16
    steps : (pixel,) int64
    """

    free: np.ndarray
    covariance: np.ndarray
    misfit: np.ndarray
    flags: np.ndarray
    steps: np.ndarray


def fit_batched(
    linearise: Linearised,
    data: np.ndarray,
    weight: np.ndarray,
    starts: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    largest_steps: int = 60,
    tolerance: float = 1e-8,
) -> BatchedFit:
    """Fit every pixel from each start; the best counts.

    Parameters
    ----------
    linearise : callable
        From free parameters (pixel, free) and the pixels' numbers (pixel,) to values (pixel, datum)
        and derivatives (pixel, free, datum).
    data, weight : (pixel, datum) float64
        Weights are 1 / sigma^2; 0 where there is no value.
    starts : (pixel, start, free) float64
    lower, upper : (free,) float64
    largest_steps : int
    tolerance : float
        A pixel is done when two steps in a row lower its misfit by smaller shares.

    Raises
    ------
    ValueError
        If the model's shapes don't agree with the data's, or its first values are not finite.
    """
    n, _, n_free = starts.shape
    best = BatchedFit(
        np.full((n, n_free), np.nan),
        np.full((n, n_free, n_free), np.nan),
        np.full(n, np.inf),
        np.full(n, FitFlag.NOT_CONVERGED, np.uint16),
        np.zeros(n, np.int64),
    )
    for start in np.moveaxis(np.clip(starts, lower, upper), 1, 0):
        own = _fit(linearise, data, weight, start, lower, upper, largest_steps, tolerance)
        better = own.misfit < best.misfit
        best.steps[:] += own.steps
        for name in ("free", "covariance", "misfit", "flags"):
            getattr(best, name)[better] = getattr(own, name)[better]
    return best


def _fit(linearise, data, weight, start, lower, upper, largest_steps, tolerance) -> BatchedFit:
    n, n_free = start.shape
    free, damping = start.copy(), np.full(n, _FIRST_DAMPING)
    everyone = np.arange(n)
    values, jacobian = linearise(free, everyone)
    _require_shapes(values, jacobian, data, n_free)
    misfit, normal, gradient = _normal_equations(values, jacobian, data, weight)
    n_small, steps = np.zeros(n, int), np.zeros(n, np.int64)
    left = everyone[np.isfinite(misfit)]
    is_done = np.zeros(n, bool)
    while len(left) and steps.max(initial=0) < largest_steps:
        steps[left] += 1
        move = _step(normal[left], gradient[left], damping[left], free[left], lower, upper)
        trial = np.clip(free[left] + move, lower, upper)
        values, jacobian = linearise(trial, left)
        found = _normal_equations(values, jacobian, data[left], weight[left])
        is_better = found[0] <= misfit[left]
        taken = left[is_better]
        gain = misfit[taken] - found[0][is_better]
        n_small[taken] = np.where(gain <= tolerance * misfit[taken] + 1e-300, n_small[taken] + 1, 0)
        free[taken] = trial[is_better]
        misfit[taken], normal[taken], gradient[taken] = (part[is_better] for part in found)
        damping[taken] = np.maximum(damping[taken] * 0.1, 1e-12)
        damping[left[~is_better]] *= 10
        is_done[left] = (n_small[left] >= 2) | (damping[left] > _MOST_DAMPING)
        left = left[~is_done[left]]
    covariance, is_determined = _covariance(normal)
    flags = np.where(is_done, 0, FitFlag.NOT_CONVERGED).astype(np.uint16)
    few = (weight > 0).sum(axis=1) < n_free
    flags[~is_determined | few] |= np.uint16(FitFlag.DEGENERATE)
    flags[((free <= lower) | (free >= upper)).any(axis=1)] |= np.uint16(FitFlag.AT_BOUND)
    return BatchedFit(free, covariance, np.where(np.isnan(misfit), np.inf, misfit), flags, steps)


def _normal_equations(values, jacobian, data, weight):
    """Return misfit, normal matrices and gradients; the misfit is NaN where the model is."""
    off = np.where(weight > 0, data - values, 0.0)
    misfit = np.einsum("nk,nk,nk->n", weight, off, off)
    weighted = jacobian * weight[:, None]
    normal = weighted @ np.swapaxes(jacobian, 1, 2)
    gradient = (weighted @ off[..., None])[..., 0]
    lost = ~(np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1))
    if lost.any():
        misfit = np.where(lost, np.nan, misfit)
    return misfit, normal, gradient


def _step(normal, gradient, damping, free, lower, upper) -> np.ndarray:
    """Return damped steps; parameters at a bound whose gradient points outwards are held."""
    held = ((free <= lower) & (gradient < 0)) | ((free >= upper) & (gradient > 0))
    diagonal = np.einsum("nii->ni", normal)
    held |= diagonal <= 0
    size = np.sqrt(np.where(held, 1.0, diagonal))
    scaled = normal / size[:, :, None] / size[:, None, :]
    moves = ~held
    scaled = scaled * moves[:, :, None] * moves[:, None, :]
    own = np.einsum("nii->ni", scaled)
    own[:] = np.where(held, 1.0, 1.0 + damping[:, None] + 1e-14)
    right = np.where(held, 0.0, gradient / size)
    return np.linalg.solve(scaled, right[..., None])[..., 0] / size


def _covariance(normal) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverses, and whether each is determined."""
    size = np.sqrt(np.maximum(np.einsum("nii->ni", normal), 0))
    safe = np.where(size > 0, size, 1.0)
    scaled = normal / safe[:, :, None] / safe[:, None, :]
    scaled = np.where(np.isfinite(scaled), scaled, 0.0)
    least = np.linalg.eigvalsh(scaled)[:, 0]
    is_determined = (least > _LEAST_PIVOT) & (size > 0).all(axis=1)
    out = np.full(normal.shape, np.nan)
    if is_determined.any():
        own = safe[is_determined]
        inverse = np.linalg.inv(scaled[is_determined])
        out[is_determined] = inverse / own[:, :, None] / own[:, None, :]
    return out, is_determined


def _require_shapes(values, jacobian, data, n_free: int) -> None:
    if np.shape(values) != data.shape:
        raise ValueError(
            f"the model gives values {np.shape(values)}, the data are {data.shape} (pixel, datum)"
        )
    if np.shape(jacobian) != (len(data), n_free, data.shape[1]):
        raise ValueError(
            f"the model's derivatives are {np.shape(jacobian)}, expected "
            f"{(len(data), n_free, data.shape[1])} (pixel, parameter, datum)"
        )
