"""Fits of spectral lines as sums of Gaussians on a polynomial continuum, compiled pixel by pixel.

I(l) = sum_c a_c exp(-(l - l_c)^2 / (2 w_c^2)) + sum_t b_t (l - l_m)^t, with l_m the middle of the
wavelengths. Widths are standard deviations: Doppler (1/e) widths are sqrt(2) and full widths at
half maximum 2.3548 times larger. Lines in absorption have negative amplitudes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tools.fitting.levenberg_marquardt import GAUSSIAN, POISSON, couple_parameters
from tools.fitting.threads import limited_threads
from tools.physics.gaussian_kernel import fit_gaussian_rows
from tools.physics.line_moments import is_absorption_line

__all__ = ["GaussianLines", "fit_gaussian_lines", "gaussian_bounds", "gaussian_names"]

_CONTINUUM = ("continuum", "slope", "curvature")
_TOLERANCE = 1e-8  # of the misfit
_SMALLEST = 0.05  # of the sampling: a Gaussian that is narrower is lost between two values


@dataclass(frozen=True)
class GaussianLines:
    """Gaussians that were fitted to spectra.

    Attributes
    ----------
    names : tuple of str
        Of the parameters, as ``gaussian_names`` returns them.
    values, errors : (..., parameter) float64
        Errors are one sigma of the curvature; 0 of fixed parameters. NaN where flags say so. The
        continuum's terms count from ``reference``.
    misfit : (...) float64
        chi2, or the deviance of counts; without errors of the data the sum of squared residuals.
    degrees : (...) int64
        Values used less free parameters.
    flags : (...) uint16
        Bits of ``FitFlag``.
    steps : (...) int64
        Of the fit that was kept.
    reference : float
        Wavelength at which the continuum's first term is its level.
    """

    names: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    misfit: np.ndarray
    degrees: np.ndarray
    flags: np.ndarray
    steps: np.ndarray
    reference: float

    @property
    def chi2(self) -> np.ndarray:
        """The misfit for each degree of freedom, (...) float64; NaN without any."""
        return np.where(self.degrees > 0, self.misfit / np.maximum(self.degrees, 1), np.nan)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the values of a parameter, (...) float64."""
        return self.values[..., self.names.index(name)]

    def error(self, name: str) -> np.ndarray:
        """Return the errors of a parameter, (...) float64."""
        return self.errors[..., self.names.index(name)]

    def spectra(self, wavelength: ArrayLike) -> np.ndarray:
        """Return the fitted spectra at wavelengths, (..., wavelength) float64."""
        n_lines = sum(name.startswith("width") for name in self.names)
        x = np.asarray(wavelength, float)
        total = np.zeros((*self.values.shape[:-1], x.shape[-1]))
        for c in range(n_lines):
            height, centre, width = (self.values[..., 3 * c + p, None] for p in range(3))
            total += height * np.exp(-0.5 * ((x - centre) / width) ** 2)
        for term in range(len(self.names) - 3 * n_lines):
            total += self.values[..., 3 * n_lines + term, None] * (x - self.reference) ** term
        return total


def gaussian_names(n_components: int, continuum_terms: int) -> tuple[str, ...]:
    """Return the parameters' names: amplitude, centre, width, with _1, _2 ... if there are several.

    Then ``continuum``, ``slope``, ``curvature`` as there are terms.
    """
    names = []
    for c in range(n_components):
        end = f"_{c + 1}" if n_components > 1 else ""
        names += [f"amplitude{end}", f"centre{end}", f"width{end}"]
    return (*names, *_CONTINUUM[:continuum_terms])


