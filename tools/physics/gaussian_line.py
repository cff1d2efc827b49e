"""Spectral lines as sums of Gaussians on a polynomial continuum, with derivatives; compiled fit.

I(l) = sum_c a_c exp(-(l - l_c)^2 / (2 w_c^2)) + b_0 + b_1 (l - l_m), l_m the middle of the axis. Parameters
stand in the order a, l, w of each component, then the continuum. Widths are standard deviations,
not Doppler widths (sqrt 2 larger) or full widths at half maximum (2.3548 times).
"""

from __future__ import annotations

import numba
import numpy as np

from tools.fitting.levenberg_marquardt import pixel_fitter
from tools.physics.fast_exponential import exponential


@numba.njit(fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
def gaussian_kernel(theta, axis, settings, values, derivatives):
    """Write values (wavelength,) and derivatives (parameter, wavelength); compiled.

    settings[0] is the number of components, settings[1] that of the continuum's terms.
    """
    n_lines, n_terms = int(settings[0]), int(settings[1])
    n = len(axis)
    base = 3 * n_lines
    slope = theta[base + 1] if n_terms > 1 else 0.0
    level = theta[base] if n_terms > 0 else 0.0
    middle = settings[2]
    for k in range(n):
        values[k] = level + slope * (axis[k] - middle)
    for c in range(n_lines):
        height, centre, over = theta[3 * c], theta[3 * c + 1], 1.0 / theta[3 * c + 2]
        shape, shift, wide = (
            derivatives[3 * c],
            derivatives[3 * c + 1],
            derivatives[3 * c + 2],
        )
        for k in range(n):
            u = (axis[k] - centre) * over
            e = exponential(-0.5 * u * u)
            shape[k] = e
            moved = height * e * u * over
            shift[k] = moved
            wide[k] = moved * u
            values[k] += height * e


_fit_pixel = pixel_fitter(gaussian_kernel)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def fit_all(
    axis,
    settings,
    data,
    weight,
    noise,
    theta,
    lower,
    upper,
    source,
    scale,
    offset,
    free,
    steps,
    tolerance,
):
    n, k = data.shape
    p = theta.shape[1]
    misfit, flags, used = np.empty(n), np.zeros(n, np.uint16), np.zeros(n, np.int64)
    covariance = np.full((n, len(free), len(free)), np.nan)
    chunk = 64
    for block in numba.prange((n + chunk - 1) // chunk):
        J = np.empty((p, k))
        J[3 * int(settings[0])] = 1.0
        work = (np.empty(k), J, np.empty((2, k)), np.empty((3, p, p)), np.empty((4, p)))
        for i in range(block * chunk, min((block + 1) * chunk, n)):
            misfit[i], flags[i], used[i] = _fit_pixel(
                axis,
                settings,
                data[i],
                weight[i],
                noise,
                theta[i],
                lower,
                upper,
                source,
                scale,
                offset,
                free,
                steps,
                tolerance,
                work,
                covariance[i],
            )
    return misfit, flags, used, covariance
