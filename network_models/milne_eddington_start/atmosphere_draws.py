"""Milne-Eddington atmospheres drawn from the prior of the training, with their noisy profiles.

The prior, each parameter alone:

=================  =====================================================================
field strength     60 % uniform from 0 to 4000 G, 40 % log-uniform from 10 to 4000 G
inclination        one half isotropic, one half uniform from 0 to 180 deg
azimuth            uniform from 0 to 180 deg
velocity           uniform from -5 to 5 km/s
Doppler width      log-uniform from 15 to 70 mAngstrom
eta0               log-uniform from 1 to 60
damping            log-uniform from 0.03 to 1.2
S0, S1             uniform from 0.05 to 0.6 and from 0.3 to 1
noise              log-uniform from 3e-4 to 1e-2 of the continuum, the same in I, Q, U and V
=================  =====================================================================

Profiles and source function are divided by ``continuum_of`` of the noisy intensity, as fits do it.
A network answers with ten ``QUANTITIES``, which have no ambiguity, in place of nine parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tools.physics.milne_eddington import hinode_wavelengths, synthesise
from tools.physics.stokes_starts import continuum_of

__all__ = [
    "LARGEST",
    "QUANTITIES",
    "SMALLEST",
    "DrawnPixels",
    "atmospheres_of",
    "draw_atmospheres",
    "draw_pixels",
    "quantities_of",
]

# name: (unit, error that counts as 1 in the loss: about what is left at a noise of 3e-3)
QUANTITIES = {
    "field strength": ("G", 100.0),
    "line-of-sight field": ("G", 50.0),
    "transverse field cos 2 azimuth": ("G", 100.0),
    "transverse field sin 2 azimuth": ("G", 100.0),
    "velocity": ("km/s", 0.15),
    "log10 Doppler width": ("log10(mAngstrom)", 0.06),
    "log10 eta0": ("log10", 0.2),
    "log10 damping": ("log10", 0.25),
    "source function at the surface": ("continuum", 0.1),
    "gradient of the source function": ("continuum", 0.1),
}
# starts stay inside: at 0 G, 0 deg and 180 deg derivatives vanish and a fit could not leave
SMALLEST = np.array([20.0, 3.0, 0.0, -6.0, 12.0, 0.8, 0.02, 0.0, 0.1])
LARGEST = np.array([4500.0, 177.0, 180.0, 6.0, 80.0, 80.0, 1.5, 0.9, 1.2])
_CHUNK = 20000


class DrawnPixels(NamedTuple):
    """Atmospheres with their profiles.

    Attributes
    ----------
    parameters : (pixel, 9) float64
        In the order and units of ``PARAMETERS``, the source function in units of the continuum.
    stokes : (pixel, 4, 112) float32
        I, Q, U, V with noise, in units of the continuum.
    sigma : (pixel,) float64
        Noise in the same unit.
    """

    parameters: np.ndarray
    stokes: np.ndarray
    sigma: np.ndarray


def draw_atmospheres(n: int, generator: np.random.Generator) -> np.ndarray:
    """Return atmospheres (n, 9) of the prior, in the order and units of ``PARAMETERS``."""
    draw = generator.uniform
    strong, weak = draw(0.0, 4000.0, n), _log_uniform(10.0, 4000.0, n, generator)
    isotropic = np.degrees(np.arccos(draw(-1.0, 1.0, n)))
    even = draw(0.0, 180.0, n)
    columns = [
        np.where(generator.random(n) < 0.6, strong, weak),
        np.where(generator.random(n) < 0.5, isotropic, even),
        draw(0.0, 180.0, n),
        draw(-5.0, 5.0, n),
        _log_uniform(15.0, 70.0, n, generator),
        _log_uniform(1.0, 60.0, n, generator),
        _log_uniform(0.03, 1.2, n, generator),
        draw(0.05, 0.6, n),
        draw(0.3, 1.0, n),
    ]
    return np.stack(columns, axis=1)


def draw_pixels(n: int, generator: np.random.Generator, *, n_jobs: int = 2) -> DrawnPixels:
    """Return n atmospheres of the prior and their profiles on the grid of Hinode/SP."""
    axis = hinode_wavelengths()
    parameters, sigma = draw_atmospheres(n, generator), _log_uniform(3e-4, 1e-2, n, generator)
    stokes = np.empty((n, 4, len(axis)), np.float32)
    for first in range(0, n, _CHUNK):
        part = slice(first, first + _CHUNK)
        clean = synthesise(parameters[part], axis, n_jobs=n_jobs)
        level = clean[:, 0].max(axis=1)[:, None, None]
        noise = generator.standard_normal(clean.shape, np.float32)
        noisy = clean + noise * sigma[part, None, None] * level
        continuum = continuum_of(noisy[:, 0], np.ones(noisy[:, 0].shape, bool))
        stokes[part] = noisy / continuum[:, None, None]
        parameters[part, 7:] /= continuum[:, None]
        sigma[part] *= level[:, 0, 0] / continuum
    return DrawnPixels(parameters, stokes, sigma)


def quantities_of(parameters: np.ndarray) -> np.ndarray:
    """Return ``QUANTITIES`` (..., 10) of atmospheres (..., 9)."""
    field, width = parameters[..., 0], np.log10(parameters[..., 4:7])
    inclination, azimuth = np.radians(parameters[..., 1]), 2 * np.radians(parameters[..., 2])
    across = field * np.abs(np.sin(inclination))
    first = [field, field * np.cos(inclination), across * np.cos(azimuth), across * np.sin(azimuth)]
    first += [parameters[..., 3]]
    return np.concatenate([np.stack(first, axis=-1), width, parameters[..., 7:]], axis=-1)


def atmospheres_of(quantities: np.ndarray) -> np.ndarray:
    """Return atmospheres (..., 9) of ``QUANTITIES`` (..., 10), within ``SMALLEST`` and ``LARGEST``.

    The field strength decides on the transverse field where it and the line-of-sight field allow;
    the two components of the transverse field, which noise drives to 0, are its lower limit.
    """
    quantities = np.asarray(quantities, float)
    field, along, east, north = (quantities[..., k] for k in range(4))
    least = np.hypot(east, north)
    across = np.sqrt(np.maximum(field**2 - along**2, least**2))
    out = np.empty((*quantities.shape[:-1], 9))
    out[..., 0] = np.hypot(along, across)
    out[..., 1] = np.degrees(np.arctan2(across, along))
    out[..., 2] = np.degrees(np.arctan2(north, east)) / 2 % 180
    out[..., 3] = quantities[..., 4]
    out[..., 4:7] = 10.0 ** np.clip(quantities[..., 5:8], -3.0, 3.0)
    out[..., 7:] = quantities[..., 8:]
    return np.clip(out, SMALLEST, LARGEST)


def _log_uniform(low: float, high: float, n: int, generator: np.random.Generator) -> np.ndarray:
    return np.exp(generator.uniform(np.log(low), np.log(high), n))
