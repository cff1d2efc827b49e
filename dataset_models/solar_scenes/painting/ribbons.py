"""Flare ribbons and kernels: thin, bright, beaded, one or two, sometimes with loops between."""

from __future__ import annotations

import numpy as np

from dataset_models.solar_scenes.painting.noise import View, band_pass
from dataset_models.solar_scenes.painting.strokes import brush, curve, wavering

__all__ = ["add_flare"]


def add_flare(
    view: View, image: np.ndarray, centre: tuple[float, float], *, contrast: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one or two ribbons, or a few compact kernels.

    Parameters
    ----------
    view : View
    image : (y, x) float32
        Relative brightness without the flare.
    centre : (float, float)
        y and x in pixels.
    contrast : float
        1: 0.5 to 3 times the quiet Sun is added, always well above the texture.

    Returns
    -------
    image : (y, x) float32
    mask : (y, x) bool
        Ribbons and kernels.
    """
    r = view.generator
    # ribbons outshine plage and network
    floor = max(1.4 * (float(np.percentile(image, 99.5)) - 1), 4 * min(float(image.std()), 0.2))
    height = contrast * max(float(np.exp(r.uniform(np.log(0.5), np.log(3.0)))), floor)
    # ribbons brighten and fade within many minutes
    height *= 1 + 0.2 * float(np.sin(2 * np.pi * view.elapsed_s / 1800 + r.uniform(0, 6)))
    painted = _kernels(view, centre) if r.random() < 0.15 else _ribbons(view, centre)
    beads = band_pass(view, 0.01 * view.size + 0.4, 0.05 * view.size, lifetime_s=120.0)
    mask = painted > 0.4
    bright = height * painted * np.clip(1 + r.uniform(0.1, 0.45) * beads, 0.3, None)
    if r.random() < 0.25:
        bright = np.minimum(bright, r.uniform(0.4, 0.8) * height)  # saturated
    # over an umbra a ribbon is as bright as elsewhere
    return image + bright + np.clip(painted, 0, 1) * np.maximum(1 - image, 0), mask


def _ribbons(view: View, centre: tuple[float, float]) -> np.ndarray:
    r = view.generator
    n, angle = view.size, r.uniform(0, np.pi)
    first, width = _ribbon(view, centre, angle)
    painted = _painted(view, first, width)
    if r.random() < 0.75:
        normal = np.array([np.cos(angle), -np.sin(angle)]) * r.choice((-1, 1))
        shift = r.uniform(0.07, 0.3) * n * normal + r.normal(0, 0.03 * n, 2)
        if r.random() < 0.6:  # the two often run alike
            second = first + shift + (first - first.mean(0)) * r.normal(0, 0.15)
        else:
            second = _ribbon(view, tuple(np.asarray(centre) + shift), angle)[0]
        painted = np.maximum(painted, r.uniform(0.5, 1.0) * _painted(view, second, width))
        if r.random() < 0.25:
            painted = painted + _loops(view, first, second)
    glow = r.uniform(0.0, 0.2) * brush(view, first, 3.5 * width)
    return np.maximum(painted, glow)


def _ribbon(view: View, centre, angle: float) -> tuple[np.ndarray, float]:
    r = view.generator
    length = r.uniform(0.2, 0.85) * view.size
    points = curve(view, centre, length, angle + r.normal(0, 0.1), bend=r.uniform(0.04, 0.25))
    width = max(np.exp(r.uniform(np.log(0.008), np.log(0.04))) * view.size, 0.8)
    return points, width


def _painted(view: View, points: np.ndarray, width: float) -> np.ndarray:
    n = len(points)
    widths = np.maximum(width * wavering(view, n, 0.35, smooth=5), 0.7)
    strength = np.clip(wavering(view, n, 0.4, smooth=4), 0.25, 1.6)
    return brush(view, points, widths, strength / strength.max())


def _kernels(view: View, centre: tuple[float, float]) -> np.ndarray:
    r = view.generator
    painted = np.zeros(view.shape, np.float32)
    for _ in range(int(r.integers(1, 5))):
        place = tuple(np.asarray(centre) + r.normal(0, 0.08 * view.size, 2))
        width = max(np.exp(r.uniform(np.log(0.02), np.log(0.045))) * view.size, 1.0)
        points = curve(view, place, r.uniform(0.5, 4) * width, r.uniform(0, np.pi), bend=0.2)
        painted = np.maximum(painted, brush(view, points, width, r.uniform(0.6, 1.0)))
    return painted / max(float(painted.max()), 0.3)


def _loops(view: View, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return faint strands from ribbon to ribbon."""
    r = view.generator
    out = np.zeros(view.shape, np.float32)
    t = np.linspace(0, 1, 40)[:, None]
    lean = r.normal(0, 0.08 * view.size, 2)
    for _ in range(int(r.integers(3, 9))):
        at = int(r.integers(5, len(first) - 5))
        points = first[at] * (1 - t) + second[at] * t + 4 * t * (1 - t) * lean
        out = np.maximum(out, brush(view, points, 0.9, r.uniform(0.05, 0.3)))
    return out
