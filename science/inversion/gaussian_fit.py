"""Fit Gaussians to the spectral lines of a map: amplitude, velocity, width, continuum, errors.

    python science/inversion/gaussian_fit.py
    python science/inversion/gaussian_fit.py FILES... [--window WINDOW] [--line WAVELENGTH]
    python science/inversion/gaussian_fit.py FILES... --components 2 --tie width_2=width_1
    python science/inversion/gaussian_fit.py FILES... --prior gradient --minimum-width 0.03

Without FILES a synthetic map of Si IV 1394 of known truth is fitted. Velocities are positive away
from the observer; zero is --rest, or the median of the field. Writes maps.fits with coordinates,
summary.json and figures into --output; a stopped command that is repeated resumes.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.command_line import config_from, config_parser, quiet_start, run_script

logger = logging.getLogger(__name__)

_PIXELS = 100_000  # of a block of rows: what a stopped command loses


def main(argv: Sequence[str] | None = None) -> int:
    """Fit and return the exit status."""
    with quiet_start():
        from science.inversion.command import invert_in_blocks, summary_lines
        from science.inversion.gaussian_maps import invert_lines, prepare_lines
        from science.inversion.gaussian_plan import GaussianPlan

    parser = config_parser(GaussianPlan, __doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILES", help="spectra of one instrument")
    arguments = parser.parse_args(argv)
    plan = config_from(GaussianPlan, arguments)
    prepared = prepare_lines(_opened(arguments.files, plan), plan)
    cube = prepared.cube
    result = invert_in_blocks(
        cube,
        lambda part: invert_lines(part, plan, prepared, progress=_report),
        plan.output,
        options={
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(plan).items()
            if name not in ("jobs", "output")
        },
        code=__file__,
        method="Gaussian" + ("" if plan.prior == "none" else f", {plan.prior} prior"),
        rows=max(_PIXELS // cube.shape[1], 1) if plan.prior == "none" else None,
        draw=lambda maps, folder: _draw(maps, folder, cube, plan),
    )
    kind = "absorption" if prepared.is_absorption else "emission"
    print(
        f"{cube.instrument or 'spectra'}: {cube.shape[0]} x {cube.shape[1]} pixels, "
        f"{len(cube.wavelength)} wavelengths from {cube.wavelength[0]:.3f} to "
        f"{cube.wavelength[-1]:.3f} angstrom, {kind}"
    )
    rest = ", ".join(f"{wavelength:.4f}" for wavelength in prepared.rest)
    origin = "--rest" if plan.rest else "median of the field"
    print(f"  velocity 0 at {rest} angstrom ({origin}); positive away from the observer")
    read = () if cube.is_synthetic else cube.summary.lines()
    for line in (*read, *summary_lines(result), *_truth_lines(result, cube.truth)):
        print(line)
    print(f"Maps: {Path(plan.output) / 'maps.fits'}")
    return 0


def _report(step: int) -> None:
    logger.info("step %d of the fit with a prior", step)


def _opened(files: list[str], plan):
    """Return the cube of the files, or the synthetic one."""
    if files:
        from dataset_models.spectra.read_spectra import read_spectra

        return read_spectra(
            files, window=plan.window, stokes=plan.stokes, wavelength_unit=plan.wavelength_unit
        )
    from science.inversion.synthetic_line_map import synthetic_line_map

    return synthetic_line_map(plan.size, seed=plan.seed)


def _truth_lines(maps, truth) -> list[str]:
    """Return how far the maps lie from what a synthetic cube was made of."""
    lines = []
    for name, true in truth.items():
        if name in maps.values:
            away = maps.values[name] - true
            away = away[np.isfinite(away)]
            rms, median = np.sqrt(np.mean(away**2)), np.median(np.abs(away))
            unit = f" {maps.units[name]}" if maps.units[name] else ""
            lines.append(f"  {name} against the truth: rms {rms:.3g}{unit}, median {median:.3g}")
    return lines


def _draw(maps, folder: Path, cube, plan) -> None:
    from tools.plotting.inversion_maps import plot_flags, plot_parameter_maps
    from tools.plotting.style import save_figure

    what = f"{cube.instrument} {cube.line}".strip() or "Spectra"
    if cube.time:
        what += f", {cube.time}"
    kinds = {n: "signed" if n.startswith("velocity") else "positive" for n in maps.values}
    shown = [n for n in maps.values if not n.startswith("width")]  # doppler_width shows the same
    panels = {n: (maps.values[n], maps.units[n], kinds[n]) for n in shown}
    errors = {f"error of {n}": (maps.errors[n], maps.units[n], "positive") for n in shown}
    errors["chi2"] = (maps.chi2, "per degree of freedom", "positive")
    title = f"{what}: Gaussian fits; velocity is positive away from the observer"
    draw = {
        "maps": plot_parameter_maps(panels, title, truth=cube.truth, wcs=cube.wcs),
        "errors": plot_parameter_maps(errors, f"{what}: errors of one sigma", wcs=cube.wcs),
        "flags": plot_flags(maps.flags, f"{what}: flags of the Gaussian fits", wcs=cube.wcs),
    }
    if maps.prior_share:
        shares = {n: (share, "", "share") for n, share in maps.prior_share.items()}
        title = f"{what}: share of the prior in what is known"
        draw["prior_shares"] = plot_parameter_maps(shares, title, wcs=cube.wcs)
    for name, figure in draw.items():
        save_figure(figure, folder / f"{name}.png")


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
