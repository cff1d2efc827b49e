"""Flares whose emission measure is known at every time, seen by AIA: what coherence is judged on.

Synthetic. Strands of plasma are heated within a minute or some, cool first by conduction, then by
radiation (Cargill, Mariska & Antiochos 1995, ApJ 439, 1034), and drain; a corona lies behind them.
Exposures follow what was bright one step before, as automatic exposure control does, so that a
sudden rise saturates. The shapes and their numbers are frozen in this file: weights and penalties
were chosen on the training families alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.channels import CAMERA
from tools.emission_measure.families import FINE_LOG_T, LOG_T_EDGES, profile
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS, aia_response
from tools.random_streams import random_stream

__all__ = [
    "FLARE_FAMILIES",
    "PHASES",
    "TEST_FAMILIES",
    "TRAINING_FAMILIES",
    "SimulatedFlares",
    "simulated_flares",
]

TRAINING_FAMILIES = ("impulsive", "many strands", "slow brightening")
TEST_FAMILIES = ("two bursts", "box strands", "long decay", "sudden loop")
FLARE_FAMILIES = TRAINING_FAMILIES + TEST_FAMILIES
PHASES = ("before", "rise", "peak", "decay")
_UNIT_CM5 = 1e26
_SATURATED = 0.98  # of the converter's range, as in the data
_AIMED = 0.6  # of the range: what exposure control aims at for the brightest pixels
_SHORTEST_S = 0.08  # in flares; ``aia_flare`` goes down to 0.084 s in most frames
_BRIGHTEST = 99.0  # per cent of the pixels below it
_STEP_S = 12.0  # of the strands' own times


@dataclass(frozen=True)
class SimulatedFlares:
    """What is true and what is seen.

    Attributes
    ----------
    em : (pixel, time, 18) float64
        True emission measure in the bins of ``LOG_T_EDGES``, cm-5.
    dn, sigma : (pixel, time, 6) float64
        With noise, and its error, DN s-1 pix-1.
    saturated : (pixel, time, 6) bool
    seconds : (time,) float64
        Since the first time.
    exposure_s : (time, 6) float64
    phase : (pixel, time) int
        Index into ``PHASES``: before the heating, while emission measure rises, within one step of
        its largest, after it.
    """

    em: np.ndarray
    dn: np.ndarray
    sigma: np.ndarray
    saturated: np.ndarray
    seconds: np.ndarray
    exposure_s: np.ndarray
    phase: np.ndarray


def simulated_flares(
    family: str, n_pixels: int, *, seed: int, n_times: int = 10, cadence_s: float = 120.0
) -> SimulatedFlares:
    """Return flares of one family, a pixel each, seen in the same frames.

    Parameters
    ----------
    family : str
        One of ``FLARE_FAMILIES``.
    n_pixels : int
    seed : int
    n_times : int
    cadence_s : float
        Times jitter by 5 % of it.

    Raises
    ------
    ValueError
        If the family is unknown, or there are no pixels or fewer than two times.
    """
    if family not in FLARE_FAMILIES:
        raise ValueError(
            f"expected a family of {', '.join(FLARE_FAMILIES)}, got {family!r}; take one of them"
        )
    if n_pixels < 1 or n_times < 2 or not cadence_s > 0:
        raise ValueError(
            f"expected 1 or more pixels, 2 or more times and a positive cadence, got {n_pixels}, "
            f"{n_times} and {cadence_s:g} s; give larger numbers"
        )
    generator = random_stream(seed, "simulated flares", family)
    seconds = cadence_s * (np.arange(n_times) + 0.05 * generator.uniform(-1, 1, n_times))
    seconds -= seconds[0]
    fine = _background(n_pixels, generator)[:, None] * _drift(seconds, n_pixels, generator)
    flare, begun = _flare(family, n_pixels, seconds, generator)
    fine = fine + flare
    rate = fine @ (aia_response(FINE_LOG_T) * _UNIT_CM5).T
    exposure_s = _exposures(rate)
    dn, saturated = _exposed(rate, exposure_s, generator)
    sigma = aia_noise(dn, RESPONSE_CHANNELS, exposure_s=exposure_s)
    em = fine.reshape(n_pixels, n_times, len(LOG_T_EDGES) - 1, -1).sum(axis=3) * _UNIT_CM5
    phase = _phases(flare.sum(axis=2), begun, seconds)
    return SimulatedFlares(em, dn, sigma, saturated, seconds, exposure_s, phase)


def _background(n: int, generator: np.random.Generator) -> np.ndarray:
    """Return a corona on the fine grid, (pixel, 180) in units of 1e26 cm-5."""
    parts = (  # log EM, its spread, log T, its spread, width: quiet, active region, transition
        (26.6, 0.25, 6.15, 0.06, 0.16),
        (27.2, 0.45, 6.45, 0.08, 0.13),
        (25.6, 0.40, 5.75, 0.08, 0.15),
    )
    total = np.zeros((n, len(FINE_LOG_T)))
    for log_em, spread, centre, away, width in parts:
        amount = 10.0 ** (log_em + spread * generator.standard_normal(n)) / _UNIT_CM5
        middle = centre + away * generator.standard_normal(n)
        wide = width * np.exp(0.2 * generator.standard_normal(n))
        total += amount[:, None] * profile("log-normal", middle, wide)
    return total


def _drift(seconds: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Return slow changes of the corona by some per cent, (pixel, time, 1)."""
    angle = generator.uniform(0, 2 * np.pi, n)[:, None]
    period = generator.uniform(1500, 4000, n)[:, None]
    return (1 + 0.05 * np.sin(angle + 2 * np.pi * seconds / period))[..., None]


