"""Emission measures whose truth is known, seen by AIA with noise (synthetic)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.channels import CAMERA
from tools.emission_measure.response import RESPONSE_CHANNELS, aia_response

EDGES = np.linspace(5.45, 7.25, 19)
FINE = 5.455 + 0.01 * np.arange(180)
_EXPOSURE = np.array([CAMERA[c].exposure_s for c in RESPONSE_CHANNELS])
_DN_PER_PHOTON = np.array([CAMERA[c].dn_per_photon for c in RESPONSE_CHANNELS])
_READ_DN = CAMERA[171].read_noise_dn


def noise(rate: np.ndarray, n_averaged: int) -> np.ndarray:
    """Give the error of a rate (pixel, channel), DN s-1 pix-1, averaged over so many pixels."""
    photons = np.maximum(rate * _EXPOSURE, 0) * _DN_PER_PHOTON
    return np.sqrt((photons + _READ_DN**2 + 1 / 12) / n_averaged) / _EXPOSURE


def observe(rate: np.ndarray, n_averaged: int, generator: np.random.Generator) -> np.ndarray:
    """Draw photons and read noise for a true rate."""
    expected = np.maximum(rate * _EXPOSURE * n_averaged / _DN_PER_PHOTON, 0)
    dn = generator.poisson(expected) / n_averaged * _DN_PER_PHOTON
    dn += _READ_DN / np.sqrt(n_averaged) * generator.standard_normal(rate.shape)
    return dn / _EXPOSURE


def simulated_map(side: int, n_averaged: int, *, seed: int = 3) -> tuple[np.ndarray, ...]:
    """Give true emission measure (pixel, 18) cm-5, data and errors (pixel, 6) of a small map."""
    generator = np.random.default_rng(seed)

    def field(width):
        smooth = gaussian_filter(generator.standard_normal((side, side)), width, mode="wrap")
        return ((smooth - smooth.mean()) / smooth.std()).reshape(-1, 1)

    active = field(side / 9)
    parts = [
        (26.0 + 0.4 * field(5), 6.0 + 0.1 * field(7), 0.17),
        (26.2 + 0.7 * active, 6.45 + 0.1 * field(6), 0.12),
        (np.where(active > 1, 25.3 + active, 20.0), 6.95 + 0.08 * field(6), 0.08),
    ]
    em = 0
    for log_em, centre, width in parts:
        shape = np.exp(-0.5 * ((FINE - centre) / width) ** 2)
        em = em + 10**log_em * shape / shape.sum(axis=1, keepdims=True)
    rate = em @ aia_response(FINE, version="v10_evenorm").T
    dn = observe(rate, n_averaged, generator)
    return em.reshape(len(em), 18, 10).sum(axis=2), dn, noise(dn, n_averaged)
