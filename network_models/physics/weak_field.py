"""The weak-field approximation in keras.ops, as ``tools.physics.weak_field``.

V = C g B_los dI/dl and Q, U = 0.75 C^2 G (B_Q, B_U) (dI/dl) / (l - l0) in the wings (Landi
Degl'Innocenti & Landolfi 2004, 9.6 and 9.7), with C = -4.67e-13 l0^2 (angstrom, gauss).
"""

from __future__ import annotations

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from tools.physics.weak_field import WeakFieldLine

__all__ = ["longitudinal_profile", "transverse_profiles", "wavelength_derivative"]


def wavelength_derivative(intensity: object, wavelength: np.ndarray) -> object:
    """Return dI/dl by three points, exact for parabolas on any grid, (..., wavelength) tensor.

    Parameters
    ----------
    intensity : (..., wavelength) tensor
    wavelength : (wavelength,) float
        Angstrom, increasing, three or more.

    Raises
    ------
    ValueError
        If there are fewer than three wavelengths, or they do not increase.
    """
    intensity = ops.convert_to_tensor(intensity)
    wavelength = np.asarray(wavelength, np.float64)
    steps = np.diff(wavelength)
    if wavelength.shape != (intensity.shape[-1],) or len(steps) < 2 or not (steps > 0).all():
        raise ValueError(
            f"expected three increasing wavelengths or more, one for each of "
            f"{intensity.shape[-1]} values, got shape {wavelength.shape}; sort the spectrum by "
            "wavelength"
        )
    share = steps[1:] / (steps[1:] + steps[:-1])

    def constant(values):
        return ops.convert_to_tensor(np.asarray(values, standardize_dtype(intensity.dtype)))

    slopes = (intensity[..., 1:] - intensity[..., :-1]) / constant(steps)
    before, after = slopes[..., :-1], slopes[..., 1:]
    inner = constant(share) * before + constant(1 - share) * after
    change = after - before
    first = slopes[..., :1] - constant(1 - share[:1]) * change[..., :1]
    last = slopes[..., -1:] + constant(share[-1:]) * change[..., -1:]
    return ops.concatenate([first, inner, last], axis=-1)


def longitudinal_profile(b_los: object, derivative: object, line: WeakFieldLine) -> object:
    """Return V, (..., wavelength), in the unit of the intensity.

    Parameters
    ----------
    b_los : (...) tensor
        G, above 0 towards the observer.
    derivative : (..., wavelength) tensor
        dI/dl per angstrom.
    line : WeakFieldLine
    """
    return ops.expand_dims(b_los, -1) * (line.longitudinal * derivative)


def transverse_profiles(
    b_q: object, b_u: object, derivative: object, wavelength: np.ndarray, line: WeakFieldLine
) -> tuple[object, object]:
    """Return Q and U, (..., wavelength) each; 0 within the line's core.

    Parameters
    ----------
    b_q, b_u : (...) tensor
        B_t^2 cos 2 phi and B_t^2 sin 2 phi, G^2.
    derivative : (..., wavelength) tensor
        dI/dl per angstrom.
    wavelength : (wavelength,) float
        Angstrom.
    line : WeakFieldLine
    """
    away = np.asarray(wavelength, np.float64) - line.wavelength0
    is_wing = np.abs(away) > max(line.core, 1e-9)
    factor = line.transverse * np.where(is_wing, 1 / np.where(is_wing, away, 1.0), 0.0)
    by_field = derivative * ops.cast(ops.convert_to_tensor(factor), derivative.dtype)
    return ops.expand_dims(b_q, -1) * by_field, ops.expand_dims(b_u, -1) * by_field
