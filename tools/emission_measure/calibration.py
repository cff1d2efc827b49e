"""Error bars that cover the truth as often as they say, by factors found on simulations.

The Gaussian posterior of a regularised solution on the bins that are not 0 is too narrow: it knows
nothing of the bins it left out, nor of truths that the regularisation dislikes. ``calibrate`` finds
by which factors its bars have to be multiplied.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numba
import numpy as np

import tools.tables
from tools.emission_measure.pixels import flags_of, is_known, known_of
from tools.fitting.threads import limited_threads

__all__ = ["KNOTS", "TABLE", "apply_factors", "factors_for", "signal_to_noise"]

TABLE = Path(tools.tables.__file__).parent / "emission_measure_errors.json"
KNOTS = np.arange(0.5, 3.6, 0.5)  # log10 of the total signal to noise
_SAME = 2e-3  # how near a response has to be to the one that was calibrated


@cache
def _table() -> dict:
    if not TABLE.exists():
        return {"log_temperature_edges": [], "responses": {}}
    return json.loads(TABLE.read_text(encoding="utf-8"))


def factors_for(response: np.ndarray, edges: np.ndarray, *, two_step: bool) -> np.ndarray | None:
    """Give the factors for a response and a grid, or None if they were never calibrated.

    Parameters
    ----------
    response : (channel, bin) float
        DN cm5 s-1 pix-1.
    edges : (bin + 1,) float
        log10 of K.
    two_step : bool
        Whether weights came from a first solution.

    Returns
    -------
    (2, knot, 2, bin, 2) float64
        For pixels that do not flare and that do; for bins that are 0 and that are not; for one and
        two sigma.
    """
    table = _table()
    expected = np.array(table["log_temperature_edges"])
    if expected.shape != np.shape(edges) or not np.allclose(expected, edges, rtol=0, atol=1e-6):
        return None
    for known in table["responses"].values():
        own = np.array(known["response"])
        if own.shape == response.shape and np.allclose(own, response, rtol=_SAME, atol=0):
            return np.array(known["two steps" if two_step else "one step"])
    return None


def signal_to_noise(dn: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Give log10 of the total signal to noise, sqrt(sum (dn / sigma)^2) over known channels."""
    known = known_of(dn, sigma)
    ratio = np.where(known, dn, 0.0) / np.where(known, sigma, 1.0)
    return 0.5 * np.log10(np.maximum((ratio**2).sum(axis=-1), 1e-6))


def apply_factors(
    dn: np.ndarray,
    sigma: np.ndarray,
    left_out: np.ndarray | None,
    em: np.ndarray,
    error: np.ndarray,
    factors: np.ndarray | None,
    tilted: np.ndarray | None,
    *,
    n_jobs: int = 1,
) -> np.ndarray:
    """Make the bars of one sigma right in place; give half the width of the 95 % intervals.

    Parameters
    ----------
    dn, sigma : (pixel, channel) float
    left_out : (pixel, channel) bool, optional
    em, error : (pixel, bin) float64
    factors : (2, knot, 2, bin, 2) float64, optional
    tilted : (pixel,) float, optional
        How far a pixel looks like a flare (``flare_share``); needed with factors.
    n_jobs : int

    Returns
    -------
    (pixel, bin) float64

    Notes
    -----
    Without factors the bars stay as they are, and the intervals are twice as wide.
    """
    wide = np.empty_like(error)
    if factors is None:
        np.multiply(error, 2.0, out=wide)
        return wide
    with limited_threads(n_jobs):
        _apply(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            flags_of(left_out, dn.shape[1]),
            em,
            error,
            wide,
            np.ascontiguousarray(factors),
            np.ascontiguousarray(tilted, float),
            KNOTS[0],
            KNOTS[1] - KNOTS[0],
        )
    return wide


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _apply(dn, sigma, left_out, em, error, wide, factors, tilted, first, apart):
    n_bins, n_knots = em.shape[1], factors.shape[1]
    for p in numba.prange(len(em)):
        square = 0.0
        for i in range(dn.shape[1]):
            is_out = len(left_out) > 0 and left_out[p, i] != 0
            if is_known(dn[p, i], sigma[p, i]) and not is_out:
                square += (dn[p, i] / sigma[p, i]) ** 2
        place = (0.5 * np.log10(max(square, 1e-6)) - first) / apart
        place = min(max(place, 0.0), n_knots - 1.0)
        k = min(int(place), n_knots - 2)
        part, flares = place - k, tilted[p]
        low, high = (1.0 - flares) * (1.0 - part), (1.0 - flares) * part
        for j in range(n_bins):
            state = 1 if em[p, j] > 0.0 else 0
            one = low * factors[0, k, state, j, 0] + high * factors[0, k + 1, state, j, 0]
            two = low * factors[0, k, state, j, 1] + high * factors[0, k + 1, state, j, 1]
            if flares > 0.0:
                before, after = flares * (1.0 - part), flares * part
                one += before * factors[1, k, state, j, 0] + after * factors[1, k + 1, state, j, 0]
                two += before * factors[1, k, state, j, 1] + after * factors[1, k + 1, state, j, 1]
            narrow = error[p, j]
            error[p, j], wide[p, j] = narrow * one, narrow * two
