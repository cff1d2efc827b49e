"""Invert Stokes profiles to maps of the magnetic field by the weak-field approximation.

    python science/inversion/weak_field.py --synthetic [--line CaII8542] [--output FOLDER]
    python science/inversion/weak_field.py FILES... --line FeI6302 [--prior laplacian]
    python science/inversion/weak_field.py FILES... --wavelength0 8542.091 --lande 1.1

Without FILES a synthetic map with known truth is inverted. Writes maps.fits (B_los, B_Q, B_U,
B_transverse, azimuth with their errors, flags and the prior's share), figures and summary.json.
The noise is --noise, or what the file says of it, or estimated where V, Q and U have no signal.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.command import invert_in_blocks, summary_lines
from science.inversion.results import ParameterMaps
from science.inversion.synthetic_fields import FIELDS, synthetic_cube
from tools.command_line import config_from, config_parser, run_script
from tools.fitting.flags import FitFlag
from tools.fitting.linear import posterior_variance, prior_share, solve_laplacian
from tools.fitting.smoothing_weight import CRITERIA, choose_laplacian, choose_total_variation
from tools.options import LARGEST_SEED, Options, option
from tools.physics.weak_field import (
    LINES,
    ProfileFit,
    WeakFieldLine,
    estimated_noise,
    field_from_profiles,
    longitudinal_profile,
    transverse_field,
    transverse_profiles,
    wavelength_derivative,
)

__all__ = ["WeakFieldConfig", "invert_weak_field", "main"]

logger = logging.getLogger(__name__)

_SYNTHETIC_NOISE = 1e-3  # of the continuum: what ground-based spectropolarimeters reach
_MOST_BIAS = 0.02  # of the field, by noise of I, before a warning
_FEWEST_PIXELS = 16  # from which a prior is chosen
_POOR = 5.0  # standard deviations of chi2 above 1
_UNITS = {"B_los": "G", "B_Q": "G2", "B_U": "G2", "B_transverse": "G", "azimuth": "deg"}
_KINDS = {"B_los": "signed", "B_transverse": "positive", "azimuth": "angle"}


@dataclass(frozen=True)
class WeakFieldConfig(Options):
    """Options of the command."""

    synthetic: bool = option(False, "invert the synthetic map, as without FILES")
    synthetic_field: str = option("edges", "which synthetic map", choices=tuple(FIELDS))
    size: int = option(256, "pixels along a side of the synthetic map", least=16, most=4096)
    seed: int = option(0, "seed of the synthetic map and of drawn maps", least=0, most=LARGEST_SEED)
    line: str = option("CaII8542", "the line", choices=tuple(LINES))
    wavelength0: float = option(0.0, "centre of another line in air, angstrom", least=0)
    lande: float = option(0.0, "effective Lande factor of another line")
    transverse_lande: float = option(
        0.0, "its factor of linear polarisation; 0: the square of --lande"
    )
    core: float = option(
        0.0, "half width of the core, angstrom, left out of Q and U; 0: the line's own", least=0
    )
    prior: str = option(
        "laplacian", "what neighbours share", choices=("laplacian", "total-variation", "none")
    )
    weight_by: str = option("risk", "what chooses the prior's weight", choices=CRITERIA)
    noise: float = option(
        0.0, "noise of one sigma in the unit of the data; 0: from the file, or estimated", least=0
    )
    window: str = option("", "window of the files with several")
    stokes: str = option("", "what the Stokes axis holds, as IQUV, where the files do not say")
    wavelength_unit: str = option("", "of the files, where they do not say: angstrom or nm")
    output: str = option("weak_field_maps", "folder for the results")

    def __post_init__(self):
        super().__post_init__()
        if bool(self.wavelength0) != bool(self.lande):
            raise ValueError(
                "expected --wavelength0 and --lande together for a line of its own, got one of "
                f"them; give both, or --line {', '.join(LINES)}"
            )
        if self.prior == "total-variation" and self.weight_by == "evidence":
            raise ValueError(
                "expected --weight-by risk, gcv or discrepancy for total variation, got evidence, "
                "which has no closed form for it"
            )

    @property
    def spectral_line(self) -> WeakFieldLine:
        """The line, its core replaced where that was asked for."""
        named = LINES[self.line]
        if not self.wavelength0:
            values = asdict(named)
        else:
            values = {
                "name": f"{self.wavelength0:g}",
                "wavelength0": self.wavelength0,
                "lande": self.lande,
                "transverse_lande": self.transverse_lande or self.lande**2,
                # a Doppler width of 8.8 km/s, as that of Ca II 8542
                "core": self.wavelength0 * LINES["CaII8542"].core / LINES["CaII8542"].wavelength0,
            }
        return WeakFieldLine(**values | ({"core": self.core} if self.core else {}))


def invert_weak_field(cube: SpectralCube, config: WeakFieldConfig) -> ParameterMaps:
    """Return maps of the field from a cube with I and V, and of the transverse one with Q and U.

    Parameters
    ----------
    cube : SpectralCube
    config : WeakFieldConfig

    Raises
    ------
    ValueError
        If the cube lacks I or V, or the line is not in it.
    """
    line = config.spectral_line
    _require_line(cube, line)
    profiles = {name: cube.values[:, :, k] for k, name in enumerate(cube.stokes)}
    derivative = wavelength_derivative(profiles["I"], cube.wavelength)
    zero = np.zeros(cube.shape)
    _, by_los = longitudinal_profile(zero, derivative, line)
    slopes = {"V": by_los}
    if {"Q", "U"} <= set(cube.stokes):
        *_, by_square = transverse_profiles(zero, zero, derivative, cube.wavelength, line)
        slopes |= {"Q": by_square, "U": by_square}
    is_beside = np.abs(cube.wavelength - line.wavelength0) > line.core
    fits, sigma = {}, {}
    for stokes, by_field in slopes.items():
        profile = profiles[stokes]
        sigma[stokes] = _sigma_of(cube, stokes, by_field, is_beside, config)
        name = "B_los" if stokes == "V" else f"B_{stokes}"
        fits[name] = field_from_profiles(profile, by_field, sigma[stokes])
    _warn_of_noisy_intensity(derivative, sigma["V"], cube.wavelength)
    is_dark = ~(np.nan_to_num(np.max(profiles["I"], axis=-1), nan=1.0) > 0)
    values, variances, shares = {}, {}, {}
    flags = np.zeros(cube.shape, np.int64)
    chi2, n_used = np.zeros(cube.shape), np.zeros(cube.shape)
    for name, fit in fits.items():
        weight = np.where(is_dark, 0.0, fit.weight)
        values[name], variance, is_converged = _regularised(name, fit, weight, config)
        if not is_converged:
            flags[weight > 0] |= FitFlag.NOT_CONVERGED
        if variance is not None:
            variances[name] = variance
        if config.prior == "laplacian" and variance is not None:
            shares[name] = np.where(weight > 0, prior_share(weight, variance), np.nan)
        own = np.nan_to_num(fit.chi2_of(values[name])) * fit.n_used
        chi2, n_used = chi2 + own, n_used + fit.n_used * np.isfinite(values[name])
    with np.errstate(divide="ignore", invalid="ignore"):
        chi2 = np.where(n_used > 0, chi2 / n_used, np.nan)
        flags[chi2 > 1 + _POOR * np.sqrt(2 / n_used)] |= FitFlag.POOR_FIT
    flags[~np.isfinite(values["B_los"])] |= FitFlag.NO_DATA
    flags[is_dark] |= FitFlag.NEGATIVE_CONTINUUM
    if "B_los" in shares:
        flags[_is_left_to_prior(shares["B_los"])] |= FitFlag.PRIOR_DECIDED
    if cube.saturated is not None:
        flags[cube.saturated] |= FitFlag.SATURATED
    errors = {name: np.sqrt(variance) for name, variance in variances.items()}
    if "B_Q" in values:
        both = np.full(cube.shape, np.nan)
        if variances:
            both = (variances["B_Q"] + variances["B_U"]) / 2
        field, error, azimuth, azimuth_error = transverse_field(values["B_Q"], values["B_U"], both)
        values |= {"B_transverse": field, "azimuth": azimuth}
        if variances:
            errors |= {"B_transverse": error, "azimuth": azimuth_error}
    units = {name: _UNITS[name] for name in values}
    return ParameterMaps(values, units, errors, chi2, flags.astype(np.uint16), shares)


def _regularised(
    name: str, fit: ProfileFit, weight: np.ndarray, config: WeakFieldConfig
) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Return a parameter's map, its variance where that is known, and whether it converged."""
    is_known = weight > 0
    if config.prior == "none" or is_known.sum() < _FEWEST_PIXELS:
        with np.errstate(divide="ignore"):
            return (
                np.where(is_known, fit.field, np.nan),
                np.where(is_known, 1 / weight, np.nan),
                True,
            )
    if config.prior == "total-variation":
        strength, field = choose_total_variation(
            fit.field, weight, criterion=config.weight_by, seed=config.seed
        )
        logger.info("%s: total variation of strength %.3g", name, strength)
        return np.where(is_known, field, np.nan), None, True
    choice = choose_laplacian(fit.field, weight, criterion=config.weight_by, seed=config.seed)
    solution = solve_laplacian(fit.field, weight, choice.prior)
    variance = posterior_variance(weight, choice.prior, seed=config.seed)
    logger.info(
        "%s: Laplacian to the power %g by %s; the data decide %.3g %% of all modes",
        name,
        choice.prior.power,
        choice.criterion,
        100 * choice.kept_share,
    )
    return np.where(is_known, solution.values, np.nan), variance, solution.is_converged


