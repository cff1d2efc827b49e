"""How fast inversions are, side by side in one run, and whether basis pursuit equals HiGHS."""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from scipy.optimize import linprog

from benchmarks.dem_ways import Way
from tools.emission_measure.basis_pursuit import TOLERANCES, basis_functions
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import UNIT_CM5
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS, bin_response
from tools.emission_measure.simulated_maps import draw_counts, simulated_map

__all__ = ["RATIOS", "draw_large_map", "speeds"]

RATIOS = (  # whose speed over whose
    ("basis pursuit", "HiGHS"),
    ("basis pursuit", "utu (Plowman-Caspi)"),
    ("Tikhonov", "demregpy"),
    ("Tikhonov", "demregpy, data at least 0.05 sigma"),
    ("Plowman-Caspi", "utu (Plowman-Caspi)"),
    ("Plowman-Caspi", "EMToolKit (Plowman-Caspi)"),
    ("network, accurate", "network, accurate, by Keras"),
    ("network, fast", "network, fast, by Keras"),
)
_TILE = 256  # pixels along a side; a simulated map of them takes 0.7 GB
_MOST_TILES = 16
_TOUCHED = 2**25  # float64: more than any way needs
_AGREE = 1e-9  # of the objectives


def draw_large_map(
    side: int, n_averaged: int, *, version: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make data and errors of a large map: tiles of some truths, each with noise of its own.

    Parameters
    ----------
    side : int
        Pixels; a map larger than 256 is made of tiles, at most 16 of which differ but for noise.
    n_averaged : int
        Pixels averaged.

    Returns
    -------
    dn, sigma : (side^2, 6) float32
        DN s-1 pix-1.
    """
    tile = min(side, _TILE)
    across = -(-side // tile)
    rates = [
        simulated_map("log-normal", tile, n_averaged, seed=seed + index, version=version).rate
        for index in range(min(across**2, _MOST_TILES))
    ]
    generator = np.random.default_rng(seed)
    dn = np.empty((across * tile, across * tile, 6), np.float32)
    for index in range(across**2):
        y, x = divmod(index, across)
        drawn = draw_counts(rates[index % len(rates)], n_averaged, generator)
        place = np.s_[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]
        dn[place] = drawn.reshape(tile, tile, -1)
    dn = dn[:side, :side].reshape(side**2, -1)
    sigma = aia_noise(dn, RESPONSE_CHANNELS, pixels_averaged=n_averaged)
    return dn, sigma.astype(np.float32)


def speeds(n_averaged: int, ways: dict[str, Way], arguments: argparse.Namespace) -> dict:
    """Time every way in turn, some rounds, on one unseen map.

    Parameters
    ----------
    n_averaged : int
        Pixels averaged.
    ways : dict of Way
    arguments : argparse.Namespace
        ``response``, ``size``, ``slow`` and ``checked`` (pixels), ``rounds``.

    Returns
    -------
    dict
        Pixels per second (medians), ratios (medians of those within rounds), and how basis pursuit
        compares with HiGHS, which solves the same linear programmes.
    """
    response = bin_response(LOG_T_EDGES, version=arguments.response)
    dn, sigma = draw_large_map(arguments.size, n_averaged, version=arguments.response, seed=11)
    other, other_sigma = draw_large_map(32, n_averaged, version=arguments.response, seed=51)
    for way in ways.values():
        way.solve(other, other_sigma)  # compiled, on another map
    generator = np.random.default_rng(1)
    chosen = generator.permutation(len(dn))[: arguments.checked]
    rounds = np.array_split(chosen, arguments.rounds)
    exact = ways["basis pursuit"].solve(dn[chosen], sigma[chosen])
    rates: dict[str, list[float]] = {name: [] for name in [*ways, "HiGHS"]}
    peer = []
    for part in rounds:
        for name, way in ways.items():
            n = min(arguments.slow, len(dn)) if way.is_slow else len(dn)
            first = len(dn) // 2 if 2 * n <= len(dn) else 0
            given = dn[first : first + n], sigma[first : first + n]
            _touch_memory()
            start = time.perf_counter()
            found = way.solve(*given)
            seconds = float(found.extra.get("seconds", time.perf_counter() - start))
            rates[name].append(n / seconds)
        _touch_memory()
        start = time.perf_counter()
        peer += [_highs(dn[p], sigma[p], response) for p in part]
        rates["HiGHS"].append(len(part) / (time.perf_counter() - start))
    return {
        "pixels/s": {name: statistics.median(values) for name, values in rates.items()},
        "ratios": _ratios(rates, ways),
        "basis pursuit and HiGHS": _compared(exact, peer),
    }


def _touch_memory() -> None:
    """Write to memory and free it again, before each timing alike.

    The host of a virtual machine may take back what has been free for seconds; the next one to use
    it waits for it, 1.5 s for a gigabyte, which says nothing of a way to invert pixels.
    """
    np.ones(_TOUCHED)


def _ratios(rates: dict[str, list[float]], ways: dict[str, Way]) -> dict[str, float]:
    pairs = list(RATIOS)
    for name, way in ways.items():
        if way.is_network:
            pairs += [(name, other) for other in ways if other.startswith("DeepEM")]
    return {
        f"{a} over {b}": statistics.median(x / y for x, y in zip(rates[a], rates[b], strict=True))
        for a, b in pairs
        if a in rates and b in rates
    }


def _compared(exact, peer: list[float | None]) -> dict:
    """Compare objectives and statuses with HiGHS' of the same pixels."""
    gaps, mismatches = [0.0], 0
    for index, expected in enumerate(peer):
        mismatches += (expected is None) != (exact.status[index] != 0)
        if expected is not None and exact.status[index] == 0:
            gaps.append(abs(exact.extra["objective"][index] / expected - 1))
    return {
        "pixels": len(peer),
        "statuses that differ": int(mismatches),
        "objectives that differ by more than 1e-9": int(np.sum(np.array(gaps) > _AGREE)),
        "largest relative difference of objectives": max(gaps),
    }


def _highs(dn: np.ndarray, sigma: np.ndarray, response: np.ndarray) -> float | None:
    """Solve one pixel's linear programme; give its objective, or None."""
    functions = basis_functions(LOG_T_EDGES)
    design = response @ functions.T * UNIT_CM5
    dn, sigma = dn.astype(float), sigma.astype(float)
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
