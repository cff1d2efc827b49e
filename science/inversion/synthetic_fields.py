"""Synthetic magnetic fields with known truth, and the spectra that they give in weak fields."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from dataset_models.spectra.spectral_cube import SpectralCube
from tools.physics.weak_field import (
    WeakFieldLine,
    longitudinal_profile,
    transverse_profiles,
    wavelength_derivative,
)
from tools.random_streams import random_stream

__all__ = ["FIELDS", "field_with_edges", "smooth_field", "synthetic_cube"]

_PIXEL_ARCSEC = 0.3
_SLOPE = -3.0  # of the power spectrum of the quiet part
_DEPTH = 0.75  # of the line, of the continuum
_N_WAVELENGTHS = 25


def smooth_field(shape: tuple[int, int], *, seed: int) -> np.ndarray:
    """Return a smooth map of B_los: white noise after a Gaussian filter of 8 pixels, 300 G rms.

    Smoother than any observed magnetogram; a gain by smoothing is an upper bound on it.

    Returns
    -------
    (y, x) float64
        G.
    """
    field = _filtered_noise(random_stream(seed, "smooth field"), shape, 8.0)
    return 300.0 * field


def field_with_edges(shape: tuple[int, int], *, seed: int) -> np.ndarray:
    """Return a map of B_los with sharp edges and a power-law spectrum.

    A quiet part whose power falls as k^-3 (150 G rms), lanes of network of 400 G with sharp sides,
    and a sunspot: an umbra of 1,100 to 1,500 G with a jagged boundary where the field halves within
    a pixel, and a penumbra down to the quiet part.

    Returns
    -------
    (y, x) float64
        G.
    """
    generator = random_stream(seed, "field with edges")
    n_y, n_x = shape
    k = np.hypot(np.fft.fftfreq(n_y)[:, None], np.fft.fftfreq(n_x)[None])
    k[0, 0] = 1.0
    quiet = np.fft.ifft2(np.fft.fft2(generator.normal(size=shape)) * k ** (_SLOPE / 2)).real
    field = 150.0 * quiet / quiet.std()
    lanes = np.abs(_filtered_noise(generator, shape, 10.0)) < 0.15
    field += np.where(lanes, 400.0 * np.sign(_filtered_noise(generator, shape, 20.0)), 0.0)
    y, x = np.mgrid[:n_y, :n_x]
    away_y, away_x = y - generator.uniform(0.4, 0.6) * n_y, x - generator.uniform(0.4, 0.6) * n_x
    distance = np.hypot(away_y, away_x) / (0.14 * min(shape))
    angle = np.arctan2(away_y, away_x) + generator.uniform(0, 2 * np.pi)
    edge = 1 + 0.12 * np.sin(5 * angle) + 0.05 * np.sin(11 * angle)
    umbra = 1500.0 - 400.0 * distance**2 + 0.3 * field
    penumbra = 700.0 * (2 - distance / edge) + field
    return np.where(distance < edge, umbra, np.where(distance < 2 * edge, penumbra, field))


FIELDS = {"smooth": smooth_field, "edges": field_with_edges}


def synthetic_cube(
    kind: str, line: WeakFieldLine, *, size: int, sigma: float, seed: int
) -> SpectralCube:
    """Return I, Q, U and V of a synthetic map, with noise of ``sigma`` in all four.

    The intensity is a Lorentzian absorption line whose depth varies by some per cent over the map.
    V, Q and U follow from the wavelength derivative of its samples: the truth is that of the model,
    and errors of a coarse sampling are not in it.

    Parameters
    ----------
    kind : str
        Of ``FIELDS``.
    line : WeakFieldLine
    size : int
        Pixels along a side.
    sigma : float
        Noise, in units of the continuum.
    seed : int
    """
    shape = (size, size)
    b_los = FIELDS[kind](shape, seed=seed)
    generator = random_stream(seed, "synthetic cube")
    strength = 400.0 + 200.0 * _filtered_noise(generator, shape, 8.0)
    b_transverse = 0.5 * np.abs(b_los) + np.abs(strength)
    azimuth = (180 / np.pi * _filtered_noise(generator, shape, 24.0)) % 180.0
    half_width = 1.1 * line.core
    offset = np.linspace(-3.2 * half_width, 3.2 * half_width, _N_WAVELENGTHS)
    depth = _DEPTH * (1 + 0.07 * _filtered_noise(generator, shape, 4.0))
    intensity = 1 - depth[..., None].clip(0.3, 0.95) / (1 + (offset / half_width) ** 2)
    wavelength = line.wavelength0 + offset
    derivative = wavelength_derivative(intensity, wavelength)
    v, _ = longitudinal_profile(b_los, derivative, line)
    twice = 2 * np.radians(azimuth)
    b_q, b_u = b_transverse**2 * np.cos(twice), b_transverse**2 * np.sin(twice)
    q, u, _ = transverse_profiles(b_q, b_u, derivative, wavelength, line)
    values = np.stack([intensity, q, u, v], axis=2)
    values += sigma * generator.normal(size=values.shape)
    return SpectralCube(
        values=values,
        wavelength=wavelength,
        stokes=("I", "Q", "U", "V"),
        sigma=np.full((1, 1, 1, 1), sigma),
        unit="continuum",
        instrument="synthetic",
        line=line.name,
        wcs=_coordinates(size),
        is_synthetic=True,
        truth={
            "B_los": b_los,
            "B_transverse": b_transverse,
            "azimuth": azimuth,
            "B_Q": b_q,
            "B_U": b_u,
        },
    )


def _filtered_noise(
    generator: np.random.Generator, shape: tuple[int, int], width: float
) -> np.ndarray:
    """Return Gaussian-filtered noise with a standard deviation of 1."""
    noise = gaussian_filter(generator.normal(size=shape), width)
    return noise / noise.std()


def _coordinates(size: int) -> dict:
    cards: dict = {"PC1_1": 1.0, "PC1_2": 0.0, "PC2_1": 0.0, "PC2_2": 1.0}
    for axis, kind in (("1", "HPLN-TAN"), ("2", "HPLT-TAN")):
        cards |= {
            f"CTYPE{axis}": kind,
            f"CUNIT{axis}": "arcsec",
            f"CRPIX{axis}": (size + 1) / 2,
            f"CRVAL{axis}": 0.0,
            f"CDELT{axis}": _PIXEL_ARCSEC,
        }
    return cards
