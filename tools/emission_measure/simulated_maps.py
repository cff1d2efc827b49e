"""Maps whose emission measure is known, seen by AIA with noise: what inversions are judged on.

Synthetic. Smooth fields place a quiet corona, active regions, hot cores and the transition region;
the shape of every part is that of a family. Networks never learn from these maps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.channels import CAMERA
from tools.emission_measure.families import FAMILIES, FINE_LOG_T, LOG_T_EDGES, profile
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS, aia_response

__all__ = ["MAP_FAMILIES", "SimulatedMap", "chianti_profile", "draw_counts", "simulated_map"]

MAP_FAMILIES = ("log-normal", "box", "power law", "CHIANTI", "flare", "tent", "heavy tails", "loop")
_UNIT_CM5 = 1e26
_FALL = -6.0  # dex per dex above the end of CHIANTI's tables


@dataclass(frozen=True)
class SimulatedMap:
    """What is true and what is seen.

    Attributes
    ----------
    em : (pixel, 18) float64
        True emission measure in the bins of ``LOG_T_EDGES``, cm-5.
    rate : (pixel, 6) float64
        Brightness without noise, DN s-1 pix-1.
    dn, sigma : (pixel, 6) float64
        With noise, and its error, DN s-1 pix-1.
    """

    em: np.ndarray
    rate: np.ndarray
    dn: np.ndarray
    sigma: np.ndarray


def chianti_profile(name: str) -> np.ndarray:
    """Give CHIANTI's emission measure, ``quiet Sun`` or ``active region``, of unit sum: (180,)."""
    table = json.loads(Path(__file__).with_name("chianti_dem.json").read_text())[name]
    grid, log_dem = np.array(table["log_temperature"]), np.array(table["log_dem"])
    value = np.interp(FINE_LOG_T, grid, log_dem) + FINE_LOG_T  # per K to per dex
    value += _FALL * np.maximum(FINE_LOG_T - grid[-1], 0)
    shape = 10.0 ** (value - value.max())
    return shape / shape.sum()


def draw_counts(
    rate: np.ndarray, pixels_averaged: float, generator: np.random.Generator
) -> np.ndarray:
    """Draw photons and read noise.

    Parameters
    ----------
    rate : (..., 6) float
        True brightness, DN s-1 pix-1.
    pixels_averaged : float
        Pixels of one usual exposure that are averaged.

    Returns
    -------
    (..., 6) float64
        DN s-1 pix-1.
    """
    cameras = [CAMERA[channel] for channel in RESPONSE_CHANNELS]
    per_photon = np.array([c.dn_per_photon / c.exposure_s for c in cameras])
    read = np.array([c.read_noise_dn / c.exposure_s for c in cameras]) / np.sqrt(pixels_averaged)
    photons = generator.poisson(np.maximum(rate, 0) / per_photon * pixels_averaged)
    return photons / pixels_averaged * per_photon + read * generator.standard_normal(rate.shape)


def simulated_map(
    family: str,
    side: int,
    pixels_averaged: float,
    *,
    seed: int,
    version: str = "v10_evenorm_chiantifix",
) -> SimulatedMap:
    """Make a map.

    Parameters
    ----------
    family : str
        One of ``MAP_FAMILIES``; ``CHIANTI`` mixes its quiet Sun and active region, ``flare`` has
        log-normals with a core of 10 to 16 MK that outshines all.
    side : int
        Pixels.
    pixels_averaged : float
        1 is one exposure at full resolution.

    Raises
    ------
    ValueError
        If there is no such family or response.
    """
    if family not in MAP_FAMILIES:
        raise ValueError(f"no family {family!r}; there are {', '.join(MAP_FAMILIES)}")
    generator = np.random.default_rng(seed)

    def field(width: float) -> np.ndarray:
        smooth = gaussian_filter(generator.standard_normal((side, side)), width, mode="wrap")
        return ((smooth - smooth.mean()) / smooth.std()).ravel()

    active = field(side / 9)
    hot = np.where(active > 1, 25.4 + 1.1 * (active - 1), 19.0)
    if family == "flare":
        hot = 27.5 + 0.5 * active + 0.2 * field(2)
    parts = [
        (26.0 + 0.4 * field(5), 5.98 + 0.1 * field(9), np.clip(0.17 + 0.05 * field(7), 0.06, 0.35)),
        (
            26.3 + 0.7 * active + 0.2 * field(2),
            6.48 + 0.1 * field(7),
            np.clip(0.12 + 0.04 * field(6), 0.04, 0.3),
        ),
        (hot, 6.96 + 0.09 * field(6), np.clip(0.08 + 0.03 * field(6), 0.03, 0.2)),
        (
            24.6 + 0.5 * field(4),
            5.68 + 0.09 * field(5),
            np.clip(0.15 + 0.04 * field(7), 0.05, 0.25),
        ),
    ]
    if family == "flare":
        parts[2] = (hot, np.clip(7.08 + 0.05 * field(6), 7.0, 7.2), parts[2][2])
    shapes = [profile(_shape_of(family), centre, width) for _, centre, width in parts]
    if family == "CHIANTI":
        shapes[0] = np.broadcast_to(chianti_profile("quiet Sun"), shapes[0].shape)
        shapes[1] = np.broadcast_to(chianti_profile("active region"), shapes[1].shape)
    fine = sum(
        10.0 ** (log_em - 26)[:, None] * shape
        for (log_em, _, _), shape in zip(parts, shapes, strict=True)
    )
    rate = fine @ (aia_response(FINE_LOG_T, version=version) * _UNIT_CM5).T
    dn = draw_counts(rate, pixels_averaged, generator)
    sigma = aia_noise(dn, RESPONSE_CHANNELS, pixels_averaged=pixels_averaged)
    em = fine.reshape(len(fine), len(LOG_T_EDGES) - 1, -1).sum(axis=2) * _UNIT_CM5
    return SimulatedMap(em, rate, dn, sigma)


def _shape_of(family: str) -> str:
    """Give the family of a map's log-normal parts."""
    return family if family in FAMILIES else "log-normal"
