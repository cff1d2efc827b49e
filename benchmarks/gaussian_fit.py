"""Gaussian fits of spectra: speed and chi2 beside curve_fit, astropy and eispac's MPFIT.

python benchmarks/gaussian_fit.py [--spectra N] [--peers .peers]

Times are of one run, in turn, medians; a peer that is slow fits fewer spectra, and times are
compared for each spectrum. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import time
from collections.abc import Sequence

import numpy as np
from scipy.optimize import curve_fit

from benchmarks.peer_astropy_fit import fit_with_astropy
from benchmarks.peers import peer_inversion, peer_python
from benchmarks.timing import side_by_side
from science.inversion.gaussian_maps import invert_lines, prepare_lines
from science.inversion.gaussian_plan import GaussianPlan
from science.inversion.regularised_lines import PRIORS
from science.inversion.synthetic_line_map import synthetic_line_map
from tools.fitting.flags import FitFlag
from tools.physics.gaussian_line import fit_gaussian_lines, gaussian_names

TEMPLATES = ("fe_12_192_394.1c", "fe_12_186_880.1c", "fe_13_201_121.2c", "fe_14_270_519.2c")
_WORSE = 1.01
_STARTS = (1, 8)


def draw_spectra(n: int, n_wavelengths: int, *, seed: int = 0):
    """Draw counts of lines with peaks of 20 to 200 counts on 5 to 15.

    Returns
    -------
    wavelength : (wavelength,) float64
    data, sigma : (spectrum, wavelength) float64
        sigma is the square root of the counts, at least 1.
    """
    generator = np.random.default_rng(seed)
    x = np.linspace(-1, 1, n_wavelengths)
    height, centre = generator.uniform(20, 200, n), generator.normal(0, 0.08, n)
    width, level = generator.uniform(0.08, 0.22, n), generator.uniform(5, 15, n)
    u = (x - centre[:, None]) / width[:, None]
    data = generator.poisson(height[:, None] * np.exp(-0.5 * u * u) + level[:, None]).astype(float)
    return x, data, np.sqrt(np.maximum(data, 1))


def gaussian(x, height, centre, width, level):
    """Return a Gaussian on a level."""
    return height * np.exp(-0.5 * ((x - centre) / width) ** 2) + level


def starts_of(x: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return starts from moments for the peers, (spectrum, 4); not timed."""
    level = np.percentile(data, 20, axis=1)
    excess = np.maximum(data - level[:, None], 0)
    total = excess.sum(axis=1) + 1e-6
    mean = (excess * x).sum(axis=1) / total
    spread = np.sqrt((excess * (x - mean[:, None]) ** 2).sum(axis=1) / total)
    peak = x[np.argmax(data, axis=1)]
    return np.stack([data.max(axis=1) - level, peak, 0.7 * spread.clip(0.05, 0.3), level], axis=1)


def chi2_of(parameters: np.ndarray, x: np.ndarray, data: np.ndarray, sigma: np.ndarray):
    """Return chi2 of each spectrum."""
    model = gaussian(x, *(parameters[:, k, None] for k in range(4)))
    return (((data - model) / sigma) ** 2).sum(axis=1)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, print, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=100_000)
    parser.add_argument("--wavelengths", type=int, default=64)
    parser.add_argument("--checked", type=int, default=1000, help="by curve_fit in each round")
    parser.add_argument("--slow", type=int, default=300, help="by astropy and MPFIT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peers", default=".peers")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    outcome = _against_numpy_peers(arguments)
    outcome["prior"] = _with_prior(arguments)
    python = peer_python(arguments.peers, "eispac")
    if python is not None:
        outcome |= _against_eispac(python, arguments, outcome["us/spectrum"]["heliolens"])
    print(json.dumps(outcome))
    return 0


