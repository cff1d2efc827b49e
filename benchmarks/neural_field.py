"""Errors of neural fields compared with pixels alone and with pixels and a spatial prior.

    python benchmarks/neural_field.py [--size 64] [--seeds 1]

B_los of a smooth map and of a map with sharp edges and a power-law spectrum, from Stokes V of Ca II
8542 by the weak-field approximation, at three noise levels. Root mean square errors against the
truth: each pixel alone, Laplacian prior with strength and power by the evidence, neural field whose
bandwidth and end of training held-out pixels choose. Prints a table and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np

from network_models.neural_field import (
    FieldData,
    FieldSettings,
    FieldValue,
    evaluate_field,
    fit_field,
    grid_places,
)
from network_models.physics.weak_field import longitudinal_profile
from science.inversion.synthetic_fields import FIELDS, synthetic_cube
from tools.fitting.linear import solve_laplacian
from tools.fitting.smoothing_weight import choose_laplacian
from tools.physics import weak_field

__all__ = ["main"]

_SIGMAS = (1e-3, 3e-3, 1e-2)
_FIRST_SEED = 100  # seeds below were looked at while the method was made
_LINE = weak_field.LINES["CaII8542"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="pixels along a side")
    parser.add_argument("--seeds", type=int, default=1, help="maps of each kind")
    parser.add_argument("--steps", type=int, default=1000, help="most steps of each bandwidth")
    arguments = parser.parse_args(argv)
    settings = FieldSettings(steps=arguments.steps, batch_pixels=1024)
    rows = []
    print("map     noise   pixel G  prior G (s)     field G (s)      field/prior  bandwidth")
    for kind in FIELDS:
        for sigma in _SIGMAS:
            row = _measured(kind, sigma, arguments.size, arguments.seeds, settings)
            rows.append(row)
            print(
                f"{kind:6s} {sigma:6g} {row['pixel G']:9.2f} {row['prior G']:8.2f} "
                f"({row['prior s']:.3f}) {row['field G']:8.2f} ({row['field s']:.1f}) "
                f"{row['field G'] / row['prior G']:10.2f} {row['bandwidth']:11g}",
                flush=True,
            )
    n_pixels, n_weights = arguments.size**2, rows[0]["weights"]
    print(f"{n_weights} weights for {n_pixels} pixels")
    total = {"weights": n_weights, "pixels": n_pixels, "steps": arguments.steps, "rows": rows}
    print(json.dumps(total))
    return 0


def _measured(kind: str, sigma: float, size: int, n_maps: int, settings: FieldSettings) -> dict:
    """Return medians over some maps."""
    found: dict[str, list[float]] = {}
    for seed in range(_FIRST_SEED, _FIRST_SEED + n_maps):
        cube = synthetic_cube(kind, _LINE, size=size, sigma=sigma, seed=seed)
        truth, v = cube.truth["B_los"], cube.values[:, :, cube.stokes.index("V")]
        derivative = weak_field.wavelength_derivative(
            cube.values[:, :, cube.stokes.index("I")], cube.wavelength
        )
        _, by_field = weak_field.longitudinal_profile(np.zeros(cube.shape), derivative, _LINE)
        begun = time.perf_counter()
        alone = weak_field.field_from_profiles(v, by_field, sigma)
        choice = choose_laplacian(alone.field, alone.weight, criterion="evidence")
        smoothed = solve_laplacian(alone.field, alone.weight, choice.prior).values
        prior_s = time.perf_counter() - begun
        n = size * size
        data = FieldData(
            grid_places(cube.shape),
            v.reshape(n, -1).astype(np.float32),
            np.full((n, v.shape[-1]), sigma**-2.0, np.float32),
            derivative.reshape(n, -1).astype(np.float32),
        )
        scale = float(np.percentile(np.abs(alone.field), 90))
        begun = time.perf_counter()
        fitted = fit_field(
            [FieldValue("B_los", scale)],
            lambda values, slope: longitudinal_profile(values[..., 0], slope, _LINE),
            data,
            settings,
        )
        field = evaluate_field(fitted.network, data.places).reshape(cube.shape)
        numbers = {
            "pixel G": _rms(alone.field - truth),
            "prior G": _rms(smoothed - truth),
            "field G": _rms(field - truth),
            "prior s": prior_s,
            "field s": time.perf_counter() - begun,
            "bandwidth": fitted.bandwidth,
            "held-out chi2": fitted.held_out_chi2,
            "weights": fitted.network.count_params(),
        }
        for name, number in numbers.items():
            found.setdefault(name, []).append(number)
    row = {name: float(f"{statistics.median(v):.4g}") for name, v in found.items()}
    return {"map": kind, "sigma": sigma, **row, "weights": int(found["weights"][0])}


def _rms(away: np.ndarray) -> float:
    return float(np.sqrt(np.mean(away**2)))


if __name__ == "__main__":
    sys.exit(main())
