"""The limb, the sky beyond it, spicules and prominences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.solar_scenes.painting.noise import View, band_pass, oriented
from dataset_models.solar_scenes.painting.strokes import brush, wavering

__all__ = ["Limb", "add_prominence", "draw_limb", "limb_at", "with_sky"]


@dataclass(frozen=True)
class Limb:
    """A piece of the limb.

    Attributes
    ----------
    height, along : (y, x) float32
        Over the limb and along it, pixels.
    disc : (y, x) float32
        Share of the disc in each pixel.
    radius : float
        Of the Sun, pixels.
    normal : (float, float)
        Outward direction (y, x) at ``foot``.
    foot : (float, float)
        y and x of the limb's point nearest to the frame's middle.
    """

    height: np.ndarray
    along: np.ndarray
    disc: np.ndarray
    radius: float
    normal: tuple[float, float]
    foot: tuple[float, float]

    def point(self, along: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Return places (point, 2), y and x, from lengths along and over the limb, pixels."""
        turn = np.arctan2(self.normal[0], self.normal[1]) + np.asarray(along) / self.radius
        centre = np.asarray(self.foot) - self.radius * np.asarray(self.normal)
        distance = self.radius + np.asarray(height)
        return centre + np.stack([np.sin(turn), np.cos(turn)], -1) * distance[..., None]


def draw_limb(view: View, *, share: tuple[float, float] = (0.15, 0.8)) -> Limb:
    """Draw where the limb lies: at any angle, with some share of the frame on the disc."""
    r = view.generator
    n = view.size
    angle, radius = r.uniform(0, 2 * np.pi), float(np.exp(r.uniform(np.log(0.8), np.log(20)))) * n
    depth = (r.uniform(*share) - 0.5) * n
    normal = (float(np.sin(angle)), float(np.cos(angle)))
    foot = (view.shape[0] / 2 + depth * normal[0], view.shape[1] / 2 + depth * normal[1])
    return limb_at(view, foot, angle, radius)


def limb_at(view: View, foot: tuple[float, float], angle: float, radius: float) -> Limb:
    """Return the limb through a place (y, x), whose outward direction has an angle from the x axis.

    Parameters
    ----------
    view : View
    foot : (float, float)
        Pixels.
    angle : float
        Radians.
    radius : float
        Of the Sun, pixels.
    """
    normal = (float(np.sin(angle)), float(np.cos(angle)))
    y, x = view.coordinates()
    dy, dx = y - (foot[0] - radius * normal[0]), x - (foot[1] - radius * normal[1])
    height = np.hypot(dy, dx) - radius
    turn = (np.arctan2(dy, dx) - float(angle) + np.pi) % (2 * np.pi) - np.pi
    disc = 1 / (1 + np.exp(np.clip(height / 0.5, -30, 30)))
    return Limb(height, turn * radius, disc, radius, normal, foot)


def with_sky(
    view: View, image: np.ndarray, limb: Limb, *, disc_level: float, spicules: bool
) -> np.ndarray:
    """Darken the disc towards the limb, put sky and spicules beyond it."""
    r = view.generator
    n = view.size
    mu = np.sqrt(np.clip(1 - (1 + limb.height / limb.radius) ** 2, 0, 1))
    darkening = 1 - r.uniform(0.2, 0.7) * (1 - mu)
    sky, glare = float(np.exp(r.uniform(np.log(0.004), np.log(0.08)))), r.uniform(0.0, 0.12)
    above = np.clip(limb.height, 0, None)
    beyond = sky + glare * np.exp(-above / (r.uniform(0.05, 0.4) * n))
    if spicules:
        top = r.uniform(0.01, 0.035) * n
        ragged = band_pass(view, 0.7, 2.5, lifetime_s=200.0)
        fringe = np.exp(-((above / (top * np.clip(1 + 0.5 * ragged, 0.3, 2))) ** 2))
        beyond = beyond + r.uniform(0.1, 0.5) * max(disc_level, 0.2) * fringe
    return limb.disc * disc_level * darkening * image + (1 - limb.disc) * beyond


