"""What stands before and behind a network in an inversion, compiled: its input and its result.

The input's tile is (block, column, pixel), as the network takes it; all else has its pixels in the
first axis.
"""

from __future__ import annotations

import numba
import numpy as np

from network_models.dem_regression.simulated_pixels import LARGEST_SIGMA

__all__ = ["LARGEST_BEYOND", "LARGEST_DN", "MODEL_ERROR", "fill_input", "fill_result"]

N_BINS, N_CHANNELS = 18, 6
MODEL_ERROR = 0.05  # of a brightness: what bins and responses may be wrong by
LARGEST_DN = 1e7  # DN s-1 pix-1: more than AIA's cameras hold in their shortest exposures
_SMALLEST_SIGMA = 1e-6  # DN s-1 pix-1: an error below it is none
LARGEST_BEYOND = 3.0  # mean square of misfits in units of noise and model error


@numba.njit(nogil=True, cache=True)
def fill_input(dn, sigma, left_out, missing_sigma, tile):
    """Write brightness and errors of pixels into a tile; give which channels were seen.

    dn, sigma: (pixel, 6); left_out: (pixel, 6) bool; tile: (block, 17, pixel). Returns
    (pixel, 6) bool.
    """
    seen = np.empty(dn.shape, np.bool_)
    for p in range(len(dn)):
        block, k = divmod(p, tile.shape[2])
        for c in range(N_CHANNELS):
            y, s = dn[p, c], sigma[p, c]
            good = abs(y) < LARGEST_DN and _SMALLEST_SIGMA < s < LARGEST_SIGMA
            good = good and not left_out[p, c]
            seen[p, c] = good
            tile[block, c, k] = y if good else 0.0
            tile[block, N_CHANNELS + c, k] = s if good else missing_sigma
    return seen


@numba.njit(nogil=True, cache=True, error_model="numpy")
def fill_result(
    output, dn, sigma, seen, unit, levels, limits, most, codes,
    em, low, high, error, model, chi2, status,
):  # fmt: skip
    """Turn a network's output (pixel, 60) into emission measure with interval, chi2 and status.

    dn, sigma, seen: (pixel, 6). levels, limits: of signal over noise, and the largest chi2 of each;
    most: largest total; codes: statuses of a pixel that is good, unlike training, without data,
    without signal, not fitted. em, low, high, error: (pixel, 18) float32, cm-5; error is half of
    the interval.
    """
    zero, half = np.float32(0), np.float32(0.5)
    for p in range(len(em)):
        n_seen, misfit, beyond, signal, total = 0, 0.0, 0.0, 0.0, 0.0
        for c in range(N_CHANNELS):
            value = output[p, 3 * N_BINS + c]
            model[p, c] = value
            if seen[p, c]:
                y, s = dn[p, c], sigma[p, c]
                away = (value - y) / s
                misfit += away * away
                own = MODEL_ERROR * y
                beyond += (value - y) ** 2 / (s * s + own * own)
                signal = max(signal, y / s)
                n_seen += 1
        for j in range(N_BINS):
            x = output[p, j] if n_seen else zero
            total += x
            em[p, j] = x * unit
            low[p, j] = max(x - output[p, N_BINS + j], zero) * unit
            high[p, j] = (x + output[p, 2 * N_BINS + j]) * unit if n_seen else zero
        for j in range(N_BINS):
            error[p, j] = (high[p, j] - low[p, j]) * half
        if n_seen == 0:
            chi2[p], status[p] = np.nan, codes[2]
            continue
        chi2[p] = misfit / n_seen
        level = 0
        while level < len(levels) and signal >= levels[level]:
            level += 1
        unlike = chi2[p] > limits[level] or total > most or n_seen < N_CHANNELS - 1
        if signal <= 0:
            status[p] = codes[3]
        elif unlike:
            status[p] = codes[1]
        else:
            status[p] = codes[4] if beyond / n_seen > LARGEST_BEYOND else codes[0]
