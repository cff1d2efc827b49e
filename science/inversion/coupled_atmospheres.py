"""Milne-Eddington maps behind a telescope: all pixels are fitted together, coupled by its PSF.

Start: pixel by pixel, as if there were no telescope. The prior keeps noise from being amplified;
its weight is the largest with which the data are still reached (discrepancy, Morozov 1966): it
falls by factors of three from one that smooths, each fit starting from the one before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from tools.fitting.flags import FitFlag
from tools.fitting.gauss_newton import CoupledProblem, fit_coupled
from tools.fitting.levenberg_marquardt import couple_parameters
from tools.physics.milne_eddington import PARAMETERS, synthesise_with_derivatives
from tools.physics.milne_eddington_fit import LOWER, UPPER, fit_atmospheres, fold_atmospheres
from tools.physics.point_spread import PointSpread
from tools.physics.stokes_starts import continuum_of
from tools.physics.zeeman import FE_6301, FE_6302, SpectralLine

__all__ = ["SCALES", "CoupledAtmospheres", "fit_coupled_atmospheres"]

logger = logging.getLogger(__name__)

# typical changes over an active region, in which priors count; the source function in continua
SCALES = np.array([500.0, 20.0, 20.0, 1.0, 10.0, 5.0, 0.2, 0.1, 0.1])
_WEIGHTS = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
_LARGEST_CHI2 = 1.02  # per value used: data that are reached, and 2 % for steps still to come
_SETTLED = 1e-3  # share of the objective that a last step may gain
_STEPS_BETWEEN = 4  # with weights that are not yet the last
_POOR = 1.5
_MOST_FILLED = 0.5
_SOURCE = [PARAMETERS.index("source_constant"), PARAMETERS.index("source_gradient")]


@dataclass(frozen=True)
class CoupledAtmospheres:
    """A coupled fit.

    Attributes
    ----------
    values, errors, prior_share : (y, x, 9) float64
        As ``MilneEddingtonFit`` and ``CoupledFit``.
    chi2 : (y, x) float64
        Per value used.
    flags : (y, x) uint16
    prior_weight : float
        Chosen or given.
    uncoupled : (y, x, 9) float64
        The start, without telescope.
    """

    values: np.ndarray
    errors: np.ndarray
    prior_share: np.ndarray
    chi2: np.ndarray
    flags: np.ndarray
    prior_weight: float
    uncoupled: np.ndarray


def fit_coupled_atmospheres(
    wavelength: np.ndarray,
    stokes: np.ndarray,
    sigma: np.ndarray | float,
    point_spread: PointSpread,
    *,
    lines: Sequence[SpectralLine] = (FE_6301, FE_6302),
    first: np.ndarray | None = None,
    fixed: Mapping[str, float] | None = None,
    tied: Mapping[str, tuple[str, float, float]] | None = None,
    prior_weight: float = 0.0,
    power: int = 1,
    n_starts: int = 4,
    largest_steps: int = 12,
    n_samples: int = 8,
    seed: int = 0,
    n_jobs: int = 2,
    progress: Callable[[str], None] | None = None,
) -> CoupledAtmospheres:
    """Fit a map of Stokes profiles.

    Parameters
    ----------
    wavelength : (wavelength,) float64
        Angstrom, increasing.
    stokes : (y, x, 4, wavelength) float64
        NaN where there is no value: such values carry no weight, the coupling fills them.
    sigma : float, or array that broadcasts to stokes
    point_spread : PointSpread
        On the map's pixels.
    lines, first, fixed, tied, n_starts, n_jobs
        As for ``fit_atmospheres``.
    prior_weight : float
        Of squared differences in units of ``SCALES``; 0 chooses it by discrepancy.
    power : int
        1 smooths by differences of neighbours, 2 by curvature.
    largest_steps, n_samples, seed
        As for ``fit_coupled``.
    progress : callable, optional
        Called with a line of text now and then.

    Raises
    ------
    ValueError
        If more than half of the pixels have no start, or shapes don't agree.
    """
    say = progress or logger.info
    alone = fit_atmospheres(
        wavelength,
        stokes,
        sigma,
        lines=lines,
        first=first,
        fixed=fixed,
        tied=tied,
        n_starts=n_starts,
        seed=seed,
        n_jobs=n_jobs,
    )
    shape = stokes.shape[:2]
    flat = stokes.reshape(*shape, -1)
    error = np.broadcast_to(np.asarray(sigma, float), stokes.shape).reshape(flat.shape)
    is_valid = np.isfinite(flat) & np.isfinite(error) & (error > 0)
    level = _level(stokes)
    start = _filled(alone.values)
    start[..., _SOURCE] /= level
    data = np.where(is_valid, flat / level, 0.0)
    weight = np.where(is_valid, (level / np.where(is_valid, error, 1.0)) ** 2, 0.0)
    n_used = max(int(is_valid.sum()), 1)
    say(
        f"without telescope: median chi2 {np.nanmedian(alone.chi2):.3f}; coupling "
        f"{shape[0]} x {shape[1]} pixels"
    )

    def linearise(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, derivatives = synthesise_with_derivatives(theta, wavelength, lines, n_jobs=n_jobs)
        return values.reshape(flat.shape), derivatives.reshape(*shape, 9, -1)

    weights = (prior_weight,) if prior_weight > 0 else _WEIGHTS
    for own in weights:
        problem = CoupledProblem(
            linearise,
            data,
            weight,
            couple_parameters(PARAMETERS, fixed=tuple(fixed or ()), tied=tied),
            SCALES,
            LOWER,
            UPPER,
            np.full(9, own),
            power,
            point_spread,
        )
        found = fit_coupled(problem, start, largest_steps=_STEPS_BETWEEN, tolerance=_SETTLED)
        chi2 = float(found.misfit.sum() / n_used)
        say(f"prior weight {own:g}: chi2 {chi2:.4f} per value after {found.steps} steps")
        start = found.theta
        if chi2 <= _LARGEST_CHI2:
            break
    found = fit_coupled(problem, start, largest_steps=largest_steps, tolerance=_SETTLED)
    is_converged = found.is_converged
    if n_samples:
        say(f"errors from {n_samples} samples of the posterior")
        found = fit_coupled(problem, found.theta, largest_steps=0, n_samples=n_samples, seed=seed)
    return _result(found, alone, is_valid, level, own, is_converged)


def _result(found, alone, is_valid, level, own, is_converged) -> CoupledAtmospheres:
    """Return the fit in the unit of the profiles, with flags."""
    values, errors = fold_atmospheres(found.theta), found.errors
    values[..., _SOURCE] *= level
    errors[..., _SOURCE] *= level
    used = is_valid.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        chi2 = np.where(used > 0, found.misfit / used, np.nan)
    flags = np.zeros(used.shape, np.uint16)
    flags[chi2 > _POOR] |= np.uint16(FitFlag.POOR_FIT)
    if not is_converged:
        flags |= np.uint16(FitFlag.NOT_CONVERGED)
    flags[np.max(found.prior_share, axis=-1) > 0.5] |= np.uint16(FitFlag.PRIOR_DECIDED)
    # unlike pixel by pixel, neighbours say something of a pixel without data
    flags[used == 0] |= np.uint16(FitFlag.NO_DATA)
    for array in (values, errors):
        array[used == 0] = np.nan
    return CoupledAtmospheres(values, errors, found.prior_share, chi2, flags, own, alone.values)


def _level(stokes: np.ndarray) -> float:
    """Return one continuum for the whole map: a telescope mixes the light of its pixels."""
    continuum = continuum_of(stokes[..., 0, :], np.isfinite(stokes[..., 0, :]))
    bright = continuum[np.isfinite(continuum) & (continuum > 0)]
    if len(bright) < _MOST_FILLED * continuum.size:
        raise ValueError(
            f"{len(bright)} of {continuum.size} pixels have a positive continuum; a coupled fit "
            "needs more than half: cut the map, or fit pixel by pixel without --psf"
        )
    return float(np.median(bright))


def _filled(values: np.ndarray) -> np.ndarray:
    """Return a start in every pixel: pixels without one take their nearest neighbour's."""
    lost = ~np.isfinite(values).all(axis=-1)
    if lost.mean() > _MOST_FILLED:
        raise ValueError(f"{lost.mean():.0%} of the pixels have no answer pixel by pixel")
    nearest = distance_transform_edt(lost, return_distances=False, return_indices=True)
    return np.array(values[tuple(nearest)], float)
