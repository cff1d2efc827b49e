"""Reads a Ca II 8542 scan of IBIS in the form that mcalf publishes, and that package's results."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_models.fits_files.cards import header_cards
from dataset_models.fits_files.opening import opened_hdus
from dataset_models.fits_files.values import pixel_values
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.wavelength_axis import (
    in_angstrom,
    increasing,
    read_wavelength_file,
)

__all__ = ["read_ibis", "read_ibis_results"]

_MAPS = ("VLOSA", "VLOSQ", "CHI2", "CLASSIFICATIONS")


def read_ibis(path: str | Path, *, wavelengths: str | Path | None = None) -> SpectralCube:
    """Read a cube (wavelength, y, x) as (y, x, 1, wavelength) in counts.

    The file has no header: time, place and noise are unknown, so ``time`` and ``wcs`` are empty and
    ``sigma`` is None.

    Parameters
    ----------
    path : path
    wavelengths : path, optional
        Text, one number per line in angstrom; ``wavelengths.txt`` beside the file by default.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    DataIntegrityError
        If the cube has other axes than three, or not one image for each wavelength.
    """
    path = Path(path)
    axis = read_wavelength_file(wavelengths or path.with_name("wavelengths.txt"))
    with opened_hdus(path) as hdus:
        cards, shape = header_cards(hdus[0].header), hdus[0].shape
        if len(shape) != 3 or shape[0] != len(axis):
            raise DataIntegrityError(
                f"{path.name}: expected ({len(axis)} wavelengths, y, x), got {shape}; give the "
                "wavelengths of this cube"
            )
        found = pixel_values(hdus[0], cards, path.name, shape=shape)
    axis, remark = in_angstrom(axis, "", path.name)
    axis, order, unordered = increasing(axis, path.name)
    texts = (found.mended(path.name), remark, unordered)
    return SpectralCube(
        np.moveaxis(found.data[order], 0, 2)[:, :, None],
        axis,
        unit="counts",
        instrument="DST/IBIS",
        line="Ca II 8542",
        summary=ReadingSummary(1, mended=tuple(text for text in texts if text)),
    )


def read_ibis_results(path: str | Path) -> dict[str, np.ndarray]:
    """Read what mcalf fitted to a scan: maps (y, x) float64 by name.

    ``VLOSA`` (the emission, "active") and ``VLOSQ`` (the absorption, "quiescent") are km/s, > 0
    away from the observer: v = 300,000 (wavelength - 8542.099) / 8542.099, measured from the file's
    own PARAMETERS. NaN where there is none: VLOSA in 47 % of the pixels of the published map, whose
    VLOSQ is clipped at 5.268. ``CHI2`` is unweighted, in squared counts; ``CLASSIFICATIONS`` are
    classes 0 to 4.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If a map is missing or the maps differ in size.
    """
    path = Path(path)
    with opened_hdus(path) as hdus:
        held = {hdu.name: hdu.data for hdu in hdus if hdu.is_image and hdu.data is not None}
        maps = {name: np.asarray(held[name], float) for name in _MAPS if name in held}
    shapes = {a.shape for a in maps.values()}
    if len(maps) != len(_MAPS) or len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise DataIntegrityError(
            f"{path.name}: expected maps {', '.join(_MAPS)} of one size, got "
            f"{', '.join(f'{name} {a.shape}' for name, a in maps.items()) or 'none of them'}; give "
            "results of mcalf"
        )
    return maps
