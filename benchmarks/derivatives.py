"""Accuracy and cost of automatic, hand-written and numerical derivatives of the forward models.

    python benchmarks/derivatives.py [--pixels 200]

Gaussian line (4 parameters), weak field (3) and Milne-Eddington atmosphere (9). The truth is the
complex step Im f(p + ih) / h of an independent complex form, exact to rounding. Errors are relative
to the largest value of a parameter's derivative in a pixel; the table has the worst parameter and
pixel. Costs are microseconds a pixel of values with all derivatives, and their ratio to values
alone in the same way of computing. Prints a table and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tools.physics import milne_eddington, weak_field
from tools.physics.gaussian_kernel import gaussian_kernel
from tools.physics.voigt import WEIDEMAN_LENGTH, WEIDEMAN_TERMS
from tools.physics.zeeman import FE_6301, FE_6302, zeeman_pattern

__all__ = ["complex_atmosphere", "main"]

_ROOT = Path(__file__).parents[1]
_REPEATS = 3
_TINY = 1e-30  # of a complex step, times the parameter's size: nothing is subtracted
_STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # of numerical derivatives, times the size
_AXIS = np.linspace(-1.0, 1.0, 64)
_HINODE = milne_eddington.hinode_wavelengths()
_LINE = weak_field.LINES["CaII8542"]
_WAVELENGTH = _LINE.wavelength0 + np.linspace(-0.9, 0.9, 25)
_SLOPE = weak_field.wavelength_derivative(
    1 - 0.7 / (1 + ((_WAVELENGTH - _LINE.wavelength0) / 0.28) ** 2), _WAVELENGTH
)
# typical size of each parameter: unit of steps
_SIZES = {
    "Gaussian": [50.0, 0.2, 0.2, 10.0],
    "weak field": [500.0, 1e5, 1e5],
    "Milne-Eddington": [1000.0, 45.0, 45.0, 1.0, 25.0, 10.0, 0.3, 0.5, 0.5],
}


def _parameters(name: str, n_pixels: int) -> np.ndarray:
    """Return the same parameters in every process, (pixel, parameter) float64."""
    generator = np.random.default_rng(20261201)
    if name == "Gaussian":
        return generator.uniform([20, -0.4, 0.1, 1], [200, 0.4, 0.4, 20], (n_pixels, 4))
    if name == "weak field":
        return generator.normal(size=(n_pixels, 3)) * _SIZES[name]
    low, high = [50, 5, 0, -4, 18, 2, 0.02, 0.1, 0.2], [3500, 175, 180, 4, 50, 40, 0.9, 0.9, 1.0]
    return generator.uniform(low, high, (n_pixels, 9))


def complex_atmosphere(theta: np.ndarray) -> np.ndarray:
    """Return Stokes profiles (pixel, 4, wavelength) by solving with the propagation matrix.

    ``S = (S0 + S1 K^-1) (1, 0, 0, 0)`` is analytic in all parameters, so that they may be complex.
    """
    field, gamma, chi, speed, width, eta0, damping, constant, gradient = (
        theta[:, k, None] for k in range(9)
    )
    opacities = np.zeros((3, 2, len(theta), len(_HINODE)), complex)
    for line in (FE_6301, FE_6302):
        for kind, strength, shift in zip(*zeeman_pattern(line), strict=True):
            moved = line.wavelength * (1 + speed / 299792.458)
            moved = moved + 4.66864e-13 * line.wavelength**2 * shift * field
            v = (_HINODE - moved) / (width * 1e-3 * line.wavelength / FE_6301.wavelength)
            opacities[kind] += strength * line.strength * np.array(_complex_voigt(damping, v))
    gamma, twice = np.radians(1) * gamma, 2 * np.radians(1) * chi
    (p, b, r), half = opacities, eta0 / 2
    total = 1 + half * (p * np.sin(gamma) ** 2 + (b + r) * (1 + np.cos(gamma) ** 2) / 2)[0]
    linear = half * (p - (b + r) / 2) * np.sin(gamma) ** 2
    (q, rho_q), (u, rho_u) = linear * np.cos(twice), linear * np.sin(twice)
    v, rho_v = half * (r - b) * np.cos(gamma)
    matrix = np.array(
        [
            [total, q, u, v],
            [q, total, rho_v, -rho_u],
            [u, -rho_v, total, rho_q],
            [v, rho_u, -rho_q, total],
        ]
    )
    unit = np.zeros((*total.shape, 4, 1), complex)
    unit[..., 0, 0] = 1
    answer = np.linalg.solve(np.moveaxis(matrix, (0, 1), (-2, -1)), unit)[..., 0]
    stokes = gradient[..., None] * answer
    stokes[..., 0] += constant
    return np.moveaxis(stokes, -1, 1)


def _complex_voigt(a: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return H and F, analytic in both: real and imaginary parts are kept apart, each complex."""
    x, y = a + WEIDEMAN_LENGTH, v
    q_real, q_imaginary = x / (x**2 + y**2), y / (x**2 + y**2)
    z_real, z_imaginary = 2 * WEIDEMAN_LENGTH * q_real - 1, 2 * WEIDEMAN_LENGTH * q_imaginary
    real, imaginary = WEIDEMAN_TERMS[0] + 0 * z_real, 0 * z_imaginary
    for term in WEIDEMAN_TERMS[1:]:
        real, imaginary = (
            real * z_real - imaginary * z_imaginary + term,
            real * z_imaginary + imaginary * z_real,
        )
    real, imaginary = (
        2 * (real * q_real - imaginary * q_imaginary) + 1 / np.sqrt(np.pi),
        2 * (real * q_imaginary + imaginary * q_real),
    )
    return (
        real * q_real - imaginary * q_imaginary,
        real * q_imaginary + imaginary * q_real,
    )


