"""Makes maps of line parameters of a cube of spectra: velocities in km/s, widths, errors, flags.

Velocities are positive away from the observer (red). Pixels whose width is not resolved have no
line parameters unless the width is fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter

from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.gaussian_plan import CORES, GaussianPlan
from science.inversion.regularised_lines import fit_lines_with_prior
from science.inversion.results import ParameterMaps
from tools.fitting.flags import FitFlag
from tools.fitting.levenberg_marquardt import GAUSSIAN, POISSON, couple_parameters
from tools.physics.gaussian_line import GaussianLines, fit_gaussian_lines, gaussian_bounds
from tools.physics.line_moments import LIGHT_SPEED_KM_S, doppler_velocity, is_absorption_line

__all__ = ["PreparedLines", "invert_lines", "prepare_lines"]

_SAMPLE = 20_000  # pixels from which a field's zero of velocity is found
_QUIET = 0.9  # of the median continuum: less is a spot or a pore
_BOXES = (5, 9, 17)  # pixels whose mean spectrum starts a fit with a prior
_PRIOR_SHARE = 0.5
_SILENT = int(FitFlag.NO_DATA | FitFlag.NEGATIVE_CONTINUUM)


@dataclass(frozen=True)
class PreparedLines:
    """A cube cut to what is fitted, and what the whole field decides for each pixel.

    Attributes
    ----------
    cube : SpectralCube
    is_absorption : bool
    rest : tuple of float
        Wavelengths of velocity 0, angstrom.
    residual : float
        Typical residual of the fits, in the data's unit: what chi2 is counted in where the data
        have no errors; 1 otherwise.
    """

    cube: SpectralCube
    is_absorption: bool
    rest: tuple[float, ...]
    residual: float


def prepare_lines(cube: SpectralCube, plan: GaussianPlan) -> PreparedLines:
    """Cut a cube to the fit's range and find the kind of its lines and their zero of velocity.

    Raises
    ------
    ValueError
        If the cube lacks Stokes I, or fewer than three wavelengths are left.
    """
    if "I" not in cube.stokes:
        raise ValueError(
            f"expected spectra of Stokes I, got {', '.join(cube.stokes)}: name their order with "
            "--stokes"
        )
    index = cube.stokes.index("I")
    cube = replace(
        cube,
        values=cube.values[:, :, index : index + 1],
        stokes=("I",),
        sigma=_of_stokes(cube, index),
    )
    if plan.range:
        cube = cube.in_range(*plan.range)
    is_absorption = plan.profile == "absorption"
    if plan.profile == "auto":
        is_absorption = is_absorption_line(_sampled(cube).values[:, :, 0])
    if is_absorption and not plan.range:
        cube = _core(cube, plan.line)
    sample = _fit(_sampled(cube), plan, is_absorption)
    good = _has_only(sample.flags, FitFlag.POOR_FIT | FitFlag.SATURATED)
    if is_absorption and plan.continuum_terms:
        level = sample["continuum"]
        good &= level > _QUIET * np.nanmedian(level)
    rest = plan.rest
    if not rest:
        if not good.any():
            # a window without one good fit still has a place: the lines that were asked for
            rest = plan.line or (float(cube.wavelength.mean()),) * plan.components
        else:
            rest = tuple(
                float(np.median(sample[name][good]))
                for name in sample.names
                if name.startswith("centre")
            )
    residual = 1.0
    if cube.sigma is None and plan.noise == "gaussian":
        residual = float(np.sqrt(np.nanmedian(sample.chi2[good]))) if good.any() else 1.0
        residual = residual if residual > 0 else 1.0
    header = {
        **cube.header,
        **{f"RESTWAV{c + 1}": wavelength for c, wavelength in enumerate(rest)},
        "RESTFROM": "option" if plan.rest else "median of the field",
        "VELOSIGN": "positive away from the observer",
    }
    if cube.sigma is None and plan.noise == "gaussian":
        header["CHI2UNIT"] = residual
    return PreparedLines(replace(cube, header=header), is_absorption, rest, residual)


def invert_lines(
    cube: SpectralCube,
    plan: GaussianPlan,
    prepared: PreparedLines,
    *,
    progress: Callable[[int], None] | None = None,
) -> ParameterMaps:
    """Return maps of a prepared cube, or of some of its rows.

    Parameters
    ----------
    cube : SpectralCube
        Of ``prepared``, or rows of it; a fit with a prior needs the whole.
    plan : GaussianPlan
    prepared : PreparedLines
    progress : callable, optional
        Called with the number of steps of a fit with a prior.
    """
    if plan.prior == "none":
        fit, shares = _fit(cube, plan, prepared.is_absorption), {}
        chi2 = fit.chi2 / prepared.residual**2
    else:
        fit, shares, chi2 = _fit_with_prior(cube, plan, prepared, progress)
    flags = fit.flags.astype(np.int64)
    if cube.saturated is not None:
        flags[cube.saturated] |= FitFlag.SATURATED
    values, errors, units = _named(fit, plan, prepared, cube.unit)
    is_lost = (flags & int(FitFlag.UNRESOLVED)) != 0
    for maps in (values, errors):
        for name in maps:
            if name.split("_")[0] not in ("continuum", "slope", "curvature"):
                maps[name] = np.where(is_lost, np.nan, maps[name])
    prior = _shares_of(shares, plan)
    return ParameterMaps(values, units, errors, chi2, flags.astype(np.uint16), prior)


def _fit(cube: SpectralCube, plan: GaussianPlan, is_absorption: bool) -> GaussianLines:
    sigma = None if cube.sigma is None else _first(cube.sigma)
    n = plan.components
    names = [f"centre_{c + 1}" if n > 1 else "centre" for c in range(n)]
    return fit_gaussian_lines(
        cube.wavelength,
        cube.values[:, :, 0],
        sigma,
        n_components=n,
        continuum_terms=plan.continuum_terms,
        noise=plan.noise,
        fixed=plan.fixed,
        start=dict(zip(names, plan.line, strict=False)),
        tied=plan.ties,
        bounds=plan.bounds,
        starts=plan.starts,
        minimum_width=plan.minimum_width or None,
        is_absorption=is_absorption,
        n_jobs=plan.jobs,
    )


def _fit_with_prior(cube, plan, prepared, progress):
    """Return the fit with a prior, its shares by name, and chi2."""
    data, weight = _weights(cube, plan, prepared.residual)
    first = _averaged_fit(cube, plan, prepared, data, weight)
    start = first.values.copy()
    start[..., 1 : 3 * plan.components : 3] -= first.reference
    coupling = couple_parameters(first.names, fixed=tuple(plan.fixed), tied=plan.ties)
    for k, name in enumerate(first.names):
        if name in plan.ties and name.startswith("centre"):
            coupling.offset[k] += (coupling.scale[k] - 1) * first.reference
    axis = cube.wavelength - first.reference
    lower, upper = gaussian_bounds(
        first.names,
        axis,
        is_absorption=prepared.is_absorption,
        noise=plan.noise,
        minimum_width=plan.minimum_width or None,
        own=plan.bounds,
        reference=first.reference,
    )
    smooth = fit_lines_with_prior(
        axis,
        data,
        weight,
        start,
        n_components=plan.components,
        continuum_terms=plan.continuum_terms,
        coupling=coupling,
        lower=lower,
        upper=upper,
        sign=-1.0 if prepared.is_absorption else 1.0,
        noise=POISSON if plan.noise == "poisson" else GAUSSIAN,
        prior=plan.prior,
        seed=plan.seed,
        progress=progress,
    )
    used = (weight > 0).sum(axis=-1)
    chi2 = np.where(used > 0, smooth.misfit / np.maximum(used, 1), np.nan)
    flags = np.zeros(used.shape, np.int64)
    flags[used == 0] |= FitFlag.NO_DATA
    flags[chi2 > 1.2 + 5 * np.sqrt(2 / np.maximum(used, 1))] |= FitFlag.POOR_FIT
    lines = smooth.prior_share[..., : 3 * plan.components]
    flags[(lines > _PRIOR_SHARE).any(axis=-1)] |= FitFlag.PRIOR_DECIDED
    free = coupling.free
    values = smooth.values
    at = (values[..., free] <= lower[free]) | (values[..., free] >= upper[free])
    flags[at.any(axis=-1)] |= FitFlag.AT_BOUND
    if prepared.is_absorption and plan.continuum_terms:
        flags[~(values[..., 3 * plan.components] > 0)] |= FitFlag.NEGATIVE_CONTINUUM
    silent = (flags & _SILENT) != 0
    values[..., 1 : 3 * plan.components : 3] += first.reference
    values[silent], smooth.errors[silent] = np.nan, np.nan
    fit = replace(first, values=values, errors=smooth.errors, flags=flags.astype(np.uint16))
    shares = {name: smooth.prior_share[..., k] for k, name in enumerate(first.names)}
    return fit, shares, chi2


def _weights(cube: SpectralCube, plan: GaussianPlan, residual: float):
    """Return data and weights (y, x, wavelength) without anything that is not finite."""
    data = cube.values[:, :, 0]
    sigma = np.full(data.shape, residual) if cube.sigma is None else _first(cube.sigma)
    sigma = np.broadcast_to(sigma, data.shape)
    good = np.isfinite(data) & np.isfinite(sigma) & (sigma > 0)
    if plan.noise == "poisson":
        good &= data >= 0
        return np.where(good, data, 0.0), good.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(good, 1 / np.where(good, sigma, 1.0) ** 2, 0.0)
    return np.where(good, data, 0.0), weight


def _averaged_fit(cube, plan, prepared, data, weight) -> GaussianLines:
    """Fit the mean spectra of boxes around each pixel, of larger ones where a fit fails."""
    fit = None
    for box in _BOXES:
        total = uniform_filter(weight, (box, box, 1), mode="nearest")
        mean = uniform_filter(weight * data, (box, box, 1), mode="nearest")
        has_data = total > 1e-9 * total.max()
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(has_data, mean / total, np.nan)
            sigma = np.where(has_data, 1 / np.sqrt(total * box**2), np.nan)
        averaged = replace(
            cube,
            values=values[:, :, None],
            sigma=None if plan.noise == "poisson" else sigma[:, :, None],
        )
        new = _fit(averaged, plan, prepared.is_absorption)
        good = _has_only(new.flags, FitFlag.POOR_FIT)
        if fit is None:
            fit, kept = new, good
        else:
            fit.values[~kept & good] = new.values[~kept & good]
            kept |= good
        if kept.all():
            return fit
    if not kept.any():
        raise ValueError(
            "expected lines that can be fitted in mean spectra of 17 pixels, found none: give "
            "--line and --range, or fix the width with --fix width=ANGSTROM"
        )
    fit.values[~kept] = np.median(fit.values[kept], axis=0)
    return fit


def _named(fit: GaussianLines, plan: GaussianPlan, prepared: PreparedLines, unit: str):
    """Return values, errors and units of the maps by their names."""
    values: dict[str, np.ndarray] = {}
    errors: dict[str, np.ndarray] = {}
    units: dict[str, str] = {}

    def put(name: str, value: np.ndarray, error: np.ndarray, its_unit: str) -> None:
        values[name], errors[name], units[name] = value, error, its_unit

    for c in range(plan.components):
        end = f"_{c + 1}" if plan.components > 1 else ""
        rest = prepared.rest[c]
        speed = LIGHT_SPEED_KM_S / rest
        width, width_error = fit[f"width{end}"], fit.error(f"width{end}")
        put(f"amplitude{end}", fit[f"amplitude{end}"], fit.error(f"amplitude{end}"), unit)
        velocity = doppler_velocity(fit[f"centre{end}"], rest)
        put(f"velocity{end}", velocity, fit.error(f"centre{end}") * speed, "km/s")
        put(f"width{end}", width, width_error, "Angstrom")
        factor = np.sqrt(2) * speed
        put(f"doppler_width{end}", width * factor, width_error * factor, "km/s")
    for term, name in enumerate(("continuum", "slope", "curvature")[: plan.continuum_terms]):
        per = ("", " Angstrom-1", " Angstrom-2")[term]
        put(name, fit[name], fit.error(name), (unit + per).strip())
    return values, errors, units


def _shares_of(shares: dict[str, np.ndarray], plan: GaussianPlan) -> dict[str, np.ndarray]:
    """Return shares of the prior by the names of the maps."""
    fixed = set(plan.fixed)
    return {
        name.replace("centre", "velocity"): share
        for name, share in shares.items()
        if name not in fixed
    }


def _has_only(flags: np.ndarray, allowed: FitFlag) -> np.ndarray:
    """Return where no other flag than the allowed ones is set."""
    return (flags.astype(np.int64) & ~int(allowed)) == 0


def _first(sigma: np.ndarray) -> np.ndarray:
    """Return errors without their Stokes axis, if they have one."""
    return sigma[..., 0, :] if sigma.ndim >= 2 else sigma


def _of_stokes(cube: SpectralCube, index: int) -> np.ndarray | None:
    if cube.sigma is None or cube.sigma.ndim < 2 or cube.sigma.shape[-2] == 1:
        return cube.sigma
    return cube.sigma[..., index : index + 1, :]


def _sampled(cube: SpectralCube) -> SpectralCube:
    """Return pixels of an even grid over the field, at most 20,000."""
    step = max(int(np.ceil(np.sqrt(np.prod(cube.shape) / _SAMPLE))), 1)
    sigma = cube.sigma
    if sigma is not None and sigma.ndim == 4:
        sigma = np.broadcast_to(sigma, cube.values.shape)[::step, ::step]
    return replace(
        cube, values=cube.values[::step, ::step], sigma=sigma, saturated=None, truth={}, wcs={}
    )


def _core(cube: SpectralCube, lines: tuple[float, ...]) -> SpectralCube:
    """Cut a cube to the core of the known line that lies in it; others stay as they are."""
    low, high = cube.wavelength[0], cube.wavelength[-1]
    for wavelength, half in CORES.values():
        wanted = not lines or any(abs(line - wavelength) < half for line in lines)
        if not wanted or not low < wavelength < high or (len(lines) > 1):
            continue
        near = np.abs(cube.wavelength - wavelength) < 1.5 * half
        if near.sum() < 5:
            continue
        mean = np.nanmean(_sampled(cube).values[:, :, 0][..., near], axis=(0, 1))
        centre = cube.wavelength[near][np.argmin(mean)]
        return cube.in_range(max(centre - half, low), min(centre + half, high))
    return cube
