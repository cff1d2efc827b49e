"""Gaussian fits by eispac (MPFIT), in its own environment; run by ``benchmarks/gaussian_fit.py``.

python benchmarks/peer_eispac.py GIVEN.npz MADE.npz

Fits spectra that are given, and those of the EIS file that eispac's wheel carries by some of its
own templates, as its users do, in one process.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import eispac
import numpy as np

_DATA = Path(eispac.__file__).parent / "data"
_FILE = _DATA / "test" / "eis_20210306_064444.data.h5"


def _fit_given(wavelength, data, sigma, start) -> tuple[object, float]:
    """Fit spectra (spectrum, wavelength) with one Gaussian on a level; return fit and seconds."""
    names = ("value", "fixed", "limited", "limits", "tied")
    limits = ([1, 0], [0, 0], [1, 0], [0, 0])
    parinfo = [
        dict(zip(names, (value, 0, limited, [1e-3 * (k == 2), 0], ""), strict=True))
        for k, (value, limited) in enumerate(zip(start, limits, strict=True))
    ]
    template = {
        "line_ids": np.array(["line"]),
        "component": 1,
        "n_gauss": 1,
        "n_poly": 1,
        "wmin": wavelength[0],
        "wmax": wavelength[-1],
        "fit": np.array(start),
    }
    begun = time.perf_counter()
    fit = eispac.fit_spectra(
        data,
        template,
        parinfo=parinfo,
        wave=np.broadcast_to(wavelength, data.shape).copy(),
        errs=sigma,
        ncpu=1,
    )
    return fit, time.perf_counter() - begun


def _fit_file(name: str) -> dict[str, np.ndarray]:
    """Fit the wheel's own file with a template; return the spectra, limits and fit."""
    template = eispac.read_template(_DATA / "templates" / f"{name}.template.h5")
    cube = eispac.read_cube(_FILE, window=float(template.central_wave))
    begun = time.perf_counter()
    fit = eispac.fit_spectra(cube, template, ncpu=1)
    seconds = time.perf_counter() - begun
    lower, upper = np.full(len(template.parinfo), -np.inf), np.full(len(template.parinfo), np.inf)
    for k, one in enumerate(template.parinfo):
        if one["limited"][0]:
            lower[k] = one["limits"][0]
        if one["limited"][1]:
            upper[k] = one["limits"][1]
    sigma = np.where(cube.mask, 0.0, cube.uncertainty.array)
    in_range = cube.wavelength >= template.template["wmin"]
    in_range &= cube.wavelength <= template.template["wmax"]
    return {
        "wavelength": cube.wavelength,
        "data": np.where(cube.mask, 0.0, cube.data),
        "sigma": np.where(in_range, sigma, 0.0),
        "lower": lower,
        "upper": upper,
        "tied": np.array([str(one["tied"]).strip() for one in template.parinfo]),
        "n_gauss": np.array(template.template["n_gauss"]),
        "n_poly": np.array(template.template["n_poly"]),
        "params": fit.fit["params"],
        "chi2": fit.fit["chi2"],
        "status": fit.fit["status"],
        "seconds": np.array(seconds),
    }


def main() -> None:
    """Fit what is given and what the wheel carries."""
    with np.load(sys.argv[1]) as given:
        arrays = {name: given[name] for name in given.files}
    spectra = arrays["wavelength"], arrays["data"], arrays["sigma"], arrays["start"]
    _fit_given(spectra[0], spectra[1][:20], spectra[2][:20], spectra[3])
    fit, seconds = _fit_given(*spectra)
    made = {"params": fit.fit["params"][:, 0], "seconds": np.array(seconds)}
    for name in arrays["templates"]:
        made |= {f"{name}/{key}": value for key, value in _fit_file(str(name)).items()}
    np.savez(sys.argv[2], **made)


if __name__ == "__main__":
    main()
