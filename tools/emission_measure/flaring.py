"""Which pixels flare, told by what the channels allow before anything is inverted.

A channel alone allows ``dn / R_j`` of emission measure in bin j, and all together the least of
these (the emission measure loci). Where they allow far more in the hottest bins than where the
corona usually is, there is flaring plasma: nothing else makes 131 A so bright beside 171 to 211 A.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from tools.emission_measure.pixels import flags_of, is_known
from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.fitting.threads import limited_threads

__all__ = ["flare_share"]

# What is allowed in the hottest bins over what is allowed in the corona's: up to the first value
# nothing tells of a flare, from the second one it is taken for one.
_FROM, _TO = math.log(4.0), math.log(8.0)
_HOT, _CORONA = 6.95, (5.85, 6.45)  # between middles of bins, log10 of K
_NEEDED = RESPONSE_CHANNELS.index(131)  # without it all plasma may be hot
_ENOUGH = 1e40  # cm-5 for one DN s-1 pix-1: no limit
_CHUNKS = 64  # of pixels, shared out to threads
_DETECTED = 2.0  # sigma of it that don't count: an upper limit is no sign of hot plasma


def flare_share(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    edges: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    n_jobs: int = 1,
) -> np.ndarray:
    """Say of every pixel how far it looks like a flare.

    Parameters
    ----------
    dn, sigma : (pixel, 6) float
        DN s-1 pix-1, in the order of ``RESPONSE_CHANNELS``; a channel with NaN is missing.
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
    (pixel,) float64
        From 0, not at all, to 1. 0 where 131 A is missing or not above two sigma, for nothing else
        tells; other channels that are not above one sigma count as one.

    Raises
    ------
    ValueError
        If there are not six channels, or no bins of the corona or of flares.
    """
    centres = (edges[:-1] + edges[1:]) / 2
    is_hot, is_corona = centres > _HOT, (centres > _CORONA[0]) & (centres < _CORONA[1])
    if dn.shape[1] != len(RESPONSE_CHANNELS) or not is_hot.any() or not is_corona.any():
        raise ValueError(
            f"expected six channels, and bins from log T {_CORONA[0]} to above {_HOT}; got "
            f"{dn.shape[1]} channels and bins from {edges[0]:g} to {edges[-1]:g}"
        )
    allowed = np.full(response.shape, _ENOUGH)
    np.divide(1.0, response, out=allowed, where=response > 1.0 / _ENOUGH)
    share = np.empty(len(dn))
    with limited_threads(n_jobs):
        _tell(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            flags_of(left_out, dn.shape[1]),
            np.ascontiguousarray(allowed[:, is_hot].T),
            np.ascontiguousarray(allowed[:, is_corona].T),
            share,
            (0,) * len(RESPONSE_CHANNELS),
        )
    return share


@numba.njit(cache=True, error_model="numpy")
def _most(values, allowed, slots):
    """Give the largest emission measure that is allowed in any of the bins; allowed: (bin, 6)."""
    most = 0.0
    for j in range(len(allowed)):
        least = np.inf
        for i in range(len(slots)):
            own = values[i] * allowed[j, i]
            least = own if own < least else least
        most = least if least > most else most
    return most


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _tell(dn, sigma, left_out, hot, corona, share, slots):
    n, m = len(dn), len(slots)
    chunks = min(n, _CHUNKS)
    lowest, full = math.exp(_FROM), _TO - _FROM
    for chunk in numba.prange(chunks):
        values = np.empty(m)
        for p in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            for i in range(m):
                y, s = dn[p, i], sigma[p, i]
                known = is_known(y, s)
                if len(left_out) > 0:
                    known = known and left_out[p, i] == 0
                values[i] = max(y, s) if known else np.inf  # which allows all
            share[p] = 0.0
            if values[_NEEDED] == np.inf:
                continue
            usual = _most(values, corona, slots)
            values[_NEEDED] = max(dn[p, _NEEDED] - _DETECTED * sigma[p, _NEEDED], 0.0)
            above = _most(values, hot, slots)
            if above > lowest * usual:
                share[p] = min((math.log(above / usual) - _FROM) / full, 1.0)
