"""Maps on disk: FITS with the image's coordinates, one layer per channel."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.own_grid import OwnGrid
from tools.atomic_files import write_bytes
from tools.channels import HMI_CHANNELS, channel_name

__all__ = ["fits_unit", "half_field", "write_map_fits", "write_own_grid_fits"]

_USUAL_RADIUS_ARCSEC = 960.0
_FULL_DISC = 1.28  # half of a full AIA image, solar radii
_LARGEST_PLAIN = 1 << 20  # pixels


def half_field(wcs: dict, size: int) -> float:
    """Return half the width of an image in solar radii, by the radius that its file names."""
    radius = float(wcs.get("RSUN_OBS", _USUAL_RADIUS_ARCSEC))
    return float(wcs["CDELT1"]) * size / 2 / radius if "CDELT1" in wcs else _FULL_DISC


def write_map_fits(
    path: str | Path,
    frames: list[tuple[np.ndarray, dict]],
    *,
    channels: tuple,
    unit: str,
    header: dict[str, object],
) -> None:
    """Write a map, one extension per channel and frame, in one step.

    Parameters
    ----------
    frames : list of (map, wcs)
        The newest first: (y, x, channel or 1) float, row 0 the southern edge, and the FITS keywords
        of its coordinates. Extensions of an earlier frame end in ``_EARLIER1`` and so on.
    channels : tuple
        Names of the image's channels; a map with one layer is called ``all``.
    unit : str
        As in ``fits_unit``.
    header : dict
        Further keywords of 8 letters at most: METHOD, MODEL, TARGET, BASELINE and so on.
    """
    hdus = [_primary(header)]
    for frame, (values, wcs) in enumerate(frames):
        names = channels if values.shape[-1] == len(channels) else ("all",)
        for k, name in enumerate(names):
            cards = {**wcs, **fits_unit(unit), "FRAME": -frame, **header}
            hdu = _layer(values[..., k], name, cards)
            hdu.name = f"{name}_EARLIER{frame}" if frame else str(name)
            hdus.append(hdu)
    _write(path, hdus)


def write_own_grid_fits(
    path: str | Path,
    values: np.ndarray,
    grids: tuple[OwnGrid, ...],
    *,
    channels: tuple,
    unit: str,
    header: dict[str, object],
) -> None:
    """Write a map on the grids of the files that the image was made of, one extension each.

    Parameters
    ----------
    values : (y, x, channel or 1) float
        On the network's grid.
    grids : tuple of OwnGrid
    channels, unit, header
        As for ``write_map_fits``.
    """
    hdus = [_primary(header)]
    for grid in grids:
        one_layer = values.shape[-1] == 1
        for k in (0,) if one_layer else grid.channels:
            name = "all" if one_layer else channels[k]
            if len(grid.channels) == 1:
                name = channels[grid.channels[0]]
            cards = {**grid.wcs, **fits_unit(unit), "FILE": grid.name, **header}
            hdus.append(_layer(grid.back(values[..., k]), name, cards, packed=True))
    _write(path, hdus)


def fits_unit(unit: str) -> dict[str, str]:
    """Return the keywords of a unit: BUNIT as sunpy reads it, QUANTITY in our words.

    Parameters
    ----------
    unit : str
        "1", "dex", or one of these per input, such as "dex / (DN s-1 pix-1)".
    """
    change, _, per = unit.partition(" / ")
    inputs = {"DN s-1 pix-1": "DN-1 s pix", "G": "G-1", "DN s-1": "DN-1 s", "": ""}
    card = inputs.get(per.strip("()"))
    quantity = f"change of the target in {unit}" if unit != "1" else "change of the target"
    return {"BUNIT": card, "QUANTITY": quantity} if card is not None else {"QUANTITY": quantity}


def _primary(header: dict[str, object]) -> fits.PrimaryHDU:
    primary = fits.PrimaryHDU()
    for key, value in header.items():
        primary.header[key] = value
    return primary


def _layer(values: np.ndarray, name: int | str, cards: dict, *, packed: bool = False):
    """Return one channel's extension; large ones are packed without loss."""
    data = np.ascontiguousarray(values, np.float32)
    if packed and data.size > _LARGEST_PLAIN:
        hdu = fits.CompImageHDU(data, compression_type="GZIP_1", quantize_level=0, name=str(name))
    else:
        hdu = fits.ImageHDU(data, name=str(name))
    for key, value in cards.items():
        hdu.header[key] = value
    if isinstance(name, int):
        hdu.header["WAVELNTH"] = (name, "angstrom")
    known = isinstance(name, int) or name in HMI_CHANNELS
    hdu.header["CHANNEL"] = channel_name(name).replace("Å", "angstrom") if known else str(name)
    return hdu


def _write(path: str | Path, hdus: list) -> None:
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    write_bytes(path, buffer.getvalue())
