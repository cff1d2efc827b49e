"""Maps on disk: FITS with the image's coordinates, one layer per channel."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from astropy.io import fits

from tools.atomic_files import write_bytes
from tools.channels import channel_name

__all__ = ["half_field", "write_map_fits"]

_USUAL_RADIUS_ARCSEC = 960.0
_FULL_DISC = 1.28  # half of a full AIA image, solar radii


def half_field(wcs: dict, size: int) -> float:
    """Give half the width of an image in solar radii, by the radius that its file names."""
    radius = float(wcs.get("RSUN_OBS", _USUAL_RADIUS_ARCSEC))
    return float(wcs["CDELT1"]) * size / 2 / radius if "CDELT1" in wcs else _FULL_DISC


def write_map_fits(
    path: str | Path,
    values: np.ndarray,
    *,
    channels: tuple,
    wcs: dict,
    unit: str,
    header: dict[str, object],
) -> None:
    """Write a map, one extension per channel, in one step.

    Parameters
    ----------
    values : (y, x, channel or 1) float
        Row 0 is the southern edge.
    channels : tuple
        Names of the image's channels; a map with one layer is called ``all``.
    wcs : dict
        FITS keywords of the coordinates.
    unit : str
        BUNIT.
    header : dict
        Further keywords of 8 letters at most: METHOD, MODEL, TARGET, BASELINE and so on.
    """
    names = channels if values.shape[-1] == len(channels) else ("all",)
    primary = fits.PrimaryHDU()
    for key, value in header.items():
        primary.header[key] = value
    hdus = [primary]
    for k, name in enumerate(names):
        hdu = fits.ImageHDU(np.ascontiguousarray(values[..., k], np.float32), name=str(name))
        for key, value in {**wcs, "BUNIT": unit, **header}.items():
            hdu.header[key] = value
        if isinstance(name, int):
            hdu.header["WAVELNTH"] = (name, "angstrom")
        hdu.header["CHANNEL"] = channel_name(name).replace("Å", "angstrom")
        hdus.append(hdu)
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    write_bytes(path, buffer.getvalue())
