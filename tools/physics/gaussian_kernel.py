"""Gaussians on a polynomial continuum with their derivatives; the compiled loop of their fits."""

from __future__ import annotations

import numba
import numpy as np

from tools.fitting.flags import FitFlag
from tools.fitting.levenberg_marquardt import POISSON, pixel_fitter
from tools.physics.fast_exponential import exponential
from tools.physics.line_moments import write_line_starts

__all__ = ["fit_gaussian_rows", "gaussian_kernel"]

_NO_DATA, _POOR_FIT = int(FitFlag.NO_DATA), int(FitFlag.POOR_FIT)
_SATURATED, _UNRESOLVED = int(FitFlag.SATURATED), int(FitFlag.UNRESOLVED)
_NEGATIVE, _DEGENERATE = int(FitFlag.NEGATIVE_CONTINUUM), int(FitFlag.DEGENERATE)
_CHUNK = 64  # pixels that share a thread's work space
_NEAR, _CLOSE = 0.08, 0.6  # of the range: beside a given centre; bounds that say where to look
# a width below the first share of the sampling has one or two values above the continuum; below the
# second it has if both neighbours are empty: a Gaussian of that width would leave them 36 %
_SURELY_UNRESOLVED, _MAYBE_UNRESOLVED, _EMPTY = 0.5, 0.7, 0.2


