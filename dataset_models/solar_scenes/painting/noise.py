"""Random fields that solar textures are made of: band-passed and oriented noise, random cells.

A field depends on the generator it is drawn from, on the elapsed time (it changes slowly) and on
the offset (it moves with the pointing), so that the frames of one observation are near-copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from scipy.fft import irfft2, rfft2

__all__ = ["View", "band_pass", "cells", "oriented"]

_ORIENTATIONS = 6
_CELL_TABLE = 64  # random cells repeat after so many
_GAUSSIAN = -2 * np.pi**2  # Fourier transform of a Gaussian: exp(-2 pi^2 (k sigma)^2)


@dataclass(frozen=True)
class View:
    """What a frame sees of a scene.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    pixel_scale_arcsec : float
    generator : numpy.random.Generator
        Of the observation: every frame draws the same numbers from it, in the same order.
    offset : (float, float)
        By how many pixels (y, x) the scene has moved in the frame.
    elapsed_s : float
        Time since the observation's first frame.
    """

    shape: tuple[int, int]
    pixel_scale_arcsec: float
    generator: np.random.Generator
    offset: tuple[float, float] = (0.0, 0.0)
    elapsed_s: float = 0.0

    @property
    def size(self) -> int:
        """The shorter side in pixels."""
        return min(self.shape)

    def pixels(self, arcsec: float, least: float = 0.0) -> float:
        """Return a length in pixels, at least so many."""
        return max(arcsec / self.pixel_scale_arcsec, least)

    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return y (y, 1) and x (1, x) of the scene at each pixel, float32."""
        rows, columns = (np.arange(n, dtype=np.float32) for n in self.shape)
        return (rows - self.offset[0])[:, None], (columns - self.offset[1])[None]


