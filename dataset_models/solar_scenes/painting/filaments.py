"""Filaments on the disc: a dark spine with barbs, of any width, some thin, some broken."""

from __future__ import annotations

import numpy as np

from dataset_models.solar_scenes.painting.noise import View, band_pass
from dataset_models.solar_scenes.painting.strokes import brush, curve, wavering

__all__ = ["add_filament"]


def add_filament(
    view: View,
    image: np.ndarray,
    *,
    contrast: float = 1.0,
    length: tuple[float, float] = (0.4, 1.5),
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a filament somewhere in the frame.

    Parameters
    ----------
    view : View
    image : (y, x) float32
        Relative brightness without it.
    contrast : float
        1: 15 to 55 % darker than its surroundings, and always darker than their texture.
    length : (float, float)
        Range of its length in frames.

    Returns
    -------
    image : (y, x) float32
    mask : (y, x) bool
        Spine and barbs.
    """
    r = view.generator
    n = view.size
    centre = tuple(r.uniform(0.28, 0.72, 2) * n)
    angle = r.uniform(0, np.pi)
    spine = curve(view, centre, r.uniform(*length) * n, angle, bend=r.uniform(0.03, 0.22))
    width = max(np.exp(r.uniform(np.log(0.010), np.log(0.055))) * n, 0.9)
    ends = np.sin(np.linspace(0.15, np.pi - 0.15, len(spine))) ** 0.4
    widths = np.maximum(width * wavering(view, len(spine), 0.35) * ends, 0.7)
    strength = np.clip(wavering(view, len(spine), 0.2), 0.5, 1.3) * _gaps(view, len(spine))
    painted = brush(view, spine, widths, strength, hardness=r.uniform(0.9, 2.0))
    for _ in range(int(r.integers(0, 5))):
        painted = np.maximum(painted, _barb(view, spine, widths, angle))
    threads = band_pass(view, 0.5 * width, 2 * width + 1, lifetime_s=600.0)
    painted = painted * (1 + r.uniform(0, 0.2) * threads)
    # below twice the texture's own deviation nobody would call it a filament
    floor = (2.0 if width < 0.02 * n else 1.6) * min(float(image.std()), 0.15)
    depth = contrast * max(r.uniform(0.15, 0.55), floor)
    mask = painted > 0.4
    return image * (1 - np.clip(depth * painted, 0, 0.85)), mask


def _gaps(view: View, n: int) -> np.ndarray:
    """Return the strength along a spine, (n,): one in three is broken."""
    r = view.generator
    strength, t = np.ones(n), np.linspace(0, 1, n)
    if r.random() < 0.33:
        for _ in range(int(r.integers(1, 4))):
            gap = np.exp(-(((t - r.uniform(0.15, 0.85)) / r.uniform(0.02, 0.06)) ** 2))
            strength = strength * (1 - r.uniform(0.5, 1.0) * gap)
    return strength


def _barb(view: View, spine: np.ndarray, widths: np.ndarray, angle: float) -> np.ndarray:
    r = view.generator
    at = int(r.integers(8, len(spine) - 8))
    away = angle + r.choice((-1, 1)) * r.uniform(0.4, 1.3) + np.pi * (r.random() < 0.5)
    reach = r.uniform(1.5, 5.0) * widths[at] + 2
    t = np.linspace(0, 1, 16)[:, None]
    points = spine[at] + t * reach * np.array([np.sin(away), np.cos(away)])
    width = np.maximum(widths[at] * np.linspace(0.8, 0.35, 16), 0.6)
    return brush(view, points, width, np.linspace(0.95, 0.5, 16))
