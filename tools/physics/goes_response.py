"""What GOES-15's X-ray Sensor sees of hot plasma: true fluxes per emission measure."""

from __future__ import annotations

from functools import cache

import numpy as np

from tools.tables import read_table

__all__ = ["goes_flux"]


@cache
def _table() -> np.ndarray:
    """Give (temperature, 3): log10 T in K, 1-8 A flux per emission measure, channel ratio."""
    _, rows = read_table("goes15_response")
    return np.array(rows, float)


def goes_flux(log_temperature: np.ndarray) -> np.ndarray:
    """Give the true fluxes of unit emission measure, coronal abundances.

    Source: White, Thomas & Schwartz 2005, Solar Physics 227, 231; their table for GOES-15 with
    CHIANTI 10.

    Parameters
    ----------
    log_temperature : (temperature,) float
        log10 of K. Below 6.0 there is no flux to speak of, above 8.0 the table ends.

    Returns
    -------
    (2, temperature) float64
        1-8 A and 0.5-4 A, W m-2 per cm-3, on the true scale.
    """
    grid, long, ratio = _table().T
    log_temperature = np.asarray(log_temperature, float)
    if log_temperature.max() > grid[-1]:
        raise ValueError(f"the GOES response is known up to log T {grid[-1]}")
    long_flux = np.exp(np.interp(log_temperature, grid, np.log(long * 1e-55)))
    short = np.exp(np.interp(log_temperature, grid, np.log(ratio)))
    cold = log_temperature < grid[0]
    return np.where(cold, 0.0, np.array([long_flux, long_flux * short]))
