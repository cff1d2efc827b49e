"""Textures of the Sun without any feature: photosphere and chromosphere at any pixel scale.

Each gives relative brightness (y, x) float32 about 1. All classes share all textures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from dataset_models.solar_scenes.painting.noise import View, band_pass, cells, oriented

__all__ = ["PHOTOSPHERIC", "TEXTURES", "plage"]

GRANULE_ARCSEC = (1.1, 1.6)  # mean distance of granules (Bray, Loughhead & Durrant 1984: 1.3")
SUPERGRANULE_ARCSEC = (25.0, 45.0)  # Leighton, Noyes & Simon 1962: 30 Mm, 41"
_UNRESOLVED = 0.6  # share of those whose granules are below the resolution
_BRIGHT_POINTS = 0.3  # share of those with resolved granules
_GRANULE_LIFE_S, _FIBRIL_LIFE_S, _NETWORK_LIFE_S = 480.0, 300.0, 30000.0


def _standard(field: np.ndarray) -> np.ndarray:
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def granulation(view: View, contrast: float) -> np.ndarray:
    """Return bright granules of different brightness between dark lanes, resolved or not."""
    r = view.generator
    # a telescope that does not resolve granules shows a pattern of a few pixels (HMI: about 4)
    true, seen = view.pixels(r.uniform(*GRANULE_ARCSEC)), r.uniform(1.5, 5.0)
    if true < seen and r.random() < _UNRESOLVED:
        return 1 + contrast * _unresolved(view)
    spacing = max(true, seen)
    inside, value = cells(view, spacing, warp=r.uniform(0.1, 0.22), lifetime_s=_GRANULE_LIFE_S)
    grain = np.tanh(r.uniform(1.2, 3) * inside) * (0.6 + r.uniform(0.3, 1.2) * value)
    ragged = band_pass(view, 0.1 * spacing, 0.4 * spacing, lifetime_s=_GRANULE_LIFE_S / 2)
    grain = grain * (1 + r.uniform(0.05, 0.3) * ragged)
    grain = gaussian_filter(grain, (0.22 if true < seen else 0.07) * spacing, mode="wrap")
    patches = band_pass(view, 1.5 * spacing, 5 * spacing, lifetime_s=3 * _GRANULE_LIFE_S)
    # near magnetic fields granules are weaker, and bright points stand between them
    calm = band_pass(view, 2 * spacing, 8 * spacing, lifetime_s=_NETWORK_LIFE_S)
    field = _standard(grain) * np.clip(1 + r.uniform(0, 0.35) * calm, 0.2, 1.8)
    field = field + r.uniform(0.1, 0.5) * patches
    if r.random() < _BRIGHT_POINTS:
        lanes = np.exp(-((inside / r.uniform(0.08, 0.2)) ** 2))
        field = field + r.uniform(0.5, 3.0) * lanes * np.maximum(calm + ragged - 1, 0)
    return 1 + contrast * r.uniform(0.03, 0.13) * (field - field.mean())


def _unresolved(view: View) -> np.ndarray:
    """Return the photosphere through a point spread wider than granules, about 0.

    Sums of many granules are Gaussian; their grain is as fine as the point spread, its contrast
    may be a hundredth. Faculae along the network may stand out or not.
    """
    r = view.generator
    width = r.uniform(0.45, 1.8)  # pixels
    grain = band_pass(view, width, r.uniform(2, 5) * max(width, 1.0), lifetime_s=_GRANULE_LIFE_S)
    broad = band_pass(view, 3 * width, 15 * width, lifetime_s=_NETWORK_LIFE_S)
    field = grain + r.uniform(0, 0.6) * broad
    if r.random() < 0.5:
        field = field + r.uniform(0, 2.5) * _network_borders(view) * np.exp(0.3 * grain)
    amplitude = float(np.exp(r.uniform(np.log(0.008), np.log(0.08))))
    return amplitude * (field - field.mean())


def reversed_granulation(view: View, contrast: float) -> np.ndarray:
    """Return a bright irregular mesh round dark cells, as in the wings of strong lines."""
    r = view.generator
    true, seen = view.pixels(r.uniform(1.3, 2.6)), r.uniform(1.5, 5.0)
    spacing = max(true, seen)
    inside, value = cells(view, spacing, warp=r.uniform(0.15, 0.3), lifetime_s=_GRANULE_LIFE_S / 2)
    patches = band_pass(view, spacing, 4 * spacing, lifetime_s=_GRANULE_LIFE_S)
    ragged = band_pass(view, 0.08 * spacing, 0.4 * spacing, lifetime_s=_GRANULE_LIFE_S / 2)
    inside = inside + r.uniform(0.03, 0.12) * ragged
    mesh = np.exp(-((inside / r.uniform(0.15, 0.35)) ** 2)) * np.exp(r.uniform(0.2, 0.6) * patches)
    if true < seen:
        mesh = gaussian_filter(mesh, 0.18 * spacing, mode="wrap")
    field = _standard(mesh) + 0.4 * (value - 0.5)
    grains = np.exp(1.2 * band_pass(view, 0.25 * spacing, spacing, lifetime_s=_GRANULE_LIFE_S))
    return 1 + contrast * r.uniform(0.03, 0.12) * (field + r.uniform(0, 0.5) * _standard(grains))


def network(view: View, contrast: float) -> np.ndarray:
    """Return bright grains along the borders of supergranules over a fine mottled ground."""
    r = view.generator
    fine = view.pixels(r.uniform(0.3, 0.8), 0.5)
    edge = _network_borders(view)
    grain = band_pass(view, fine, 4 * fine, lifetime_s=_GRANULE_LIFE_S)
    ground = band_pass(view, 0.7 * fine, 2.5 * fine, lifetime_s=120.0)
    bright = edge * np.exp(r.uniform(0.4, 0.9) * grain)
    field = r.uniform(0.04, 0.1) * ground + r.uniform(0.1, 0.45) * bright
    return 1 + contrast * (field - field.mean())


def _network_borders(view: View) -> np.ndarray:
    """Return how much of the network lies at each pixel, about 0 to 1."""
    r = view.generator
    wanted = view.pixels(r.uniform(*SUPERGRANULE_ARCSEC))
    spacing = float(np.clip(wanted, 10, 0.6 * view.size))
    inside, _ = cells(view, spacing, warp=r.uniform(0.15, 0.3), lifetime_s=_NETWORK_LIFE_S)
    patchy = band_pass(view, 0.04 * spacing, 0.3 * spacing, lifetime_s=_NETWORK_LIFE_S)
    edge = np.exp(-((inside / r.uniform(0.12, 0.3)) ** 2))
    return edge * np.clip(0.6 + 0.6 * patchy, 0, 2)


def fibrils(view: View, contrast: float) -> np.ndarray:
    """Return threads of the chromosphere, along a common direction or out of bright rosettes."""
    r = view.generator
    width = float(np.clip(view.pixels(r.uniform(0.25, 0.7)), 0.6, 4.0))
    length = width * r.uniform(2, 7)
    spacing = float(np.clip(view.pixels(r.uniform(15, 40)), 12, 1.2 * view.size))
    hills = band_pass(view, 0.25 * spacing, 0.8 * spacing, lifetime_s=_NETWORK_LIFE_S)
    down, right = np.gradient(hills)
    slope = np.hypot(down, right) + 1e-6
    order = r.uniform(0.1, 2.0)  # small: all out of rosettes, large: along one direction
    steep = slope / np.sqrt((slope**2).mean())
    across = (right + 1j * down) ** 2 / slope**2 * np.minimum(steep, 2)
    direction = across + order * complex(np.exp(2j * r.uniform(0, np.pi)))
    angle = 0.5 * np.angle(direction)
    del down, right, slope, steep, across, direction  # whole Suns are large
    threads = oriented(view, width, length, angle, lifetime_s=_FIBRIL_LIFE_S)
    grain = band_pass(view, 0.8 * width, 3 * width, lifetime_s=_FIBRIL_LIFE_S)
    # dark threads are stronger than bright ones, rosettes are bright
    threads = threads - 0.25 * np.maximum(-threads, 0) ** 1.5
    bright = np.maximum(hills, 0) * np.exp(0.4 * grain)
    field = r.uniform(0.03, 0.11) * threads + r.uniform(0.015, 0.05) * grain
    field += r.uniform(0.0, 0.12) * bright + r.uniform(0, 0.04) * hills
    return 1 + contrast * (field - field.mean())


def mottles(view: View, contrast: float) -> np.ndarray:
    """Return the chromosphere at low resolution: soft mottling, dark and bright patches."""
    r = view.generator
    fine = r.uniform(0.6, 2.2)
    ground = band_pass(view, fine, r.uniform(2, 5) * fine, lifetime_s=_FIBRIL_LIFE_S)
    patches = band_pass(view, 3 * fine, r.uniform(8, 25) * fine, lifetime_s=_NETWORK_LIFE_S)
    edge = _network_borders(view)
    field = r.uniform(0.02, 0.07) * ground + r.uniform(0.01, 0.05) * patches
    field += r.uniform(0, 0.12) * edge * np.exp(0.4 * ground)
    return 1 + contrast * (field - field.mean())


TEXTURES: dict[str, Callable[[View, float], np.ndarray]] = {
    "granulation": granulation,
    "reversed granulation": reversed_granulation,
    "network": network,
    "fibrils": fibrils,
    "mottles": mottles,
}
PHOTOSPHERIC = ("granulation", "reversed granulation")


def plage(view: View, *, amplitude: float, cover: float, centre=None) -> np.ndarray:
    """Return what plage adds: bright, mottled, with ragged borders and no thin bright line.

    Parameters
    ----------
    view : View
    amplitude : float
        Brightness above the quiet Sun's 1.
    cover : float
        Share of the frame, roughly.
    centre : (float, float), optional
        y and x in pixels that it gathers round.

    Returns
    -------
    (y, x) float32
    """
    r = view.generator
    scale = r.uniform(0.05, 0.14) * view.size
    hills = band_pass(view, scale, 3 * scale, lifetime_s=_NETWORK_LIFE_S)
    fine = float(np.clip(view.pixels(r.uniform(0.4, 1.2)), 0.7, 0.05 * view.size))
    grain = band_pass(view, fine, 4 * fine, lifetime_s=_FIBRIL_LIFE_S)
    ragged = hills + r.uniform(0.2, 0.7) * grain
    if centre is not None:
        y, x = view.coordinates()
        distance = np.hypot(y - centre[0], x - centre[1]) / (r.uniform(0.25, 0.6) * view.size)
        ragged = ragged + 0.8 - distance**2
    level = float(np.quantile(ragged, 1 - cover))
    inside = 1 / (1 + np.exp(-(ragged - level) * r.uniform(2, 6)))
    return amplitude * inside * np.exp(r.uniform(0.15, 0.5) * grain)
