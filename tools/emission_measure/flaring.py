"""Which pixels flare, told by what the channels allow before anything is inverted.

A channel alone allows ``dn / R_j`` of emission measure in bin j, and all together the least of
these (the emission measure loci). Where they allow far more in the hottest bins than where the
corona usually is, there is flaring plasma: nothing else makes 131 A so bright beside 171 to 211 A.
"""

from __future__ import annotations

import numba
import numpy as np

from tools.emission_measure.pixels import flags_of
from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.emission_measure.threads import limited_threads

__all__ = ["FLARE_RATIO", "is_flaring"]

# Of what is allowed in the hottest bins over what is allowed in the corona's: quiet Sun and active
# regions have up to 6 (7 in single exposures), flares of 10 to 16 MK 7 or more.
FLARE_RATIO = 8.0
_HOT, _CORONA = 6.95, (5.8, 6.5)  # middles of bins, log10 of K
_NEEDED = RESPONSE_CHANNELS.index(131)  # without it all plasma may be hot


def is_flaring(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    edges: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    n_jobs: int = 1,
) -> np.ndarray:
    """Say of every pixel whether it flares.

    Parameters
    ----------
    dn, sigma : (pixel, 6) float
        DN s-1 pix-1, in the order of ``RESPONSE_CHANNELS``; a channel with NaN is missing. Less
        than one sigma counts as one.
    response : (6, bin) float
        DN cm5 s-1 pix-1.
    edges : (bin + 1,) float
        log10 of K.
    left_out : (pixel, 6) bool, optional
        Channels that are missing, too.
    n_jobs : int
        Threads.

    Returns
    -------
    (pixel,) bool
        False where 131 A is missing, for nothing else tells.
    """
    centres = (edges[:-1] + edges[1:]) / 2
    with np.errstate(divide="ignore"):
        allowed = np.ascontiguousarray((1.0 / response).T)
    flaring = np.empty(len(dn), bool)
    with limited_threads(n_jobs):
        _tell(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            flags_of(left_out, dn.shape[1]),
            allowed[centres > _HOT],
            allowed[(centres > _CORONA[0]) & (centres < _CORONA[1])],
            flaring,
        )
    return flaring


@numba.njit(cache=True, error_model="numpy")
def _most(values, allowed):
    """Give the largest emission measure that is allowed in any of the bins."""
    most = 0.0
    for j in range(len(allowed)):
        least = np.inf
        for i in range(len(values)):
            if values[i] > 0.0:
                least = min(least, values[i] * allowed[j, i])
        most = max(most, least)
    return most


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _tell(dn, sigma, left_out, hot, corona, flaring):
    for p in numba.prange(len(dn)):
        values = np.zeros(dn.shape[1])  # 0 where a channel is missing
        for i in range(dn.shape[1]):
            y, s = dn[p, i], sigma[p, i]
            is_out = len(left_out) > 0 and left_out[p, i] != 0
            if np.isfinite(y) and np.isfinite(s) and s > 0.0 and not is_out:
                values[i] = max(y, s)
        flaring[p] = values[_NEEDED] > 0.0 and _most(values, hot) > FLARE_RATIO * _most(
            values, corona
        )
