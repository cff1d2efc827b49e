"""The ways from channels to emission measure that the commands offer, each by its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tools.command_line import quiet_start
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import METHODS, EmissionMeasure, invert
from tools.emission_measure.response import RESPONSE_VERSIONS, bin_response

__all__ = ["TileSolver", "bounds_of", "method_names", "solver_of"]

_NETWORKS = {"network": "accurate", "network-fast": "fast"}  # packaged sizes
_DEEPEM = "deepem"
_BOUNDS = {"tikhonov": ("error_95",)} | {name: ("low", "high") for name in _NETWORKS}
TileSolver = Callable[[np.ndarray, np.ndarray, np.ndarray], EmissionMeasure]


def method_names() -> tuple[str, ...]:
    """Give the names of all methods; the first is the default."""
    return (*METHODS, *_NETWORKS, _DEEPEM)


def bounds_of(method: str) -> tuple[str, ...]:
    """Give the names of the bounds that a method has in ``extra`` beside its errors."""
    return _BOUNDS.get(method, ())


def solver_of(
    method: str,
    response: np.ndarray,
    log_temperature_edges: np.ndarray,
    *,
    n_jobs: int,
    run: str = "",
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
    run : str
        Folder of a trained network, instead of the packaged one.

    Returns
    -------
    callable
        Takes brightness, its errors and what is saturated, (y, x, channel) each, and gives an
        ``EmissionMeasure``.

    Raises
    ------
    ValueError
        If a network does not know the response.
    """
    if method in _NETWORKS:
        return _network(_NETWORKS[method], response, log_temperature_edges, n_jobs, run)
    if run:
        raise ValueError(f"--run goes with --method network, not with {method}")
    if method == _DEEPEM:
        return _deepem(response, log_temperature_edges)

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


def _network(
    size: str, response: np.ndarray, log_temperature_edges: np.ndarray, n_jobs: int, run: str
) -> TileSolver:
    """Give a packaged network as what inverts a tile."""
    version = _version_of(response, log_temperature_edges)
    with quiet_start():
        from network_models.dem_regression.inversion import invert_with_network

    def solve(dn: np.ndarray, sigma: np.ndarray, saturated: np.ndarray) -> EmissionMeasure:
        options = {"size": size, "version": version, "n_jobs": n_jobs, "run": run or None}
        return invert_with_network(dn, sigma, saturated=saturated, **options)

    return solve


def _deepem(response: np.ndarray, log_temperature_edges: np.ndarray) -> TileSolver:
    """Give the packaged DeepEM as what inverts a tile."""
    _version_of(response, log_temperature_edges)
    with quiet_start():
        from network_models.dem_regression.deepem.inversion import invert_with_deepem

    def solve(dn: np.ndarray, sigma: np.ndarray, saturated: np.ndarray) -> EmissionMeasure:
        return invert_with_deepem(dn, sigma, response, saturated=saturated)

    return solve


def _version_of(response: np.ndarray, log_temperature_edges: np.ndarray) -> str:
    """Give the version of AIA's responses that a network must be told."""
    if np.shape(log_temperature_edges) == LOG_T_EDGES.shape and np.allclose(
        log_temperature_edges, LOG_T_EDGES
    ):
        for version in RESPONSE_VERSIONS:
            if np.shape(response) == (6, len(LOG_T_EDGES) - 1) and np.allclose(
                response, bin_response(LOG_T_EDGES, version=version), rtol=1e-3, atol=0
            ):
                return version
    raise ValueError(
        "the networks know AIA's own six responses, without loss of throughput, in 18 bins of "
        "log T 5.45 to 7.25; for other bins, instruments or --degradation response take another "
        "--method"
    )