@numba.njit(fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
def gaussian_kernel(theta, axis, settings, values, derivatives):
    """Write values (wavelength,) and derivatives (parameter, wavelength); compiled.

    The axis counts from the continuum's reference. settings[0] is the number of components,
    settings[1] that of the continuum's terms.
    """
    n_lines, n_terms = int(settings[0]), int(settings[1])
    n = len(axis)
    base = 3 * n_lines
    for k in range(n):
        values[k] = theta[base] if n_terms > 0 else 0.0
    for term in range(n_terms):
        power, factor = derivatives[base + term], theta[base + term]
        if term == 0:
            for k in range(n):
                power[k] = 1.0
        else:
            last = derivatives[base + term - 1]
            for k in range(n):
                power[k] = last[k] * axis[k]
                values[k] += factor * power[k]
    for c in range(n_lines):
        height, centre, over = theta[3 * c], theta[3 * c + 1], 1.0 / theta[3 * c + 2]
        shape, shift, wide = derivatives[3 * c], derivatives[3 * c + 1], derivatives[3 * c + 2]
        for k in range(n):
            u = (axis[k] - centre) * over
            e = exponential(-0.5 * u * u)
            shape[k] = e
            moved = height * e * u * over
            shift[k] = moved
            wide[k] = moved * u
            values[k] += height * e


_fit_pixel = pixel_fitter(gaussian_kernel)


@numba.njit(error_model="numpy")
def _read_pixel(row, error, noise, saturation, data, weight):
    """Write data and weights of a pixel; return how many values count and whether any is full."""
    used, is_full = 0, False
    for k in range(len(row)):
        value, s = row[k], error[k]
        good = np.isfinite(value) and s > 0 and np.isfinite(s)
        good = good and not (noise == POISSON and value < 0)
        if good and value >= saturation:
            is_full, good = True, False
        data[k] = value if good else 0.0
        weight[k] = 0.0
        if good:
            used += 1
            weight[k] = 1.0 if noise == POISSON else 1.0 / (s * s)
    return used, is_full


@numba.njit(error_model="numpy")
def _write_limits(axis, own, lower, upper, n_lines, limits):
    """Write where lines are looked for: near a centre that is given, or within close bounds."""
    n = len(axis)
    span = axis[n - 1] - axis[0]
    reach = max(3.0 * span / (n - 1), _NEAR * span)
    for c in range(n_lines):
        low, high, at = lower[3 * c + 1], upper[3 * c + 1], own[3 * c + 1]
        limits[c, 0], limits[c, 1] = -np.inf, np.inf
        if high - low < _CLOSE * span:
            limits[c, 0], limits[c, 1] = low, high
        elif not np.isnan(at):
            limits[c, 0], limits[c, 1] = max(at - reach, low), min(at + reach, high)


@numba.njit(error_model="numpy")
def _width_flag(theta, axis, data, weight, signs, settings, source, has_errors):
    """Return UNRESOLVED if a free width is too small against the sampling to be known."""
    n, n_lines = len(axis), int(settings[0])
    for c in range(n_lines):
        if source[3 * c + 2] < 0:
            continue
        centre, width = theta[3 * c + 1], theta[3 * c + 2]
        m = min(max(np.searchsorted(axis, centre), 1), n - 1)
        step = axis[m] - axis[m - 1]
        if width < _SURELY_UNRESOLVED * step:
            return _UNRESOLVED
        if width >= _MAYBE_UNRESOLVED * step:
            continue
        near = m if abs(axis[m] - centre) < abs(axis[m - 1] - centre) else m - 1
        level = theta[3 * n_lines] if settings[1] > 0 else 0.0
        sign = signs[c]
        peak, are_empty = sign * (data[near] - level), True
        for k in (near - 1, near + 1):
            if 0 <= k < n and weight[k] > 0:
                noise = 3.0 / np.sqrt(weight[k]) if has_errors else 0.0
                if sign * (data[k] - level) > max(noise, _EMPTY * peak):
                    are_empty = False
        if are_empty:
            return _UNRESOLVED
    return 0


@numba.njit(error_model="numpy")
def _is_poor(misfit, data, weight, degrees, has_errors):
    """Return whether a fit misses its data: by the noise, or by half of their variance."""
    if degrees <= 0:
        return False
    if has_errors:  # five sigma of chi2, and 20 % for what counts and errors are not known to
        return misfit / degrees > 1.2 + 5.0 * np.sqrt(2.0 / degrees)
    total, squares, used = 0.0, 0.0, 0
    for k in range(len(data)):
        if weight[k] > 0:
            total += data[k]
            used += 1
    for k in range(len(data)):
        if weight[k] > 0:
            squares += (data[k] - total / used) ** 2
    return misfit > 0.5 * squares


@numba.njit(parallel=True, cache=True, error_model="numpy")
def fit_gaussian_rows(
    axes,
    settings,
    rows,
    errors,
    noise,
    has_errors,
    given,
    lower,
    upper,
    source,
    scale,
    offset,
    free,
    sign,
    starts,
    saturation,
    largest_steps,
    tolerance,
):
    """Fit each row; compiled. Return values, errors, misfits, degrees of freedom, flags, steps.

    Parameters
    ----------
    axes, errors, given : (1 or spectrum, ...) float64
        Wavelengths from the reference; errors of one sigma; starts (NaN: to be found).
    settings : (2,) float64
        Of ``gaussian_kernel``.
    rows : (spectrum, wavelength) float32 or float64
    noise, lower, upper, source, scale, offset, free, largest_steps, tolerance
        Of ``pixel_fitter``.
    has_errors : bool
        Otherwise errors of parameters follow from the residuals.
    sign : float
        1 for emission, -1 for absorption.
    starts : int
        The best of so many is kept.
    saturation : float
        Values from here on are left out.
    """
    n, k = rows.shape
    p, n_free, n_lines, n_terms = len(lower), len(free), int(settings[0]), int(settings[1])
    signs = np.full(n_lines, sign)
    for c in range(n_lines):  # bounds may let a line go against the others
        if lower[3 * c] >= 0:
            signs[c] = 1.0
        elif upper[3 * c] <= 0:
            signs[c] = -1.0
    theta, error = np.full((n, p), np.nan), np.full((n, p), np.nan)
    misfit, degrees = np.full(n, np.nan), np.zeros(n, np.int64)
    flags, steps = np.zeros(n, np.uint16), np.zeros(n, np.int64)
    for block in numba.prange((n + _CHUNK - 1) // _CHUNK):
        work = (
            np.empty(k),
            np.empty((p, k)),
            np.empty((2, k)),
            np.empty((3, p, p)),
            np.empty((4, p)),
        )
        data, weight, rest = np.empty(k), np.empty(k), np.empty(k)
        covariance, kept = np.empty((n_free, n_free)), np.empty(n_free)
        trial, limits = np.empty(p), np.empty((n_lines, 2))
        for i in range(block * _CHUNK, min((block + 1) * _CHUNK, n)):
            axis = axes[i if len(axes) > 1 else 0]
            own = given[i if len(given) > 1 else 0]
            used, is_full = _read_pixel(
                rows[i], errors[i if len(errors) > 1 else 0], noise, saturation, data, weight
            )
            flag = _SATURATED if is_full else 0
            if used < n_free:
                flags[i] = flag | _NO_DATA
                continue
            _write_limits(axis, own, lower, upper, n_lines, limits)
            best, best_flag = np.inf, _DEGENERATE
            for way in range(starts):
                write_line_starts(
                    axis, data, weight, signs, n_lines, n_terms, limits, way, rest, trial
                )
                for q in range(p):
                    is_place = q < 3 * n_lines and q % 3 == 1 and source[q] >= 0
                    if not np.isnan(own[q]) and not (is_place and way > 0):
                        trial[q] = own[q]
                value, state, n_steps = _fit_pixel(
                    axis,
                    settings,
                    data,
                    weight,
                    noise,
                    trial,
                    lower,
                    upper,
                    source,
                    scale,
                    offset,
                    free,
                    largest_steps,
                    tolerance,
                    work,
                    covariance,
                )
                if value < best:
                    best, best_flag, steps[i] = value, state, n_steps
                    for q in range(p):
                        theta[i, q] = trial[q]
                    for a in range(n_free):
                        kept[a] = covariance[a, a]
            degrees[i] = used - n_free
            flag |= best_flag
            if not best < np.inf:
                flags[i] = flag | _NO_DATA
                continue
            misfit[i] = best
            unit = 1.0 if has_errors else np.sqrt(best / max(degrees[i], 1))
            for q in range(p):
                s = source[q]
                error[i, q] = abs(scale[q]) * np.sqrt(kept[s]) * unit if s >= 0 else 0.0
                if not np.isfinite(error[i, q]):
                    error[i, q] = np.nan
                    flag |= _DEGENERATE
            flag |= _width_flag(theta[i], axis, data, weight, signs, settings, source, has_errors)
            if _is_poor(best, data, weight, degrees[i], has_errors):
                flag |= _POOR_FIT
            if sign < 0 and n_terms > 0 and not theta[i, 3 * n_lines] > 0:
                flag |= _NEGATIVE
                theta[i] = np.nan
                error[i] = np.nan
            flags[i] = flag
    return theta, error, misfit, degrees, flags, steps
