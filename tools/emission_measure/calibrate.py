"""Calibrate error bars on simulated emission measures whose truth is known (synthetic).

    python -m tools.emission_measure.calibrate [--pixels N] [--output FILE]

A bar is a factor times that of the Gaussian posterior. The factors, one for every temperature bin,
total signal to noise, for pixels that flare or not and bins that are 0 or not, are such that 68.3
and 95.4 % of the bars cover the truth: the emission measure in the bin itself, not a smoothed one.
The simulations are log-normals, boxes and power laws, some of any temperature and width and most as
the corona has them, seen by AIA with 1 to 128 pixels averaged: no map by which the bars are judged.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from tools.atomic_files import write_text
from tools.channels import CAMERA
from tools.emission_measure.calibration import KNOTS, TABLE, signal_to_noise
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.flaring import flare_share
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.pixels import UNIT_CM5
from tools.emission_measure.response import (
    RESPONSE_CHANNELS,
    RESPONSE_VERSIONS,
    aia_response,
    bin_response,
)
from tools.emission_measure.tikhonov import PRIOR_SLOPE, solve_tikhonov

__all__ = ["calibrate", "main", "simulate"]

_PER_BIN = 10
_FINE = 5.455 + 0.01 * np.arange(180)
_SHARES = (0.6, 0.2, 0.2)  # log-normals, boxes, power laws
_CORONAL_SHARE = 0.6
# quiet corona, active regions, hot cores, transition region: log10 of K and its spread, typical
# width in dex, log10 of emission measure (1e26 cm-5) and its spread, how often it is there
_CORONA = (
    (6.0, 0.13, 0.16, 0.0, 0.6, 0.94),
    (6.46, 0.14, 0.12, 0.2, 1.0, 0.85),
    (7.0, 0.12, 0.09, -0.7, 1.0, 0.2),
    (5.67, 0.12, 0.15, -1.4, 0.7, 0.85),
)
_AVERAGED = 2.0 ** np.arange(8)
_COVERED = (0.683, 0.954)
_WINDOW_DEX = 0.3  # about a knot of signal to noise
_FEWEST = 200  # pixels by which a quantile is known


def main(argv: list[str] | None = None) -> int:
    """Write the table; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=400_000, help="of each response")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", default=str(TABLE))
    arguments = parser.parse_args(argv)
    if arguments.pixels < 1000:
        raise ValueError(f"--pixels must be 1000 or more, got {arguments.pixels}")
    table = {
        "source": "python -m tools.emission_measure.calibrate, seed "
        f"{arguments.seed}, {arguments.pixels} simulated pixels of each response",
        "knots": [float(knot) for knot in KNOTS],
        "log_temperature_edges": [round(float(edge), 6) for edge in LOG_T_EDGES],
        "responses": {
            version: calibrate(version, arguments.pixels, arguments.seed, arguments.jobs)
            for version in RESPONSE_VERSIONS
        },
    }
    write_text(Path(arguments.output), json.dumps(table) + "\n")
    print(f"written: {arguments.output}")
    return 0