def _against_numpy_peers(arguments: argparse.Namespace) -> dict:
    x, data, sigma = draw_spectra(arguments.spectra, arguments.wavelengths)
    n, few = min(arguments.checked, len(data)), min(arguments.slow, len(data))
    start, answers = starts_of(x, data[:n]), {}

    def ours():
        fit = fit_gaussian_lines(x, data, sigma, n_jobs=arguments.jobs)
        answers["heliolens"] = fit

    def by_curve_fit():
        out = np.full((n, 4), np.nan)
        for i in range(n):
            try:
                out[i] = curve_fit(gaussian, x, data[i], p0=start[i], sigma=sigma[i])[0]
            except RuntimeError:  # it ran out of evaluations
                continue
        answers["curve_fit"] = out

    def by_astropy():
        answers["astropy"] = fit_with_astropy(x, data[:few], sigma[:few], np.median(start, axis=0))

    sizes = {"heliolens": len(data), "curve_fit": n, "astropy parallel_fit_dask": few}
    functions = dict(zip(sizes, (ours, by_curve_fit, by_astropy), strict=True))
    times = side_by_side(functions, rounds=arguments.rounds)
    fit = answers["heliolens"]
    outcome: dict = {
        "spectra": len(data),
        "wavelengths": len(x),
        "threads": arguments.jobs,
        "us/spectrum": {k: round(1e6 * times[k]["seconds"] / sizes[k], 3) for k in sizes},
        "solved": round(float(np.mean(fit.flags == 0)), 5),
        "not converged": int(np.sum((fit.flags & FitFlag.NOT_CONVERGED) != 0)),
    }
    for name, key in (("curve_fit", "curve_fit"), ("astropy parallel_fit_dask", "astropy")):
        own = chi2_of(answers[key], x, data[: sizes[name]], sigma[: sizes[name]])
        ratio = times[name]["ratio"] * len(data) / sizes[name]
        outcome[name] = {"times slower": round(ratio, 1), **_chi2(fit.misfit[: len(own)], own)}
        print(f"{name}: {outcome[name]}")
    return outcome


def _with_prior(arguments: argparse.Namespace) -> dict:
    """Return rms and median errors of synthetic maps of weak lines, pixel by pixel and with priors.

    Pixels that abstain without a prior are left out everywhere; ratios above 1 are gains.
    """
    rows: dict[str, list] = {}
    for seed in range(3):
        cube = synthetic_line_map(64, seed=seed)
        maps, seconds = {}, {}
        for prior in ("none", *PRIORS):
            width = 0.0 if prior == "none" else 0.03  # IRIS: 26 mA full width, and thermal 50
            plan = GaussianPlan(prior=prior, minimum_width=width, jobs=arguments.jobs)
            prepared = prepare_lines(cube, plan)
            begun = time.perf_counter()
            maps[prior] = invert_lines(prepared.cube, plan, prepared)
            seconds[prior] = time.perf_counter() - begun
        answered = np.isfinite(maps["none"].values["velocity"])
        for name in ("amplitude", "velocity", "width"):
            away = {
                prior: (result.values[name] - cube.truth[name])[answered]
                for prior, result in maps.items()
            }
            rms = {prior: float(np.sqrt(np.mean(a**2))) for prior, a in away.items()}
            median = {prior: float(np.median(np.abs(a))) for prior, a in away.items()}
            for prior in PRIORS:
                gains = rms["none"] / rms[prior], median["none"] / median[prior]
                row = (rms["none"], rms[prior], *gains)
                rows.setdefault(f"{name}, {prior}", []).append(row)
        rows.setdefault("answered; seconds of gradient", []).append(
            (float(answered.mean()), seconds["gradient"])
        )
    means = {k: [float(f"{v:.3g}") for v in np.mean(rows[k], axis=0)] for k in rows}
    print(f"prior (rms alone, rms with it, gain of rms, gain of medians): {means}")
    return means


def _chi2(ours: np.ndarray, peer: np.ndarray) -> dict:
    """Return relative differences of chi2: positive where ours is larger."""
    answered = np.isfinite(peer)
    away = ours[answered] / peer[answered] - 1
    return {
        "peer answered": round(float(answered.mean()), 4),
        "median chi2 difference": float(f"{np.median(away):.2e}"),
        "worst": float(f"{away.max():.2e}"),
        "best": float(f"{away.min():.2e}"),
        "worse by over 1 %": round(float(np.mean(away > _WORSE - 1)), 5),
        "peer worse by over 1 %": round(float(np.mean(away < 1 / _WORSE - 1)), 5),
    }


