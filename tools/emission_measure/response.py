"""Temperature responses of the AIA channels on any grid of temperatures."""

from __future__ import annotations

from functools import cache

import numpy as np

from tools.tables import read_table

__all__ = [
    "FILTER_LOG_T",
    "RESPONSE_CHANNELS",
    "RESPONSE_VERSIONS",
    "aia_response",
    "bin_response",
    "temperature_filters",
]

RESPONSE_CHANNELS = (94, 131, 171, 193, 211, 335)  # angstrom
RESPONSE_VERSIONS = (
    "v10",
    "v10_evenorm",
    "v10_evenorm_chiantifix",
    "v10_evenorm_noblend",
    "v9_evenorm",
)
_POINTS_PER_BIN = 10
FILTER_LOG_T = np.array([5.85, 6.10, 6.35, 6.60, 6.85, 7.10])
_FILTER_WIDTH_DEX = 0.12


@cache
def _tables() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    columns, rows = read_table("aia_temperature_response")
    values = np.array(rows, float)
    tables = {
        version: values[:, [columns.index(f"{version}:{c}") for c in RESPONSE_CHANNELS]].T
        for version in RESPONSE_VERSIONS
    }
    return values[:, 0], tables


def aia_response(
    log_temperature: np.ndarray, *, version: str = "v10_evenorm_chiantifix"
) -> np.ndarray:
    """Give AIA's responses to plasma of single temperatures.

    Parameters
    ----------
    log_temperature : (temperature,) float
        log10 of K, 4 to 9.
    version : str
        One of ``RESPONSE_VERSIONS``.

    Returns
    -------
    (6, temperature) float64
        DN cm5 s-1 pix-1 for the channels of ``RESPONSE_CHANNELS`` and full-resolution pixels,
        interpolated in the logarithm of the response. Without degradation: correct the data.

    Raises
    ------
    ValueError
        If the version is unknown or a temperature lies outside the table.
    """
    if version not in RESPONSE_VERSIONS:
        raise ValueError(
            f"expected a response version of {', '.join(RESPONSE_VERSIONS)}, got {version!r}"
        )
    log_temperature = np.asarray(log_temperature, float)
    grid, tables = _tables()
    if log_temperature.min() < grid[0] or log_temperature.max() > grid[-1]:
        raise ValueError(
            f"the responses are known from log T {grid[0]} to {grid[-1]}, asked for "
            f"{log_temperature.min()} to {log_temperature.max()}"
        )
    logs = [np.interp(log_temperature, grid, row) for row in np.log(tables[version])]
    return np.exp(logs)


def bin_response(
    log_temperature_edges: np.ndarray, *, version: str = "v10_evenorm_chiantifix"
) -> np.ndarray:
    """Give the responses to emission measure spread evenly in log T over bins.

    Parameters
    ----------
    log_temperature_edges : (bin + 1,) float
        Increasing log10 of K.

    Returns
    -------
    (6, bin) float64
        DN cm5 s-1 pix-1, means over ten points in each bin.
    """
    edges = np.asarray(log_temperature_edges, float)
    inside = (np.arange(_POINTS_PER_BIN) + 0.5) / _POINTS_PER_BIN
    points = edges[:-1, None] + np.diff(edges)[:, None] * inside
    response = aia_response(points.ravel(), version=version)
    return response.reshape(len(response), *points.shape).mean(axis=2)


@cache
def temperature_filters() -> np.ndarray:
    """Give the linear combinations of the six channels that single out six temperatures.

    Each channel sees plasma of many temperatures. For emission measure in Gaussians about the
    temperatures of ``FILTER_LOG_T`` the six channels can be solved for; of other plasma the filters
    show a mixture, positive or negative. Without noise and regularisation: for images of many
    photons, and as a start for networks.

    Returns
    -------
    (temperature, 6) float64
        Factors of the channels of ``RESPONSE_CHANNELS``; the result is in DN s-1 pix-1 of that
        channel which sees this temperature best.
    """
    edges = np.linspace(5.45, 7.55, 43)
    centres = (edges[:-1] + edges[1:]) / 2
    shape = np.exp(-0.5 * ((centres - FILTER_LOG_T[:, None]) / _FILTER_WIDTH_DEX) ** 2)
    shape /= shape.sum(axis=1, keepdims=True)
    seen = bin_response(edges) @ shape.T  # (channel, temperature)
    return np.linalg.inv(seen) * seen.max(axis=0)[:, None]
