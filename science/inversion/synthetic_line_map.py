"""Synthetic map of Si IV 1394 as IRIS would see it, with known truth: bright loops to faint ground.

Sampling, camera and noise are those of De Pontieu et al. (2014, Solar Physics 289, 2733): far
ultraviolet steps of 0.01272 angstrom summed by two, 4 photons per DN, readout noise of 3.1 DN.
"""

from __future__ import annotations

import numpy as np

from dataset_models.spectra.spectral_cube import SpectralCube
from tools.physics.line_moments import LIGHT_SPEED_KM_S

__all__ = ["SI_IV_1394", "synthetic_line_map"]

SI_IV_1394 = 1393.755  # angstrom, vacuum (CHIANTI 10)
_STEP = 0.02544  # angstrom, summed by two
_PHOTONS_PER_DN, _READOUT_DN = 4.0, 3.1
_HALF_RANGE = 0.8  # angstrom
_SLOPE = -2.5  # of the power of the maps against wave number: as images of the transition region


def synthetic_line_map(side: int = 64, *, seed: int = 0, brightness: float = 1.0) -> SpectralCube:
    """Return spectra of a synthetic raster and the parameters that they were made of.

    Amplitudes are log-normal about 12 DN with a few loops that end sharply, velocities scatter by
    12 km/s, Doppler (1/e) widths lie about 25 km/s; their maps have power-law spectra.

    Parameters
    ----------
    side : int
        Pixels along both axes.
    seed : int
    brightness : float
        Factor of all amplitudes.

    Returns
    -------
    SpectralCube
        In DN; its truth has the names of the maps of ``gaussian_maps``.
    """
    generator = np.random.default_rng(seed)
    height = np.exp(2.5 + 0.7 * _field(side, generator))
    y, x = np.mgrid[:side, :side] / side
    for _ in range(4):  # loops with sharp edges
        angle, shift = generator.uniform(0, np.pi), generator.uniform(0.2, 0.8)
        away = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5 - shift
        height = np.where(np.abs(away) < 0.02, height * generator.uniform(2, 5), height)
    height *= brightness
    velocity = 12.0 * _field(side, generator)
    doppler = 25.0 * np.exp(0.25 * _field(side, generator))
    width = doppler / np.sqrt(2) * SI_IV_1394 / LIGHT_SPEED_KM_S
    centre = SI_IV_1394 * (1 + velocity / LIGHT_SPEED_KM_S)
    continuum = np.full_like(height, 1.0)
    wavelength = SI_IV_1394 + np.arange(-_HALF_RANGE, _HALF_RANGE, _STEP)
    u = (wavelength - centre[..., None]) / width[..., None]
    mean = height[..., None] * np.exp(-0.5 * u * u) + continuum[..., None]
    photons = generator.poisson(mean * _PHOTONS_PER_DN)
    values = photons / _PHOTONS_PER_DN + _READOUT_DN * generator.standard_normal(mean.shape)
    # the camera's errors as they are known to an observer: of the data, smoothed along wavelength
    smooth = np.maximum(_smoothed(values), 0.0)
    sigma = np.sqrt(smooth / _PHOTONS_PER_DN + _READOUT_DN**2)
    return SpectralCube(
        values[:, :, None],
        wavelength,
        sigma=sigma[:, :, None],
        unit="DN",
        instrument="synthetic (as IRIS)",
        line="Si IV 1394",
        is_synthetic=True,
        truth={
            "amplitude": height,
            "velocity": velocity,
            "width": width,
            "doppler_width": doppler,
            "continuum": continuum,
        },
    )


def _field(side: int, generator: np.random.Generator) -> np.ndarray:
    """Return a map of mean 0 and deviation 1 whose power falls with the wave number."""
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    k[0, 0] = np.inf
    noise = np.fft.rfft2(generator.standard_normal((side, side)))
    field = np.fft.irfft2(noise * k ** (_SLOPE / 2), s=(side, side))
    return (field - field.mean()) / field.std()


def _smoothed(values: np.ndarray) -> np.ndarray:
    padded = np.pad(values, ((0, 0), (0, 0), (2, 2)), mode="edge")
    n = values.shape[-1]
    return sum(padded[..., k : k + n] for k in range(5)) / 5
