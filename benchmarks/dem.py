"""Inversions of simulated maps (synthetic): speed, accuracy, failures, beside HiGHS.

Maps of log-normals, of boxes and of power laws, at two noise levels; the truth is known. Speeds are
medians of rounds in one run; HiGHS solves the same linear programmes as basis pursuit, on a part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import linprog

from tools.channels import CAMERA
from tools.emission_measure.basis_pursuit import TOLERANCES, basis_functions
from tools.emission_measure.inversion import UNIT_CM5, invert
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS, aia_response, bin_response

_EDGES = np.linspace(5.45, 7.25, 19)
_FINE = 5.455 + 0.01 * np.arange(180)
_VERSION = "v10_evenorm"
_AVERAGED = {"high signal (64 pixels averaged)": 64, "low signal (one exposure)": 1}
_WAYS = {
    "basis pursuit": {"method": "basis-pursuit"},
    "Tikhonov, one step": {"method": "tikhonov", "two_step": False},
    "Tikhonov": {"method": "tikhonov"},
    "Plowman-Caspi": {"method": "plowman-caspi"},
}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="pixels along a side, for speed")
    parser.add_argument("--small", type=int, default=128, help="the same, for accuracy")
    parser.add_argument("--checked", type=int, default=500, help="pixels that HiGHS solves, too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    figures = {}
    for level, n in _AVERAGED.items():
        figures[level] = {"speed": _speeds(n, arguments)}
        for family in _FAMILIES:
            figures[level][family] = _accuracy(family, n, arguments)
    print(json.dumps(figures))


def _lognormal(x: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * (x / width) ** 2)


def _box(x: np.ndarray, width: float) -> np.ndarray:
    return (np.abs(x) < max(1.7 * width, 0.01)).astype(float)


def _power_law(x: np.ndarray, width: float) -> np.ndarray:
    return np.exp(np.where(x < 0, x / (1.5 * width), -x / (0.5 * width)))


_FAMILIES = {"log-normal": _lognormal, "box": _box, "power law": _power_law}


def _map(family: str, side: int, n_averaged: int, seed: int) -> tuple[np.ndarray, ...]:
    """Give true emission measure, data and errors of a map."""
    generator = np.random.default_rng(seed)

    def field(width: float) -> np.ndarray:
        smooth = gaussian_filter(generator.standard_normal((side, side)), width, mode="wrap")
        return ((smooth - smooth.mean()) / smooth.std()).reshape(-1, 1)

    active = field(side / 9)
    parts = [
        (26.0 + 0.4 * field(5), 6.0 + 0.1 * field(9), 0.17),
        (26.3 + 0.7 * active + 0.2 * field(2), 6.48 + 0.1 * field(7), 0.12),
        (np.where(active > 1, 25.4 + 1.1 * (active - 1), 19.0), 6.96 + 0.09 * field(6), 0.08),
        (24.6 + 0.5 * field(4), 5.68 + 0.09 * field(5), 0.15),
    ]
    em = np.zeros((side * side, len(_FINE)), np.float32)
    for log_em, centre, width in parts:
        shape = _FAMILIES[family](_FINE - centre, width)
        em += 10 ** (log_em - 26) * shape / np.maximum(shape.sum(axis=1, keepdims=True), 1e-9)
    rate = em @ (aia_response(_FINE, version=_VERSION) * UNIT_CM5).T
    cameras = [CAMERA[channel] for channel in RESPONSE_CHANNELS]
    per_photon = np.array([c.dn_per_photon / c.exposure_s for c in cameras])
    photons = generator.poisson(np.maximum(rate, 0) / per_photon * n_averaged) / n_averaged
    read = np.array([c.read_noise_dn / c.exposure_s for c in cameras]) / np.sqrt(n_averaged)
    dn = photons * per_photon + read * generator.standard_normal(rate.shape)
    sigma = aia_noise(dn, RESPONSE_CHANNELS, pixels_averaged=n_averaged)
    return em.reshape(-1, 18, 10).sum(axis=2).astype(float) * UNIT_CM5, dn, sigma


def _speeds(n_averaged: int, arguments: argparse.Namespace) -> dict:
    """Time every way on one unseen map, and HiGHS on a part of it."""
    response = bin_response(_EDGES, version=_VERSION)
    _, dn, sigma = _map("log-normal", arguments.size, n_averaged, seed=11)
    _, other, other_sigma = _map("log-normal", 32, n_averaged, seed=12)
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    for options in _WAYS.values():  # compiled on another map
        invert(other, other_sigma, response, _EDGES, n_jobs=arguments.jobs, **options)
    for _ in range(arguments.rounds):
        for name, options in _WAYS.items():
            start = time.perf_counter()
            found = invert(dn, sigma, response, _EDGES, n_jobs=arguments.jobs, **options)
            seconds[name].append(time.perf_counter() - start)
            if name == "basis pursuit":
                exact = found
    out = {
        f"{name}, pixels/s": round(len(dn) / statistics.median(times))
        for name, times in seconds.items()
    }
    chosen = np.random.default_rng(1).permutation(len(dn))[: arguments.checked]
    start = time.perf_counter()
    peer = [_highs(dn[p], sigma[p], response) for p in chosen]
    per_second = len(chosen) / (time.perf_counter() - start)
    gaps, mismatches = [], 0
    for p, expected in zip(chosen, peer, strict=True):
        mismatches += (expected is None) != (exact.status[p] != 0)
        if expected is not None and exact.status[p] == 0:
            gaps.append(abs(exact.extra["objective"][p] / expected - 1))
    out["HiGHS, pixels/s"] = round(per_second)
    out["basis pursuit over HiGHS"] = round(out["basis pursuit, pixels/s"] / per_second)
    out["pixels compared with HiGHS"] = len(chosen)
    out["statuses that differ"] = int(mismatches)
    out["largest relative difference of objectives"] = float(f"{max(gaps):.1e}")
    return out


def _highs(dn: np.ndarray, sigma: np.ndarray, response: np.ndarray) -> float | None:
    """Solve one pixel's linear programme; give its objective, or None."""
    functions = basis_functions(_EDGES)
    design = response @ functions.T * UNIT_CM5
    y = np.maximum(dn, 0)
    for tolerance in TOLERANCES:
        low, high = np.maximum(y - tolerance * sigma, 0), y + tolerance * sigma
        found = linprog(
            np.ones(len(functions)),
            A_ub=np.vstack([design, -design]),
            b_ub=np.concatenate([high, -low]),
            method="highs",
        )
        if found.status == 0:
            return found.fun
    return None