def _against_eispac(python, arguments: argparse.Namespace, own_us: float) -> dict:
    x, data, sigma = draw_spectra(arguments.slow, arguments.wavelengths, seed=1)
    offset = 195.0  # MPFIT takes its steps relative to a centre that is not 0
    given = {
        "wavelength": x + offset,
        "data": data,
        "sigma": sigma,
        "start": np.array([100.0, offset, 0.15, 10.0]),
        "templates": np.array(TEMPLATES),
    }
    made = peer_inversion("eispac", python, given, n_jobs=1)
    fit = fit_gaussian_lines(x, data, sigma, n_jobs=arguments.jobs)
    parameters = made["params"].copy()
    parameters[:, 1] -= offset
    peer_us = 1e6 * float(made["seconds"]) / len(data)
    outcome: dict = {
        "MPFIT of eispac": {
            "us/spectrum": round(peer_us, 1),
            "times slower": round(peer_us / own_us, 1),
            **_chi2(fit.misfit, chi2_of(parameters, x, data, sigma)),
        }
    }
    print(f"MPFIT of eispac: {outcome['MPFIT of eispac']}")
    for name in TEMPLATES:
        found = {key.split("/")[1]: a for key, a in made.items() if key.startswith(f"{name}/")}
        outcome[f"EIS {name}"] = _one_template(found, arguments)
        print(f"EIS {name}: {outcome[f'EIS {name}']}")
    return outcome


def _one_template(found: dict[str, np.ndarray], arguments: argparse.Namespace) -> dict:
    """Fit the same EIS spectra within the same limits and ties."""
    n_lines, n_terms = int(found["n_gauss"]), int(found["n_poly"])
    names = gaussian_names(n_lines, n_terms)
    tied = {}
    for name, text in zip(names, found["tied"], strict=True):
        if text:  # as p[1]+0.06
            other, _, shift = str(text).partition("]")
            tied[name] = (names[int(other[2:])], 1.0, float(shift or 0))
    limits = zip(names, found["lower"], found["upper"], strict=True)
    bounds = {name: (low, high) for name, low, high in limits if name not in tied}
    answers = {}

    def fit(starts: int):
        answers[starts] = fit_gaussian_lines(
            found["wavelength"],
            found["data"],
            found["sigma"],
            n_components=n_lines,
            continuum_terms=n_terms,
            tied=tied,
            bounds=bounds,
            starts=starts,
            is_absorption=False,
            n_jobs=arguments.jobs,
        )

    functions = {f"{n} starts": functools.partial(fit, n) for n in _STARTS}
    times = side_by_side(functions, rounds=arguments.rounds)
    used = (found["sigma"] > 0).sum(axis=-1)
    peer = _misfit(found["params"], found, n_lines)
    n_spectra = found["status"].size
    peer_us = 1e6 * float(found["seconds"]) / n_spectra
    outcome: dict = {"MPFIT us/spectrum": round(peer_us, 1)}
    for starts, own in answers.items():
        fitted = (found["status"] > 0) & (used > len(names)) & np.isfinite(own.misfit)
        own_us = 1e6 * times[f"{starts} starts"]["seconds"] / n_spectra
        outcome[f"{starts} starts"] = {
            "spectra": int(fitted.sum()),
            "us/spectrum": round(own_us, 2),
            "MPFIT times slower": round(peer_us / own_us, 1),
            **_chi2(own.misfit[fitted], peer[fitted]),
        }
    return outcome


def _misfit(params: np.ndarray, found: dict[str, np.ndarray], n_lines: int) -> np.ndarray:
    """Return chi2 of eispac's answers on its spectra."""
    x = found["wavelength"]
    model = np.zeros_like(x)
    for c in range(n_lines):
        height, centre, width = (params[..., 3 * c + k, None] for k in range(3))
        with np.errstate(divide="ignore", invalid="ignore"):
            model = model + height * np.exp(-0.5 * ((x - centre) / width) ** 2)
    for term in range(params.shape[-1] - 3 * n_lines):
        model = model + params[..., 3 * n_lines + term, None] * x**term
    good = found["sigma"] > 0
    off = np.where(good, (found["data"] - model) / np.where(good, found["sigma"], 1.0), 0.0)
    return (off**2).sum(axis=-1)


if __name__ == "__main__":
    raise SystemExit(main())
