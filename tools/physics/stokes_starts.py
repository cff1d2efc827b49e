"""Starts of Milne-Eddington fits from moments of the Stokes profiles; no iteration.

Centres of gravity of I + V and I - V give the field along the line of sight (Rees & Semel 1979);
second moments of Q and U about the line's centre give the field across it and its azimuth, by the
same argument: in units of the equivalent width the moment is G (C l0^2)^2 B_t^2 / 2 at any field of
an optically thin line, with C = 4.66864e-13.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.physics.zeeman import SpectralLine

__all__ = ["continuum_of", "moment_starts", "random_starts"]

_ZEEMAN = 4.66864e-13
_LIGHT_KM_S = 299792.458
_HALF_WINDOW = 0.55  # angstrom: strong fields and 4 km/s at 6302 lie inside
_USUAL = (40.0, 10.0, 0.3)  # Doppler width in mAngstrom, eta0, damping of the quiet photosphere
_N_CONTINUUM = 0.1  # share of the brightest wavelengths


def continuum_of(intensity: np.ndarray, is_valid: np.ndarray) -> np.ndarray:
    """Return the mean of the brightest tenth of each spectrum, (...), NaN where nothing is valid.

    Parameters
    ----------
    intensity : (..., wavelength) float
    is_valid : (..., wavelength) bool
    """
    n = max(int(round(_N_CONTINUUM * intensity.shape[-1])), 1)
    filled = np.where(is_valid, intensity, -np.inf)
    brightest = np.partition(filled, -n, axis=-1)[..., -n:]
    is_there = np.isfinite(brightest)
    count = is_there.sum(axis=-1)
    total = np.where(is_there, brightest, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def moment_starts(
    wavelength: np.ndarray,
    stokes: np.ndarray,
    is_valid: np.ndarray,
    lines: Sequence[SpectralLine],
) -> np.ndarray:
    """Return starts (pixel, 9) in the order and units of ``milne_eddington.PARAMETERS``.

    Parameters
    ----------
    wavelength : (wavelength,) float64
        Angstrom, increasing.
    stokes : (pixel, 4, wavelength) float64
        Divided by the continuum.
    is_valid : (pixel, 4, wavelength) bool
    lines : sequence of SpectralLine
        The one with the largest effective Lande factor within the wavelengths is used.
    """
    inside = [line for line in lines if wavelength[0] < line.wavelength < wavelength[-1]] or lines
    line = max(inside, key=lambda one: abs(one.effective_lande))
    rest = line.wavelength
    near = np.abs(wavelength - rest) < _HALF_WINDOW
    x = wavelength[near] - rest
    step = np.gradient(wavelength)[near]
    i, q, u, v = (np.where(is_valid[:, k], stokes[:, k], k == 0)[:, near] for k in range(4))
    depth = 1.0 - i
    weight = np.maximum(depth, 0.0) * step
    area = np.maximum(weight.sum(axis=1), 1e-6)
    centre = (weight @ x) / area
    plus, minus = (np.maximum(depth - sign * v, 0.0) * step for sign in (1, -1))
    centres = [(w @ x) / np.maximum(w.sum(axis=1), 1e-6) for w in (plus, minus)]
    split = _ZEEMAN * rest**2
    lande = line.effective_lande if abs(line.effective_lande) > 1e-3 else 1.0
    along = (centres[0] - centres[1]) / (2 * split * lande)
    away = (x - centre[:, None]) ** 2 * step
    factor = 2.0 / (area * max(line.transverse_lande, 1e-3) * split**2)
    b_q, b_u = (q * away).sum(axis=1) * factor, (u * away).sum(axis=1) * factor
    across = np.sqrt(np.hypot(b_q, b_u))
    core = i.min(axis=1, initial=1.0)
    gradient = np.clip((1.0 - core) * (1 + 1 / _USUAL[1]), 0.05, 1.2)
    out = np.empty((len(stokes), 9))
    out[:, 0] = np.clip(np.hypot(along, across), 50.0, 4500.0)
    out[:, 1] = np.degrees(np.arctan2(across, along))
    out[:, 2] = np.degrees(np.arctan2(b_u, b_q)) / 2 % 180
    out[:, 3] = np.clip(centre / rest * _LIGHT_KM_S, -15.0, 15.0)
    out[:, 4:7] = _USUAL
    out[:, 7], out[:, 8] = 1.0 - gradient, gradient
    return out


def random_starts(first: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Return starts (pixel, n, 9): the first, then ones drawn around it.

    Field strength, inclination, Doppler width, eta0 and damping are drawn anew; velocities within
    0.5 km/s. Azimuths and the source function keep the profiles' own values.
    """
    starts = np.repeat(first[:, None], n, axis=1)
    size = len(first), max(n - 1, 0)
    later = starts[:, 1:]
    later[..., 0] = generator.uniform(100.0, 3000.0, size)
    later[..., 1] = generator.uniform(10.0, 170.0, size)
    later[..., 3] += generator.normal(0.0, 0.5, size)
    later[..., 4] = generator.uniform(20.0, 60.0, size)
    later[..., 5] = np.exp(generator.uniform(np.log(2.0), np.log(40.0), size))
    later[..., 6] = generator.uniform(0.05, 0.9, size)
    return starts
