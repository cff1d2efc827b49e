"""Synthetic active region: maps of Milne-Eddington parameters and their Stokes profiles.

A spot with an umbra and a penumbra of filaments (radial field, Evershed outflow), plage of the
other polarity on its side, network in intergranular lanes, granules that are bright where they rise
and weak fields elsewhere, seen 25 degrees east of the disk centre. Figures are round values of the
photosphere (Solanki 2003, A&ARv 11, 153; Borrero & Ichimoto 2011, Living Rev. Solar Phys. 8, 4),
not a simulation.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.ndimage import gaussian_filter

from dataset_models.spectra.spectral_cube import SpectralCube
from tools.physics.milne_eddington import PARAMETERS, hinode_wavelengths, synthesise
from tools.physics.milne_eddington_fit import LOWER, UPPER
from tools.random_streams import random_stream

__all__ = [
    "PIXEL_ARCSEC",
    "active_region_parameters",
    "parameter_maps",
    "synthetic_active_region",
]

PIXEL_ARCSEC = 0.16  # of Hinode/SP along the slit (Tsuneta et al. 2008, Solar Physics 249, 167)
_TILT = np.radians(25.0)  # of the surface's normal from the line of sight, towards -x
_SUN_RADIUS_ARCSEC = 960.0
_UMBRA = 0.42  # of the spot's radius
_GRANULE_PIXELS = 1.3 / PIXEL_ARCSEC  # distance of neighbours
_N_FILAMENTS = 36


class Convolution(Protocol):
    """What blurs maps (y, x, plane), as ``tools.physics.point_spread.PointSpread``."""

    def apply(self, maps: np.ndarray) -> np.ndarray:
        """Return maps as the telescope shows them."""


def synthetic_active_region(
    size: int | tuple[int, int] = 96,
    *,
    seed: int = 0,
    noise: float = 1e-3,
    point_spread: Convolution | None = None,
    wavelength: np.ndarray | None = None,
    n_jobs: int = 2,
) -> SpectralCube:
    """Return Stokes profiles of Fe I 6301 and 6302 as Hinode/SP samples them, with their truth.

    Parameters
    ----------
    size : int or (y, x)
        Pixels of 0.16 arcsec; the spot grows with the map.
    seed : int
    noise : float
        One sigma in every Stokes parameter, in units of the quiet Sun's mean continuum.
    point_spread : Convolution, optional
        Blurs the profiles before the noise is added; the truth stays sharp.
    wavelength : (wavelength,) float64, optional
        Angstrom; the 112 of Hinode/SP by default.
    n_jobs : int
        Threads at most.

    Returns
    -------
    SpectralCube
        Its ``truth`` has the nine parameters and ``line_of_sight_field``.

    Raises
    ------
    ValueError
        If the map has fewer than 8 pixels along a side or the noise is not positive.
    """
    shape = (size, size) if isinstance(size, int) else tuple(size)
    if min(shape) < 8 or len(shape) != 2:
        raise ValueError(f"expected a map of 8 x 8 pixels or more, got {size}; make it larger")
    if not (np.isfinite(noise) and noise > 0):
        raise ValueError(f"expected a noise above 0, got {noise}; 0.001 is that of Hinode/SP")
    axis = hinode_wavelengths() if wavelength is None else np.asarray(wavelength, float)
    theta = active_region_parameters(shape, seed=seed)
    values = synthesise(theta, axis, n_jobs=n_jobs)
    if point_spread is not None:
        values = point_spread.apply(values.reshape(*shape, -1)).reshape(values.shape)
    generator = random_stream(seed, "synthetic active region", "noise")
    values = values + noise * generator.standard_normal(values.shape)
    return SpectralCube(
        values,
        axis,
        stokes=("I", "Q", "U", "V"),
        sigma=np.full((1, 1, 1, 1), noise),
        unit="continuum",
        instrument="synthetic (as Hinode/SOT-SP)",
        line="Fe I 6301/6302",
        wcs=_coordinates(shape),
        is_synthetic=True,
        truth=parameter_maps(theta),
    )


def parameter_maps(theta: np.ndarray) -> dict[str, np.ndarray]:
    """Return parameters (..., 9) by name, and the line-of-sight field in gauss."""
    maps = {name: theta[..., k] for k, name in enumerate(PARAMETERS)}
    along = theta[..., 0] * np.cos(np.radians(theta[..., 1]))
    return {**maps, "line_of_sight_field": along}


def active_region_parameters(shape: tuple[int, int], *, seed: int = 0) -> np.ndarray:
    """Return the nine parameters (y, x, 9) in the order and units of ``PARAMETERS``.

    The source function is in units of the quiet Sun's mean continuum.
    """

    def smooth(name: str, pixels: float) -> np.ndarray:
        """Return noise of deviation 1 that is smooth over some pixels."""
        generator = random_stream(seed, "synthetic active region", name)
        field = gaussian_filter(generator.standard_normal(shape), pixels, mode="wrap")
        return (field - field.mean()) / max(field.std(), 1e-12)

    side = min(shape)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    x, y = x / side - 0.40 * shape[1] / side, y / side - 0.52 * shape[0] / side
    angle = np.arctan2(y, x)
    edge = 1 + 0.08 * smooth("spot's edge", 0.07 * side)
    radius = np.hypot(x, y) / (0.27 * edge)  # 1 at the penumbra's outer edge
    umbra, spot = _step(_UMBRA - radius, 0.03), _step(1 - radius, 0.04)
    penumbra = spot * (1 - umbra)
    filament = penumbra * np.sin(_N_FILAMENTS * angle + 0.6 * smooth("filaments", 0.03 * side))
    granules = smooth("granules", _GRANULE_PIXELS / 4) - smooth("mesogranules", _GRANULE_PIXELS)
    granules /= granules.std()
    plage = _step(smooth("plage", 0.06 * side) - 0.9, 0.2) * _step(x - 0.26, 0.06) * (1 - spot)
    network = _step(smooth("network", 0.05 * side) - 1.3, 0.2) * _step(-granules, 0.3) * (1 - spot)
    calm = (1 - spot) * (1 - 0.7 * plage)  # how freely granules move

    # the field in the frame of the surface: x, y along it, z outwards
    out = np.radians(np.clip(78 * radius**1.2, 0, 80)) + np.radians(12) * filament
    strength = spot * 2900 / (1 + (radius / 0.85) ** 2)
    upwards = strength * np.cos(out) - 1250 * plage * (1 + 0.15 * granules)
    upwards += 1100 * network * np.sign(smooth("polarity", 0.1 * side))
    weak = 60 * np.exp(0.5 * smooth("weak field", 3)) * (1 - spot)
    b_x = strength * np.sin(out) * np.cos(angle) + weak * smooth("weak x", 3)
    b_y = strength * np.sin(out) * np.sin(angle) + weak * smooth("weak y", 3)
    b_z = upwards + weak * smooth("weak z", 3)
    # the same in the frame of the observer
    along = b_z * np.cos(_TILT) + b_x * np.sin(_TILT)
    across = b_x * np.cos(_TILT) - b_z * np.sin(_TILT)
    outflow = 2.6 * penumbra * _step(radius - 0.5, 0.1) * (1 - 0.4 * filament)  # km/s, Evershed
    outflow += 0.3 * (1 - spot) * np.exp(-((radius - 1.2) ** 2) / 0.02)  # the moat
    velocity = -outflow * np.cos(angle) * np.sin(_TILT) - 0.9 * granules * calm
    velocity += 0.5 * (plage + network)  # downflows

    level = 1 + 0.07 * granules * calm - 0.03 * plage + 0.02 * network
    level *= 1 - spot + penumbra * (0.76 + 0.07 * filament) + umbra * (0.22 + 0.02 * granules)
    share = 0.72 + 0.03 * granules * calm - 0.08 * plage - 0.05 * penumbra - 0.14 * umbra
    theta = np.empty((*shape, 9))
    theta[..., 0] = np.sqrt(along**2 + across**2 + b_y**2)
    theta[..., 1] = np.degrees(np.arccos(np.clip(along / theta[..., 0], -1, 1)))
    theta[..., 2] = np.degrees(np.arctan2(b_y, across)) % 180
    theta[..., 3] = velocity
    theta[..., 4] = (31 - 2 * plage - 5 * umbra) * np.exp(0.05 * smooth("width", 2))
    theta[..., 5] = (8 - 2 * plage + 6 * umbra + penumbra) * np.exp(0.12 * smooth("opacity", 2))
    theta[..., 6] = (0.28 + 0.1 * umbra) * np.exp(0.10 * smooth("damping", 2))
    theta[..., 7], theta[..., 8] = level * (1 - share), level * share
    theta[..., 3:] = np.clip(theta[..., 3:], LOWER[3:] + 1e-3, UPPER[3:] - 1e-3)
    return theta


def _step(height: np.ndarray, width: float) -> np.ndarray:
    """Return a soft step from 0 to 1 where a height becomes positive."""
    return 0.5 * (1 + np.tanh(height / width))


def _coordinates(shape: tuple[int, int]) -> dict[str, object]:
    """Return FITS keywords of a map that is _TILT east of the disk centre."""
    return {
        "CTYPE1": "HPLN-TAN",
        "CTYPE2": "HPLT-TAN",
        "CUNIT1": "arcsec",
        "CUNIT2": "arcsec",
        "CRVAL1": round(-_SUN_RADIUS_ARCSEC * float(np.sin(_TILT)), 2),
        "CRVAL2": 0.0,
        "CRPIX1": (shape[1] + 1) / 2,
        "CRPIX2": (shape[0] + 1) / 2,
        "CDELT1": PIXEL_ARCSEC,
        "CDELT2": PIXEL_ARCSEC,
    }
