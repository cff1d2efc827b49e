"""The ways from channels to emission measure that the commands offer, each by its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tools.emission_measure.inversion import METHODS, EmissionMeasure, invert

__all__ = ["TileSolver", "method_names", "solver_of"]

TileSolver = Callable[[np.ndarray, np.ndarray, np.ndarray], EmissionMeasure]


def method_names() -> tuple[str, ...]:
    """Give the names of all methods; the first is the default."""
    return METHODS


def solver_of(
    method: str, response: np.ndarray, log_temperature_edges: np.ndarray, *, n_jobs: int
) -> TileSolver:
    """Give what inverts a tile; made once for a map, so that a method may load what it needs.

    Parameters
    ----------
    method : str
        One of ``method_names``.
    response : (channel, bin) float
    log_temperature_edges : (bin + 1,) float
        log10 of K.
    n_jobs : int
        Threads at most.

    Returns
    -------
    callable
        Takes brightness, its errors and what is saturated, (y, x, channel) each, and gives an
        ``EmissionMeasure``.
    """

    def solve(dn: np.ndarray, sigma: np.ndarray, saturated: np.ndarray) -> EmissionMeasure:
        return invert(
            dn,
            sigma,
            response,
            log_temperature_edges,
            method=method,
            n_jobs=n_jobs,
            saturated=saturated,
        )

    return solve
