"""Maps of Milne-Eddington atmospheres from a cube of Stokes profiles, with checks of the cube."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.atmosphere_plan import AtmospherePlan
from science.inversion.coupled_atmospheres import fit_coupled_atmospheres
from science.inversion.results import ParameterMaps
from tools.fitting.flags import FitFlag
from tools.fitting.levenberg_marquardt import couple_parameters
from tools.physics.milne_eddington import PARAMETERS, UNITS
from tools.physics.milne_eddington_fit import MilneEddingtonFit, fit_atmospheres
from tools.physics.point_spread import PointSpread
from tools.physics.stokes_starts import continuum_of
from tools.physics.zeeman import SpectralLine

__all__ = [
    "continuum_noise",
    "fitted_maps",
    "invert_atmospheres",
    "invert_coupled",
    "prepare_stokes",
]

logger = logging.getLogger(__name__)

_ORDER = ("I", "Q", "U", "V")
_BESIDE_LINE = 0.4  # angstrom from every line: 3 kG, 3 km/s and 40 mAngstrom lie within
_FEWEST = 6  # wavelengths from which a noise is estimated
_NOISE_RANGE = (1e-7, 0.3)  # of the continuum: beyond, the noise is in another unit
_HALF_MIRROR = 0.45  # angstrom: half the distance of 6301 and 6302
_FEWEST_MIRRORED = 8  # profiles with polarisation, from which its symmetry is judged
_UNKNOWN_ANGLE = 180 / np.sqrt(12)
_TOO_WEAK = 1e-5  # of I: no telescope sees polarisation as weak everywhere


def prepare_stokes(cube: SpectralCube, plan: AtmospherePlan) -> SpectralCube:
    """Return a cube with I, Q, U, V in this order, the wavelengths of the fit and a noise.

    Parameters
    ----------
    cube : SpectralCube
    plan : AtmospherePlan

    Raises
    ------
    ValueError
        If a Stokes parameter is missing, I is not the largest, a line is not within the
        wavelengths, or the noise is unknown or not in the unit of the data.
    """
    missing = [name for name in _ORDER if name not in cube.stokes]
    if missing:
        raise ValueError(
            f"expected Stokes I, Q, U and V, got {', '.join(cube.stokes)}: {', '.join(missing)} "
            "missing; give a file of polarised spectra, or --stokes if the axis holds them in "
            "another order"
        )
    if cube.stokes != _ORDER:
        order = [cube.stokes.index(name) for name in _ORDER]
        sigma = cube.sigma
        if sigma is not None and sigma.ndim > 1 and sigma.shape[-2] == len(cube.stokes):
            sigma = np.take(sigma, order, axis=-2)
        cube = replace(cube, values=cube.values[:, :, order], stokes=_ORDER, sigma=sigma)
    _require_lines(cube.wavelength, plan.lines)
    if plan.range:
        cube = cube.in_range(*plan.range)
        _require_lines(cube.wavelength, plan.lines)
    if not np.isfinite(cube.values).any():
        logger.warning("no pixel of the map has a finite value: all are flagged, none is fitted")
        return replace(cube, sigma=np.ones((1, 1, 1, 1)))
    _require_intensity(cube)
    _warn_of_symmetry(cube, plan.lines)
    return _with_noise(cube, plan)


def invert_atmospheres(cube: SpectralCube, plan: AtmospherePlan) -> ParameterMaps:
    """Return maps of a prepared cube, or of some of its rows; each pixel by itself.

    Parameters
    ----------
    cube : SpectralCube
        Of ``prepare_stokes``.
    plan : AtmospherePlan
    """
    fit = fit_atmospheres(
        cube.wavelength,
        cube.values,
        cube.sigma,
        lines=plan.lines,
        first=_first_starts(cube, plan),
        fixed=plan.fixed,
        tied=plan.ties,
        n_starts=plan.starts,
        seed=plan.seed,
        n_jobs=plan.jobs,
    )
    return fitted_maps(fit, cube, plan)


def invert_coupled(cube: SpectralCube, plan: AtmospherePlan, spread: PointSpread) -> ParameterMaps:
    """Return maps of a prepared cube whose pixels are coupled by a telescope.

    Parameters
    ----------
    cube : SpectralCube
        Of ``prepare_stokes``.
    plan : AtmospherePlan
    spread : PointSpread
        On the cube's pixels.
    """
    found = fit_coupled_atmospheres(
        cube.wavelength,
        cube.values,
        cube.sigma,
        spread,
        lines=plan.lines,
        first=_first_starts(cube, plan),
        fixed=plan.fixed,
        tied=plan.ties,
        prior_weight=plan.prior_weight,
        n_starts=plan.starts,
        seed=plan.seed,
        n_jobs=plan.jobs,
    )
    field, inclination = found.values[..., 0], np.radians(found.values[..., 1])
    along, across = np.cos(inclination), field * np.sin(inclination)
    error = np.hypot(along * found.errors[..., 0], across * np.radians(found.errors[..., 1]))
    none = np.zeros(field.shape, np.int64)
    fit = MilneEddingtonFit(
        found.values, found.errors, field * along, error, found.chi2, found.flags, none, none
    )
    maps = fitted_maps(fit, cube, plan)
    share = {name: found.prior_share[..., k] for k, name in enumerate(PARAMETERS)}
    return replace(maps, prior_share={name: share[name] for name in maps.errors if name in share})


def fitted_maps(fit: MilneEddingtonFit, cube: SpectralCube, plan: AtmospherePlan) -> ParameterMaps:
    """Return fits of a cube's pixels as maps: nine parameters and the line-of-sight field.

    Parameters whose value was given have no map of errors. Errors of angles are at most 52 degrees,
    the standard deviation of an angle of which nothing is known.
    """
    coupling = couple_parameters(PARAMETERS, fixed=tuple(plan.fixed), tied=plan.ties)
    values = {name: fit.values[..., k] for k, name in enumerate(PARAMETERS)}
    errors = {n: fit.errors[..., k] for k, n in enumerate(PARAMETERS) if coupling.source[k] >= 0}
    for name in {"inclination", "azimuth"} & errors.keys():
        errors[name] = np.minimum(errors[name], _UNKNOWN_ANGLE)  # NaN stays NaN
    units = dict(zip(PARAMETERS, UNITS, strict=True)) | {"line_of_sight_field": "G"}
    unit = "" if cube.unit == "continuum" else cube.unit
    units |= {"source_constant": unit, "source_gradient": unit}
    values["line_of_sight_field"] = fit.line_of_sight_field
    if {"field_strength", "inclination"} & errors.keys():
        errors["line_of_sight_field"] = fit.line_of_sight_error
    flags = fit.flags.astype(np.int64)
    if cube.saturated is not None:
        flags[cube.saturated] |= FitFlag.SATURATED
    return ParameterMaps(values, units, errors, fit.chi2, flags.astype(np.uint16))


def continuum_noise(cube: SpectralCube, lines: Sequence[SpectralLine]) -> float | None:
    """Return the noise of Q, U and V beside the lines; None with too few wavelengths there.

    The median absolute second difference of neighbouring wavelengths over all pixels, as a
    standard deviation: slopes and offsets of the continuum do not count.

    Parameters
    ----------
    cube : SpectralCube
        With Stokes I, Q, U, V.
    lines : sequence of SpectralLine
    """
    is_beside = np.ones(len(cube.wavelength), bool)
    for line in lines:
        is_beside &= np.abs(cube.wavelength - line.wavelength) > _BESIDE_LINE
    if is_beside.sum() < _FEWEST:
        return None
    # neighbours on the detector only: not across a line
    middle = np.flatnonzero(is_beside[:-2] & is_beside[1:-1] & is_beside[2:]) + 1
    if not len(middle):
        return None
    profiles = cube.values[:, :, 1:]
    bends = profiles[..., middle - 1] - 2 * profiles[..., middle] + profiles[..., middle + 1]
    bends = np.abs(bends[np.isfinite(bends)])
    # 0.6745: the median of |x| of the normal distribution; 6: the squares of 1, -2, 1
    return float(np.median(bends) / 0.6745 / np.sqrt(6)) if len(bends) else None


def _require_lines(wavelength: np.ndarray, lines: Sequence[SpectralLine]) -> None:
    first, last = wavelength[[0, -1]]
    for line in lines:
        if not first < line.wavelength < last:
            hint = "give other lines with --line, a wider --range, or other files"
            if 0.09 * line.wavelength < first and last < 0.11 * line.wavelength:
                hint = "they look like nanometres: give --wavelength-unit nm"
            raise ValueError(
                f"expected {line.name} ({line.wavelength:.3f} angstrom) in the spectra, got "
                f"wavelengths of {first:.3f} to {last:.3f}; {hint}"
            )


def _continuum(cube: SpectralCube, k: int = 0) -> np.ndarray:
    plane = cube.values[:, :, k]
    return continuum_of(plane, np.isfinite(plane))


def _require_intensity(cube: SpectralCube) -> None:
    """Raise a ValueError if another Stokes parameter is as large as I over the map."""
    planes = [cube.values[:, :, k] for k in range(4)]
    sizes = [np.abs(plane[np.isfinite(plane)]) for plane in planes]
    medians = [float(np.median(size)) if len(size) else 0.0 for size in sizes]
    largest = int(np.argmax(medians))
    if largest:
        raise ValueError(
            f"expected I to be the largest Stokes parameter, got a median of {medians[0]:.3g} for "
            f"I and {medians[largest]:.3g} for {_ORDER[largest]}; give the order of the file's "
            "Stokes axis with --stokes"
        )
    level = _continuum(cube)
    known = level[np.isfinite(level)]
    if len(known) and not (known > 0).any():
        logger.warning("the continuum of I is nowhere positive: all pixels are flagged")
    strongest = (
        max(float(np.percentile(size, 99.9)) for size in sizes[1:] if len(size))
        if any(map(len, sizes[1:]))
        else 0.0
    )
    if 0 < strongest < _TOO_WEAK * medians[0]:
        logger.warning(
            "Q, U and V are at most %.1g of I: expected the four in one unit, but they seem to be "
            "divided by the continuum where I is not",
            strongest / medians[0],
        )


def _warn_of_symmetry(cube: SpectralCube, lines: Sequence[SpectralLine]) -> None:
    """Log a warning if V is even about the line's centre where Q or U is odd."""
    line = max(lines, key=lambda one: abs(one.effective_lande))
    away = np.linspace(0.02, _HALF_MIRROR, 24)
    odd = {}
    profiles = cube.values.reshape(-1, 4, cube.values.shape[-1])
    profiles = profiles[np.isfinite(profiles).all(axis=(1, 2))]
    noise = continuum_noise(cube, lines) or 0.0
    near = np.abs(cube.wavelength - line.wavelength) < _HALF_MIRROR
    if near.sum() < _FEWEST:
        return
    depth = np.maximum(profiles[:, 0].max(axis=-1, keepdims=True) - profiles[:, 0], 0)[:, near]
    centres = (depth @ cube.wavelength[near]) / np.maximum(depth.sum(axis=1), 1e-30)
    for k, name in ((1, "Q"), (2, "U"), (3, "V")):
        size = np.abs(profiles[:, k][:, near]).max(axis=1)
        strong = np.argsort(-size)[:200]
        strong = strong[size[strong] > 8 * noise]
        if len(strong) < _FEWEST_MIRRORED:
            continue
        sums = np.zeros(2)
        for i in strong:
            right = np.interp(centres[i] + away, cube.wavelength, profiles[i, k])
            left = np.interp(centres[i] - away, cube.wavelength, profiles[i, k])
            whole = np.sum(right**2 + left**2)
            sums += np.sum((right - left) ** 2) / (2 * whole), 1
        odd[name] = sums[0] / sums[1]
    linear = max((odd[name] for name in ("Q", "U") if name in odd), default=0.0)
    if odd.get("V", 1.0) < 0.4 and linear > 0.6:
        logger.warning(
            "V is even about the centre of %s and %s is odd, where V of a Zeeman line is odd and "
            "Q and U are even: the Stokes order may be another; give it with --stokes",
            line.name,
            max(("Q", "U"), key=lambda name: odd.get(name, 0.0)),
        )