def fit_gaussian_lines(
    wavelength: ArrayLike,
    data: ArrayLike,
    sigma: ArrayLike | None = None,
    *,
    n_components: int = 1,
    continuum_terms: int = 1,
    noise: str = "gaussian",
    fixed: Mapping[str, ArrayLike] | None = None,
    start: Mapping[str, ArrayLike] | None = None,
    tied: Mapping[str, tuple[str, float, float]] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 1,
    minimum_width: float | None = None,
    is_absorption: bool | None = None,
    saturation: float | None = None,
    largest_steps: int = 200,
    n_jobs: int | None = None,
) -> GaussianLines:
    """Fit Gaussians to each spectrum by Levenberg-Marquardt.

    Several are in order of wavelength unless they are told apart by what is given of them.

    Parameters
    ----------
    wavelength : (wavelength,) or (..., wavelength) array_like
        Increasing; widths and centres have its unit.
    data : (..., wavelength) array_like
        Any unit; counts for Poisson noise. Values that are not finite are left out.
    sigma : array_like, optional
        Error of one sigma, broadcast to ``data``; values whose error is not positive and finite are
        left out. Without it all values weigh alike and errors follow from the residuals. For
        Poisson noise only where it is positive counts.
    n_components, continuum_terms : int
        1 or more Gaussians; 0 to 3 terms: level, slope, curvature.
    noise : {"gaussian", "poisson"}
        Least squares, or the deviance of counts (Cash 1979, ApJ 228, 939), which has no bias to low
        values as weights of 1 / counts have.
    fixed, start : mapping, optional
        From a name (see ``gaussian_names``) to the value that it keeps or starts from: a number, or
        an array of the leading shape, NaN where it is to be found.
    tied : mapping, optional
        From a name to (other name, scale, offset): ``scale * other + offset``.
    bounds : mapping, optional
        From a name to (lowest, highest). Without: amplitudes keep the line's sign, centres stay
        within the wavelengths.
    starts : int
        The best of so many fits from different starts is kept.
    minimum_width : float, optional
        Lower bound of all widths, such as the instrument's.
    is_absorption : bool, optional
        Found from the mean spectrum without.
    saturation : float, optional
        Values from here on are left out and flagged.
    largest_steps : int
    n_jobs : int, optional
        Threads; all processors without.

    Raises
    ------
    ValueError
        If shapes, names or numbers do not fit together.
    """
    axis, values, errors, lead = _as_rows(wavelength, data, sigma)
    if noise not in ("gaussian", "poisson"):
        raise ValueError(f"noise is 'gaussian' or 'poisson', got {noise!r}")
    if n_components < 1 or not 0 <= continuum_terms <= 3 or starts < 1:
        raise ValueError(
            f"expected 1 or more components and starts and 0 to 3 terms of the continuum, got "
            f"{n_components}, {starts}, {continuum_terms}"
        )
    names = gaussian_names(n_components, continuum_terms)
    fixed, start, tied = dict(fixed or {}), dict(start or {}), dict(tied or {})
    coupling = couple_parameters(names, fixed=tuple(fixed), tied=tied)
    if is_absorption is None:
        is_absorption = len(values) > 0 and _dips(values)
    reference = float((axis.min() + axis.max()) / 2)
    given = _given_values(names, {**start, **fixed}, lead, reference)
    lacking = [name for name in fixed if not np.isfinite(np.asarray(fixed[name], float)).all()]
    if lacking:
        raise ValueError(f"fixed values must be finite; those of {', '.join(lacking)} are not")
    lower, upper = gaussian_bounds(
        names,
        axis - reference,
        is_absorption=is_absorption,
        noise=noise,
        minimum_width=minimum_width,
        own=bounds,
        reference=reference,
    )
    offset = coupling.offset.copy()
    for k, name in enumerate(names):  # centres are counted from the reference
        if name in tied and name.startswith("centre"):
            is_centre = tied[name][0].startswith("centre")
            offset[k] += (coupling.scale[k] * is_centre - 1.0) * reference
    has_errors = sigma is not None or noise == "poisson"
    with limited_threads(n_jobs or os.cpu_count() or 1):
        theta, error, misfit, degrees, flags, steps = fit_gaussian_rows(
            axis - reference,
            np.array([n_components, continuum_terms], float),
            values,
            errors,
            POISSON if noise == "poisson" else GAUSSIAN,
            has_errors,
            given,
            lower,
            upper,
            coupling.source,
            coupling.scale,
            offset,
            coupling.free,
            -1.0 if is_absorption else 1.0,
            starts,
            np.inf if saturation is None else float(saturation),
            largest_steps,
            _TOLERANCE,
        )
    theta[:, 1 : 3 * n_components : 3] += reference
    if n_components > 1 and not (fixed or start or tied or bounds):
        order = np.argsort(theta[:, 1 : 3 * n_components : 3], axis=1)
        for array in (theta, error):
            lines = array[:, : 3 * n_components].reshape(-1, n_components, 3)
            array[:, : 3 * n_components] = np.take_along_axis(
                lines, order[:, :, None], axis=1
            ).reshape(len(array), -1)
    return GaussianLines(
        names,
        theta.reshape(*lead, -1),
        error.reshape(*lead, -1),
        misfit.reshape(lead),
        degrees.reshape(lead),
        flags.reshape(lead),
        steps.reshape(lead),
        reference,
    )


