"""Sunspots and pores: umbra, striated penumbra, light bridges, groups."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from dataset_models.solar_scenes.painting.noise import View, band_pass
from dataset_models.solar_scenes.painting.strokes import brush, curve

__all__ = ["add_pores", "add_spot", "add_spot_group"]

_PENUMBRAL_ARCSEC = 0.45  # distance of penumbral filaments
_RADIAL_STEPS = 24


def add_spot(
    view: View,
    image: np.ndarray,
    centre: tuple[float, float],
    radius: float,
    *,
    darkness: float = 1.0,
    chromospheric: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a spot.

    Parameters
    ----------
    view : View
    image : (y, x) float32
        Relative brightness of what lies round it.
    centre : (float, float)
        y and x in pixels.
    radius : float
        Outer radius of the penumbra in pixels.
    darkness : float
        1 as seen in the continuum, less in the cores of lines.
    chromospheric : bool
        Draw a soft superpenumbra instead of a penumbra with a sharp border.

    Returns
    -------
    image : (y, x) float32
    mask : (y, x) bool
        Umbra and penumbra.
    """
    r = view.generator
    away, angle = _spot_coordinates(view, centre, radius)
    striae = _striae(view, away, angle, radius)
    ragged = r.uniform(0.02, 0.07)
    edge = away + ragged * striae
    soft = max(0.6 / radius, r.uniform(0.1, 0.3) if chromospheric else r.uniform(0.03, 0.12))
    umbra_radius = r.uniform(0.35, 0.65)
    penumbra = _inside(edge, 1.0, soft)
    umbra = _inside(away + 0.5 * ragged * striae, umbra_radius, max(0.4 / radius, 0.05))
    umbra = umbra * (1 - _light_bridges(view, centre, umbra_radius * radius))
    grey = 1 - darkness * r.uniform(0.12, 0.38)
    grey = grey + darkness * r.uniform(0.05, 0.15) * striae
    dark = 1 - darkness * r.uniform(0.55, 0.93)
    dots = band_pass(view, 1.0, 3.0)
    level = float(np.median(image))
    image = image * (1 - penumbra) + level * penumbra * grey
    image = image * (1 - umbra) + level * umbra * (dark + 0.03 * dots)
    return np.maximum(image, 0.02 * level), penumbra > 0.5


def _spot_coordinates(
    view: View, centre: tuple[float, float], radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return distance in radii of a lopsided spot, and angle."""
    r = view.generator
    y, x = view.coordinates()
    dy, dx = y - np.float32(centre[0]), x - np.float32(centre[1])
    stretch, turn = r.uniform(1.0, 1.5) ** 0.5, r.uniform(0, np.pi)
    c, s = np.cos(turn), np.sin(turn)
    u, v = (c * dx + s * dy) / stretch, (c * dy - s * dx) * stretch
    angle = np.arctan2(v, u)
    lobes, phase = r.normal(size=4), r.uniform(0, 2 * np.pi, 4)
    outline = 1 + sum(0.05 * lobes[k] * np.cos((k + 2) * angle + phase[k]) for k in range(4))
    bumps = band_pass(view, 0.1 * radius + 1, 0.4 * radius + 3, lifetime_s=40000.0)
    away = np.hypot(u, v) / (radius * np.clip(outline, 0.5, 1.6)) + r.uniform(0.02, 0.12) * bumps
    return away, angle


def _striae(view: View, away: np.ndarray, angle: np.ndarray, radius: float) -> np.ndarray:
    """Return radial threads of about unit variance, from a small table over angle and distance."""
    r = view.generator
    arcsec = _PENUMBRAL_ARCSEC * r.uniform(0.8, 2.0)
    n = int(np.clip(2 * np.pi * 0.8 * radius / view.pixels(arcsec, 1.3), 12, 360))
    table = r.normal(size=(n, _RADIAL_STEPS))
    fine = gaussian_filter(table, (0.4, 3.0), mode=("wrap", "nearest"))
    broad = gaussian_filter(table, (2.0, 6.0), mode=("wrap", "nearest"))
    table = fine / fine.std() + r.uniform(0.2, 0.8) * broad / broad.std()
    table /= table.std()
    wander = r.uniform(0, 0.08) * np.sin(r.uniform(2, 8) * away + r.uniform(0, 6))
    row = (angle + wander) / (2 * np.pi) % 1 * n
    column = np.clip(away / 1.6 * (_RADIAL_STEPS - 1), 0, _RADIAL_STEPS - 1)
    return map_coordinates(table, np.stack([row, column]), order=1, mode="grid-wrap")


def _inside(distance: np.ndarray, border: float, soft: float) -> np.ndarray:
    return 1 / (1 + np.exp(np.clip((distance - border) / (0.5 * soft), -30, 30)))


def _light_bridges(view: View, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Return bright lanes through an umbra of some radius, 0 to 1."""
    r = view.generator
    n = int(r.choice(3, p=(0.55, 0.33, 0.12)))
    out = np.zeros(view.shape, np.float32)
    for _ in range(n):
        middle = tuple(np.asarray(centre) + r.uniform(-0.4, 0.4, 2) * radius)
        points = curve(view, middle, 2.6 * radius, r.uniform(0, np.pi), bend=0.12)
        width = max(r.uniform(0.04, 0.12) * radius, 0.7)
        out = np.maximum(out, brush(view, points, width, r.uniform(0.5, 1.0)))
    return out


def add_spot_group(
    view: View,
    image: np.ndarray,
    centre: tuple[float, float],
    radius: float,
    *,
    darkness: float = 1.0,
    chromospheric: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a group: some spots along an axis, touching or not, with pores about them."""
    r = view.generator
    axis = r.uniform(0, np.pi)
    mask = np.zeros(view.shape, bool)
    for k in range(int(r.integers(2, 5))):
        step = radius * (r.uniform(-1.6, 1.6) if k else 0.0)
        side = radius * r.normal(0, 0.4) * (k > 0)
        place = (
            centre[0] + step * np.sin(axis) + side * np.cos(axis),
            centre[1] + step * np.cos(axis) - side * np.sin(axis),
        )
        own = radius * (1.0 if k == 0 else r.uniform(0.3, 0.9))
        image, more = add_spot(
            view, image, place, own, darkness=darkness, chromospheric=chromospheric
        )
        mask |= more
    image, pores = add_pores(
        view, image, int(r.integers(2, 12)), centre, 2.0 * radius, 0.12 * radius, darkness=darkness
    )
    return image, mask | pores


def add_pores(
    view: View,
    image: np.ndarray,
    n: int,
    centre: tuple[float, float],
    spread: float,
    radius: float,
    *,
    darkness: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw small dark pores without penumbra about a place.

    Parameters
    ----------
    view : View
    image : (y, x) float32
    n : int
    centre : (float, float)
    spread, radius : float
        Pixels; each pore has its own size, 0.5 to 1.5 times ``radius``.
    darkness : float

    Returns
    -------
    image : (y, x) float32
    mask : (y, x) bool
    """
    r = view.generator
    total = np.zeros(view.shape, np.float32)
    for _ in range(n):
        place = np.asarray(centre) + r.normal(0, 0.5 * spread, 2)
        own = max(radius * r.uniform(0.5, 1.5), 0.8)
        points = curve(view, tuple(place), own * r.uniform(0.3, 2.5), r.uniform(0, np.pi), bend=0.2)
        depth = darkness * r.uniform(0.35, 0.85)
        total = np.maximum(total, brush(view, points, 0.8 * own, depth, hardness=1.6))
    return image * (1 - total), total > 0.25
