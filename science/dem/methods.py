"""The ways from channels to emission measure that the commands offer, each by its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tools.command_line import quiet_start
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import METHODS, EmissionMeasure, invert
from tools.emission_measure.response_table import ResponseTable

__all__ = ["TileSolver", "bounds_of", "method_names", "solver_of"]

_NETWORKS = {"network": "accurate", "network-fast": "fast"}  # packaged sizes
_DEEPEM = "deepem"
_BOUNDS = {"tikhonov": ("error_95",)} | {name: ("low", "high") for name in _NETWORKS}
TileSolver = Callable[[np.ndarray, np.ndarray, np.ndarray], EmissionMeasure]


def method_names() -> tuple[str, ...]:
    """Return the names of all methods; the first is the default."""
    return (*METHODS, *_NETWORKS, _DEEPEM)


def bounds_of(method: str) -> tuple[str, ...]:
    """Return the names of the bounds that a method has in ``extra`` beside its errors."""
    return _BOUNDS.get(method, ())


def solver_of(
    method: str,
    table: ResponseTable,
    log_temperature_edges: np.ndarray,
    *,
    n_jobs: int,
    run: str = "",
) -> TileSolver:
    """Return what inverts a tile; made once for a map, so that a method may load what it needs.

    Parameters
    ----------
    method : str
        One of ``method_names``.
    table : ResponseTable
        Of the data's channels.
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
    if run and method not in _NETWORKS:
        raise ValueError(f"--run goes with --method network, not with {method}")
    if method in _NETWORKS or method == _DEEPEM:
        _require_known_response(table, log_temperature_edges)
    if method in _NETWORKS:
        return _network(_NETWORKS[method], table.version, n_jobs, run)
    response = table.in_bins(log_temperature_edges)
    if method == _DEEPEM:
        return _deepem(response)

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


def _network(size: str, version: str, n_jobs: int, run: str) -> TileSolver:
    """Return a packaged network, or a run's, as what inverts a tile."""
    with quiet_start():
        from network_models.dem_regression.inversion import invert_with_network

    def solve(dn: np.ndarray, sigma: np.ndarray, saturated: np.ndarray) -> EmissionMeasure:
        options = {"size": size, "version": version, "n_jobs": n_jobs, "run": run or None}
        return invert_with_network(dn, sigma, saturated=saturated, **options)

    return solve


def _deepem(response: np.ndarray) -> TileSolver:
    """Return the packaged DeepEM as what inverts a tile."""
    with quiet_start():
        from network_models.dem_regression.deepem.inversion import invert_with_deepem

    def solve(dn: np.ndarray, sigma: np.ndarray, saturated: np.ndarray) -> EmissionMeasure:
        return invert_with_deepem(dn, sigma, response, saturated=saturated)

    return solve


def _require_known_response(table: ResponseTable, log_temperature_edges: np.ndarray) -> None:
    """Raise a ValueError if the networks know another response, or other bins."""
    edges = np.asarray(log_temperature_edges, float)
    own_bins = edges.shape == LOG_T_EDGES.shape and np.allclose(edges, LOG_T_EDGES)
    if not table.version or not own_bins:
        raise ValueError(
            "the networks know AIA's own six responses, without loss of throughput, in 18 bins of "
            "log T 5.45 to 7.25; for other bins, instruments or --degradation response take "
            "another --method"
        )
