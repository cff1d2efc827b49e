"""Stokes profiles of a Milne-Eddington atmosphere in keras.ops.

The solution, parameters, units and conventions of ``tools.physics.milne_eddington``. All components
of all lines are one axis, so that the Voigt function is evaluated once for each pixel, component
and wavelength. Wavelengths are counted from each line's centre, so that single precision keeps the
profile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from network_models.physics.voigt import voigt_faraday
from tools.physics.zeeman import FE_6301, FE_6302, SpectralLine, zeeman_pattern

__all__ = ["synthesise"]

_LIGHT_KM_S = 299792.458
_ZEEMAN = 4.66864e-13  # angstrom^-1 gauss^-1, as in tools.physics.milne_eddington
_DEGREE = math.pi / 180


def synthesise(
    parameters: object,
    wavelength: np.ndarray,
    lines: Sequence[SpectralLine] = (FE_6301, FE_6302),
) -> object:
    """Return Stokes profiles (..., 4, wavelength) in the unit of the source function.

    Parameters
    ----------
    parameters : (..., 9) tensor
        In the order and units of ``tools.physics.milne_eddington.PARAMETERS``; its dtype is that
        of the result.
    wavelength : (wavelength,) float
        Angstrom.
    lines : sequence of SpectralLine

    Raises
    ------
    ValueError
        If there are not nine parameters, or there is no line.
    """
    parameters = ops.convert_to_tensor(parameters)
    if parameters.shape[-1] != 9 or not lines:
        raise ValueError(
            f"expected nine parameters in the last axis and a line or more, got shape "
            f"{tuple(parameters.shape)} and {len(lines)} lines; order them as PARAMETERS does"
        )
    field, inclination, azimuth, velocity, width, eta0, damping, constant, gradient = (
        parameters[..., k, None] for k in range(9)
    )
    h, f = _opacities(field, velocity, width, damping, wavelength, lines)
    gamma, twice = inclination * _DEGREE, 2 * _DEGREE * azimuth
    cos_gamma, sin_gamma = ops.cos(gamma), ops.sin(gamma)
    half, square = 0.5 * eta0, ops.square(sin_gamma)
    rest = 0.5 * (1 + ops.square(cos_gamma))
    h_sigma, f_sigma = 0.5 * (h[1] + h[2]), 0.5 * (f[1] + f[2])
    # elements of the propagation matrix in the frame of azimuth 0
    x = 1 + half * (h[0] * square + 2 * h_sigma * rest)
    q, v = half * (h[0] - h_sigma) * square, half * (h[2] - h[1]) * cos_gamma
    rho_q, rho_v = half * (f[0] - f_sigma) * square, half * (f[2] - f[1]) * cos_gamma
    rho, mixed = ops.square(rho_q) + ops.square(rho_v), q * rho_q + v * rho_v
    xx = ops.square(x)
    over = gradient / (xx * (xx - ops.square(q) - ops.square(v) + rho) - ops.square(mixed))
    stokes_i = constant + x * (xx + rho) * over
    turned_q, turned_u = -(xx * q + rho_q * mixed) * over, -x * (q * rho_v - v * rho_q) * over
    cos_2, sin_2 = ops.cos(twice), ops.sin(twice)
    stokes_q = turned_q * cos_2 - turned_u * sin_2
    stokes_u = turned_q * sin_2 + turned_u * cos_2
    stokes_v = -(xx * v + rho_v * mixed) * over
    return ops.stack([stokes_i, stokes_q, stokes_u, stokes_v], axis=-2)


def _opacities(field, velocity, width, damping, wavelength, lines) -> tuple[list, list]:
    """Return H and F of the pi, blue and red components, (..., wavelength) each."""
    kinds, weights, shifts, centres = [], [], [], []
    for line in lines:
        kind, strength, shift = zeeman_pattern(line)
        kinds.append(kind)
        weights.append(strength * line.strength)
        shifts.append(shift)
        centres.append(np.full(len(kind), line.wavelength))
    kind, weight, shift, centre = (
        np.concatenate(parts) for parts in (kinds, weights, shifts, centres)
    )

    def constant(values):
        return ops.convert_to_tensor(np.asarray(values, standardize_dtype(field.dtype)))

    # (component, wavelength) and (component, 1), in angstrom of the first line
    scale = lines[0].wavelength / centre
    distance = constant((np.asarray(wavelength) - centre[:, None]) * scale[:, None])
    by_field = constant((_ZEEMAN * centre**2 * shift * scale)[:, None])
    by_speed = lines[0].wavelength / _LIGHT_KM_S
    # operators of JAX arrays refuse symbolic tensors, functions don't
    split = ops.multiply(by_field, field[..., None])
    moved = ops.subtract(distance, split) - by_speed * velocity[..., None]
    profiles = voigt_faraday(damping[..., None], moved * (1e3 / width[..., None]))
    sums = constant(np.stack([weight * (kind == own) for own in range(3)]))
    h, f = (ops.matmul(sums, profile) for profile in profiles)
    return [h[..., k, :] for k in range(3)], [f[..., k, :] for k in range(3)]