def _with_noise(cube: SpectralCube, plan: AtmospherePlan) -> SpectralCube:
    """Return the cube with the noise of --noise, its own, or an estimate."""
    level = _continuum(cube)
    level = level[np.isfinite(level) & (level > 0)]
    sigma, origin = cube.sigma, "file"
    if plan.noise:
        sigma, origin = np.full((1, 1, 1, 1), plan.noise), "--noise"
    elif sigma is None:
        estimate = continuum_noise(cube, plan.lines)
        if not estimate:
            raise ValueError(
                f"expected {_FEWEST} wavelengths or more with noise, {_BESIDE_LINE:g} angstrom or "
                "more from the lines, to estimate the noise of Q, U and V, got "
                f"{'too few' if estimate is None else 'a noise of 0'}; give it with --noise"
            )
        logger.info(
            "noise of %.3g %s in all Stokes parameters, estimated from the continuum of Q, U and V",
            estimate,
            cube.unit,
        )
        sigma, origin = np.full((1, 1, 1, 1), estimate), "continuum of Q, U, V"
    typical = float(np.nanmedian(sigma))
    if len(level):
        share = typical / float(np.median(level))
        if not _NOISE_RANGE[0] < share < _NOISE_RANGE[1]:
            raise ValueError(
                f"expected a noise of {_NOISE_RANGE[0]:g} to {_NOISE_RANGE[1]:g} of the continuum "
                f"of I ({np.median(level):.4g} {cube.unit}), got {typical:.3g} from {origin}; give "
                "--noise in the unit of the data"
            )
    header = {**cube.header, "NOISE": typical, "NOISEFRO": origin, "VELOSIGN": "positive away"}
    return replace(cube, sigma=np.asarray(sigma, float), header=header)


def _first_starts(cube: SpectralCube, plan: AtmospherePlan) -> np.ndarray | None:
    """Return starts (y, x, 9) of the network, None for moments or where it can't serve."""
    if plan.start == "moments":
        return None
    try:
        from network_models.milne_eddington_start.start import network_starts

        return network_starts(cube.wavelength, cube.values, cube.sigma)
    except (ImportError, OSError, ValueError) as error:
        logger.warning("the network gives no starts (%s): moments of the profiles are used", error)
        return None
