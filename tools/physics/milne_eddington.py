"""Stokes profiles of a Milne-Eddington atmosphere with their nine derivatives; compiled.

The solution of Unno (1956) and Rachkovsky (1962) for a source function S0 + S1 tau, magneto-optical
effects included; any number of lines and blends, which share the atmosphere. Voigt and
Faraday-Voigt functions are evaluated once for each Zeeman component and wavelength; derivatives
follow in closed form (Orozco Suarez & del Toro Iniesta 2007, A&A 462, 1137). In the frame in which
the azimuth is 0 only five elements of the propagation matrix are left; Q and U are turned at last.

Conventions: B_los = B cos(inclination) > 0 towards the observer, where V of an absorption line is
positive in its blue wing; velocities > 0 away from the observer (red); azimuth from +Q towards +U.
``eta0`` multiplies H(a, v), so that it is the ratio of line and continuum opacity at the centre of
an unsplit line without damping.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np

from tools.fitting.threads import limited_threads
from tools.physics.voigt import voigt_and_derivatives, voigt_faraday
from tools.physics.zeeman import FE_6301, FE_6302, SpectralLine, zeeman_pattern

__all__ = [
    "PARAMETERS",
    "UNITS",
    "hinode_wavelengths",
    "line_settings",
    "milne_eddington_kernel",
    "synthesise",
    "synthesise_with_derivatives",
]

PARAMETERS = (
    "field_strength",
    "inclination",
    "azimuth",
    "velocity",
    "doppler_width",
    "eta0",
    "damping",
    "source_constant",
    "source_gradient",
)
UNITS = ("G", "deg", "deg", "km/s", "mAngstrom", "", "", "", "")
_LIGHT_KM_S = 299792.458
_ZEEMAN = 4.66864e-13  # angstrom^-1 gauss^-1
_DEGREE = math.pi / 180
_N_PROFILES = 8  # H, F, their derivatives by v, by v times shift (field), by v times v (width)
_FAST = {"reassoc", "contract", "nsz", "arcp"}


def hinode_wavelengths() -> np.ndarray:
    """Return the 112 wavelengths of Hinode/SP, 6300.892 to 6303.267 angstrom."""
    return np.linspace(6300.892, 6303.267, 112)


def line_settings(lines: Sequence[SpectralLine] = (FE_6301, FE_6302)) -> np.ndarray:
    """Return lines as the numbers that the compiled kernel reads.

    Raises
    ------
    ValueError
        If there is no line.
    """
    if not lines:
        raise ValueError("expected at least one spectral line")
    numbers: list[float] = [float(len(lines))]
    for line in lines:
        pattern = zeeman_pattern(line)
        numbers += [line.wavelength, line.strength, float(len(pattern[0]))]
        for component in zip(*pattern, strict=True):
            numbers += [float(number) for number in component]
    return np.array(numbers)


@numba.njit(fastmath=_FAST, error_model="numpy")
def milne_eddington_kernel(theta, axis, settings, values, derivatives):
    """Write Stokes values (4 * wavelength,) and derivatives (9, 4 * wavelength); compiled.

    Parameters
    ----------
    theta : (9,) float64
        In the order and units of ``PARAMETERS``.
    axis : (wavelength,) float64
        Angstrom.
    settings : (number,) float64
        Of ``line_settings``.
    values, derivatives : arrays
        Written: all of I, then Q, U and V.
    """
    profiles = np.zeros((3, _N_PROFILES, len(axis)))
    _add_profiles(theta, axis, settings, profiles)
    _transfer(theta, settings[1], len(axis), profiles, values, derivatives)


@numba.njit(fastmath=_FAST, error_model="numpy")
def _add_profiles(theta, axis, settings, profiles):
    """Add every component to the profiles of its kind: H, F and their derivatives."""
    n = len(axis)
    field, speed, damping = theta[0], theta[3], theta[6]
    first, n_lines, at = settings[1], int(settings[0]), 1
    for _ in range(n_lines):
        centre, strength, n_components = settings[at], settings[at + 1], int(settings[at + 2])
        at += 3
        over = first / (theta[4] * 1e-3 * centre)
        moved = centre * (1.0 + speed / _LIGHT_KM_S)
        split = _ZEEMAN * centre * centre
        for _ in range(n_components):
            own = profiles[int(settings[at])]
            weight, shift = settings[at + 1] * strength, settings[at + 2] * split
            at += 3
            here, by_field = moved + shift * field, -shift * over
            h_row, f_row, hv_row, fv_row = own[0], own[1], own[2], own[3]
            hb_row, fb_row, hw_row, fw_row = own[4], own[5], own[6], own[7]
            for k in range(n):
                v = (axis[k] - here) * over
                h, f, h_v, f_v = voigt_and_derivatives(damping, v)
                h_v *= weight
                f_v *= weight
                h_row[k] += weight * h
                f_row[k] += weight * f
                hv_row[k] += h_v
                fv_row[k] += f_v
                hb_row[k] += h_v * by_field
                fb_row[k] += f_v * by_field
                hw_row[k] += h_v * v
                fw_row[k] += f_v * v


@numba.njit(fastmath=_FAST, error_model="numpy")
def _transfer(theta, first, n, profiles, values, derivatives):
    """Write the solution of the transfer equation and its derivatives from the profiles."""
    gamma, chi = theta[1] * _DEGREE, theta[2] * _DEGREE
    eta0, constant, gradient = theta[5], theta[7], theta[8]
    cos_g, sin_g = math.cos(gamma), math.sin(gamma)
    cos_2, sin_2 = math.cos(2 * chi), math.sin(2 * chi)
    half, square, rest = 0.5 * eta0, sin_g * sin_g, 0.5 * (1 + cos_g * cos_g)
    # d/dv (velocity) and d/dw (width) of v = (l - l0 (1 + V / c)) / w: the same for every line
    by_speed = -first / (_LIGHT_KM_S * theta[4] * 1e-3)
    by_width = -1.0 / theta[4]
    turn, over_eta = _DEGREE * eta0 * sin_g * cos_g, 1.0 / eta0
    pi, blue, red = profiles[0], profiles[1], profiles[2]
    for k in range(n):
        # elements of the propagation matrix in the frame of azimuth 0
        h_p, h_b, h_r = pi[0, k], blue[0, k], red[0, k]
        f_p, f_b, f_r = pi[1, k], blue[1, k], red[1, k]
        h_s, f_s = 0.5 * (h_b + h_r), 0.5 * (f_b + f_r)
        x = 1.0 + half * (h_p * square + 2 * h_s * rest)
        q, v = half * (h_p - h_s) * square, half * (h_r - h_b) * cos_g
        rq, rv = half * (f_p - f_s) * square, half * (f_r - f_b) * cos_g
        rho, mixed, xx = rq * rq + rv * rv, q * rq + v * rv, x * x
        m = xx - q * q - v * v + rho
        over = 1.0 / (xx * m - mixed * mixed)
        n_i, n_q = x * (xx + rho) * over, (xx * q + rq * mixed) * over
        n_u, n_v = x * (q * rv - v * rq) * over, (xx * v + rv * mixed) * over
        # derivatives of the denominator, then of the four quotients, by x, q, v, rq and rv
        d_x, d_q, d_v = 2 * x * (m + xx), -2 * (q * xx + mixed * rq), -2 * (v * xx + mixed * rv)
        d_rq, d_rv = 2 * (rq * xx - mixed * q), 2 * (rv * xx - mixed * v)
        over_i = gradient * over
        i_x, i_q, i_v = 3 * xx + rho - n_i * d_x, -n_i * d_q, -n_i * d_v
        i_rq, i_rv = 2 * x * rq - n_i * d_rq, 2 * x * rv - n_i * d_rv
        q_x, q_q, q_v = 2 * x * q - n_q * d_x, xx + rq * rq - n_q * d_q, rq * rv - n_q * d_v
        q_rq, q_rv = mixed + rq * q - n_q * d_rq, rq * v - n_q * d_rv
        u_x, u_q, u_v = q * rv - v * rq - n_u * d_x, x * rv - n_u * d_q, -x * rq - n_u * d_v
        u_rq, u_rv = -x * v - n_u * d_rq, x * q - n_u * d_rv
        v_x, v_q, v_v = 2 * x * v - n_v * d_x, rv * rq - n_v * d_q, xx + rv * rv - n_v * d_v
        v_rq, v_rv = rv * q - n_v * d_rq, mixed + rv * v - n_v * d_rv
        stokes_q, stokes_u = -gradient * n_q, -gradient * n_u
        values[k] = constant + gradient * n_i
        values[n + k] = stokes_q * cos_2 - stokes_u * sin_2
        values[2 * n + k] = stokes_q * sin_2 + stokes_u * cos_2
        values[3 * n + k] = -gradient * n_v
        derivatives[7, k] = 1.0
        derivatives[7, n + k] = 0.0
        derivatives[7, 2 * n + k] = 0.0
        derivatives[7, 3 * n + k] = 0.0
        derivatives[8, k] = n_i
        derivatives[8, n + k] = -(n_q * cos_2 - n_u * sin_2)
        derivatives[8, 2 * n + k] = -(n_q * sin_2 + n_u * cos_2)
        derivatives[8, 3 * n + k] = -n_v
        derivatives[2, k] = 0.0
        derivatives[2, n + k] = -2 * _DEGREE * values[2 * n + k]
        derivatives[2, 2 * n + k] = 2 * _DEGREE * values[n + k]
        derivatives[2, 3 * n + k] = 0.0
        for p in (0, 1, 3, 4, 5, 6):
            if p == 1:
                x_p = turn * (h_p - h_s)
                q_p, rq_p = x_p, turn * (f_p - f_s)
                v_p = -_DEGREE * half * (h_r - h_b) * sin_g
                rv_p = -_DEGREE * half * (f_r - f_b) * sin_g
            elif p == 5:
                x_p, q_p, v_p = (x - 1.0) * over_eta, q * over_eta, v * over_eta
                rq_p, rv_p = rq * over_eta, rv * over_eta
            else:
                if p == 0:
                    row_h, row_f, factor, other = 4, 5, 1.0, 1.0
                elif p == 3:
                    row_h, row_f, factor, other = 2, 3, by_speed, by_speed
                elif p == 4:
                    row_h, row_f, factor, other = 6, 7, by_width, by_width
                else:  # dH/da = -dF/dv, dF/da = dH/dv
                    row_h, row_f, factor, other = 3, 2, -1.0, 1.0
                a_p, a_b, a_r = pi[row_h, k], blue[row_h, k], red[row_h, k]
                b_p, b_b, b_r = pi[row_f, k], blue[row_f, k], red[row_f, k]
                a_s, b_s = 0.5 * (a_b + a_r), 0.5 * (b_b + b_r)
                factor *= half
                other *= half
                x_p = factor * (a_p * square + 2 * a_s * rest)
                q_p, v_p = factor * (a_p - a_s) * square, factor * (a_r - a_b) * cos_g
                rq_p, rv_p = other * (b_p - b_s) * square, other * (b_r - b_b) * cos_g
            d_i = i_x * x_p + i_q * q_p + i_v * v_p + i_rq * rq_p + i_rv * rv_p
            d_qq = q_x * x_p + q_q * q_p + q_v * v_p + q_rq * rq_p + q_rv * rv_p
            d_uu = u_x * x_p + u_q * q_p + u_v * v_p + u_rq * rq_p + u_rv * rv_p
            d_vv = v_x * x_p + v_q * q_p + v_v * v_p + v_rq * rq_p + v_rv * rv_p
            derivatives[p, k] = over_i * d_i
            derivatives[p, n + k] = -over_i * (d_qq * cos_2 - d_uu * sin_2)
            derivatives[p, 2 * n + k] = -over_i * (d_qq * sin_2 + d_uu * cos_2)
            derivatives[p, 3 * n + k] = -over_i * d_vv


@numba.njit(fastmath=_FAST, error_model="numpy")
def _synthesis_kernel(theta, axis, settings, profiles, values):
    """Write Stokes values (4 * wavelength,) alone."""
    n = len(axis)
    field, speed, damping = theta[0], theta[3], theta[6]
    first, n_lines, at = settings[1], int(settings[0]), 1
    profiles[:] = 0.0
    for _ in range(n_lines):
        centre, strength, n_components = settings[at], settings[at + 1], int(settings[at + 2])
        at += 3
        over = first / (theta[4] * 1e-3 * centre)
        moved = centre * (1.0 + speed / _LIGHT_KM_S)
        split = _ZEEMAN * centre * centre
        for _ in range(n_components):
            own = profiles[int(settings[at])]
            weight, here = settings[at + 1] * strength, moved + settings[at + 2] * split * field
            at += 3
            h_row, f_row = own[0], own[1]
            for k in range(n):
                h, f = voigt_faraday(damping, (axis[k] - here) * over)
                h_row[k] += weight * h
                f_row[k] += weight * f
    gamma, chi = theta[1] * _DEGREE, theta[2] * _DEGREE
    cos_g, sin_g = math.cos(gamma), math.sin(gamma)
    cos_2, sin_2 = math.cos(2 * chi), math.sin(2 * chi)
    half, square, rest = 0.5 * theta[5], sin_g * sin_g, 0.5 * (1 + cos_g * cos_g)
    pi, blue, red = profiles[0], profiles[1], profiles[2]
    for k in range(n):
        h_s, f_s = 0.5 * (blue[0, k] + red[0, k]), 0.5 * (blue[1, k] + red[1, k])
        x = 1.0 + half * (pi[0, k] * square + 2 * h_s * rest)
        q, v = half * (pi[0, k] - h_s) * square, half * (red[0, k] - blue[0, k]) * cos_g
        rq, rv = half * (pi[1, k] - f_s) * square, half * (red[1, k] - blue[1, k]) * cos_g
        rho, mixed, xx = rq * rq + rv * rv, q * rq + v * rv, x * x
        over = theta[8] / (xx * (xx - q * q - v * v + rho) - mixed * mixed)
        stokes_q, stokes_u = -(xx * q + rq * mixed) * over, -x * (q * rv - v * rq) * over
        values[k] = theta[7] + x * (xx + rho) * over
        values[n + k] = stokes_q * cos_2 - stokes_u * sin_2
        values[2 * n + k] = stokes_q * sin_2 + stokes_u * cos_2
        values[3 * n + k] = -(xx * v + rv * mixed) * over


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _synthesise_all(theta, axis, settings, values):
    chunk = 32
    for block in numba.prange((len(theta) + chunk - 1) // chunk):
        profiles = np.empty((3, 2, len(axis)))
        for i in range(block * chunk, min((block + 1) * chunk, len(theta))):
            _synthesis_kernel(theta[i], axis, settings, profiles, values[i])


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _derive_all(theta, axis, settings, values, derivatives):
    chunk = 32
    for block in numba.prange((len(theta) + chunk - 1) // chunk):
        for i in range(block * chunk, min((block + 1) * chunk, len(theta))):
            milne_eddington_kernel(theta[i], axis, settings, values[i], derivatives[i])


def synthesise(
    parameters: np.ndarray,
    wavelength: np.ndarray,
    lines: Sequence[SpectralLine] = (FE_6301, FE_6302),
    *,
    n_jobs: int = 2,
) -> np.ndarray:
    """Return Stokes profiles (..., 4, wavelength) in the unit of the source function.

    Parameters
    ----------
    parameters : (..., 9) float64
        In the order and units of ``PARAMETERS``.
    wavelength : (wavelength,) float64
        Angstrom.
    lines : sequence of SpectralLine
    n_jobs : int
        Threads at most.

    Raises
    ------
    ValueError
        If there are not nine parameters, or a Doppler width, eta0 or damping is not positive.
    """
    theta, axis = _checked(parameters, wavelength)
    values = np.empty((len(theta), 4 * len(axis)))
    with limited_threads(n_jobs):
        _synthesise_all(theta, axis, line_settings(lines), values)
    return values.reshape(*np.shape(parameters)[:-1], 4, len(axis))


def synthesise_with_derivatives(
    parameters: np.ndarray,
    wavelength: np.ndarray,
    lines: Sequence[SpectralLine] = (FE_6301, FE_6302),
    *,
    n_jobs: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """Return profiles as ``synthesise`` and their derivatives (..., 9, 4, wavelength).

    Derivatives are per unit of each parameter: per gauss, degree, km/s, mAngstrom.
    """
    theta, axis = _checked(parameters, wavelength)
    values = np.empty((len(theta), 4 * len(axis)))
    derivatives = np.empty((len(theta), 9, 4 * len(axis)))
    with limited_threads(n_jobs):
        _derive_all(theta, axis, line_settings(lines), values, derivatives)
    shape = np.shape(parameters)[:-1]
    return (
        values.reshape(*shape, 4, len(axis)),
        derivatives.reshape(*shape, 9, 4, len(axis)),
    )


def _checked(parameters: np.ndarray, wavelength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    theta = np.ascontiguousarray(parameters, float)
    if theta.shape[-1:] != (9,):
        raise ValueError(f"expected nine parameters in the last axis, got {theta.shape}")
    theta = theta.reshape(-1, 9)
    if not (theta[:, 4:6] > 0).all() or (theta[:, 6] < 0).any():
        raise ValueError("Doppler width and eta0 must be above 0, the damping 0 or more")
    return theta, np.ascontiguousarray(wavelength, float)
