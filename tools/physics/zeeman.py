"""Zeeman patterns of spectral lines in LS or any coupling that Lande factors describe.

Shifts are in units of 4.66864e-13 l0^2 B (angstrom, gauss), strengths of each kind (pi, sigma blue,
sigma red) sum to 1. Landi Degl'Innocenti & Landolfi (2004, Polarization in Spectral Lines), 3.15 to
3.17: the strength is 3 times the square of a 3j symbol.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = [
    "FE_6301",
    "FE_6302",
    "LINES",
    "PI",
    "SIGMA_BLUE",
    "SIGMA_RED",
    "SpectralLine",
    "zeeman_pattern",
]

PI, SIGMA_BLUE, SIGMA_RED = 0, 1, 2


@dataclass(frozen=True)
class SpectralLine:
    """A line with the numbers of its two levels.

    Attributes
    ----------
    name : str
    wavelength : float
        Of its centre in air, angstrom.
    j_lower, j_upper : float
    g_lower, g_upper : float
        Lande factors.
    strength : float
        Opacity relative to that of the first line of a blend, g f times wavelength.
    """

    name: str
    wavelength: float
    j_lower: float
    j_upper: float
    g_lower: float
    g_upper: float
    strength: float = 1.0

    @property
    def effective_lande(self) -> float:
        """Effective Lande factor (the splitting of the sigma components' centres)."""
        kinds, strengths, shifts = zeeman_pattern(self)
        red = kinds == SIGMA_RED
        return float(np.sum(strengths[red] * shifts[red]))

    @property
    def transverse_lande(self) -> float:
        """The factor G of linear polarisation in weak fields: mean of sigma less pi, squared."""
        kinds, strengths, shifts = zeeman_pattern(self)
        squares = [np.sum(strengths[kinds == k] * shifts[kinds == k] ** 2) for k in range(3)]
        return float((squares[SIGMA_BLUE] + squares[SIGMA_RED]) / 2 - squares[PI])


# levels and Lande factors as measured; log gf -0.718 and -1.235 of VALD (Kurucz) set the ratio
FE_6301 = SpectralLine("Fe I 6301.5", 6301.4995, 2, 2, 1.84, 1.50)
FE_6302 = SpectralLine("Fe I 6302.5", 6302.4931, 1, 0, 2.49, 0.0, 10 ** (-1.235 + 0.718))
LINES = {"6301": FE_6301, "6302": FE_6302}


def zeeman_pattern(line: SpectralLine) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return kind, strength and shift of every component.

    Returns
    -------
    kinds : (component,) int
        PI, SIGMA_BLUE (upper less lower M is 1: higher energy in a field) or SIGMA_RED.
    strengths : (component,) float64
    shifts : (component,) float64
        Towards the red.

    Raises
    ------
    ValueError
        If no electric dipole transition has these levels.
    """
    low, up = Fraction(line.j_lower), Fraction(line.j_upper)
    if abs(low - up) > 1 or low == up == 0 or min(low, up) < 0 or (low - up).denominator != 1:
        raise ValueError(f"{line.name}: no dipole transition from J = {low} to J = {up}")
    kinds, strengths, shifts = [], [], []
    for kind, step in ((PI, 0), (SIGMA_BLUE, 1), (SIGMA_RED, -1)):
        own = []
        m = -low
        while m <= low:
            if abs(m + step) <= up:
                weight = _squared_clebsch(low, up, m, step)
                if weight > 0:
                    own.append((weight, -(line.g_upper * (m + step) - line.g_lower * m)))
            m += 1
        total = sum(weight for weight, _ in own)
        kinds += [kind] * len(own)
        strengths += [float(weight / total) for weight, _ in own]
        shifts += [float(shift) for _, shift in own]
    return np.array(kinds), np.array(strengths), np.array(shifts)


def _squared_clebsch(low: Fraction, up: Fraction, m: Fraction, step: int) -> Fraction:
    """Return a number proportional to the square of <low m 1 step | up m+step>."""
    if up == low + 1:
        table = {
            0: (low + 1) ** 2 - m**2,
            1: (low + m + 1) * (low + m + 2) / 2,
            -1: (low - m + 1) * (low - m + 2) / 2,
        }
    elif up == low:
        table = {0: m**2, 1: (low - m) * (low + m + 1) / 2, -1: (low + m) * (low - m + 1) / 2}
    else:
        table = {
            0: low**2 - m**2,
            1: (low - m) * (low - m - 1) / 2,
            -1: (low + m) * (low + m - 1) / 2,
        }
    value = table[step]
    return value if math.isfinite(value) else Fraction(0)