def _accuracy(family: str, n_averaged: int, arguments: argparse.Namespace) -> dict:
    """Compare every way with the truth; medians over all pixels, failures included."""
    response = bin_response(_EDGES, version=_VERSION)
    truth, dn, sigma = _map(family, arguments.small, n_averaged, seed=13)
    out = {}
    for name, options in _WAYS.items():
        found = invert(dn, sigma, response, _EDGES, n_jobs=arguments.jobs, **options)
        total, expected = found.em.sum(axis=1, keepdims=True), truth.sum(axis=1, keepdims=True)
        apart = np.cumsum(found.em / np.maximum(total, 1), axis=1)
        apart = np.abs(apart - np.cumsum(truth / expected, axis=1)).sum(axis=1) * 0.1
        scores = {
            "L1": np.median(np.abs(found.em - truth).sum(axis=1) / expected[:, 0]),
            "W1, dex": np.median(apart),
            "total EM, relative error": np.median(np.abs(total / expected - 1)),
            "chi2": np.nanmedian(found.chi2),
            "not solved": np.mean(found.status != 0),
        }
        if np.isfinite(found.error).any():
            solved = found.status == 0
            away = np.abs(found.em - truth)[solved] / np.maximum(found.error[solved], 1e18)
            scores["bins within 1 sigma"] = np.mean(away < 1)
            scores["bins within 2 sigma"] = np.mean(away < 2)
        out[name] = {key: float(f"{value:.3g}") for key, value in scores.items()}
    return out


if __name__ == "__main__":
    main()
