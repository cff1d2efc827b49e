"""Invert Stokes profiles to Milne-Eddington atmospheres: field vector, velocity, line parameters.

    python science/inversion/milne_eddington.py
    python science/inversion/milne_eddington.py FILES... [--line 6301 6302] [--range 6300.9 6303.2]
    python science/inversion/milne_eddington.py FILES... --fix damping=0.3 --starts 6
    python science/inversion/milne_eddington.py FILES... --start network
    python science/inversion/milne_eddington.py FILES... --psf PSF.fits --psf-scale 0.16

Without FILES a synthetic active region of known truth is inverted. Writes maps.fits with
coordinates (nine parameters and the line-of-sight field with their errors, chi2 and flags), figures
and summary.json into --output; a stopped command that is repeated resumes. The field along the line
of sight is positive towards the observer, velocity away from the observer; azimuth runs from +Q to
+U with its ambiguity of 180 degrees.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tools.command_line import config_from, config_parser, quiet_start, run_script

_PIXELS = 5_000  # of a block of rows, about 5 s: what a stopped command loses
_KINDS = {"velocity": "signed", "line_of_sight_field": "signed", "azimuth": "angle"}
_FIELD = ("line_of_sight_field", "field_strength", "inclination", "azimuth")
_LINE = ("velocity", "doppler_width", "eta0", "damping")
_SOURCE = ("source_constant", "source_gradient")


def main(argv: Sequence[str] | None = None) -> int:
    """Invert and return the exit status."""
    with quiet_start():
        from science.inversion.atmosphere_maps import prepare_stokes
        from science.inversion.atmosphere_plan import AtmospherePlan
        from science.inversion.command import invert_in_blocks, summary_lines

    parser = config_parser(AtmospherePlan, __doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILES", help="Stokes profiles of one map")
    arguments = parser.parse_args(argv)
    plan = config_from(AtmospherePlan, arguments)
    cube = prepare_stokes(_opened(arguments.files, plan), plan)
    invert, rows = _inversion(cube, plan)
    maps = invert_in_blocks(
        cube,
        invert,
        plan.output,
        options={
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(plan).items()
            if name not in ("jobs", "output")
        },
        code=__file__,
        method="Milne-Eddington, " + " ".join(line.name for line in plan.lines),
        rows=rows,
        draw=lambda maps, folder: _draw(maps, folder, cube),
    )
    print(
        f"{cube.instrument or 'spectra'}: {cube.shape[0]} x {cube.shape[1]} pixels, "
        f"{len(cube.wavelength)} wavelengths from {cube.wavelength[0]:.3f} to "
        f"{cube.wavelength[-1]:.3f} angstrom; noise {np.nanmedian(cube.sigma):.3g} "
        f"{cube.unit} ({cube.header.get('NOISEFRO', 'no data')})"
    )
    read = () if cube.is_synthetic else cube.summary.lines()
    for line in (*read, *summary_lines(maps), *_truth_lines(maps, cube.truth)):
        print(line)
    print(f"Maps: {Path(plan.output) / 'maps.fits'}")
    return 0


def _inversion(cube, plan) -> tuple[Callable, int | None]:
    """Return how rows of a prepared cube are inverted, and the rows of a block.

    Pixel by pixel in blocks of rows. An inversion that couples pixels, as by a point-spread
    function, is chosen here: it returns its function and None, for the whole map at once.
    """
    from science.inversion.atmosphere_maps import invert_atmospheres, invert_coupled

    if plan.psf:
        spread = _point_spread(cube, plan)
        return lambda whole: invert_coupled(whole, plan, spread), None
    return lambda part: invert_atmospheres(part, plan), max(_PIXELS // cube.shape[1], 1)


def _point_spread(cube, plan):
    """Return the telescope's point-spread function, which must be on the map's pixels."""
    from tools.physics.point_spread import read_point_spread

    spread = read_point_spread(plan.psf, pixel_arcsec=plan.psf_scale or None)
    for axis in (1, 2):
        if f"CDELT{axis}" in cube.wcs:
            spread.require_scale(abs(float(cube.wcs[f"CDELT{axis}"])))
    if min(cube.shape) < max(spread.kernel.shape) // 2:
        raise ValueError(
            f"--psf {plan.psf} has {spread.kernel.shape[0]} x {spread.kernel.shape[1]} pixels, the "
            f"map {cube.shape[0]} x {cube.shape[1]}; cut the function, or take a larger map"
        )
    return spread


def _opened(files: list[str], plan):
    """Return the cube of the files, or the synthetic one."""
    if files:
        from dataset_models.spectra.read_spectra import read_spectra

        return read_spectra(
            files, window=plan.window, stokes=plan.stokes, wavelength_unit=plan.wavelength_unit
        )
    from science.inversion.synthetic_atmospheres import synthetic_active_region

    noise = plan.noise or 1e-3  # of the continuum, as Hinode/SP
    spread = None
    if plan.psf:
        from tools.physics.point_spread import read_point_spread

        spread = read_point_spread(plan.psf, pixel_arcsec=plan.psf_scale or None)
    return synthetic_active_region(
        plan.size, seed=plan.seed, noise=noise, point_spread=spread, n_jobs=plan.jobs
    )


def _truth_lines(maps, truth) -> list[str]:
    """Return how far the maps lie from what a synthetic cube was made of."""
    lines = []
    for name, true in truth.items():
        if name in maps.values:
            away = maps.values[name] - true
            if name == "azimuth":
                away = (away + 90) % 180 - 90
            away = np.abs(away[np.isfinite(away)])
            if not len(away):
                continue
            unit = f" {maps.units[name]}" if maps.units[name] else ""
            text = f"  {name} against the truth: median error {np.median(away):.3g}{unit}"
            if name in maps.errors:
                ratio = away / maps.errors[name][np.isfinite(maps.values[name])]
                inside = np.mean(ratio[np.isfinite(ratio)] < 1)
                text += f", {100 * inside:.0f} % within the error of one sigma"
            lines.append(text)
    return lines


def _draw(maps, folder: Path, cube) -> None:
    from tools.plotting.inversion_maps import plot_flags, plot_parameter_maps
    from tools.plotting.style import save_figure

    what = ", ".join(part for part in (cube.instrument, cube.line, cube.time) if part) or "Stokes"

    def panels(names: Sequence[str], of: dict, text: str = "") -> dict:
        return {
            text + n: (of[n], maps.units[n], "positive" if text else _KINDS.get(n, "positive"))
            for n in names
            if n in of
        }

    errors = panels([*_FIELD, *_LINE, *_SOURCE], maps.errors, "error of ")
    errors["chi2"] = (maps.chi2, "per degree of freedom", "positive")
    draw = {
        "field": (panels(_FIELD, maps.values), "magnetic field (line of sight: + towards us)"),
        "line": (panels(_LINE, maps.values), "velocity (+ away from us) and line"),
        "source_function": (panels(_SOURCE, maps.values), "source function S0 + S1 tau"),
        "errors": (errors, "errors of one sigma"),
    }
    for name, (shown, text) in draw.items():
        truth = cube.truth if name != "errors" else {}
        title = f"{what}: Milne-Eddington, {text}"
        save_figure(
            plot_parameter_maps(shown, title, truth=truth, wcs=cube.wcs), folder / f"{name}.png"
        )
    figure = plot_flags(maps.flags, f"{what}: flags of the fits", wcs=cube.wcs)
    save_figure(figure, folder / "flags.png")


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
