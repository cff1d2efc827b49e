"""Reads a scan of Hinode's spectro-polarimeter that was published as Stokes I in 8 bits (.npz)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.npz_archive import opened_npz
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.wavelength_axis import in_angstrom, increasing

__all__ = ["read_hinode_sp_8bit"]

_STEP = 1.0  # of the stored integers
_FULL = 255
# of the continuum in a normal map, as Lites et al. (2008, ApJ 672, 1237) have it for polarisation
_PHOTON_NOISE = 1.2e-3


def read_hinode_sp_8bit(path: str | Path) -> SpectralCube:
    """Read ``data`` (y, wavelength, x) uint8 and ``wav``, as an (y, x, 1, wavelength) cube.

    Eight bits cost: rounding to whole numbers adds an error of 1 / sqrt(12) = 0.29 steps, 0.16 % of
    a continuum of 180, to noise of the photons of about 0.12 %; what is fainter than that in one
    pixel is lost. ``sigma`` is both errors added in quadrature. Values of 255 are cut off: NaN, and
    their pixels are marked as saturated. The unit is arbitrary.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it lacks an array, or the shapes don't fit.
    """
    path = Path(path)
    with opened_npz(path) as arrays:
        if not {"data", "wav"} <= set(arrays.files):
            raise DataIntegrityError(
                f"{path.name}: expected arrays data and wav, got {', '.join(arrays.files)}; "
                "read it as plain spectra"
            )
        stored, wavelength = arrays["data"], arrays["wav"]
        scale = float(arrays["pixel_size"]) if "pixel_size" in arrays.files else np.nan
    if stored.ndim != 3 or stored.dtype != np.uint8 or stored.shape[1] != len(wavelength):
        raise DataIntegrityError(
            f"{path.name}: expected data (y, {len(wavelength)} wavelengths, x) uint8, got "
            f"{stored.shape} {stored.dtype}; read it as plain spectra"
        )
    wavelength, _ = in_angstrom(wavelength, "", path.name)
    wavelength, order, unordered = increasing(wavelength, path.name)
    values = np.moveaxis(stored, 1, 2)[..., order].astype(float)
    full = values == _FULL
    values[full] = np.nan
    continuum = float(np.nanmedian(np.nanmax(values, axis=2)))
    photons = _PHOTON_NOISE * np.sqrt(values / continuum) * continuum
    sigma = np.sqrt(_STEP**2 / 12 + photons**2)
    notes = ("8 bits: rounding adds an error of 0.29 steps, more than that of the photons",)
    mended = (unordered,) if unordered else ()
    header = {"BITS": 8, "ROUNDING": _STEP / 12**0.5, "CONTINUUM": continuum}
    return SpectralCube(
        values[:, :, None],
        wavelength,
        sigma=sigma[:, :, None],
        saturated=full.any(2),
        unit="DN",
        instrument="Hinode/SOT-SP",
        line="Fe I 6301/6302",
        header=header | ({"YSCALE": scale, "XSCALE": scale} if np.isfinite(scale) else {}),
        summary=ReadingSummary(1, mended=mended, notes=notes),
    )