def add_prominence(
    view: View, image: np.ndarray, limb: Limb, *, brightness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a prominence over the limb: a hedgerow, loops, a hanging cloud, a pillar or a spray.

    Parameters
    ----------
    view : View
    image : (y, x) float32
    limb : Limb
    brightness : float
        Of its brightest part, relative to the quiet disc's 1.

    Returns
    -------
    image : (y, x) float32
    mask : (y, x) bool
    """
    r = view.generator
    shapes = (_hedgerow, _loops, _cloud, _pillars, _spray)
    painted = np.zeros(view.shape, np.float32)
    middle = 0.5 * np.asarray(view.shape)
    room = 0.5 * view.size - float((np.asarray(limb.foot) - middle) @ np.asarray(limb.normal))
    for k in range(1 + int(r.random() < 0.3)):
        top = r.uniform(0.12, 0.5) * view.size
        top = float(np.clip(top, 0.1 * view.size, max(0.95 * room, 0.12 * view.size)))
        place = r.uniform(-0.25, 0.25) * view.size
        chosen = shapes[int(r.choice(len(shapes), p=(0.34, 0.24, 0.18, 0.14, 0.10)))]
        painted = np.maximum(painted, (1 - 0.4 * k) * chosen(view, limb, place, top))
    grain = band_pass(view, 0.8, 4.0, lifetime_s=300.0)
    painted = painted * (1 - limb.disc) * np.clip(1 + r.uniform(0.05, 0.35) * grain, 0.1, None)
    return image + brightness * painted, painted > 0.25


def _hedgerow(view: View, limb: Limb, place: float, top: float) -> np.ndarray:
    """Return vertical threads under a ragged top, with gaps and arches below."""
    r = view.generator
    half = r.uniform(0.08, 0.35) * view.size
    u = (limb.along - place) / half
    ragged = band_pass(view, 0.03 * view.size, 0.12 * view.size, lifetime_s=1500.0)
    roof = top * np.sqrt(np.clip(1 - u**2, 0, 1)) * np.clip(1 + 0.35 * ragged, 0.3, 1.3)
    inside = np.clip((roof - limb.height) / (0.1 * top + 1), 0, 1) * (limb.height > -2)
    angle = np.arctan2(limb.normal[0], limb.normal[1]) + limb.along / limb.radius
    threads = oriented(view, max(0.007 * view.size, 0.7), 0.05 * view.size, angle)
    arch = np.clip(1 - r.uniform(0, 0.8) * np.exp(-limb.height / (0.3 * top)), 0, 1)
    return inside * arch * np.clip(0.7 + r.uniform(0.15, 0.45) * threads, 0.05, 1.3)


def _loops(view: View, limb: Limb, place: float, top: float) -> np.ndarray:
    r = view.generator
    out, t = np.zeros(view.shape, np.float32), np.linspace(0, np.pi, 70)
    for _ in range(int(r.integers(1, 6))):
        half = r.uniform(0.06, 0.3) * view.size
        along = place + r.normal(0, 0.05) * view.size - half * np.cos(t)
        height = top * r.uniform(0.6, 1.0) * np.sin(t) ** r.uniform(0.5, 1.2)
        width = max(r.uniform(0.008, 0.03) * view.size, 0.8) * wavering(view, len(t), 0.25)
        strength = np.clip(wavering(view, len(t), 0.35), 0.3, 1.5)
        out = np.maximum(out, brush(view, limb.point(along, height), width, strength / 1.5))
    return out / max(float(out.max()), 0.3)


def _cloud(view: View, limb: Limb, place: float, top: float) -> np.ndarray:
    """Return a body that hangs over the limb, tied to it by thin legs or not at all."""
    r = view.generator
    n = view.size
    middle, half = 0.7 * top, r.uniform(0.08, 0.25) * n
    thick = r.uniform(0.12, 0.3) * top
    lumps = band_pass(view, 0.015 * n + 0.5, 0.08 * n, lifetime_s=1500.0)
    tilt = r.uniform(-0.4, 0.4)
    u, v = (limb.along - place) / half, (limb.height - middle) / thick
    out = np.exp(-((u**2 + (v - tilt * u) ** 2) ** 1.3) + 0.5 * lumps)
    for _ in range(int(r.integers(0, 5))):
        foot, t = place + r.uniform(-1.2, 1.2) * half, np.linspace(0, 1, 30)
        along = foot + (r.normal(0, 0.3) * half) * t**2
        width = max(0.01 * n, 0.7)
        out = np.maximum(
            out, brush(view, limb.point(along, middle * t), width, r.uniform(0.3, 0.8))
        )
    return out / max(float(out.max()), 0.3)


def _pillars(view: View, limb: Limb, place: float, top: float) -> np.ndarray:
    r = view.generator
    out, t = np.zeros(view.shape, np.float32), np.linspace(0, 1, 40)
    for _ in range(int(r.integers(1, 4))):
        foot = place + r.normal(0, 0.06) * view.size
        along = (
            foot + r.normal(0, 0.25) * top * t**1.5 + 0.04 * top * np.sin(9 * t + r.uniform(0, 6))
        )
        width = np.maximum(r.uniform(0.012, 0.05) * view.size * (1.2 - 0.7 * t), 0.8)
        own = top * r.uniform(0.6, 1.0)
        painted = brush(view, limb.point(along, own * t), width, 1 - 0.5 * t, hardness=1.3)
        out = np.maximum(out, painted)
    return out


def _spray(view: View, limb: Limb, place: float, top: float) -> np.ndarray:
    """Return blobs thrown out along diverging paths."""
    r = view.generator
    out, t = np.zeros(view.shape, np.float32), np.linspace(0, 1, 40)
    lean = r.normal(0, 0.4)
    for _ in range(int(r.integers(3, 9))):
        along = place + top * t * (lean + r.normal(0, 0.25))
        width = max(r.uniform(0.006, 0.02) * view.size, 0.7) * wavering(view, len(t), 0.3)
        strength = np.clip(wavering(view, len(t), 0.8, smooth=3), 0, 1)
        own = top * r.uniform(0.5, 1.0)
        out = np.maximum(out, brush(view, limb.point(along, own * t), width, strength))
    return out / max(float(out.max()), 0.3)
