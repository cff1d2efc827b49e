"""What every solver does with a pixel: read it, and say what its emission measure gives.

All functions are compiled. Channels are padded with 0 to a multiple of eight; so are bins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numba
import numpy as np

from tools.emission_measure.lanes import LANES, load, pointer_to, splat, store

__all__ = [
    "UNIT_CM5",
    "Solution",
    "finish_map",
    "flags_of",
    "is_known",
    "known_of",
    "padded",
    "point_at_data",
    "point_at_out",
    "read_pixel",
    "see",
    "write_nothing",
    "write_pixel",
]

UNIT_CM5 = 1e26  # emission measure is solved for in this unit
_LARGEST = 1e20  # a brightness or error beyond it is none: no instrument gives it in any unit
_SMALLEST = 1e-20  # an error below it is none, either


@dataclass(frozen=True)
class Solution:
    """What a solver found.

    Attributes
    ----------
    em, error : (pixel, bin) float64
        cm-5; an error that a method doesn't give is NaN, and can't be written to.
    chi2 : (pixel,) float64
    status : (pixel,) uint8
    model : (pixel, channel) float64
        DN s-1 pix-1.
    extra : dict of (pixel, ...) arrays
    """

    em: np.ndarray
    error: np.ndarray
    chi2: np.ndarray
    status: np.ndarray
    model: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)


def padded(values: np.ndarray) -> np.ndarray:
    """Give a matrix with its last axis filled with 0 to a multiple of eight."""
    values = np.asarray(values, float)
    width = -(-values.shape[-1] // LANES) * LANES
    out = np.zeros((*values.shape[:-1], width))
    out[..., : values.shape[-1]] = values
    return out


def flags_of(left_out: np.ndarray | None, m: int) -> np.ndarray:
    """Give flags as bytes (pixel, channel); no rows where nothing is left out."""
    if left_out is None:
        return np.empty((0, m), np.uint8)
    return np.ascontiguousarray(left_out, bool).view(np.uint8)


@numba.njit(cache=True, inline="always")
def is_known(y, s):
    """Say whether a channel was observed: its brightness is a number, its error a positive one."""
    return (abs(y) < _LARGEST) & (s > _SMALLEST) & (s < _LARGEST)


def known_of(dn: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Say of arrays what ``is_known`` says of numbers."""
    return (np.abs(dn) < _LARGEST) & (sigma > _SMALLEST) & (sigma < _LARGEST)


class Data(NamedTuple):
    """Pointers to what was observed, (pixel, channel)."""

    dn: int
    sigma: int
    left_out: int
    has_left_out: bool


class Out(NamedTuple):
    """Pointers to what is found, (pixel, ...)."""

    em: int
    model: int
    chi2: int
    n_bins: int


@numba.njit(cache=True)
def point_at_data(dn, sigma, left_out):
    """Give pointers; left_out has no rows where nothing is left out."""
    return Data(pointer_to(dn, 0), pointer_to(sigma, 0), pointer_to(left_out, 0), len(left_out) > 0)


@numba.njit(cache=True)
def point_at_out(em, model, chi2):
    """Give pointers."""
    return Out(pointer_to(em, 0), pointer_to(model, 0), pointer_to(chi2, 0), em.shape[1])


@numba.njit(cache=True, error_model="numpy")
def read_pixel(data, p, y, spread, slots):
    """Fill data and errors of a pixel, 0 where a channel is missing.

    Gives the number of channels seen, and whether one of them is positive.
    """
    n_seen, has_signal, m = 0, False, len(slots)
    for i in range(m):
        a, s = data.dn[p * m + i], data.sigma[p * m + i]
        known = is_known(a, s)
        if data.has_left_out:
            known = known and data.left_out[p * m + i] == 0
        y[i] = a if known else 0.0
        spread[i] = s if known else 0.0
        n_seen += 1 if known else 0
        has_signal = has_signal or (known and a > 0.0)
    return n_seen, has_signal


@numba.njit(cache=True)
def see(row, response, n_bins, seen, width):
    """Give what an emission measure is seen as; response is (bin, channel), padded."""
    for block in range(0, width, LANES):
        even, odd = splat(0.0), splat(0.0)
        for t in range(0, n_bins - 1, 2):
            even = even + load(response, t * width + block) * splat(row[t])
            odd = odd + load(response, (t + 1) * width + block) * splat(row[t + 1])
        if n_bins % 2:
            last = n_bins - 1
            even = even + load(response, last * width + block) * splat(row[last])
        store(seen, block, even + odd)


@numba.njit(cache=True)
def write_nothing(p, out, slots):
    """Write that a pixel has no solution."""
    for t in range(out.n_bins):
        out.em[p * out.n_bins + t] = 0.0
    for i in range(len(slots)):
        out.model[p * len(slots) + i] = 0.0
    out.chi2[p] = np.nan


@numba.njit(cache=True, error_model="numpy")
def write_pixel(row, y, spread, seen, n_seen, p, out, slots):
    """Write emission measure, given in units, model and chi2; say whether chi2 is a number."""
    chi2, m, n_bins = 0.0, len(slots), out.n_bins
    for i in range(m):
        out.model[p * m + i] = seen[i]
        away = (seen[i] - y[i]) / spread[i] if spread[i] > 0.0 else 0.0
        chi2 += away * away
    for t in range(n_bins):
        out.em[p * n_bins + t] = row[t] * UNIT_CM5
    out.chi2[p] = chi2 / n_seen
    return chi2 < np.inf


@numba.njit(parallel=True, cache=True, error_model="numpy")
def finish_map(data, over_sigma, response, em, model, chi2):
    """Fill in model and chi2 of a map from em in cm-5; chi2 is NaN where nothing is seen or found.

    over_sigma: 0 where a channel is missing.
    """
    m, n_bins = response.shape
    for p in numba.prange(len(em)):
        square, n_seen, em_total = 0.0, 0, 0.0
        for t in range(n_bins):
            em_total += em[p, t]
        for i in range(m):
            seen = 0.0
            for t in range(n_bins):
                seen += response[i, t] * em[p, t]
            model[p, i] = seen
            n_seen += 1 if over_sigma[p, i] > 0.0 else 0
            square += ((seen - data[p, i]) * over_sigma[p, i]) ** 2
        chi2[p] = square / n_seen if n_seen > 0 and em_total > 0.0 else np.nan
