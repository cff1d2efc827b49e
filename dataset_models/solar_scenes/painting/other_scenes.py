"""What is none of the five classes: the corona, magnetograms, spectra, blank and broken frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter1d

from dataset_models.solar_scenes.painting.limb import draw_limb
from dataset_models.solar_scenes.painting.noise import View, band_pass, cells, oriented
from dataset_models.solar_scenes.painting.strokes import brush, wavering
from dataset_models.solar_scenes.painting.textures import TEXTURES
from dataset_models.solar_scenes.painting.whole_sun import whole_corona, whole_magnetogram

__all__ = ["FAULTS", "OTHER_SCENES"]


def coronal_loops(view: View) -> np.ndarray:
    """Return active regions in the extreme ultraviolet: arcades of thin loops, fans, moss, haze.

    On the disc or at the limb; shown as it is, or by a power of the brightness, as displays do.
    """
    r = view.generator
    n = view.size
    image = coronal_haze(view) * r.uniform(0.1, 0.4)
    centre, axis = r.uniform(0.25, 0.75, 2) * n, r.uniform(0, 2 * np.pi)
    span, t = r.uniform(0.15, 0.5) * n, np.linspace(0, np.pi, 60)
    along, across = (np.array([np.sin(a), np.cos(a)]) for a in (axis, axis + np.pi / 2))
    for _ in range(int(r.integers(12, 30))):
        half = span * r.uniform(0.2, 1.0)
        height = half * r.uniform(0.2, 1.8) * r.choice((-1, 1), p=(0.25, 0.75))
        middle = centre + r.normal(0, 0.2 * span, 2)
        points = middle + np.outer(-half * np.cos(t), along) + np.outer(height * np.sin(t), across)
        strength = r.uniform(0.1, 1.0) * (0.4 + 0.6 * np.abs(np.cos(t))) * wavering(view, 60, 0.2)
        image = image + brush(view, points, max(r.uniform(0.005, 0.02) * n, 0.7), strength)
    for _ in range(int(r.integers(0, 4))):
        image = image + r.uniform(0.3, 1.5) * _fan(view, centre + r.normal(0, 0.6 * span, 2), span)
    y, x = view.coordinates()
    core = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * (0.4 * span) ** 2))
    moss = np.exp(0.8 * band_pass(view, 0.8, 4.0, lifetime_s=300.0))
    image = image + r.uniform(0.0, 1.0) * core * moss
    return np.clip(image, 0, None) ** (r.uniform(0.35, 1.0) if r.random() < 0.5 else 1.0)


def _fan(view: View, foot: np.ndarray, span: float) -> np.ndarray:
    """Return open loops that leave one foot and spread and fade."""
    r = view.generator
    out, t = np.zeros(view.shape, np.float32), np.linspace(0, 1, 40)
    middle, spread = r.uniform(0, 2 * np.pi), r.uniform(0.2, 0.9)
    for _ in range(int(r.integers(4, 14))):
        turn = middle + r.uniform(-spread, spread) * (0.4 + 0.6 * t) + r.normal(0, 0.2) * t**2
        length = span * r.uniform(0.6, 2.0) * t
        points = foot + np.stack([np.sin(turn), np.cos(turn)], 1) * length[:, None]
        width = max(r.uniform(0.004, 0.015) * view.size, 0.6) * (1 + t)
        out = out + brush(view, points, width, r.uniform(0.2, 1.0) * np.exp(-2 * t))
    return out


def coronal_haze(view: View) -> np.ndarray:
    """Return the quiet corona: log-normal haze with bright points, sometimes a hole or the limb."""
    r = view.generator
    n = view.size
    large = band_pass(view, 0.05 * n, 0.3 * n, lifetime_s=20000.0)
    angle = 1.5 * band_pass(view, 0.06 * n, 0.3 * n, lifetime_s=20000.0)
    threads = oriented(view, 0.8, r.uniform(4, 10), angle, lifetime_s=900.0)
    fine = band_pass(view, 0.8, 5.0, lifetime_s=600.0)
    image = np.exp(r.uniform(0.4, 0.9) * large + r.uniform(0.1, 0.35) * threads + 0.15 * fine)
    for _ in range(int(r.integers(0, 4))):
        place, width = r.uniform(0, n, 2), max(r.uniform(0.01, 0.03) * n, 0.8)
        points = place + np.linspace(-1, 1, 5)[:, None] * r.normal(0, width, 2)
        image = image + r.uniform(1, 6) * brush(view, points, width)
    if r.random() < 0.3:
        limb = draw_limb(view)
        height = np.clip(limb.height, 0, None)
        image = image * (limb.disc + (1 - limb.disc) * 1.6 * np.exp(-height / (0.12 * n)))
    return image


def x_rays(view: View) -> np.ndarray:
    """Return soft X-rays: blurred bright blobs and loops on a dark Sun, sometimes with dirt."""
    r = view.generator
    n = view.size
    image = 0.02 + 0.02 * np.exp(band_pass(view, 0.04 * n, 0.2 * n, lifetime_s=20000.0))
    for _ in range(int(r.integers(1, 6))):
        place, width = r.uniform(0.1, 0.9, 2) * n, r.uniform(0.02, 0.12) * n
        t = np.linspace(0, np.pi * r.uniform(0.2, 1.0), 30)
        turn = r.uniform(0, 2 * np.pi)
        arc = np.stack([np.sin(t + turn), np.cos(t + turn)], 1) * r.uniform(0.5, 3) * width
        image = image + r.uniform(0.05, 1) * brush(view, place + arc, width) ** r.uniform(0.7, 1.5)
    if r.random() < 0.4:
        limb = draw_limb(view)
        image = image + r.uniform(0.02, 0.3) * np.exp(-np.abs(limb.height) / (0.15 * n))
    for _ in range(int(r.integers(0, 4))):
        dirt = brush(view, r.uniform(0, n, (1, 2)), r.uniform(0.008, 0.04) * n, hardness=4.0)
        image = image * (1 - 0.95 * dirt)
    return image


def magnetogram(view: View) -> np.ndarray:
    """Return the field along the line of sight: both signs, in a network and in regions."""
    r = view.generator
    n = view.size
    spacing = np.clip(view.pixels(35.0), 8, n)
    inside, _ = cells(view, spacing, lifetime_s=30000.0)
    sign = band_pass(view, 0.15 * spacing, spacing, lifetime_s=30000.0)
    grain = band_pass(view, 0.7, 3.0, lifetime_s=3000.0)
    field = r.uniform(20, 120) * np.exp(-((inside / 0.2) ** 2)) * sign * np.abs(grain)
    if r.random() < 0.6:
        y, x = view.coordinates()
        for polarity in (-1, 1, r.choice((-1, 1))):
            place, width = r.uniform(0.2, 0.8, 2) * n, r.uniform(0.05, 0.16) * n
            bumps = 1 + 0.5 * band_pass(view, 0.02 * n + 0.5, 0.08 * n, lifetime_s=30000.0)
            away = ((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * width**2)
            field = field + polarity * r.uniform(200, 1800) * bumps * np.exp(-(away**1.5))
    return np.clip(field / 500, -3, 3)


def spectrum(view: View) -> np.ndarray:
    """Return a slit spectrum: dark lines across a striped continuum."""
    r = view.generator
    ny, nx = view.shape
    stripes = 1 + r.uniform(0.02, 0.1) * np.cumsum(r.normal(size=ny))[:, None] / np.sqrt(ny)
    image = np.broadcast_to(stripes, view.shape) * (1 + 0.01 * r.normal(size=(ny, 1)))
    x = np.arange(nx)
    for _ in range(int(r.integers(1, 7))):
        shift = r.uniform(0, 1.5) * band_pass(view, 2.0, 12.0)[:, :1]
        line = (x[None] - r.uniform(0, nx) - shift) / r.uniform(0.008, 0.06) / nx
        image = image * (1 - r.uniform(0.15, 0.9) / (1 + line**2))
    image = image.astype(np.float32)
    return image if r.random() < 0.5 else np.rot90(image).copy()


def blank(view: View) -> np.ndarray:
    """Return dark sky, a flat field or a closed shutter: nothing but a slope and noise."""
    r = view.generator
    y, x = (c / view.size - 0.5 for c in view.coordinates())
    image = 1 + r.uniform(-0.2, 0.2) * x + r.uniform(-0.2, 0.2) * y
    if r.random() < 0.4:
        image = image - r.uniform(0, 0.6) * (x**2 + y**2)
    if r.random() < 0.3:
        image = image + r.uniform(0.002, 0.05) * r.normal(size=(1, view.shape[1]))
    # white: noise with a scale of its own would be granulation out of focus
    grain = band_pass(view, 0.0, view.size, lifetime_s=1.0)
    return (image + np.exp(r.uniform(np.log(0.002), np.log(0.4))) * grain).astype(np.float32)


def corrupted(view: View) -> np.ndarray:
    """Return a frame spoilt on its way.

    Shuffled blocks, torn rows, overflow, stripes, a moving telescope, no focus, particles.
    """
    r = view.generator
    names = list(TEXTURES)
    image = TEXTURES[names[int(r.integers(len(names)))]](view, r.uniform(0.5, 1.5))
    spoil = FAULTS[int(r.integers(len(FAULTS)))]
    return spoil(r, image, max(view.size // int(r.integers(4, 12)), 2)).astype(np.float32)


def _blocks(r: np.random.Generator, image: np.ndarray, step: int) -> np.ndarray:
    for a in range(0, image.shape[0], step):
        for b in range(0, image.shape[1], step):
            if r.random() < 0.5:
                image[a : a + step, b : b + step] = r.uniform(0, 1.6)
    return image


def _torn_rows(r: np.random.Generator, image: np.ndarray, step: int) -> np.ndarray:
    for a in range(0, image.shape[0], step):
        rows = np.roll(image[a : a + step], int(r.integers(image.shape[1])), axis=1)
        image[a : a + step] = rows * r.uniform(0.2, 1.8)
    return image


def _overflow(r: np.random.Generator, image: np.ndarray, step: int) -> np.ndarray:
    """Begin at 0 again above the largest number, along a slope: fine texture itself stays plain."""
    y, x = (np.linspace(0, 1, n) for n in image.shape)
    turn, wraps = r.uniform(0, 2 * np.pi), r.uniform(1.0, 4.0)
    return (wraps * (np.sin(turn) * y[:, None] + np.cos(turn) * x[None]) + image) % 1.0


def _stripes(r: np.random.Generator, image: np.ndarray, step: int) -> np.ndarray:
    ny, thick = image.shape[0], max(step // 3, 1)
    stripes = r.choice((0.0, 1.0, 2.0), (ny, 1), p=(0.35, 0.4, 0.25))
    return image * np.repeat(stripes[::thick], thick, axis=0)[:ny]


def _moved(r: np.random.Generator, image: np.ndarray, step: int) -> np.ndarray:
    """Smear along rows or columns, as when the telescope moves or the shutter stays open."""
    length = max(int(r.uniform(0.25, 0.9) * min(image.shape)), 2)
    return uniform_filter1d(image, length, axis=int(r.integers(2)), mode="wrap")


def _out_of_focus(r: np.random.Generator, image: np.ndarray, step: int) -> np.ndarray:
    return gaussian_filter(image, r.uniform(0.07, 0.2) * min(image.shape), mode="wrap")


def _particles(r: np.random.Generator, image: np.ndarray, step: int) -> np.ndarray:
    """Add the tracks of particles, as in a storm."""
    ny, nx = image.shape
    n = int(image.size * np.exp(r.uniform(np.log(0.01), np.log(0.08))))
    y, x = r.integers(ny, size=n), r.integers(nx, size=n)
    strength = r.uniform(0.3, 3.0) * r.exponential(size=n)
    for k in range(int(r.integers(1, 4))):
        turn = r.uniform(0, np.pi, n)
        rows, columns = (np.rint(k * f(turn)).astype(int) for f in (np.sin, np.cos))
        np.add.at(image, ((y + rows) % ny, (x + columns) % nx), strength)
    return image


FAULTS = (_blocks, _torn_rows, _overflow, _stripes, _moved, _out_of_focus, _particles)

OTHER_SCENES: dict[str, Callable[[View], np.ndarray]] = {
    "coronal loops": coronal_loops,
    "coronal haze": coronal_haze,
    "X-rays": x_rays,
    "magnetogram": magnetogram,
    "whole corona": whole_corona,
    "whole magnetogram": whole_magnetogram,
    "spectrum": spectrum,
    "blank": blank,
    "corrupted": corrupted,
}
