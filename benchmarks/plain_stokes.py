"""Stokes profiles of a Milne-Eddington atmosphere in plain complex numpy, to check faster code.

Written from Landi Degl'Innocenti & Landolfi (2004, Polarization in Spectral Lines) alone: Zeeman
components from Wigner's 3j symbols by Racah's formula (2.6.2, 3.3.2), the elements of the
propagation matrix from 9.2, and the emergent Stokes vector S0 e + S1 K^-1 e from the 4 x 4 matrix
itself, solved numerically at every wavelength.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tools.physics.zeeman import SpectralLine

__all__ = ["weideman_function", "plain_stokes", "wigner_3j", "zeeman_components"]

_LIGHT_KM_S = 299792.458
_SPLITTING = 4.66864e-13  # e / (4 pi m c^2), angstrom^-1 gauss^-1
_TERMS = 16


def weideman_function(z: np.ndarray) -> np.ndarray:
    """Return the expansion of w(z) = H + iF, z = v + ia, of Weideman (1994), table I."""
    half = 2 * _TERMS
    length = np.sqrt(_TERMS / np.sqrt(2))
    t = length * np.tan(np.arange(1 - half, half) * np.pi / half / 2)
    samples = np.concatenate([[0.0], np.exp(-(t**2)) * (length**2 + t**2)])
    terms = np.fft.fft(np.fft.fftshift(samples)).real / (2 * half)
    polynomial = np.polyval(terms[_TERMS:0:-1], (length + 1j * z) / (length - 1j * z))
    return 2 * polynomial / (length - 1j * z) ** 2 + 1 / (np.sqrt(np.pi) * (length - 1j * z))


def wigner_3j(a: float, b: float, c: float, x: float, y: float, z: float) -> float:
    """Return Wigner's 3j symbol (a b c; x y z) by Racah's formula; 0 where it is forbidden."""
    if x + y + z != 0 or not abs(a - b) <= c <= a + b:
        return 0.0
    if abs(x) > a or abs(y) > b or abs(z) > c:
        return 0.0

    def factorial(number: float) -> int:
        return math.factorial(round(number))

    triangle = factorial(a + b - c) * factorial(a - b + c) * factorial(-a + b + c)
    size = triangle / factorial(a + b + c + 1)
    for j, m in ((a, x), (b, y), (c, z)):
        size *= factorial(j + m) * factorial(j - m)
    total = 0.0
    for t in range(round(a + b + c) + 1):
        terms = (t, c - b + t + x, c - a + t - y, a + b - c - t, a - t - x, b - t + y)
        if min(terms) >= 0:
            total += (-1) ** t / math.prod(factorial(term) for term in terms)
    return (-1) ** round(a - b - z) * math.sqrt(size) * total


def zeeman_components(line: SpectralLine) -> list[tuple[int, float, float]]:
    """Return (M upper less M lower, strength, shift in wavelength) of every component."""
    components = []
    lower, upper = line.j_lower, line.j_upper
    for m_low in np.arange(-lower, lower + 1):
        for m_up in np.arange(-upper, upper + 1):
            step = m_up - m_low
            strength = 3 * wigner_3j(upper, lower, 1, -m_up, m_low, step) ** 2
            if strength > 0:
                shift = line.g_lower * m_low - line.g_upper * m_up
                components.append((round(step), strength, float(shift)))
    return components


def plain_stokes(
    parameters: np.ndarray,
    wavelength: np.ndarray,
    lines: Sequence[SpectralLine],
    *,
    plasma_function: Callable[[np.ndarray], np.ndarray] = weideman_function,
) -> np.ndarray:
    """Return Stokes profiles (4, wavelength) of one atmosphere.

    Parameters
    ----------
    parameters : (9,) float64
        In the order and units of ``tools.physics.milne_eddington.PARAMETERS``.
    wavelength : (wavelength,) float64
        Angstrom.
    lines : sequence of SpectralLine
    plasma_function : callable
        w(z) of complex z: ``weideman_function`` or ``scipy.special.wofz``.
    """
    field, inclination, azimuth, speed, width, eta0, damping, constant, gradient = parameters
    gamma, chi = math.radians(inclination), math.radians(azimuth)
    profiles = {step: np.zeros(len(wavelength), complex) for step in (-1, 0, 1)}
    for line in lines:
        # one velocity width in km/s for all lines
        doppler = width * 1e-3 * line.wavelength / lines[0].wavelength
        for step, strength, shift in zeeman_components(line):
            centre = line.wavelength * (1 + speed / _LIGHT_KM_S)
            centre += shift * _SPLITTING * line.wavelength**2 * field
            v = (wavelength - centre) / doppler
            profiles[step] += line.strength * strength * plasma_function(v + 1j * damping)
    pi, blue, red = (eta0 * profiles[step] for step in (0, 1, -1))
    sigma = (blue + red) / 2
    total = (pi * math.sin(gamma) ** 2 + sigma * (1 + math.cos(gamma) ** 2)) / 2
    linear = (pi - sigma) * math.sin(gamma) ** 2 / 2
    circular = (red - blue) * math.cos(gamma) / 2
    eta_q, rho_q = linear.real * math.cos(2 * chi), linear.imag * math.cos(2 * chi)
    eta_u, rho_u = linear.real * math.sin(2 * chi), linear.imag * math.sin(2 * chi)
    eta_v, rho_v = circular.real, circular.imag
    eta_i = 1 + total.real
    matrix = np.array(
        [
            [eta_i, eta_q, eta_u, eta_v],
            [eta_q, eta_i, rho_v, -rho_u],
            [eta_u, -rho_v, eta_i, rho_q],
            [eta_v, rho_u, -rho_q, eta_i],
        ]
    )
    unit = np.broadcast_to(np.eye(4)[:, :1], (len(wavelength), 4, 1))
    answer = np.linalg.solve(np.moveaxis(matrix, -1, 0), unit)[..., 0].T
    return constant * np.eye(4)[:, :1] + gradient * answer