def _complex_gaussian(theta: np.ndarray) -> np.ndarray:
    a, c, w, b = (theta[:, k, None] for k in range(4))
    return a * np.exp(-0.5 * ((_AXIS - c) / w) ** 2) + b


def _complex_weak(theta: np.ndarray) -> np.ndarray:
    away = _WAVELENGTH - _LINE.wavelength0
    wing = np.where(np.abs(away) > _LINE.core, 1 / np.where(away == 0, 1, away), 0)
    slopes = [_LINE.longitudinal * _SLOPE] + [_LINE.transverse * _SLOPE * wing] * 2
    return np.stack([theta[:, k, None] * s for k, s in enumerate(slopes)], axis=1)


def _hand_gaussian(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, by = np.empty((len(theta), len(_AXIS))), np.empty((len(theta), 4, len(_AXIS)))
    settings = np.array([1.0, 1.0])
    for k, own in enumerate(theta):
        gaussian_kernel(own, _AXIS, settings, values[k], by[k])
    return values, by


def _hand_weak(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    slope = np.broadcast_to(_SLOPE, (len(theta), len(_SLOPE)))
    v, by_los = weak_field.longitudinal_profile(theta[:, 0], slope, _LINE)
    q, u, by = weak_field.transverse_profiles(theta[:, 1], theta[:, 2], slope, _WAVELENGTH, _LINE)
    derivatives = np.zeros((len(theta), 3, 3, len(_SLOPE)))
    derivatives[:, 0, 0], derivatives[:, 1, 1], derivatives[:, 2, 2] = by_los, by, by
    return np.stack([v, q, u], axis=1), derivatives


_COMPLEX = {
    "Gaussian": _complex_gaussian,
    "weak field": _complex_weak,
    "Milne-Eddington": complex_atmosphere,
}
# values alone; in compiled code only the atmosphere has a way of its own
_VALUES = {
    "Gaussian": _complex_gaussian,
    "weak field": _complex_weak,
    "Milne-Eddington": lambda t: milne_eddington.synthesise(t, _HINODE),
}
_HAND = {
    "Gaussian": _hand_gaussian,
    "weak field": _hand_weak,
    "Milne-Eddington": lambda t: milne_eddington.synthesise_with_derivatives(t, _HINODE),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=200, help="pixels of each model")
    parser.add_argument("--automatic", action="store_true", help="of this process's backend alone")
    arguments = parser.parse_args(argv)
    if arguments.automatic:
        print(json.dumps(_automatic(arguments.pixels)))
        return 0
    rows = _written_and_numerical(arguments.pixels)
    for backend in ("tensorflow", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
        environment |= {"PYTHONPATH": str(_ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, __file__, "--automatic", "--pixels", str(arguments.pixels)]
        done = subprocess.run(
            command, check=True, env=environment, stdout=subprocess.PIPE, text=True
        )
        rows += json.loads(done.stdout.splitlines()[-1])
    print("model            derivatives                      worst error   us/pixel   cost/values")
    for row in sorted(rows, key=lambda row: list(_SIZES).index(row["model"])):
        error = f"{row['error']:11.1e}" if row["error"] is not None else f"{'':>11s}"
        print(f"{row['model']:16s} {row['way']:32s} {error} {row['us']:10.2f} {row['ratio']:10.1f}")
    print(json.dumps({"pixels": arguments.pixels, "rows": rows}))
    return 0


def _truth(name: str, theta: np.ndarray) -> np.ndarray:
    """Return derivatives (pixel, parameter, ...) by complex steps."""
    columns = []
    for k, size in enumerate(_SIZES[name]):
        moved = theta.astype(complex)
        moved[:, k] += 1j * _TINY * size
        columns.append(_COMPLEX[name](moved).imag / (_TINY * size))
    return np.stack(columns, axis=1)


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    axes = tuple(range(2, truth.ndim))
    largest = np.abs(truth).max(axis=axes, keepdims=True)
    return float(np.max(np.abs(found - truth) / largest))


def _seconds(function: Callable[[], object]) -> float:
    function()  # compiles
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return min(times)


def _row(name: str, way: str, error: float | None, seconds: float, alone: float, n: int) -> dict:
    return {
        "model": name,
        "way": way,
        "error": None if error is None else float(f"{error:.2g}"),
        "us": float(f"{1e6 * seconds / n:.4g}"),
        "ratio": float(f"{seconds / alone:.3g}"),
    }


def _written_and_numerical(n: int) -> list[dict]:
    rows = []
    for name, sizes in _SIZES.items():
        theta, values = _parameters(name, n), _VALUES[name]
        truth, alone = _truth(name, theta), _seconds(lambda v=values, t=theta: v(t))
        hand = _HAND[name]
        spent = _seconds(lambda h=hand, t=theta: h(t))
        rows.append(_row(name, "hand-written", _error(hand(theta)[1], truth), spent, alone, n))

        def numerical(step: float, values=values, theta=theta, sizes=sizes) -> np.ndarray:
            columns = []
            for k, size in enumerate(sizes):
                high, low = theta.copy(), theta.copy()
                high[:, k] += step * size
                low[:, k] -= step * size
                columns.append((values(high) - values(low)) / (2 * step * size))
            return np.stack(columns, axis=1)

        errors = {step: _error(numerical(step), truth) for step in _STEPS}
        best = min(errors, key=errors.__getitem__)
        spent = _seconds(lambda f=numerical, s=best: f(s))
        rows.append(_row(name, f"numerical, best step {best:g}", errors[best], spent, alone, n))
        rows.append(_row(name, "numerical, step 0.01", errors[1e-2], spent, alone, n))
    return rows


def _automatic(n: int) -> list[dict]:
    """Return rows of this process's backend: forward mode, and one gradient of a misfit."""
    import keras
    from keras import ops

    from network_models.differentiation.gradients import InputGradient
    from network_models.physics import gaussian_line
    from network_models.physics import milne_eddington as atmosphere
    from network_models.physics import weak_field as weak
    from network_models.physics.jacobian import values_and_jacobian

    def weak_model(theta):
        own = ops.cast(ops.convert_to_tensor(_SLOPE), theta.dtype)
        slope = ops.add(own, 0 * theta[:, :1])  # JAX arrays refuse symbolic tensors
        v = weak.longitudinal_profile(theta[:, 0], slope, _LINE)
        both = weak.transverse_profiles(theta[:, 1], theta[:, 2], slope, _WAVELENGTH, _LINE)
        return ops.stack([v, *both], axis=1)

    models = {
        "Gaussian": lambda theta: gaussian_line.gaussian_spectra(theta, _AXIS),
        "weak field": weak_model,
        "Milne-Eddington": lambda theta: atmosphere.synthesise(theta, _HINODE),
    }
    backend, rows = {"tensorflow": "TF", "jax": "JAX"}[keras.backend.backend()], []
    for name, model in models.items():
        exact = _parameters(name, n)
        truth, values = _truth(name, exact), _compiled(model)
        for kind in ("float64", "float32"):
            theta = exact.astype(kind)
            alone = _seconds(lambda v=values, t=theta: ops.convert_to_numpy(v(t)))
            both = values_and_jacobian(model)
            spent = _seconds(lambda b=both, t=theta: [ops.convert_to_numpy(a) for a in b(t)])
            error = _error(ops.convert_to_numpy(both(theta)[1]), truth)
            rows.append(_row(name, f"{backend} forward, {kind}", error, spent, alone, n))
        place = keras.Input((exact.shape[1],), name="theta")
        network = keras.Model(place, model(place))
        gradient = InputGradient(network, lambda out: ops.sum(ops.reshape(
            ops.square(out), (ops.shape(out)[0], -1)), axis=1))  # fmt: skip
        spent = _seconds(lambda g=gradient, t=theta: g({"theta": t}))
        rows.append(_row(name, f"{backend} gradient of misfit, float32", None, spent, alone, n))
    return rows


def _compiled(model: Callable) -> Callable:
    from network_models.differentiation.gradients import require_backend

    if require_backend() == "jax":
        import jax

        return jax.jit(model)
    import tensorflow as tf

    function = tf.function(model, reduce_retracing=True)
    return lambda theta: function(tf.convert_to_tensor(theta))


if __name__ == "__main__":
    sys.exit(main())