def _as_rows(wavelength, data, sigma):
    """Return axis, data and errors as rows (1 or as many as spectra), and the leading shape."""
    axis, values = np.asarray(wavelength, float), np.asarray(data)
    if values.ndim < 1 or axis.ndim < 1 or axis.shape[-1] != values.shape[-1] or len(axis) == 0:
        raise ValueError(
            f"expected data (..., wavelength) with {axis.shape[-1:]} wavelengths, got "
            f"{values.shape}: the last axis must be that of the wavelengths"
        )
    lead, k = values.shape[:-1], values.shape[-1]
    if k < 3:
        raise ValueError(f"expected at least 3 wavelengths, got {k}: a Gaussian has 3 parameters")
    if not np.isfinite(axis).all() or not (np.diff(axis, axis=-1) > 0).all():
        raise ValueError("wavelengths must be finite and increase: sort them and the data alike")
    if axis.ndim > 1 and axis.shape[:-1] != lead:
        raise ValueError(
            f"wavelengths {axis.shape} fit data {values.shape} neither as one axis ({k},) nor as "
            "one for each spectrum"
        )
    kind = np.float32 if values.dtype.itemsize == 4 and values.dtype.kind == "f" else np.float64
    rows = np.ascontiguousarray(values.reshape(-1, k), kind)
    axis = np.ascontiguousarray(axis.reshape(-1, k))
    errors = np.ones((1, k)) if sigma is None else np.asarray(sigma, float)
    if errors.ndim <= 1:
        errors = np.broadcast_to(errors, (k,))
        return axis, rows, np.ascontiguousarray(errors.reshape(1, k)), lead
    if sigma is not None:
        errors = np.broadcast_to(errors, values.shape)
    return axis, rows, np.ascontiguousarray(errors.reshape(-1, k)), lead


def _dips(values: np.ndarray) -> bool:
    sample = values[:: max(len(values) // 2000, 1)]
    return bool(np.isfinite(sample).any()) and is_absorption_line(sample)


def _given_values(names, given, lead, reference) -> np.ndarray:
    """Return starts, (1 or spectrum, parameter); NaN where they are to be found."""
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"no parameter {unknown[0]!r}; there are {', '.join(names)}")
    arrays = {name: np.asarray(values, float) for name, values in given.items()}
    several = any(array.ndim for array in arrays.values())
    out = np.full((int(np.prod(lead)) if several else 1, len(names)), np.nan)
    for name, array in arrays.items():
        shift = reference if name.startswith("centre") else 0.0
        out[:, names.index(name)] = (
            (np.broadcast_to(array, lead) - shift).ravel() if (several) else (array - shift)
        )
    return out


def gaussian_bounds(
    names: Sequence[str],
    axis: np.ndarray,
    *,
    is_absorption: bool,
    noise: str = "gaussian",
    minimum_width: float | None = None,
    own: Mapping[str, tuple[float, float]] | None = None,
    reference: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper bounds of all parameters; centres count from the reference.

    Parameters
    ----------
    names : sequence of str
    axis : (..., wavelength) float64
        Counted from the reference.
    is_absorption, noise, minimum_width
        As for ``fit_gaussian_lines``.
    own : mapping, optional
        Bounds by name that take the place of these.
    reference : float
        From which ``own`` centres are counted anew.

    Raises
    ------
    ValueError
        If a name is unknown, bounds do not increase, or the smallest width exceeds the range.
    """
    own = dict(own or {})
    unknown = [name for name in own if name not in names]
    if unknown:
        raise ValueError(f"bounds of {unknown[0]!r}: no such parameter among {', '.join(names)}")
    span, step = float(np.ptp(axis)), float(np.median(np.diff(axis, axis=-1)))
    if minimum_width is not None and not 0 < minimum_width < span:
        raise ValueError(f"minimum_width must be above 0 and below {span:g}, got {minimum_width}")
    smallest = _SMALLEST * step if minimum_width is None else minimum_width
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for k, name in enumerate(names):
        kind = name.split("_")[0]
        if kind == "amplitude":
            lower[k], upper[k] = (-np.inf, 0.0) if is_absorption else (0.0, np.inf)
        elif kind == "centre":
            lower[k], upper[k] = axis.min() - step, axis.max() + step
        elif kind == "width":
            lower[k], upper[k] = smallest, span
        elif kind == "continuum" and noise == "poisson":
            lower[k] = 0.0
        if name in own:
            low, high = own[name]
            shift = reference if kind == "centre" else 0.0
            lower[k], upper[k] = low - shift, high - shift
            if kind == "width":
                lower[k] = max(lower[k], smallest)
            if not lower[k] < upper[k]:
                raise ValueError(f"bounds of {name} must increase, got {low} and {high}")
    return lower, upper
