"""Curves and brushes: how filaments, barbs, ribbons, loops and light bridges are drawn."""

from __future__ import annotations

import numba
import numpy as np
from scipy.ndimage import gaussian_filter1d

from dataset_models.solar_scenes.painting.noise import View

__all__ = ["brush", "curve", "wavering"]

_POINTS = 96


def curve(
    view: View, centre: tuple[float, float], length: float, angle: float, *, bend: float = 0.1
) -> np.ndarray:
    """Draw a smooth random curve, (point, 2) as y and x in pixels.

    Parameters
    ----------
    view : View
    centre : (float, float)
        y and x of its middle.
    length : float
        Pixels.
    angle : float
        Radians from the x axis.
    bend : float
        Sideways deviation as a share of the length.
    """
    r = view.generator
    t = np.linspace(-0.5, 0.5, _POINTS)
    height, phase = r.normal(size=3), r.uniform(0, 2 * np.pi, 3)
    side = sum(
        height[k] / (k + 1) ** 1.5 * np.sin(np.pi * (k + 1) * t + phase[k]) for k in range(3)
    )
    along, side = t * length, bend * length * (side - side.mean())
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([centre[0] + s * along + c * side, centre[1] + c * along - s * side], 1)


def wavering(view: View, n: int, spread: float, *, smooth: float = 8.0) -> np.ndarray:
    """Draw a smooth positive factor along a curve, (n,), about 1."""
    noise = gaussian_filter1d(view.generator.normal(size=n), smooth, mode="nearest")
    return np.exp(spread * noise * np.sqrt(2 * np.sqrt(np.pi) * smooth))


def brush(
    view: View,
    points: np.ndarray,
    width: float | np.ndarray,
    strength: float | np.ndarray = 1.0,
    *,
    hardness: float = 1.0,
) -> np.ndarray:
    """Paint a curve with a soft brush.

    Parameters
    ----------
    view : View
    points : (point, 2) float
        y and x in pixels of the scene; near enough to one another to make a line.
    width, strength : float or (point,) float
        Standard deviation in pixels, and brightness, of the brush at each point.
    hardness : float
        ``exp(-(d^2 / 2 width^2)^hardness)``: 1 is a Gaussian, more gives a flatter, sharper one.

    Returns
    -------
    (y, x) float32
        Strength of the nearest point in units of its width, times the brush's profile.
    """
    n = len(points)
    width = np.broadcast_to(np.asarray(width, np.float32), n)
    strength = np.broadcast_to(np.asarray(strength, np.float32), n)
    moved = (np.asarray(points) + np.asarray(view.offset)).astype(np.float32)
    out = np.zeros(view.shape, np.float32)
    _paint(out, moved, width, strength, np.float32(hardness))
    return out


@numba.njit(nogil=True, cache=True)
def _paint(out, points, width, strength, hardness):
    ny, nx = out.shape
    nearest = np.full((ny, nx), np.float32(8.0))
    chosen = np.zeros((ny, nx), np.int32)
    for k in range(len(points)):
        reach = 4 * width[k]
        top, bottom = int(points[k, 0] - reach), int(points[k, 0] + reach) + 2
        left, right = int(points[k, 1] - reach), int(points[k, 1] + reach) + 2
        scale = 0.5 / (width[k] * width[k])
        for i in range(max(top, 0), min(bottom, ny)):
            for j in range(max(left, 0), min(right, nx)):
                dy, dx = i - points[k, 0], j - points[k, 1]
                distance = (dy * dy + dx * dx) * scale
                if distance < nearest[i, j]:
                    nearest[i, j] = distance
                    chosen[i, j] = k
    for i in range(ny):
        for j in range(nx):
            if nearest[i, j] < 8:
                out[i, j] = strength[chosen[i, j]] * np.exp(-(nearest[i, j] ** hardness))
