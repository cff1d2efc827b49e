"""The whole Sun at once where it shows none of the five classes: its corona, and its field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.solar_scenes.painting.noise import View, band_pass, cells
from dataset_models.solar_scenes.painting.strokes import brush, curve

__all__ = ["whole_corona", "whole_magnetogram"]

_BELT = (0.12, 0.55)  # sine of the latitudes where active regions are
_STEEPEST = 0.12  # cosine of the angle to the line of sight below which the limb gains no more


@dataclass(frozen=True)
class _Disc:
    """Distance from the middle in solar radii, sine of the latitude, and where belts cross."""

    distance: np.ndarray
    latitude: np.ndarray
    centre: tuple[float, float]
    radius: float
    turn: float

    @property
    def inside(self) -> np.ndarray:
        return 1 / (1 + np.exp(np.clip((self.distance - 1) * self.radius / 0.6, -30, 30)))

    def place(self, r: np.random.Generator) -> tuple[float, float]:
        """Return a place in the belts, y and x in pixels."""
        up = r.uniform(*_BELT) * r.choice((-1, 1))
        along = r.uniform(-0.97, 0.97) * np.sqrt(1 - up**2)
        c, s = np.cos(self.turn), np.sin(self.turn)
        y, x = c * up + s * along, c * along - s * up
        return self.centre[0] + self.radius * y, self.centre[1] + self.radius * x


def _disc(view: View) -> _Disc:
    """Draw where the disc lies: whole in the frame, or cut by its edges."""
    r, n = view.generator, view.size
    radius = r.uniform(0.28, 0.7) * n
    centre = tuple(0.5 * np.asarray(view.shape) + r.normal(0, 0.05 + 0.1 * r.random(), 2) * n)
    turn = r.normal(0, 0.3) + r.integers(4) * np.pi / 2
    y, x = view.coordinates()
    dy, dx = (y - centre[0]) / radius, (x - centre[1]) / radius
    latitude = np.cos(turn) * dy - np.sin(turn) * dx
    return _Disc(np.hypot(dy, dx).astype(np.float32), latitude, centre, float(radius), float(turn))


def whole_corona(view: View) -> np.ndarray:
    """Return the corona on and beside the disc: a bright limb, regions in two belts, holes, haze.

    Shown as it is, or by a power of the brightness, as displays do.
    """
    r, n = view.generator, view.size
    disc = _disc(view)
    mu = np.sqrt(np.clip(1 - disc.distance**2, 0, 1))
    limb = r.uniform(0.0, 0.5) * (1 / np.maximum(mu, _STEEPEST) - 1) ** r.uniform(0.5, 1)
    fall = np.exp(-np.clip(disc.distance - 1, 0, None) / r.uniform(0.04, 0.2))
    rays = np.exp(r.uniform(0, 0.5) * band_pass(view, 0.04 * n, 0.2 * n, lifetime_s=20000.0))
    beyond = r.uniform(0.5, 2.0) * fall * rays
    large = band_pass(view, 0.03 * n, 0.15 * n, lifetime_s=20000.0)
    fine = band_pass(view, r.uniform(0.5, 1.2), 4.0, lifetime_s=600.0)
    haze = np.exp(r.uniform(0.3, 0.9) * large + r.uniform(0.1, 0.4) * fine)
    image = disc.inside * haze * (1 + limb) + (1 - disc.inside) * beyond
    image = image * (1 - r.uniform(0, 0.8) * _holes(view, disc))
    for _ in range(int(r.integers(0, 9))):
        image = image + r.uniform(0.5, 8) * _region(view, disc)
    for _ in range(int(r.integers(0, 4))):
        points = curve(view, disc.place(r), r.uniform(0.1, 0.5) * disc.radius, r.uniform(0, 6))
        image = image * (1 - r.uniform(0.2, 0.7) * brush(view, points, 0.012 * n + 0.4))
    dark = r.uniform(0, 0.02)
    return np.clip(image + dark, 0, None) ** (r.uniform(0.35, 1.0) if r.random() < 0.6 else 1.0)


def _holes(view: View, disc: _Disc) -> np.ndarray:
    """Return coronal holes, 0 to 1: at the poles, and patches."""
    r, n = view.generator, view.size
    bumps = 0.12 * band_pass(view, 0.03 * n, 0.15 * n, lifetime_s=20000.0)
    poles = np.abs(disc.latitude) + bumps > r.uniform(0.75, 1.1)
    patches = band_pass(view, 0.05 * n, 0.2 * n, lifetime_s=20000.0) > r.uniform(1.2, 3.0)
    return (poles | patches) * disc.inside


def _region(view: View, disc: _Disc) -> np.ndarray:
    """Return an active region: a bright core, loops over it or fans out of it."""
    r = view.generator
    place = np.asarray(disc.place(r))
    size = r.uniform(0.03, 0.13) * disc.radius
    out = r.uniform(0.2, 1.0) * brush(view, place + r.normal(0, 0.3 * size, (4, 2)), size)
    for _ in range(int(r.integers(0, 7))):
        t, turn = np.linspace(0, np.pi * r.uniform(0.3, 1.0), 24), r.uniform(0, 2 * np.pi)
        arc = np.stack([np.sin(t + turn), np.cos(t + turn)], 1) * r.uniform(0.8, 3) * size
        strength = r.uniform(0.2, 1.0) * np.linspace(1, r.random(), len(t))
        out = out + brush(view, place + arc, max(0.15 * size, 0.6), strength)
    return out


def whole_magnetogram(view: View) -> np.ndarray:
    """Return the field along the line of sight over the disc: salt and pepper, pairs of spots."""
    r = view.generator
    disc = _disc(view)
    spacing = max(r.uniform(0.03, 0.08) * disc.radius, 2.5)
    inside, _ = cells(view, spacing, lifetime_s=30000.0)
    sign = band_pass(view, 0.2 * spacing, spacing, lifetime_s=30000.0)
    field = r.uniform(0.02, 0.15) * np.exp(-((inside / 0.3) ** 2)) * sign
    field = field + r.uniform(0.003, 0.03) * band_pass(view, 0.4, 2.0, lifetime_s=3000.0)
    for _ in range(int(r.integers(0, 9))):
        place, size = np.asarray(disc.place(r)), r.uniform(0.02, 0.08) * disc.radius + 0.5
        apart = size * r.uniform(0.8, 2.0) * np.array([np.sin(disc.turn), np.cos(disc.turn)])
        strength = r.uniform(0.2, 2.0) * r.choice((-1, 1))
        for polarity in (-1, 1):
            spots = place + polarity * apart + r.normal(0, 0.3 * size, (3, 2))
            field = field + polarity * strength * brush(view, spots, size)
    return np.clip(field * disc.inside, -1, 1) * r.uniform(1, 3)
