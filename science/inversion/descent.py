"""L-BFGS and Adam on the whole objective of a problem: last resorts, which need many steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

from tools.fitting.gauss_newton import laplacian_power

__all__ = ["minimise"]

_STEPS = {"l-bfgs": 500, "adam": 2000}
_RATE, _DECAY = 0.03, (0.9, 0.999)
_SETTLED = 1e-9  # of the objective, between Adam's hundreds of steps


def minimise(
    work: Any,
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    scale: np.ndarray,
    prior_weight: np.ndarray,
    power: int,
    solver: str,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return free parameters (pixel, free), the misfit of each pixel, and whether it has settled.

    Parameters
    ----------
    work : object
        With ``linearise``, ``data``, ``weight``, ``shape``, ``problem``: see ``problem.solve``.
    start : (pixel, free) float64
    lower, upper, scale, prior_weight : (free,) float64
    power : int
        Of the Laplacian.
    solver : {"l-bfgs", "adam"}
    """
    everyone = np.arange(len(start))
    penalties = np.array([p.weight for p in work.problem.penalties])
    telescope = work.problem.point_spread

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        free = flat.reshape(start.shape) * scale
        values, derivatives = work.linearise(free, everyone)
        n = work.data.shape[1]
        seen = values[:, :n]
        if telescope is not None:
            seen = telescope.apply(seen.reshape(*work.shape, n)).reshape(seen.shape)
        pull = work.weight * (work.data - seen)
        total = float(np.sum(pull * (work.data - seen)))
        if telescope is not None:
            pull = telescope.transpose(pull.reshape(*work.shape, n)).reshape(seen.shape)
        gradient = np.einsum("npk,nk->np", derivatives[:, :, :n], -2 * pull)
        beyond = values[:, n:]
        total += float(np.sum(penalties * beyond**2))
        gradient += np.einsum("npk,nk->np", derivatives[:, :, n:], 2 * penalties * beyond)
        maps = (free / scale).reshape(*work.shape, -1)
        rough = laplacian_power(maps, power) * prior_weight
        total += float(np.sum(rough * maps))
        return total, (gradient * scale + 2 * rough.reshape(gradient.shape)).ravel()

    first = (np.clip(start, lower, upper) / scale).ravel()
    if solver == "l-bfgs":
        bounds = list(zip(np.tile(lower / scale, len(start)), np.tile(upper / scale, len(start)),
                          strict=True))  # fmt: skip
        found = minimize(
            objective, first, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": _STEPS["l-bfgs"], "ftol": 1e-12, "gtol": 1e-8},
        )  # fmt: skip
        flat, is_done = found.x, bool(found.success)
    else:
        flat, is_done = _adam(objective, first, lower / scale, upper / scale, start.shape)
    free = flat.reshape(start.shape) * scale
    values, _ = work.linearise(free, everyone)
    seen = values[:, : work.data.shape[1]]
    if telescope is not None:
        seen = telescope.apply(seen.reshape(*work.shape, -1)).reshape(seen.shape)
    return free, np.sum(work.weight * (work.data - seen) ** 2, axis=1), is_done


def _adam(objective, flat, lower, upper, shape) -> tuple[np.ndarray, bool]:
    """Return where Adam (Kingma & Ba 2015) has come to, its rate falling to 0 by a cosine."""
    mean, square = np.zeros_like(flat), np.zeros_like(flat)
    before = np.inf
    for step in range(1, _STEPS["adam"] + 1):
        value, gradient = objective(flat)
        mean = _DECAY[0] * mean + (1 - _DECAY[0]) * gradient
        square = _DECAY[1] * square + (1 - _DECAY[1]) * gradient**2
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * step / _STEPS["adam"]))
        move = (mean / (1 - _DECAY[0] ** step)) / (
            np.sqrt(square / (1 - _DECAY[1] ** step)) + 1e-12
        )
        flat = np.clip((flat - rate * move).reshape(shape), lower, upper).ravel()
        if step % 100 == 0:
            if before - value <= _SETTLED * value:
                return flat, True
            before = value
    return flat, False
