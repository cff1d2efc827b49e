"""What stands before and behind a network in an inversion, compiled: its input and its result.

A tile has its pixels in the last axis, as the network takes them; data and results have them first.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["LARGEST_BEYOND", "MODEL_ERROR", "fill_input", "fill_result"]

N_BINS, N_CHANNELS = 18, 6
MODEL_ERROR = 0.05  # of a brightness: what bins and responses may be wrong by
LARGEST_BEYOND = 3.0  # mean square of misfits in units of noise and model error
_BLOCK = 64  # pixels whose results stay in the cache while they are turned round


@numba.njit(nogil=True, cache=True)
def fill_input(dn, sigma, left_out, missing_sigma, tile):
    """Write brightness and errors of pixels into a tile; give which channels were seen.

    dn, sigma: (pixel, 6); left_out: (pixel, 6) bool; tile: (17, pixel). Returns (pixel, 6) bool.
    """
    seen = np.empty(dn.shape, np.bool_)
    for p in range(len(dn)):
        for c in range(N_CHANNELS):
            y, s = dn[p, c], sigma[p, c]
            good = np.isfinite(y) and np.isfinite(s) and s > 0 and not left_out[p, c]
            seen[p, c] = good
            tile[c, p] = y if good else 0.0
            tile[N_CHANNELS + c, p] = s if good else missing_sigma
    return seen


@numba.njit(nogil=True, cache=True, error_model="numpy")
def fill_result(
    output, tile, seen, unit, levels, limits, most, codes, em, low, high, error, model, chi2, status
):
    """Turn a network's output (60, pixel) into emission measure with interval, chi2 and status.

    levels, limits: of signal over noise, and the largest chi2 of each; most: largest total; codes:
    statuses of a pixel that is good, unlike training, without data, without signal, not fitted.
    em, low, high, error: (pixel, 18) float32, cm-5; error is half of the interval.
    """
    zero, half = np.float32(0), np.float32(0.5)
    total = np.empty(_BLOCK, np.float64)
    known = np.empty(_BLOCK, np.float32)  # 1 where there are data
    for first in range(0, len(em), _BLOCK):
        n = min(_BLOCK, len(em) - first)
        for k in range(n):
            known[k] = 1.0 if seen[first + k].any() else 0.0
        total[:] = 0.0
        for j in range(N_BINS):
            for k in range(n):
                p = first + k
                x = output[j, p] * known[k]
                total[k] += x
                em[p, j] = x * unit
                below = max(x - output[N_BINS + j, p], zero) * unit
                above = (x + output[2 * N_BINS + j, p]) * known[k] * unit
                low[p, j] = below
                high[p, j] = above
                error[p, j] = (above - below) * half
        for k in range(n):
            p = first + k
            n_seen, misfit, beyond, signal = 0, 0.0, 0.0, 0.0
            for c in range(N_CHANNELS):
                value = output[3 * N_BINS + c, p]
                model[p, c] = value
                if seen[p, c]:
                    y, s = tile[c, p], tile[N_CHANNELS + c, p]
                    away = (value - y) / s
                    misfit += away * away
                    own = MODEL_ERROR * y
                    beyond += (value - y) ** 2 / (s * s + own * own)
                    signal = max(signal, y / s)
                    n_seen += 1
            if n_seen == 0:
                chi2[p], status[p] = np.nan, codes[2]
                continue
            chi2[p] = misfit / n_seen
            level = 0
            while level < len(levels) and signal >= levels[level]:
                level += 1
            unlike = chi2[p] > limits[level] or total[k] > most or n_seen < N_CHANNELS - 1
            if signal <= 0:
                status[p] = codes[3]
            elif unlike:
                status[p] = codes[1]
            else:
                status[p] = codes[4] if beyond / n_seen > LARGEST_BEYOND else codes[0]