def _strand(age_s, peak, heating_s, conductive_s, radiative_s):
    """Return log T and emission measure, at most 1, of a strand so long after its heating began.

    Conduction at constant pressure after evaporation, T = T0 (1 + t / tau)^(-2/7), then radiation
    with T as n^2, which ends in ``radiative_s``.
    """
    heated = np.clip(age_s / heating_s, 0, 1)
    later = np.maximum(age_s - heating_s, 0)
    log_t = peak - 0.5 * (1 - heated) - 2 / 7 * np.log10(1 + later / conductive_s)
    amount = np.where(age_s > 0, 0.15 * heated, 0.0)
    amount = amount + 0.85 * (1 - np.exp(-later / (0.5 * conductive_s)))
    cooling = np.maximum(later - 2 * conductive_s, 0) / radiative_s
    left = np.clip(1 - cooling, 1e-3, 1)
    log_t = log_t + 0.7 * np.log10(left)
    return log_t, amount * left**0.5 * (cooling < 1) * (age_s > 0)


def _flare(
    family: str, n: int, seconds: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the flare on the fine grid, (pixel, time, 180), and when it begins, (pixel,) s."""
    span = seconds[-1]
    begin = generator.uniform(0.1, 0.5, n) * span
    log_em = 29.0 + 0.8 * generator.standard_normal(n)
    peak = np.clip(7.10 + 0.06 * generator.standard_normal(n), 6.9, 7.2)
    shape, width, strands, apart_s = "log-normal", 0.07, 1, 0.0
    heating_s, conductive_s, radiative_s = 60.0, 180.0, 900.0
    if family == "many strands":
        strands, apart_s = 8, 0.05 * span
    elif family == "slow brightening":
        peak, log_em, heating_s = peak - 0.35, log_em - 1.0, 0.3 * span
        conductive_s, radiative_s = 600.0, 3000.0
    elif family == "two bursts":
        strands, apart_s = 2, 0.35 * span
    elif family == "box strands":
        shape, strands, apart_s, width = "box", 3, 0.06 * span, 0.09
    elif family == "long decay":
        conductive_s, radiative_s, width = 500.0, 3600.0, 0.12
    total = np.zeros((n, len(seconds), len(FINE_LOG_T)))
    if family == "sudden loop":  # as when a loop moves into the pixel: from one time to the next
        centre = 6.3 + 0.15 * generator.standard_normal(n)
        there = (seconds[None] >= begin[:, None]) * 10.0 ** (log_em - 1.0 - 26)[:, None]
        return there[..., None] * profile(shape, centre, np.full(n, 0.1))[:, None], begin
    for k in range(strands):
        age = seconds[None] - begin[:, None] - k * apart_s
        slower = np.exp(0.25 * generator.standard_normal(n))[:, None]
        hot = peak - (0.05 * k if family == "two bursts" else 0.0)
        log_t, amount = _strand(
            age, hot[:, None], heating_s * slower, conductive_s * slower, radiative_s * slower
        )
        amount = amount * (10.0 ** (log_em - 26) / strands)[:, None]
        wide = np.full(log_t.shape, width) * np.exp(0.15 * generator.standard_normal(n))[:, None]
        total += amount[..., None] * profile(shape, log_t, wide)
    return total, begin


def _exposures(rate: np.ndarray) -> np.ndarray:
    """Return exposure times by what was bright one step before, (time, 6) s."""
    usual = np.array([CAMERA[c].exposure_s for c in RESPONSE_CHANNELS])
    full = np.array([CAMERA[c].saturation_dn for c in RESPONSE_CHANNELS])
    bright = np.percentile(rate, _BRIGHTEST, axis=0)
    before = np.concatenate([bright[:1], bright[:-1]])
    return np.clip(_AIMED * full / np.maximum(before, 1e-3), _SHORTEST_S, usual)


def _exposed(
    rate: np.ndarray, exposure_s: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return brightness with noise in DN s-1 pix-1, and what is saturated."""
    cameras = [CAMERA[c] for c in RESPONSE_CHANNELS]
    gain = np.array([c.dn_per_photon for c in cameras])
    read = np.array([c.read_noise_dn for c in cameras])
    full = np.array([c.saturation_dn for c in cameras])
    counts = generator.poisson(rate * exposure_s / gain) * gain
    counts = np.rint(counts + read * generator.standard_normal(rate.shape))
    saturated = counts >= _SATURATED * full
    return np.minimum(counts, full) / exposure_s, saturated


def _phases(amount: np.ndarray, begun: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the phase of every pixel and time, by the flare's emission measure (pixel, time)."""
    index = np.arange(len(seconds))
    largest = amount.argmax(axis=1)[:, None]
    phase = np.where(index < largest, PHASES.index("rise"), PHASES.index("decay"))
    phase[np.abs(index - largest) <= 1] = PHASES.index("peak")
    phase[seconds[None] < begun[:, None]] = PHASES.index("before")
    return phase
