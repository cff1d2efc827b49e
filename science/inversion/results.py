"""Maps of fitted parameters: values, errors, chi2, flags; written as FITS with coordinates."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits

from tools.atomic_files import write_bytes
from tools.fitting.flags import FitFlag, flag_text

__all__ = ["ParameterMaps", "write_parameter_maps"]

# what FITS has no name for: its unit, and what values are multiplied by
_IN_FITS = {
    "mAngstrom": ("Angstrom", 1e-3),
    "counts": ("count", 1.0),
    "photons": ("photon", 1.0),
    "continuum": ("", 1.0),
}


@dataclass(frozen=True)
class ParameterMaps:
    """What an inversion found in every pixel.

    Attributes
    ----------
    values : dict of (y, x) float64
        By the parameter's name; NaN where there is no answer.
    units : dict of str
        As FITS writes them: ``"G"``, ``"km/s"``, ``""``.
    errors : dict of (y, x) float64
        One sigma, from the curvature including the prior; parameters without errors are left out.
    chi2 : (y, x) float64
        Mean over the values used of ((model - data) / sigma)^2.
    flags : (y, x) uint16
        Bits of ``FitFlag``.
    prior_share : dict of (y, x) float64
        Share of a parameter's information that came from the prior, 0 to 1; empty without one.
    """

    values: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    errors: Mapping[str, np.ndarray]
    chi2: np.ndarray
    flags: np.ndarray
    prior_share: Mapping[str, np.ndarray] = field(default_factory=dict)


def write_parameter_maps(
    path: str | Path,
    maps: ParameterMaps,
    *,
    wcs: Mapping[str, object],
    header: Mapping[str, object],
) -> None:
    """Write one FITS file in one step: an extension for each map, named as the parameter.

    Errors are named ``NAME_ERROR``, shares of the prior ``NAME_PRIOR``; then CHI2 and FLAGS. Units
    stand as FITS spells them: what is in mAngstrom here is in Angstrom there.

    Parameters
    ----------
    path : str or Path
    maps : ParameterMaps
    wcs : mapping
        FITS keywords of the two axes; may be empty.
    header : mapping
        Further keywords, in every extension: INSTRUME, DATE-OBS, METHOD, SYNTHET.
    """
    primary = fits.PrimaryHDU()
    primary.header.update(dict(header))
    hdus: list = [primary]

    def add(name: str, array: np.ndarray, unit: str, text: str) -> None:
        kind = array.dtype if array.dtype.kind in "iu" else np.dtype(np.float32)
        unit, factor = _IN_FITS.get(unit, (unit, 1.0))
        array = array * factor if factor != 1 else array
        hdu = fits.ImageHDU(np.ascontiguousarray(array, kind), name=name.upper())
        hdu.header.update({**wcs, **header, "BUNIT": unit, "QUANTITY": text})
        hdus.append(hdu)

    for name, array in maps.values.items():
        add(name, array, maps.units[name], name)
    for name, array in maps.errors.items():
        add(f"{name}_error", array, maps.units[name], f"error of one sigma of {name}")
    for name, array in maps.prior_share.items():
        add(f"{name}_prior", array, "", f"share of the prior in what is known of {name}")
    add("chi2", maps.chi2, "", "mean squared residual over sigma squared")
    add("flags", maps.flags.astype(np.uint16), "", "bits: see the cards FLAGn")
    for flag in FitFlag:
        hdus[-1].header[f"FLAG{flag.value}"] = flag_text(flag.value)
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    write_bytes(path, buffer.getvalue())
