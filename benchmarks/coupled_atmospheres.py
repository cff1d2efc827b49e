"""What a telescope costs a Milne-Eddington map, and what fitting all pixels together wins back.

python benchmarks/coupled_atmospheres.py [--size 128] [--psf FILE --psf-scale 0.16] [--picture PNG]

A synthetic active region behind the telescope's point-spread function is fitted pixel by pixel and
coupled. Without --psf a Gaussian of 0.32 arcsec stands for Hinode's. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import time
from pathlib import Path

import numpy as np

from science.inversion.coupled_atmospheres import fit_coupled_atmospheres
from science.inversion.synthetic_atmospheres import synthetic_active_region
from tools.physics.milne_eddington import PARAMETERS
from tools.physics.point_spread import gaussian_point_spread, read_point_spread

__all__ = ["main"]

_PIXEL_ARCSEC, _FWHM_ARCSEC = 0.16, 0.32
_QUIET_G = 300.0


def main(argv: list[str] | None = None) -> dict:
    """Run the comparison and return its figures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="pixels along a side")
    parser.add_argument("--seed", type=int, default=100, help="of the map and its noise")
    parser.add_argument("--psf", default="", help="file of a point-spread function")
    parser.add_argument("--psf-scale", type=float, default=_PIXEL_ARCSEC, help="arcsec")
    parser.add_argument("--picture", default="", help="PNG to write")
    arguments = parser.parse_args(argv)
    spread = gaussian_point_spread(_FWHM_ARCSEC, _PIXEL_ARCSEC)
    if arguments.psf:
        spread = read_point_spread(arguments.psf, pixel_arcsec=arguments.psf_scale)
    spread.require_scale(_PIXEL_ARCSEC)
    cube = synthetic_active_region(arguments.size, seed=arguments.seed, point_spread=spread)
    start = time.perf_counter()
    found = fit_coupled_atmospheres(cube.wavelength, cube.values, cube.sigma, spread)
    seconds = time.perf_counter() - start
    truth = np.stack([cube.truth[name] for name in PARAMETERS], axis=-1)
    maps = {"truth": truth, "pixel by pixel": found.uncoupled, "coupled": found.values}
    quiet = truth[..., 0] < _QUIET_G
    out = {
        "map": f"synthetic, {arguments.size} x {arguments.size} pixels, seed {arguments.seed}",
        "telescope": Path(arguments.psf).name or f"Gaussian of {_FWHM_ARCSEC} arcsec",
        "seconds": round(seconds, 1),
        "peak MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "prior weight": found.prior_weight,
        "chi2": round(float(np.nanmean(found.chi2)), 4),
        "not converged": round(float(np.mean((found.flags & 4) != 0)), 4),
        **{name: _figures(own, truth, quiet) for name, own in maps.items()},
    }
    if arguments.picture:
        _draw(maps, Path(arguments.picture), cube.wcs)
    print(json.dumps(out))
    return out


def _figures(own: np.ndarray, truth: np.ndarray, quiet: np.ndarray) -> dict[str, float]:
    """Return contrast and velocity of the quiet Sun, and rms errors, of finite pixels."""
    continuum, velocity = own[..., 7] + own[..., 8], own[..., 3]
    along, true = (m[..., 0] * np.cos(np.radians(m[..., 1])) for m in (own, truth))

    def rms(values: np.ndarray) -> float:
        return float(np.sqrt(np.nanmean(values**2)))

    return {
        "continuum contrast": round(
            float(np.nanstd(continuum[quiet]) / np.nanmean(continuum[quiet])), 4
        ),
        "velocity rms km/s": round(float(np.nanstd(velocity[quiet])), 3),
        "error of velocity km/s": round(rms(velocity - truth[..., 3]), 3),
        "error of line-of-sight field G": round(rms(along - true), 1),
        "largest field G": round(float(np.nanmax(own[..., 0]))),
    }


def _draw(maps: dict[str, np.ndarray], path: Path, wcs: dict) -> None:
    from tools.plotting.inversion_maps import plot_parameter_maps
    from tools.plotting.style import save_figure

    panels, truth = {}, {}
    shown = {
        "continuum": (lambda m: m[..., 7] + m[..., 8], "", "positive"),
        "velocity": (lambda m: m[..., 3], "km/s", "signed"),
    }
    for quantity, (of, unit, kind) in shown.items():
        for name in ("pixel by pixel", "coupled"):
            panels[f"{quantity}, {name}"] = of(maps[name]), unit, kind
            truth[f"{quantity}, {name}"] = of(maps["truth"])
    title = "Synthetic active region behind a telescope (velocity: + away from us)"
    save_figure(plot_parameter_maps(panels, title, truth=truth, wcs=wcs), path)


if __name__ == "__main__":
    main()
