"""Gaussian fits of real spectra, and whether they give what is known of these observations.

python benchmarks/real_lines.py [--data ../shared/data] [--only hinode_sot fiss ibis hinode_sp iris]

Each observation is fitted as the command fits it. What is compared with stands beside each number:
another camera, the analysis that was published with the file, the physics of granulation and of
penumbrae. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.spectra.read_spectra import read_spectra
from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.gaussian_maps import invert_lines, prepare_lines
from science.inversion.gaussian_plan import GaussianPlan
from science.inversion.results import ParameterMaps
from tools.fitting.flags import FitFlag, flag_shares
from tools.physics.gaussian_line import fit_gaussian_lines
from tools.physics.line_moments import LIGHT_SPEED_KM_S

DATA = Path(__file__).parents[2] / "shared" / "data"
_SPOT, _RING, _FAR = (200, 132), (45, 75), 140  # row and column; pixels: PROVENANCE.md, measured
_FISS_OFFSET = (9, -2)  # slit, scan of Ca II against H alpha
_IBIS_REST = 8542.099  # angstrom: what the published velocities vanish at


def fit_file(paths: Sequence[Path], **options) -> tuple[SpectralCube, ParameterMaps]:
    """Return the cube as it was fitted and its maps."""
    window = options.pop("window", "")
    plan = GaussianPlan(window=window, **options)
    prepared = prepare_lines(read_spectra(paths, window=window), plan)
    return prepared.cube, invert_lines(prepared.cube, plan, prepared)


def hinode_sot(data: Path) -> dict:
    """Fit nine frames of Fe I 5576: granulation far from a spot, Evershed flow in its penumbra."""
    _, maps = fit_file(sorted((data / "hinode_sot").glob("FG*.fits.gz")))
    velocity = maps.values["velocity"]
    row, column = np.indices(velocity.shape)
    row, column = row - _SPOT[0], column - _SPOT[1]
    radius = np.hypot(row, column)
    ring = (radius > _RING[0]) & (radius < _RING[1])
    steep = np.abs(row) > np.abs(column)
    return {
        "granulation rms km/s": _rms(velocity[radius > _FAR]),
        "penumbra, limb side km/s": _mean(velocity[ring & steep & (row > 0)]),
        "penumbra, disc centre side km/s": _mean(velocity[ring & steep & (row < 0)]),
        "flags": flag_shares(maps.flags),
    }


def fiss(data: Path) -> dict:
    """Compare H alpha and Ca II 8542 of one spot, seen by two cameras at one time."""
    folder = data / "spectra" / "fiss"
    out, velocities = {}, []
    for name, camera in (("H alpha", "A1"), ("Ca II 8542", "B1")):
        _, maps = fit_file(sorted(folder.glob(f"*_{camera}_c.fts")))
        velocities.append(maps.values["velocity"])
        out[f"{name} rms km/s"] = _rms(velocities[-1])
        out[f"{name} flags"] = flag_shares(maps.flags)
    best, place = -1.0, (0, 0)
    for shift in np.ndindex(21, 21):
        offset = (shift[0] - 5, shift[1] - 10)
        r = _correlation(*_overlap(*velocities, offset))
        if r > best:
            best, place = r, offset
    out["r at (9, -2)"] = _correlation(*_overlap(*velocities, _FISS_OFFSET))
    out["largest r"], out["at"] = best, place
    return out


def ibis(data: Path) -> dict:
    """Compare Ca II 8542 in a spot with the velocities that were published with the file.

    Those are of an absorption profile with a profile in emission in its core, in pixels that were
    classified as such (2 to 4, of growing emission).
    """
    folder = data / "spectra" / "ibis8542"
    with fits.open(folder / "results.fits") as hdus:
        published = np.asarray(hdus["VLOSA"].data, float)
        kind = np.asarray(hdus["CLASSIFICATIONS"].data)
    _, maps = fit_file(
        [folder / "spectra.fits"],
        components=2,
        range=(8540.9, 8543.4),
        rest=(_IBIS_REST, _IBIS_REST),
        bound=(
            "amplitude_2=0:inf",
            "centre_1=8541.9:8542.3",
            "centre_2=8541.8:8542.4",
            "width_1=0.08:0.6",
            "width_2=0.05:0.25",
        ),
        starts=6,
    )
    velocity, out = maps.values["velocity_1"], {}
    chosen = {"all that it fitted": kind >= 2, "bright cores (class 4)": kind == 4}
    for name, where in chosen.items():
        good = where & np.isfinite(published) & np.isfinite(velocity)
        away = (velocity - published)[good]
        out[name] = {
            "pixels": int(good.sum()),
            "r": _correlation(velocity[good], published[good]),
            "offset km/s": round(float(np.median(away)), 3),
            "scatter km/s": round(float(1.4826 * np.median(np.abs(away - np.median(away)))), 3),
        }
    out["flags"] = flag_shares(maps.flags)
    return out


def hinode_sp(data: Path) -> dict:
    """Fit Fe I 6301 in Stokes I of 8 bits: velocity, width, and what the rounding costs."""
    cube, maps = fit_file([data / "spectra" / "hinode_sp" / "hinode_data.npz"], line=(6301.5,))
    spectra = cube.values[:, :, 0]
    fit = fit_gaussian_lines(cube.wavelength, spectra, is_absorption=True)
    steps = np.unique(spectra[np.isfinite(spectra)])
    step = float(np.min(np.diff(steps)))  # of the 8 bits, in the cube's unit
    exact = fit.spectra(cube.wavelength)
    again = fit_gaussian_lines(cube.wavelength, np.round(exact / step) * step, is_absorption=True)
    speed = LIGHT_SPEED_KM_S / float(cube.wavelength.mean())
    velocity = maps.values["velocity"]
    return {
        "velocity rms km/s": _rms(velocity),
        "doppler width km/s": round(float(np.nanmedian(maps.values["doppler_width"])), 3),
        "rounding: velocity rms km/s": _rms((again["centre"] - fit["centre"]) * speed),
        "rounding: doppler width rms km/s": _rms(
            (again["width"] - fit["width"]) * speed * np.sqrt(2)
        ),
        "error of one sigma km/s": round(float(np.nanmedian(maps.errors["velocity"])), 4),
        "flags": flag_shares(maps.flags),
    }


def iris(data: Path) -> dict:
    """Fit a raster whose ultraviolet lines fill one value: widths must not be claimed."""
    paths, out = sorted((data / "inversion" / "iris").glob("*raster*.fits")), {}
    for window in ("Si IV 1394", "Si IV 1403"):
        cube, maps = fit_file(paths, window=window, profile="emission")
        if "IRIS" not in cube.instrument.upper():  # another reader knows nothing of its traps
            raise ValueError(f"expected spectra of a known kind (IRIS), got {cube.instrument!r}")
        bright = _is_bright(cube)
        unresolved = (maps.flags & FitFlag.UNRESOLVED) != 0
        claimed = np.isfinite(maps.values["width"])
        out[window] = {
            "bright pixels": int(bright.sum()),
            "unresolved of these": round(float(unresolved[bright].mean()), 3),
            "claimed and unflagged": round(float((claimed & (maps.flags == 0))[bright].mean()), 3),
            "flags": flag_shares(maps.flags),
        }
    return out


def _is_bright(cube: SpectralCube) -> np.ndarray:
    """Return where the highest value is among the upper fifth of all pixels'."""
    with np.errstate(invalid="ignore"):
        highest = np.nanmax(np.where(np.isfinite(cube.values), cube.values, -np.inf), axis=(2, 3))
    seen = np.isfinite(highest)
    return seen & (highest >= np.percentile(highest[seen], 80))


def _overlap(a: np.ndarray, b: np.ndarray, offset: tuple[int, int]):
    """Return the common part of two maps of which the second is shifted."""
    (dy, dx), height, width = offset, min(len(a), len(b)), min(a.shape[1], b.shape[1])
    here = a[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    there = b[max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    return here, there


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    good = np.isfinite(a) & np.isfinite(b)
    return round(float(np.corrcoef(a[good], b[good])[0, 1]), 3)


def _rms(values: np.ndarray) -> float:
    return round(float(np.nanstd(values)), 4)


def _mean(values: np.ndarray) -> float:
    return round(float(np.nanmean(values)), 3)


OBSERVATIONS: dict[str, Callable[[Path], dict]] = {
    "hinode_sot": hinode_sot,
    "fiss": fiss,
    "ibis": ibis,
    "hinode_sp": hinode_sp,
    "iris": iris,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, print, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", nargs="*", choices=OBSERVATIONS, default=list(OBSERVATIONS))
    arguments = parser.parse_args(argv)
    outcome = {}
    for name in arguments.only:
        outcome[name] = OBSERVATIONS[name](arguments.data)
        print(name)
        for key, value in outcome[name].items():
            print(f"  {key}: {value}")
    print(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
