"""Fit of Milne-Eddington atmospheres to Stokes profiles, pixel by pixel; compiled.

Starts come from moments of the profiles (``stokes_starts``) or from elsewhere. Pixels that do not
reach their noise are tried again from other starts. A negative field strength and an inclination
beyond 180 degrees are the same atmospheres as their mirror images; fits pass through and are folded
back at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from tools.fitting.flags import FitFlag
from tools.fitting.levenberg_marquardt import GAUSSIAN, Coupling, couple_parameters, pixel_fitter
from tools.fitting.threads import limited_threads
from tools.physics.milne_eddington import PARAMETERS, line_settings, milne_eddington_kernel
from tools.physics.stokes_starts import continuum_of, moment_starts, random_starts
from tools.physics.zeeman import FE_6301, FE_6302, SpectralLine

__all__ = ["LOWER", "UPPER", "MilneEddingtonFit", "fit_atmospheres", "fold_atmospheres"]

# field and inclination have no bounds (they are folded), nor has the azimuth
LOWER = np.array([-1e30, -1e30, -1e30, -20.0, 8.0, 0.1, 1e-4, -1.0, 1e-3])
UPPER = np.array([1e30, 1e30, 1e30, 20.0, 150.0, 300.0, 10.0, 5.0, 10.0])
_GOOD = 1.2  # reduced chi2 with which no further start is tried
_POOR = 1.5
_LARGEST_ERROR = {"inclination": 45.0, "azimuth": 45.0}  # deg
_LARGEST_SHARE = 1.0  # of field strength, Doppler width, eta0 and damping: error over value
_SCALED = ("source_constant", "source_gradient")
_RELATIVE = ("field_strength", "doppler_width", "eta0", "damping")
_fit_pixel = pixel_fitter(milne_eddington_kernel)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _fit_all(
    axis,
    settings,
    data,
    weight,
    starts,
    lower,
    upper,
    source,
    scale,
    offset,
    free,
    largest_steps,
    tolerance,
    good,
    theta,
    misfit,
    flags,
    covariance,
    counts,
):
    n, n_data = data.shape
    n_starts, n_par = starts.shape[1:]
    chunk = 8
    for block in numba.prange((n + chunk - 1) // chunk):
        work = (
            np.empty(n_data),
            np.empty((n_par, n_data)),
            np.empty((2, n_data)),
            np.empty((3, n_par, n_par)),
            np.empty((4, n_par)),
        )
        trial = np.empty(n_par)
        own = np.empty((len(free), len(free)))
        for i in range(block * chunk, min((block + 1) * chunk, n)):
            n_used = 0
            for k in range(n_data):
                n_used += weight[i, k] > 0
            misfit[i] = np.inf
            for s in range(n_starts):
                trial[:] = starts[i, s]
                found, flag, steps = _fit_pixel(
                    axis,
                    settings,
                    data[i],
                    weight[i],
                    GAUSSIAN,
                    trial,
                    lower,
                    upper,
                    source,
                    scale,
                    offset,
                    free,
                    largest_steps,
                    tolerance,
                    work,
                    own,
                )
                counts[i, 0] += 1
                counts[i, 1] += steps
                if found < misfit[i]:
                    misfit[i] = found
                    flags[i] = flag
                    theta[i] = trial
                    covariance[i] = own
                if misfit[i] <= good * max(n_used - len(free), 1):
                    break


@dataclass(frozen=True)
class MilneEddingtonFit:
    """Fitted atmospheres.

    Attributes
    ----------
    values, errors : (..., 9) float64
        In the order and units of ``PARAMETERS``, errors of one sigma; the source function in the
        unit of the profiles. NaN where there is no answer; errors of fixed parameters are 0.
    line_of_sight_field, line_of_sight_error : (...) float64
        B cos(inclination) and its error, gauss; from the whole covariance, as both parameters can
        be vague where their product is not.
    chi2 : (...) float64
        Over the number of values used less that of the free parameters.
    flags : (...) uint16
        Bits of ``FitFlag``.
    n_starts, n_steps : (...) int64
    """

    values: np.ndarray
    errors: np.ndarray
    line_of_sight_field: np.ndarray
    line_of_sight_error: np.ndarray
    chi2: np.ndarray
    flags: np.ndarray
    n_starts: np.ndarray
    n_steps: np.ndarray


def fit_atmospheres(
    wavelength: np.ndarray,
    stokes: np.ndarray,
    sigma: np.ndarray | float,
    *,
    lines: Sequence[SpectralLine] = (FE_6301, FE_6302),
    first: np.ndarray | None = None,
    fixed: Mapping[str, float] | None = None,
    tied: Mapping[str, tuple[str, float, float]] | None = None,
    n_starts: int = 4,
    largest_steps: int = 120,
    tolerance: float = 1e-6,
    seed: int = 0,
    n_jobs: int = 2,
) -> MilneEddingtonFit:
    """Fit every pixel.

    Parameters
    ----------
    wavelength : (wavelength,) float64
        Angstrom, increasing.
    stokes : (..., 4, wavelength) float64
        I, Q, U, V in any unit; NaN where there is no value.
    sigma : float, or array that broadcasts to stokes
        Errors of one sigma in the same unit.
    lines : sequence of SpectralLine
    first : (..., 9) or (..., start, 9) float64, optional
        Starts to try first, the source function in the unit of the profiles; profiles' moments
        follow.
    fixed : mapping
        From a parameter's name to its value; the source function in units of the continuum.
    tied : mapping
        As in ``couple_parameters``.
    n_starts : int
        At most; a pixel that reaches its noise is not tried again.
    largest_steps, tolerance
        Of each fit.
    seed : int
        Of the further starts.
    n_jobs : int
        Threads at most.

    Raises
    ------
    ValueError
        If shapes don't agree or wavelengths don't increase.
    """
    wavelength, stokes = np.asarray(wavelength, float), np.asarray(stokes, float)
    if wavelength.ndim != 1 or stokes.ndim < 2 or stokes.shape[-2:] != (4, len(wavelength)):
        raise ValueError(
            f"expected stokes (..., 4, {wavelength.size}) for I, Q, U and V, got {stokes.shape}"
        )
    if not (np.diff(wavelength) > 0).all():
        raise ValueError("wavelengths must increase; sort them and the profiles first")
    shape = stokes.shape[:-2]
    flat = stokes.reshape(-1, 4, len(wavelength))
    error = np.broadcast_to(np.asarray(sigma, float), stokes.shape).reshape(flat.shape)
    is_valid = np.isfinite(flat) & np.isfinite(error) & (error > 0)
    continuum = continuum_of(flat[:, 0], is_valid[:, 0])
    has_data = is_valid.any(axis=(1, 2)) & np.isfinite(continuum)
    is_bright = has_data & (continuum > 0)
    level = np.where(is_bright, continuum, 1.0)
    is_valid &= is_bright[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        data = np.where(is_valid, flat / level[:, None, None], 0.0)
        weight = np.where(is_valid, (level[:, None, None] / error) ** 2, 0.0)
    starts = _starts(wavelength, data, is_valid, lines, first, level, n_starts, seed)
    coupling = couple_parameters(PARAMETERS, fixed=tuple(fixed or ()), tied=tied)
    for name, value in (fixed or {}).items():
        starts[..., PARAMETERS.index(name)] = value
    n, free = len(flat), coupling.free
    theta, misfit, flags = np.full((n, 9), np.nan), np.empty(n), np.zeros(n, np.uint16)
    covariance, counts = np.full((n, len(free), len(free)), np.nan), np.zeros((n, 2), np.int64)
    with limited_threads(n_jobs):
        _fit_all(
            wavelength,
            line_settings(lines),
            data.reshape(n, -1),
            weight.reshape(n, -1),
            starts,
            LOWER,
            UPPER,
            coupling.source,
            coupling.scale,
            coupling.offset,
            free,
            largest_steps,
            tolerance,
            _GOOD,
            theta,
            misfit,
            flags,
            covariance,
            counts,
        )
    errors = np.zeros((n, 9))
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(np.einsum("nii->ni", covariance))
    for p in np.flatnonzero(coupling.source >= 0):
        errors[:, p] = np.abs(coupling.scale[p]) * spread[:, coupling.source[p]]
    along, along_error = _line_of_sight(theta, covariance, coupling)
    n_used = is_valid.sum(axis=(1, 2))
    chi2 = misfit / np.maximum(n_used - len(free), 1)
    theta = fold_atmospheres(theta)
    flags |= np.where(chi2 > _POOR, FitFlag.POOR_FIT, 0).astype(np.uint16)
    flags |= np.where(_is_vague(theta, errors), FitFlag.DEGENERATE, 0).astype(np.uint16)
    lost = ~is_bright | (n_used < len(free))
    is_dark = has_data & ~is_bright
    flags[lost] = np.where(is_dark, FitFlag.NEGATIVE_CONTINUUM, FitFlag.NO_DATA)[lost]
    is_nothing = ~lost & ~np.isfinite(theta).all(axis=1)  # no start gave a finite misfit
    flags[is_nothing] = FitFlag.NOT_CONVERGED
    lost |= is_nothing
    for array in (theta, errors, chi2, along, along_error):
        array[lost] = np.nan
    for name in _SCALED:
        scaled = PARAMETERS.index(name)
        theta[:, scaled] *= level
        errors[:, scaled] *= level
    return MilneEddingtonFit(
        theta.reshape(*shape, 9),
        errors.reshape(*shape, 9),
        along.reshape(shape),
        along_error.reshape(shape),
        chi2.reshape(shape),
        flags.reshape(shape),
        counts[:, 0].reshape(shape),
        counts[:, 1].reshape(shape),
    )


def _line_of_sight(
    theta: np.ndarray, covariance: np.ndarray, coupling: Coupling
) -> tuple[np.ndarray, np.ndarray]:
    """Return B cos(inclination) of atmospheres (pixel, 9) and its error; folding keeps both."""
    gamma = np.radians(theta[:, 1])
    slopes = np.zeros((len(theta), len(coupling.free)))
    for p, slope in ((0, np.cos(gamma)), (1, -theta[:, 0] * np.sin(gamma) * np.pi / 180)):
        if coupling.source[p] >= 0:
            slopes[:, coupling.source[p]] += coupling.scale[p] * slope
    both = slopes[:, :, None] * slopes[:, None, :]
    # what B_los does not depend on may be undetermined, as the inclination without a field
    variance = np.where(both == 0, 0.0, both * covariance).sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return theta[:, 0] * np.cos(gamma), np.sqrt(variance)


def fold_atmospheres(theta: np.ndarray) -> np.ndarray:
    """Return atmospheres (..., 9) with positive fields and angles of 0 to 180 degrees."""
    out = np.array(theta, float)
    is_turned = out[..., 0] < 0
    out[..., 0] = np.abs(out[..., 0])
    inclination = np.where(is_turned, 180.0 - out[..., 1], out[..., 1]) % 360.0
    out[..., 1] = np.where(inclination > 180.0, 360.0 - inclination, inclination)
    out[..., 2] %= 180.0
    return out


def _starts(wavelength, data, is_valid, lines, first, level, n_starts, seed) -> np.ndarray:
    """Return starts (pixel, start, 9): given ones, the profiles' moments, then drawn ones."""
    own = moment_starts(wavelength, data, is_valid, lines)
    generator = np.random.default_rng(seed)
    given = np.empty((len(data), 0, 9))
    if first is not None:
        given = np.array(first, float).reshape(len(data), -1, 9)
        given[..., 7:] /= level[:, None, None]
        given = np.where(np.isfinite(given), given, own[:, None])
    n_own = max(n_starts - given.shape[1], 0)
    drawn = random_starts(own, max(n_own, 1), generator)[:, :n_own]
    return np.ascontiguousarray(np.concatenate([given, drawn], axis=1)[:, : max(n_starts, 1)])


def _is_vague(theta: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return whether the data hardly determine some parameter."""
    vague = np.zeros(len(theta), bool)
    for name, largest in _LARGEST_ERROR.items():
        vague |= errors[:, PARAMETERS.index(name)] > largest
    for name in _RELATIVE:
        p = PARAMETERS.index(name)
        vague |= errors[:, p] > _LARGEST_SHARE * np.abs(theta[:, p])
    return vague