def simulate(n: int, version: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw emission measures, and what AIA sees of them.

    Returns
    -------
    em : (pixel, 18) float64
        cm-5 in bins of 0.1 dex from log T 5.45.
    dn, sigma : (pixel, 6) float64
        DN s-1 pix-1.
    """
    generator = np.random.default_rng(seed)
    fine = np.zeros((n, len(_FINE)))
    level = generator.uniform(-1.5, 2.5, n)
    kinds = generator.choice(3, size=n, p=_SHARES)
    n_parts = np.where(kinds == 2, 1, generator.integers(1, 5, n))
    is_coronal = generator.random((n, 1)) < _CORONAL_SHARE
    for part, (middle, spread, typical, amount, scatter, often) in enumerate(_CORONA):
        centre = generator.uniform(5.5, 7.2, (n, 1))
        width = 10 ** generator.uniform(np.log10(0.04), np.log10(0.4), (n, 1))
        normal = generator.standard_normal((3, n, 1))
        centre = np.where(is_coronal, middle + spread * normal[0], centre)
        width = np.where(is_coronal, typical * np.exp(0.4 * normal[1]), width)
        rise, fall = generator.uniform(1, 6, (n, 1)), generator.uniform(3, 12, (n, 1))
        x = _FINE - centre
        shape = np.exp(-0.5 * (x / width) ** 2)
        shape = np.where(kinds[:, None] == 1, np.abs(x) < 1.7 * width, shape)
        slope = np.exp(np.log(10) * np.where(x < 0, rise * x, -fall * x))
        shape = np.where(kinds[:, None] == 2, slope, shape)
        free = 10 ** (level[:, None] + generator.uniform(-2, 0, (n, 1))) * (part < n_parts[:, None])
        coronal = 10 ** (amount + scatter * normal[2]) * (generator.random((n, 1)) < often)
        share = shape / np.maximum(shape.sum(axis=1, keepdims=True), 1e-9)
        fine += np.where(is_coronal, coronal, free) * share
    rate = fine @ (aia_response(_FINE, version=version) * UNIT_CM5).T
    cameras = [CAMERA[channel] for channel in RESPONSE_CHANNELS]
    seconds = np.array([c.exposure_s for c in cameras])
    per_photon = np.array([c.dn_per_photon for c in cameras])
    read = np.sqrt(np.array([c.read_noise_dn for c in cameras]) ** 2 + 1 / 12)
    averaged = generator.choice(_AVERAGED, (n, 1))
    photons = generator.poisson(rate * seconds / per_photon * averaged) / averaged
    dn = photons * per_photon + read / np.sqrt(averaged) * generator.standard_normal((n, 6))
    dn /= seconds
    sigma = aia_noise(dn, RESPONSE_CHANNELS) / np.sqrt(averaged)
    return fine.reshape(n, -1, _PER_BIN).sum(axis=2) * UNIT_CM5, dn, sigma


def calibrate(version: str, n: int, seed: int, n_jobs: int) -> dict:
    """Give the response and, by the number of steps, factors (flaring, knot, state, bin, sigma)."""
    truth, dn, sigma = simulate(n, version, seed)
    response = bin_response(LOG_T_EDGES, version=version)
    strength = signal_to_noise(dn, sigma)
    tilted = flare_share(dn, sigma, response, LOG_T_EDGES, n_jobs=n_jobs)
    factors = {}
    for name, two_step in (("one step", False), ("two steps", True)):
        found = solve_tikhonov(
            dn,
            sigma,
            response,
            LOG_T_EDGES,
            prior_slope=PRIOR_SLOPE,
            tilted=tilted,
            two_step=two_step,
            n_jobs=n_jobs,
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            away = np.abs(found.em - truth) / found.error
        away[~np.isfinite(away)] = np.nan
        is_on = found.em > 0
        kinds = tilted == 0.0, tilted > 0.5
        factors[name] = [_quantiles(away[k], is_on[k], strength[k]) for k in kinds]
    return {"response": [[float(f"{r:.6g}") for r in row] for row in response], **factors}


def _quantiles(away: np.ndarray, is_on: np.ndarray, strength: np.ndarray) -> list:
    """Give factors (knot, state, bin, sigma).

    Where pixels are few those of all bins; where there are hardly any those of the nearest knot,
    or all.
    """
    near_knots = [np.abs(strength - knot) < _WINDOW_DEX for knot in KNOTS]
    enough = np.flatnonzero([near.sum() >= _FEWEST for near in near_knots])
    table = []
    for k in range(len(KNOTS)):
        near = np.ones(len(away), bool)
        if len(enough):
            near = near_knots[enough[np.argmin(np.abs(enough - k))]]
        states = []
        for state in (False, True):
            rows = []
            chosen = is_on[near] == state
            everywhere = away[near][chosen]
            for j in range(away.shape[1]):
                values = away[near, j][chosen[:, j]]
                values = values[np.isfinite(values)]
                if len(values) < _FEWEST:
                    values = everywhere[np.isfinite(everywhere)]
                rows.append([float(f"{q:.4g}") for q in np.quantile(values, _COVERED)])
            states.append(rows)
        table.append(states)
    return table


if __name__ == "__main__":
    raise SystemExit(main())