@lru_cache(maxsize=4)
def _wave_numbers(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ky, kx in cycles per pixel, and how often each value of rfft2 counts."""
    ky = np.fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    kx = np.fft.rfftfreq(shape[1]).astype(np.float32)[None]
    counts = np.full((1, kx.shape[1]), 2, np.float32)
    counts[0, 0] = 1
    if shape[1] % 2 == 0:
        counts[0, -1] = 1
    return ky, kx, counts


def _white(view: View, lifetime_s: float) -> np.ndarray:
    """Return the spectrum of white noise, moved by the offset and aged by the elapsed time."""
    r = view.generator
    spectrum = rfft2(r.standard_normal(view.shape, np.float32))
    rate = r.standard_normal(spectrum.shape, np.float32)
    ky, kx, _ = _wave_numbers(view.shape)
    if view.elapsed_s:
        rate *= view.elapsed_s / lifetime_s
        spectrum *= np.cos(rate) + 1j * np.sin(rate)
    dy, dx = view.offset
    if dy or dx:
        shift = np.exp(-2j * np.pi * ky * dy) * np.exp(-2j * np.pi * kx * dx)
        spectrum *= shift.astype(np.complex64)
    return spectrum


def _filtered(spectrum: np.ndarray, response: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Filter noise and give it unit variance, by the response and not by this draw."""
    counts = _wave_numbers(shape)[2]
    power = float((response**2 * counts).sum(dtype=np.float64)) / (shape[0] * shape[1])
    response *= np.float32(1 / np.sqrt(max(power, 1e-12)))
    return irfft2(spectrum * response, s=shape, overwrite_x=True)


def band_pass(view: View, small: float, large: float, *, lifetime_s: float = 900.0) -> np.ndarray:
    """Return Gaussian noise of unit variance between two scales.

    Parameters
    ----------
    view : View
    small, large : float
        Standard deviations of the Gaussians whose difference is the filter, pixels.
    lifetime_s : float
        After it the field has changed into another one.

    Returns
    -------
    (y, x) float32
        Periodic.
    """
    ky, kx, _ = _wave_numbers(view.shape)
    k2 = ky**2 + kx**2
    response = np.exp(_GAUSSIAN * small**2 * k2) - np.exp(_GAUSSIAN * large**2 * k2)
    return _filtered(_white(view, lifetime_s), response, view.shape)


def oriented(
    view: View, width: float, length: float, angle: np.ndarray, *, lifetime_s: float = 600.0
) -> np.ndarray:
    """Return threads of unit variance that run along a field of directions.

    Noise is filtered along six directions; every pixel takes those near its own.

    Parameters
    ----------
    view : View
    width, length : float
        Standard deviations across and along the threads, pixels.
    angle : (y, x) float
        Direction of the threads, radians from the x axis.
    lifetime_s : float

    Returns
    -------
    (y, x) float32
    """
    spectrum = _white(view, lifetime_s)
    ky, kx, _ = _wave_numbers(view.shape)
    total, power = np.zeros(view.shape, np.float32), np.full(view.shape, 1e-6, np.float32)
    for k in range(_ORIENTATIONS):
        direction = float(np.pi) * k / _ORIENTATIONS
        c, s = np.float32(np.cos(direction)), np.float32(np.sin(direction))
        along, across = (c * kx + s * ky) ** 2, (c * ky - s * kx) ** 2
        response = np.exp(_GAUSSIAN * (length**2 * along + width**2 * across))
        response *= 1 - np.exp(_GAUSSIAN * (3 * width) ** 2 * across)
        near = np.maximum(np.cos(2 * (angle - direction)), 0).astype(np.float32) ** 4
        total += near * _filtered(spectrum, response, view.shape)
        power += near**2
    return total / np.sqrt(power)


def cells(
    view: View, spacing: float, *, warp: float = 0.25, lifetime_s: float = 600.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return random (Voronoi) cells: how far inside each pixel lies, and its cell's random value.

    Parameters
    ----------
    view : View
    spacing : float
        Mean distance of the cells, pixels.
    warp : float
        Irregularity of the borders, in spacings.
    lifetime_s : float
        In which the cells move by about their own size.

    Returns
    -------
    inside : (y, x) float32
        Second-smallest less smallest distance to a cell's centre, in spacings; 0 on the borders.
    value : (y, x) float32
        0 to 1.
    """
    r = view.generator
    centres = r.random((_CELL_TABLE, _CELL_TABLE, 2), np.float32)
    values = r.random((_CELL_TABLE, _CELL_TABLE), np.float32)
    centres += r.normal(size=centres.shape).astype(np.float32) * (view.elapsed_s / lifetime_s)
    y, x = view.coordinates()
    if warp > 0 and spacing > 2:
        moved = [band_pass(view, 0.5 * spacing, 2 * spacing, lifetime_s=lifetime_s) for _ in "yx"]
        y, x = (a / spacing + warp * m for a, m in zip((y, x), moved, strict=True))
    else:
        y, x = (np.broadcast_to(a / np.float32(spacing), view.shape) for a in (y, x))
    y, x = (np.ascontiguousarray(a, np.float32) for a in (y, x))
    return _nearest_cells(y, x, centres, values)


@numba.njit(nogil=True, cache=True)
def _nearest_cells(y, x, centres, values):
    n = values.shape[0]
    inside, value = np.empty(y.shape, np.float32), np.empty(y.shape, np.float32)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            row, column = int(np.floor(y[i, j])), int(np.floor(x[i, j]))
            first, second, found = np.float32(1e9), np.float32(1e9), np.float32(0)
            for a in range(row - 1, row + 2):
                for b in range(column - 1, column + 2):
                    dy = a + centres[a % n, b % n, 0] - y[i, j]
                    dx = b + centres[a % n, b % n, 1] - x[i, j]
                    distance = dy * dy + dx * dx
                    if distance < first:
                        second, first, found = first, distance, values[a % n, b % n]
                    elif distance < second:
                        second = distance
            inside[i, j] = np.sqrt(second) - np.sqrt(first)
            value[i, j] = found
    return inside, value
