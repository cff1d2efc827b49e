"""Temperature responses of the AIA channels on any grid of temperatures."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.optimize import nnls

from tools.tables import read_table

__all__ = [
    "RESPONSE_CHANNELS",
    "RESPONSE_VERSIONS",
    "WARM_CHANNELS",
    "aia_response",
    "bin_response",
    "warm_shares",
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
WARM_CHANNELS = (171, 193, 211)  # angstrom; they see little of what is hotter than 4 MK
_WARM_EDGES = np.linspace(5.7, 6.4, 15)


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
def warm_shares(channel: int) -> tuple[float, ...]:
    """Give how much of 171, 193 and 211 A makes up what a channel sees of warm plasma.

    94 and 131 A have a warm and a hot response. The warm one is taken as a sum of the channels of
    ``WARM_CHANNELS`` with these non-negative factors, by least squares over log T 5.7 to 6.4; what
    is left of the channel shows the hot plasma (after Del Zanna 2013, A&A 558, A73, who takes
    I(94) - I(211) / 120 - I(171) / 450 for Fe XVIII).

    Parameters
    ----------
    channel : int
        94 or 131, angstrom.
    """
    response = bin_response(_WARM_EDGES)
    warm = response[[RESPONSE_CHANNELS.index(c) for c in WARM_CHANNELS]]
    shares, _ = nnls(warm.T, response[RESPONSE_CHANNELS.index(channel)])
    return tuple(float(share) for share in shares)