def _is_left_to_prior(share: np.ndarray) -> np.ndarray:
    """Return where a pixel's data have less than half of the share that they have elsewhere.

    A pixel's own data rarely have most of the information where neighbours share theirs, which is
    what the prior is for; what matters is where they have less than on the rest of the map.
    """
    own = 1 - share
    known = own[np.isfinite(own)]
    if not len(known):
        return np.zeros(share.shape, bool)
    return np.nan_to_num(own, nan=np.inf) < 0.5 * np.median(known)


def _sigma_of(
    cube: SpectralCube,
    stokes: str,
    by_field: np.ndarray,
    is_beside: np.ndarray,
    config: WeakFieldConfig,
) -> np.ndarray | float:
    """Return the noise of V, Q or U, broadcastable to (y, x, wavelength)."""
    if config.noise:
        return config.noise
    k = cube.stokes.index(stokes)
    if cube.sigma is not None:
        sigma = cube.sigma.reshape((1,) * (4 - cube.sigma.ndim) + cube.sigma.shape)
        return sigma[:, :, k if sigma.shape[2] > 1 else 0]
    if not np.isfinite(cube.values[:, :, k]).any():
        return 1.0  # of no value
    noise = estimated_noise(cube.values[:, :, k], by_field, is_beside)
    logger.info("noise of %s: %.3g %s, estimated beside the line", stokes, noise, cube.unit)
    return noise


