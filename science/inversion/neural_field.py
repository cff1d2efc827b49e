"""Represent maps of the magnetic field, or an image, by neural fields of place.

    python science/inversion/neural_field.py [--synthetic-field smooth] [--output FOLDER]
    python science/inversion/neural_field.py FILES... --line FeI6302 --magnify 2
    python science/inversion/neural_field.py --image IMAGE.fits --magnify 2 --output FOLDER

FILES are polarised spectra, inverted by the weak-field approximation: one network for B_los, one
for B_Q and B_U. Without FILES a synthetic map with known truth is inverted. Writes maps.fits, with
--magnify K on a grid K times as fine; figure, summary.json, and the networks, which take places (x,
y) in pixels from the map's middle. Bandwidth and end of training are chosen on held-out pixels.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.command import invert_in_blocks, summary_lines
from science.inversion.image_cube import read_image_cube
from science.inversion.results import ParameterMaps
from science.inversion.synthetic_fields import FIELDS, synthetic_cube
from science.inversion.weak_field import WeakFieldConfig, invert_weak_field
from tools.atomic_files import commit_file, scratch_path, write_json
from tools.command_line import config_from, config_parser, quiet_start, run_script
from tools.fitting.flags import NO_ANSWER, FitFlag
from tools.options import LARGEST_SEED, Options, option
from tools.physics.weak_field import (
    LINES,
    WeakFieldLine,
    longitudinal_profile,
    transverse_field,
    transverse_profiles,
    wavelength_derivative,
)

__all__ = ["NeuralFieldConfig", "fit_neural_maps", "magnified_coordinates", "main"]

logger = logging.getLogger(__name__)

_SYNTHETIC_NOISE = 1e-3  # of the continuum: what ground-based spectropolarimeters reach
_POOR = 5.0  # standard deviations of chi2 above 1
_UNITS = {"B_los": "G", "B_Q": "G2", "B_U": "G2", "B_transverse": "G", "azimuth": "deg"}
_KINDS = {"B_los": "signed", "B_transverse": "positive", "azimuth": "angle"}
_SMOKE = {"size": 24, "waves": 32, "width": 16, "blocks": 1, "steps": 100, "bandwidths": (0.02,)}


@dataclass(frozen=True)
class NeuralFieldConfig(Options):
    """Options of the command."""

    image: str = option("", "FITS or .npy image to represent, instead of spectra")
    is_positive: bool = option(False, "the image is 0 or more, and stays so between pixels")
    synthetic_field: str = option("smooth", "which synthetic map", choices=tuple(FIELDS))
    size: int = option(128, "pixels along a side of the synthetic map", least=16, most=4096)
    line: str = option("CaII8542", "the line", choices=tuple(LINES))
    noise: float = option(
        0.0, "noise of one sigma in the unit of the data; 0: from the file, or estimated", least=0
    )
    magnify: int = option(1, "pixels of the maps along a pixel of the data", least=1, most=64)
    waves: int = option(128, "random waves of the Fourier features", least=1, most=8192)
    width: int = option(64, "units of each dense layer", least=1, most=4096)
    blocks: int = option(2, "residual blocks of two dense layers", least=0, most=64)
    bandwidths: tuple[float, ...] = option(
        (0.015, 0.04, 0.1), "tried bandwidths, cycles per pixel", above=0, most=10
    )
    steps: int = option(1500, "most steps of the training of each bandwidth", least=1)
    batch_pixels: int = option(2048, "pixels of a step", least=1)
    learning_rate: float = option(5e-3, "of Adam at its start", above=0)
    held_out: float = option(0.05, "share of pixels never trained on", above=0, most=0.5)
    check_every: int = option(50, "steps between looks at the held-out pixels", least=1)
    patience: int = option(8, "looks without a gain before the training ends", least=1)
    seed: int = option(0, "seed of all that is drawn", least=0, most=LARGEST_SEED)
    window: str = option("", "window of the files with several")
    stokes: str = option("", "what the Stokes axis holds, as IQUV, where the files do not say")
    wavelength_unit: str = option("", "of the files, where they do not say: angstrom or nm")
    smoke: bool = option(False, "a map of 24 x 24 pixels and a small field, in seconds")
    output: str = option("neural_field_maps", "folder for the results")


def fit_neural_maps(
    cube: SpectralCube, config: NeuralFieldConfig, folder: str | Path
) -> ParameterMaps:
    """Train the fields of a cube, or resume, and return their maps on the magnified grid.

    Parameters
    ----------
    cube : SpectralCube
        Polarised spectra, or an image of ``read_image_cube``.
    config : NeuralFieldConfig
    folder : path
        Gets states of the training, networks and ``fields.json``.

    Raises
    ------
    ValueError
        If the cube lacks I or V, or the line is not in it, or it has no value.
    """
    if len(cube.wavelength) == 1:
        return _image_maps(cube, config, Path(folder))
    given = WeakFieldConfig(line=config.line, prior="none", noise=config.noise, seed=config.seed)
    pixelwise = invert_weak_field(cube, given)
    line = given.spectral_line
    derivative = wavelength_derivative(cube.values[:, :, cube.stokes.index("I")], cube.wavelength)
    zero = np.zeros(cube.shape)
    _, by_los = longitudinal_profile(zero, derivative, line)
    *_, by_square = transverse_profiles(zero, zero, derivative, cube.wavelength, line)
    longitudinal, transverse = _twins(line, cube.wavelength)
    groups = {"longitudinal": (("B_los",), ("V",), by_los, longitudinal)}
    if "B_Q" in pixelwise.values:
        groups["transverse"] = (("B_Q", "B_U"), ("Q", "U"), by_square, transverse)
    is_lost = (pixelwise.flags & int(NO_ANSWER)) != 0
    values: dict[str, np.ndarray] = {}
    misfit, n_used, notes = np.zeros(cube.shape), np.zeros(cube.shape), {}
    for group, (names, stokes, by_field, forward) in groups.items():
        profiles = np.stack([cube.values[:, :, cube.stokes.index(s)] for s in stokes], axis=2)
        slope = np.where(is_lost[..., None], 0.0, by_field)
        # one sigma a pixel, from the error of the closed form: sigma^2 / sum (dS/dB)^2
        errors = np.stack([pixelwise.errors[name] for name in names], axis=2)
        sigma = errors * np.sqrt(np.nansum(slope**2, axis=-1))[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where((slope != 0)[:, :, None], sigma[..., None] ** -2.0, 0.0)
        weight = np.where(np.isfinite(weight * profiles), weight, 0.0)
        scale = max(float(np.nanpercentile(np.abs(pixelwise.values[n]), 90)) for n in names)
        maps, modelled, notes[group] = _fitted(
            group,
            {name: (scale, 0.0, "free") for name in names},
            np.nan_to_num(profiles),
            weight,
            forward,
            derivative,
            config,
            Path(folder),
        )
        values |= maps
        by = np.nan_to_num(slope)[:, :, None]
        residual = modelled[..., None] * by - np.nan_to_num(profiles)
        misfit += np.sum(weight * residual**2, axis=(2, 3))
        n_used += np.count_nonzero(weight, axis=(2, 3))
    write_json(Path(folder) / "fields.json", notes)
    kept = FitFlag.NO_DATA | FitFlag.NEGATIVE_CONTINUUM | FitFlag.SATURATED
    flags = pixelwise.flags & int(kept)
    if "B_Q" in values:
        field, _, azimuth, _ = transverse_field(values["B_Q"], values["B_U"], zero[:1, :1])
        values |= {"B_transverse": field, "azimuth": azimuth}
    return _finished(values, _UNITS, misfit, n_used, flags, is_lost, config.magnify)


def _twins(line: WeakFieldLine, wavelength: np.ndarray) -> tuple[Callable, Callable]:
    """Return the forward models of V, and of Q and U, from parameters and dI/dl in keras.ops."""
    with quiet_start():
        from keras import ops

        from network_models.physics import weak_field as twin

    def longitudinal(values, derivative):
        return twin.longitudinal_profile(values[..., 0], derivative, line)

    def transverse(values, derivative):
        b_q, b_u = values[..., 0], values[..., 1]
        profiles = twin.transverse_profiles(b_q, b_u, derivative, wavelength, line)
        return ops.concatenate(profiles, axis=-1)

    return longitudinal, transverse


def _image_maps(cube: SpectralCube, config: NeuralFieldConfig, folder: Path) -> ParameterMaps:
    """Return the map of an image."""
    image = cube.values[:, :, 0, 0]
    is_lost = ~np.isfinite(image)
    sigma = float(cube.sigma.flat[0])
    weight = np.where(is_lost, 0.0, sigma**-2)[..., None, None]
    spread = float(np.nanstd(image)) or 1.0
    how = (spread, 0.0, "softplus") if config.is_positive else (
        spread, float(np.nanmedian(image)), "free")  # fmt: skip
    data = np.nan_to_num(image)[..., None, None]
    values, modelled, note = _fitted(
        "image",
        {"image": how},
        data,
        weight,
        lambda values, _: values,
        np.zeros((*cube.shape, 1)),
        config,
        folder,
    )
    write_json(folder / "fields.json", {"image": note})
    misfit = (weight * (modelled[..., None] - data) ** 2)[..., 0, 0]
    flags = np.where(is_lost, int(FitFlag.NO_DATA), 0)
    units = {"image": cube.unit}
    return _finished(values, units, misfit, ~is_lost * 1.0, flags, is_lost, config.magnify)


def _fitted(
    group: str,
    parameters: Mapping[str, tuple[float, float, str]],
    profiles: np.ndarray,
    weight: np.ndarray,
    forward: Callable,
    auxiliary: np.ndarray,
    config: NeuralFieldConfig,
    folder: Path,
) -> tuple[dict[str, np.ndarray], np.ndarray, dict]:
    """Return magnified maps, the parameters at the pixels (y, x, parameter), and notes."""
    with quiet_start():
        from network_models import neural_field as fields_of
    shape = profiles.shape[:2]
    is_known = np.any(weight > 0, axis=(2, 3)).ravel()
    n = is_known.size
    places = fields_of.grid_places(shape)
    data = fields_of.FieldData(
        places[is_known],
        profiles.reshape(n, -1)[is_known].astype(np.float32),
        weight.reshape(n, -1)[is_known].astype(np.float32),
        np.nan_to_num(auxiliary).reshape(n, -1)[is_known].astype(np.float32),
    )
    own = {f.name for f in fields(fields_of.FieldSettings)}
    settings = fields_of.FieldSettings(**{k: v for k, v in asdict(config).items() if k in own})
    values = [fields_of.FieldValue(name, *how) for name, how in parameters.items()]
    fitted = fields_of.fit_field(values, forward, data, settings, state=folder / f"state_{group}")
    scratch = scratch_path(folder / f"{group}.keras", ending=".keras")
    fitted.network.save(scratch)
    commit_file(scratch, folder / f"{group}.keras")
    fine = fields_of.evaluate_field(
        fitted.network, fields_of.grid_places(shape, magnify=config.magnify)
    )
    side = tuple(config.magnify * m for m in shape)
    maps = {name: fine[:, k].reshape(side).astype(float) for k, name in enumerate(parameters)}
    modelled = fields_of.evaluate_field(fitted.network, places).astype(float)
    note = {
        "weights": int(fitted.network.count_params()),
        "pixels": int(is_known.sum()) * len(parameters),
        "bandwidth": fitted.bandwidth,
        "held_out_chi2": fitted.held_out_chi2,
        "tried": {f"{k:g}": v for k, v in fitted.tried.items()},
    }
    return maps, modelled.reshape(*shape, -1), note


def _finished(values, units, misfit, n_used, flags, is_lost, magnify: int) -> ParameterMaps:
    """Return maps with chi2 and flags; those of a pixel are repeated where it is divided."""
    with np.errstate(divide="ignore", invalid="ignore"):
        chi2 = np.where(n_used > 0, misfit / n_used, np.nan)
        flags = flags | np.where(chi2 > 1 + _POOR * np.sqrt(2 / n_used), int(FitFlag.POOR_FIT), 0)

    def fine(array):
        return np.repeat(np.repeat(array, magnify, axis=0), magnify, axis=1)

    lost = fine(is_lost)
    values = {name: np.where(lost, np.nan, array) for name, array in values.items()}
    units = {name: units[name] for name in values}
    return ParameterMaps(values, units, {}, fine(chi2), fine(flags).astype(np.uint16))


def magnified_coordinates(wcs: Mapping[str, object], magnify: int) -> dict[str, object]:
    """Return FITS keywords of a map whose pixels were divided: CRPIX and CDELT are changed."""
    cards = dict(wcs)
    for axis in "12":
        if f"CRPIX{axis}" in cards:
            cards[f"CRPIX{axis}"] = (float(cards[f"CRPIX{axis}"]) - 0.5) * magnify + 0.5
        if f"CDELT{axis}" in cards:
            cards[f"CDELT{axis}"] = float(cards[f"CDELT{axis}"]) / magnify
    return cards


def main(argv: Sequence[str] | None = None) -> int:
    """Train the fields, write their maps, and return the exit status."""
    parser = config_parser(NeuralFieldConfig, __doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILES", help="polarised spectra of one map")
    arguments = parser.parse_args(argv)
    config = config_from(NeuralFieldConfig, arguments)
    if config.smoke:
        config = replace(config, **_SMOKE)
    cube = _opened(arguments.files, config)
    options = {k: v for k, v in asdict(config).items() if k != "output"}
    options["bandwidths"] = list(config.bandwidths)
    placed = replace(cube, wcs=magnified_coordinates(cube.wcs, config.magnify))
    maps = invert_in_blocks(
        placed,
        lambda part: fit_neural_maps(part, config, config.output),
        config.output,
        options=options,
        code=__file__,
        method="neural field",
        draw=lambda maps, folder: _draw(maps, placed, config.magnify, folder),
    )
    print(f"Neural field: {Path(config.output) / 'maps.fits'}")
    for text in (*summary_lines(maps), *_comparison(maps, cube, config.magnify)):
        print(text)
    return 0


def _opened(files: list[str], config: NeuralFieldConfig) -> SpectralCube:
    if files and config.image:
        raise ValueError(
            f"expected FILES of spectra or --image, got both ({files[0]}, ...); give one"
        )
    if config.image:
        return read_image_cube(config.image, noise=config.noise)
    if not files:
        return synthetic_cube(
            config.synthetic_field,
            LINES[config.line],
            size=config.size,
            sigma=config.noise or _SYNTHETIC_NOISE,
            seed=config.seed,
        )
    from dataset_models.spectra.read_spectra import read_spectra

    return read_spectra(
        files,
        window=config.window,
        stokes=config.stokes,
        wavelength_unit=config.wavelength_unit,
    )


def _comparison(maps: ParameterMaps, cube: SpectralCube, magnify: int) -> list[str]:
    """Return how far the maps, averaged over pixels, are from the truth of synthetic data."""
    lines = []
    for name in maps.values.keys() & cube.truth.keys() & {"B_los", "B_transverse"}:
        ny, nx = cube.shape
        mean = maps.values[name].reshape(ny, magnify, nx, magnify).mean(axis=(1, 3))
        rms = float(np.sqrt(np.nanmean((mean - cube.truth[name]) ** 2)))
        lines.append(f"  {name}: {rms:.3g} {maps.units[name]} rms from the truth")
    return sorted(lines)


def _draw(maps: ParameterMaps, cube: SpectralCube, magnify: int, folder: Path) -> None:
    from tools.plotting.inversion_maps import plot_parameter_maps
    from tools.plotting.style import save_figure

    what = " ".join(text for text in (cube.instrument, cube.line, cube.time) if text)
    if "image" in maps.values:
        image = cube.values[:, :, 0, 0]
        field = maps.values["image"]
        mean = field.reshape(cube.shape[0], magnify, cube.shape[1], magnify).mean(axis=(1, 3))
        coordinates = magnified_coordinates(cube.wcs, 1) if magnify == 1 else {}
        shown = {
            "image": (image, cube.unit, "positive" if np.nanmin(image) >= 0 else "signed"),
            "neural field": (mean, cube.unit, "positive" if np.nanmin(image) >= 0 else "signed"),
            "image less field": (image - mean, cube.unit, "signed"),
        }
        title = f"{what or 'image'} as a neural field"
        save_figure(plot_parameter_maps(shown, title, wcs=coordinates), folder / "field.png")
        return
    shown = {n: (maps.values[n], maps.units[n], k) for n, k in _KINDS.items() if n in maps.values}
    truth = cube.truth if magnify == 1 else {}
    finer = "" if magnify == 1 else f", {magnify} times as fine as the data"
    title = f"{what}: weak field as a neural field{finer}"
    figure = plot_parameter_maps(shown, title, truth=truth, wcs=cube.wcs)
    save_figure(figure, folder / "field.png")


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
