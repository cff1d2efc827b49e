"""Milne-Eddington synthesis and inversion: speed, accuracy, convergence, coverage of the errors.

    python benchmarks/milne_eddington.py [--pixels 2000] [--seeds 3] [--pymilne FOLDER]

Atmospheres are drawn uniformly: 50 to 3000 G, all directions, 4 km/s, Doppler widths of 25 to 60
mAngstrom, eta0 2 to 40, damping 0.05 to 0.8, S0 0.1 to 0.5, S1 0.3 to 1; Fe I 6301 and 6302 at the
112 wavelengths of Hinode/SP; noise of 1e-3. pyMilne (de la Cruz Rodriguez 2019) runs on the same
profiles where a user has built it: FOLDER holds its MilneEddington.py and compiled module. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Sequence

import numpy as np
from scipy.special import wofz

from benchmarks.plain_stokes import plain_stokes, weideman_function
from benchmarks.timing import side_by_side
from tools.physics.milne_eddington import (
    PARAMETERS,
    hinode_wavelengths,
    synthesise,
    synthesise_with_derivatives,
)
from tools.physics.milne_eddington_fit import fit_atmospheres
from tools.physics.zeeman import FE_6301, FE_6302
from tools.random_streams import random_stream

__all__ = ["draw_atmospheres", "expected_line_of_sight_errors", "main"]

_RANGES = {
    "field_strength": (50, 3000),
    "inclination": (0, 180),
    "azimuth": (0, 180),
    "velocity": (-4, 4),
    "doppler_width": (25, 60),
    "eta0": (2, 40),
    "damping": (0.05, 0.8),
    "source_constant": (0.1, 0.5),
    "source_gradient": (0.3, 1.0),
}
_STARTS = (1, 2, 3, 4, 5)
_NOISE = 1e-3
_COVERAGE_NOISES = (3e-4, 1e-3, 3e-3)
_CONVERGED = 1.5  # chi2 over degrees of freedom
_STEPS_OF_PYMILNE = 20
_TARGETS = {
    "synthesis us/pixel": 11.0,
    "derivatives / synthesis": 8.0,
    "share converged": 0.95,
    "inversion us/pixel": 1126.0,
    "difference, same Voigt function": 1e-6,
    "difference, exact Voigt function": 1e-5,
}
# measured elsewhere: another machine state, another draw of parameters, float64 on two threads
_PYMILNE_ELSEWHERE = {"share converged": 0.81, "median error of B_los": 1.05, "us/pixel": 1126.0}


def draw_atmospheres(n: int, *, seed: int = 0) -> np.ndarray:
    """Return atmospheres (pixel, 9) in the order and units of ``PARAMETERS``."""
    generator = random_stream(seed, "benchmark", "atmospheres")
    return np.stack([generator.uniform(*_RANGES[name], n) for name in PARAMETERS], axis=1)


def noisy_profiles(theta: np.ndarray, noise: float, *, seed: int = 0) -> np.ndarray:
    """Return profiles (pixel, 4, wavelength) of Hinode/SP with noise in every Stokes parameter."""
    clean = synthesise(theta, hinode_wavelengths())
    generator = random_stream(seed, "benchmark", "noise")
    return clean + noise * generator.standard_normal(clean.shape)


def line_of_sight(theta: np.ndarray) -> np.ndarray:
    """Return B cos(inclination), gauss."""
    return theta[..., 0] * np.cos(np.radians(theta[..., 1]))


def expected_line_of_sight_errors(theta: np.ndarray, noise: float) -> np.ndarray:
    """Return the least standard deviation (pixel,) of B_los, gauss, by Cramer and Rao."""
    _, slopes = synthesise_with_derivatives(theta, hinode_wavelengths())
    flat = slopes.reshape(len(theta), 9, -1)
    information = np.einsum("npk,nqk->npq", flat, flat) / noise**2
    gamma = np.radians(theta[:, 1])
    by_parameter = np.zeros((len(theta), 9))
    by_parameter[:, 0] = np.cos(gamma)
    by_parameter[:, 1] = -theta[:, 0] * np.sin(gamma) * np.pi / 180
    scale = np.sqrt(np.einsum("npp->np", information))
    scaled = information / scale[:, :, None] / scale[:, None, :]
    slope = by_parameter / scale
    return np.sqrt(np.einsum("np,np->n", slope, np.linalg.solve(scaled, slope[..., None])[..., 0]))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=2000, help="of each seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3, help="of each time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pymilne", default="", help="folder of a built pyMilne")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    outcome = {"machine": _machine(), "targets": _TARGETS}
    outcome |= _speed(arguments)
    outcome |= _accuracy(min(arguments.pixels, 300))
    outcome["inversion"] = _inversions(arguments)
    outcome["coverage"] = _coverage(arguments)
    outcome["pyMilne, measured elsewhere"] = _PYMILNE_ELSEWHERE
    if arguments.pymilne:
        outcome["pyMilne"] = _pymilne(arguments)
    outcome["load at the end"] = round(os.getloadavg()[0], 1)
    print(json.dumps(outcome))
    return 0


def _machine() -> dict:
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        pass
    return {"cpu": name, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def _speed(arguments: argparse.Namespace) -> dict:
    axis, theta = hinode_wavelengths(), draw_atmospheres(arguments.pixels)
    times = side_by_side(
        {
            "synthesis": lambda: synthesise(theta, axis, n_jobs=arguments.jobs),
            "with derivatives": lambda: synthesise_with_derivatives(
                theta, axis, n_jobs=arguments.jobs
            ),
        },
        rounds=3 * arguments.rounds,
    )
    per_pixel = {name: 1e6 * row["seconds"] / len(theta) for name, row in times.items()}
    ratio = times["with derivatives"]["ratio"]
    print(f"synthesis {per_pixel['synthesis']:.1f} us/pixel, with derivatives {ratio:.1f} times")
    return {"us/pixel": _rounded(per_pixel), "derivatives / synthesis": ratio}


def _accuracy(n: int) -> dict:
    axis, theta = hinode_wavelengths(), draw_atmospheres(n, seed=1)
    fast = synthesise(theta, axis)
    away = {}
    for name, function in (("same", weideman_function), ("exact", wofz)):
        plain = [plain_stokes(t, axis, (FE_6301, FE_6302), plasma_function=function) for t in theta]
        away[f"difference, {name} Voigt function"] = float(np.max(np.abs(fast - plain)))
        print(
            f"largest difference to plain numpy, {name} Voigt function: {list(away.values())[-1]}"
        )
    return away


def _inversions(arguments: argparse.Namespace) -> dict:
    rows: dict[int, list[dict]] = {n: [] for n in _STARTS}
    seconds: dict[int, list[float]] = {n: [] for n in _STARTS}
    axis = hinode_wavelengths()
    fit_atmospheres(axis, noisy_profiles(draw_atmospheres(8), _NOISE), _NOISE)
    expected = []
    for seed in range(arguments.seeds):
        theta = draw_atmospheres(arguments.pixels, seed=seed)
        stokes = noisy_profiles(theta, _NOISE, seed=seed)
        spread = expected_line_of_sight_errors(theta, _NOISE)
        draws = random_stream(seed, "benchmark", "expected").standard_normal((20, len(theta)))
        expected.append(np.median(np.abs(spread * draws)))
        for n_starts in _STARTS:
            begun = time.perf_counter()
            fit = fit_atmospheres(axis, stokes, _NOISE, n_starts=n_starts, n_jobs=arguments.jobs)
            seconds[n_starts].append((time.perf_counter() - begun) / len(theta))
            rows[n_starts].append(_quality(fit.chi2, fit.line_of_sight_field, theta))
    outcome = {"Cramer-Rao, median |error of B_los|, G": round(float(np.mean(expected)), 3)}
    for n_starts in _STARTS:
        outcome[f"{n_starts} starts"] = {
            **{name: [row[name] for row in rows[n_starts]] for name in rows[n_starts][0]},
            "us/pixel": round(1e6 * float(np.median(seconds[n_starts])), 1),
        }
        print(f"{n_starts} starts: {outcome[f'{n_starts} starts']}")
    return outcome


def _quality(chi2: np.ndarray, along: np.ndarray, theta: np.ndarray) -> dict:
    error = np.abs(along - line_of_sight(theta))
    return {
        "share converged": round(float(np.mean(chi2 < _CONVERGED)), 4),
        "median |error of B_los|, G": round(float(np.nanmedian(error)), 3),
    }


def _coverage(arguments: argparse.Namespace) -> dict:
    """Return shares of true values within one sigma, over pixels without a flag."""
    outcome = {}
    theta = draw_atmospheres(arguments.pixels, seed=10)
    for noise in _COVERAGE_NOISES:
        stokes = noisy_profiles(theta, noise, seed=10)
        fit = fit_atmospheres(hinode_wavelengths(), stokes, noise, n_jobs=arguments.jobs)
        kept = fit.flags == 0
        away = fit.values - theta
        away[:, 2] = (away[:, 2] + 90) % 180 - 90
        inside = np.abs(away)[kept] < fit.errors[kept]
        along = np.abs(fit.line_of_sight_field - line_of_sight(theta)) < fit.line_of_sight_error
        shares = dict(zip(PARAMETERS, inside.mean(axis=0), strict=True))
        shares |= {"line_of_sight_field": along[kept].mean(), "pixels kept": kept.mean()}
        outcome[f"noise {noise:g}"] = _rounded(shares)
        print(f"coverage, noise {noise:g}: {outcome[f'noise {noise:g}']}")
    return outcome


def _pymilne(arguments: argparse.Namespace) -> dict:
    """Return pyMilne's speed and quality on the same profiles, and how far its own ones lie."""
    sys.path.insert(0, arguments.pymilne)  # a user's build, which is no package
    import MilneEddington as peer
    import pyMilne

    class SameLines(peer.MilneEddington):
        """pyMilne with the lines of this suite: its own have another ratio of strengths."""

        def _getLines(self, labels, anomalous, dw, precision):
            return [
                pyMilne.pyLines(
                    j1=line.j_lower,
                    j2=line.j_upper,
                    g1=line.g_lower,
                    g2=line.g_upper,
                    cw=line.wavelength,
                    gf=10**-0.718 * line.strength,
                    anomalous=anomalous,
                    dw=dw,
                )
                for line in (FE_6301, FE_6302)
            ]

    axis, theta = hinode_wavelengths(), draw_atmospheres(arguments.pixels)
    own_units = theta * np.array([1, np.pi / 180, np.pi / 180, 1, 1e-3, 1, 1, 1, 1])
    own_units = np.ascontiguousarray(own_units[None])
    outcome = {}
    # its default evaluates lines within 20 km/s; the profiles here have their whole wings
    for window in (20.0, 300.0):
        code = SameLines([[axis, None]], [6301, 6302], nthreads=arguments.jobs, dw_lines=window)
        profiles = np.array(code.synthesize(own_units))
        stokes = noisy_profiles(theta, _NOISE)
        away = np.abs(profiles[0] - synthesise(theta, axis))
        if window < 100:
            # each code inverts what it can synthesise
            stokes += profiles[0] - synthesise(theta, axis)
        starts = {1: 1, 5: 5}
        quality: dict[int, dict] = {}

        def invert(n_starts: int, code=code, stokes=stokes, quality=quality) -> None:
            first = code.repeat_model(code.get_a_guessed_model(), 1, len(theta))
            model, fitted, _ = code.invert(
                first,
                np.ascontiguousarray(stokes[None]),
                _NOISE,
                nRandom=n_starts,
                nIter=_STEPS_OF_PYMILNE,
            )
            residual = (np.array(fitted)[0] - stokes) / _NOISE
            chi2 = np.sum(residual**2, axis=(1, 2)) / (residual[0].size - 9)
            along = model[0, :, 0] * np.cos(model[0, :, 1])
            quality[n_starts] = _quality(chi2, along, theta)

        own = noisy_profiles(theta, _NOISE)

        def ours(n_starts: int, own=own) -> None:
            fit_atmospheres(axis, own, _NOISE, n_starts=n_starts, n_jobs=arguments.jobs)

        names = {f"pyMilne, {n} starts": lambda n=n: invert(n) for n in starts}
        names |= {f"heliolens, {n} starts": lambda n=n: ours(n) for n in starts}
        names |= {
            "pyMilne, synthesis": lambda code=code: code.synthesize(own_units),
            "heliolens, synthesis": lambda: synthesise(theta, axis, n_jobs=arguments.jobs),
        }
        times = side_by_side(names, rounds=arguments.rounds)
        outcome[f"lines within {window:g} km/s"] = {
            "us/pixel": _rounded({k: 1e6 * v["seconds"] / len(theta) for k, v in times.items()}),
            **{f"{n} starts": row for n, row in quality.items()},
            "profiles, median and largest difference": [
                float(f"{np.median(away):.2g}"),
                float(f"{away.max():.2g}"),
            ],
        }
        print(f"pyMilne, {outcome[f'lines within {window:g} km/s']}")
    return outcome


def _rounded(values: dict) -> dict:
    return {name: round(float(value), 3) for name, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