def _require_line(cube: SpectralCube, line: WeakFieldLine) -> None:
    lacking = {"I", "V"} - set(cube.stokes)
    if lacking:
        raise ValueError(
            f"expected I and V, got Stokes {', '.join(cube.stokes)}; give --stokes if the file's "
            "order is another, or a file of polarised spectra"
        )
    first, last = cube.wavelength[[0, -1]]
    if not first < line.wavelength0 < last:
        hint = "give the line with --line or --wavelength0"
        if last < 0.11 * line.wavelength0:
            hint = "they look like nanometres: give --wavelength-unit nm"
        raise ValueError(
            f"expected {line.name} ({line.wavelength0:.3f} angstrom) in the spectra, got "
            f"wavelengths of {first:.3f} to {last:.3f}; {hint}"
        )


def _warn_of_noisy_intensity(
    derivative: np.ndarray, sigma: np.ndarray | float, wavelength: np.ndarray
) -> None:
    """Log by how much noise of I, taken as that of V, weakens B_los: it adds to sum (dI/dl)^2."""
    steps = wavelength[2:] - wavelength[:-2]
    noise = np.mean(2 * np.nanmedian(sigma) ** 2 / steps**2)
    known = derivative[np.isfinite(derivative)]
    bias = noise / np.mean(known**2) if len(known) and np.any(known) else 0.0
    if bias > _MOST_BIAS:
        logger.warning(
            "the noise of I makes fields too weak by about %.0f %%: average spectra, or bin them",
            100 * bias,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Invert and return the exit status."""
    parser = config_parser(WeakFieldConfig, __doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILES", help="polarised spectra of one map")
    arguments = parser.parse_args(argv)
    config = config_from(WeakFieldConfig, arguments)
    cube = _opened(arguments.files, config)
    options = {k: v for k, v in asdict(config).items() if k != "output"}
    maps = invert_in_blocks(
        cube,
        lambda part: invert_weak_field(part, config),
        config.output,
        options=options,
        code=__file__,
        method=f"weak field, {config.prior}",
        draw=lambda maps, folder: _draw(maps, cube, folder),
    )
    print(f"Field by the weak-field approximation: {Path(config.output) / 'maps.fits'}")
    for text in summary_lines(maps):
        print(text)
    for text in _comparison(maps, cube):
        print(text)
    line = config.spectral_line
    strongest = line.core / abs(line.longitudinal)
    share = np.mean(np.abs(np.nan_to_num(maps.values["B_los"])) > strongest)
    if share > 0:
        print(
            f"  {100 * share:.1f} % of the pixels have more than {strongest:.0f} G, where the "
            "splitting exceeds the line's core and the approximation does not hold"
        )
    return 0


def _opened(files: list[str], config: WeakFieldConfig) -> SpectralCube:
    if files and config.synthetic:
        raise ValueError(f"expected FILES or --synthetic, got both ({files[0]}, ...); give one")
    if not files:
        noise = config.noise or _SYNTHETIC_NOISE
        return synthetic_cube(
            config.synthetic_field,
            config.spectral_line,
            size=config.size,
            sigma=noise,
            seed=config.seed,
        )
    from dataset_models.spectra.read_spectra import read_spectra

    return read_spectra(
        files,
        window=config.window,
        stokes=config.stokes,
        wavelength_unit=config.wavelength_unit,
    )


def _comparison(maps: ParameterMaps, cube: SpectralCube) -> list[str]:
    """Return how far the maps are from the truth of synthetic data."""
    lines = []
    for name, true in cube.truth.items():
        if name in maps.values and name not in ("B_Q", "B_U"):
            away = maps.values[name] - true
            if name == "azimuth":
                away = (away + 90) % 180 - 90
            rms = np.sqrt(np.nanmean(away**2)) if np.isfinite(away).any() else np.nan
            lines.append(f"  {name}: {rms:.3g} {maps.units[name]} rms from the truth")
    return lines


def _draw(maps: ParameterMaps, cube: SpectralCube, folder: Path) -> None:
    from tools.plotting.inversion_maps import plot_flags, plot_parameter_maps
    from tools.plotting.style import save_figure

    what = f"{cube.instrument} {cube.line} {cube.time}".strip()
    shown = {n: (maps.values[n], maps.units[n], k) for n, k in _KINDS.items() if n in maps.values}
    title = f"{what}: field by the weak-field approximation"
    figure = plot_parameter_maps(shown, title, truth=cube.truth, wcs=cube.wcs)
    save_figure(figure, folder / "field.png")
    errors = {
        f"error of {n}": (maps.errors[n], maps.units[n], "positive")
        for n in _KINDS
        if n in maps.errors
    }
    errors |= {f"prior's share of {n}": (s, "", "share") for n, s in maps.prior_share.items()}
    if errors:
        figure = plot_parameter_maps(errors, f"{what}: errors of one sigma", wcs=cube.wcs)
        save_figure(figure, folder / "errors.png")
    save_figure(plot_flags(maps.flags, f"{what}: flags", wcs=cube.wcs), folder / "flags.png")


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
