"""Reads spectra of .npz files and of FITS cubes that no instrument's reader knows."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.fits_files.cards import finite_number, hdu_cards
from dataset_models.fits_files.coordinates import celestial_coordinates
from dataset_models.fits_files.header_time import observation_time
from dataset_models.fits_files.opening import opened_hdus
from dataset_models.fits_files.values import pixel_values
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.wavelength_axis import (
    STOKES,
    angstrom,
    arranged,
    increasing,
    stokes_names,
)

__all__ = ["assembled", "has_wavelengths", "read_npz_spectra", "read_plain_fits"]

_VALUES = ("values", "data", "stokes", "intensity")
_WAVELENGTHS = ("wavelength", "wavelengths", "wav")
_WAVE_TYPES = ("WAVE", "AWAV", "LAMBDA")
_CONTINUUM = (0.3, 1.5)  # median of Stokes I that is divided by the quiet Sun's continuum


def assembled(
    values: np.ndarray,
    wavelength: np.ndarray,
    names: tuple[str, ...],
    name: str,
    *,
    sigma: np.ndarray | None = None,
    **attributes: object,
) -> SpectralCube:
    """Return a cube with wavelengths increasing and Stokes parameters in the order I, Q, U, V.

    Parameters
    ----------
    values : (y, x, stokes, wavelength) float
    wavelength : (wavelength,) float
        Angstrom, in any order.
    names : tuple of str
        Along the Stokes axis.
    name : str
        The file's, for messages.
    sigma : broadcastable to values, optional
    **attributes
        Further ones of ``SpectralCube``. Without ``unit``, values whose I has a median from 0.3 to
        1.5 are in units of the continuum.

    Raises
    ------
    DataIntegrityError
        If a wavelength occurs twice.
    """
    order, mended = increasing(wavelength, name)
    by_name = [k for k in sorted(range(len(names)), key=lambda k: STOKES.index(names[k]))]
    names = tuple(names[k] for k in by_name)
    values = values[:, :, by_name][..., order]
    if sigma is not None:
        sigma = np.broadcast_to(sigma, (*sigma.shape[:-1], len(order)))[..., order]
        if sigma.ndim >= 2 and sigma.shape[-2] == len(names):
            sigma = sigma[..., by_name, :]
    if not attributes.get("unit") and names[0] == "I":
        finite = values[:, :, 0][np.isfinite(values[:, :, 0])]
        if finite.size and _CONTINUUM[0] <= np.median(finite) <= _CONTINUUM[1]:
            attributes["unit"] = "continuum"
    summary = attributes.pop("summary", ReadingSummary(1))
    if mended:
        summary = summary.with_more((), (mended,))
    return SpectralCube(
        values, wavelength[order], names, sigma=sigma, summary=summary, **attributes
    )


def read_npz_spectra(path: Path, *, stokes: str = "", wavelength_unit: str = "") -> SpectralCube:
    """Read spectra of a .npz file.

    Names of its arrays: ``values``, ``data``, ``stokes`` or ``intensity``; ``wavelength``,
    ``wavelengths`` or ``wav``; optional ``sigma``, ``unit``, ``wavelength_unit``,
    ``stokes_names`` and ``pixel_size`` (arcsec). Values are (y, x, stokes, wavelength),
    (y, x, wavelength), (y, wavelength, x) or an order that ``arranged`` knows. Values of 8 bits
    have a rounding error of one step / sqrt(12); it is the least that sigma can be, and the header
    says so (``NOISE``).

    Raises
    ------
    ValueError
        If the wavelengths' unit or the Stokes parameters' names are unknown.
    DataIntegrityError
        If the file can't be read, lacks an array, or holds no finite value.
    """
    arrays = _loaded(path)
    key = _only(arrays, _VALUES, path.name, "values")
    wave_key = _only(arrays, _WAVELENGTHS, path.name, "wavelengths")
    stored = arrays[key]
    if stored.dtype.kind not in "fiu":
        raise DataIntegrityError(f"{path.name}: expected real numbers in {key}, got {stored.dtype}")
    unit = wavelength_unit or _text(arrays.get("wavelength_unit"))
    wavelength = angstrom(np.ravel(arrays[wave_key]), unit, path.name)
    listed = np.ravel(arrays["stokes_names"]) if "stokes_names" in arrays else ()
    n_stokes = len(listed) or _n_stokes(stored.shape, len(wavelength), stokes)
    values, remark = arranged(
        stored.astype(float), len(wavelength), n_stokes, path.name, wavelength_first=False
    )
    values[~np.isfinite(values)] = np.nan
    if not np.isfinite(values).any():
        raise DataIntegrityError(f"{path.name}: holds no finite value")
    header, sigma = {}, None
    if "sigma" in arrays:
        sigma = _sigma(arrays["sigma"], stored.shape, len(wavelength), n_stokes, path.name)
    elif stored.dtype == np.uint8:
        sigma = np.full(len(wavelength), 1 / np.sqrt(12))
        header["NOISE"] = "rounding to 8 bits: one step / sqrt(12); photon noise is unknown"
    size = arrays.get("pixel_size")
    if size is not None and size.size == 1 and np.isfinite(float(size)):
        header["PIXSIZE"] = float(size)
    return assembled(
        values,
        wavelength,
        stokes_names(stokes, [str(word) for word in listed], n_stokes, path.name),
        path.name,
        sigma=sigma,
        unit=_text(arrays.get("unit")) or ("DN" if stored.dtype.kind in "iu" else ""),
        header=header,
        summary=ReadingSummary(1, mended=(remark,) if remark else ()),
    )


def has_wavelengths(hdus: fits.HDUList) -> bool:
    """Return whether a FITS file holds a cube with wavelengths that ``read_plain_fits`` reads."""
    k = _cube_hdu(hdus)
    if k is None:
        return False
    return _wave_axis(hdu_cards(hdus, k)) is not None or _extension(hdus, "WAVELENGTH") is not None


def read_plain_fits(path: Path, *, stokes: str = "", wavelength_unit: str = "") -> SpectralCube:
    """Read a FITS cube: (wavelength, y, x), or with a Stokes axis before or after the wavelength.

    Wavelengths come from an axis WAVE, AWAV or LAMBDA of the header, or from an extension
    WAVELENGTH (an image, or a table's first column). Errors come from an extension SIGMA.

    Raises
    ------
    ValueError
        If the wavelengths' unit or the Stokes parameters' names are unknown.
    DataIntegrityError
        If the file can't be read, or lacks wavelengths or finite values.
    """
    with opened_hdus(path) as hdus:
        k = _cube_hdu(hdus)
        if k is None or not has_wavelengths(hdus):
            raise DataIntegrityError(
                f"{path.name}: expected a cube with an axis WAVE or AWAV, or with an extension "
                "WAVELENGTH"
            )
        cards, shape = hdu_cards(hdus, k), hdus[k].shape
        wavelength = _wavelengths(hdus, cards, shape, wavelength_unit, path.name)
        n_stokes = _n_stokes(shape, len(wavelength), stokes)
        read = pixel_values(hdus[k], cards, path.name, shape=shape)
        values, remark = arranged(
            read.data, len(wavelength), n_stokes, path.name, wavelength_first=True
        )
        noise = _extension(hdus, "SIGMA")
        sigma = None
        if noise is not None:
            sigma = _sigma(noise, shape, len(wavelength), n_stokes, path.name, first=True)
    notes, wcs = [], {}
    if len(shape) > 2 and "CTYPE1" in cards:
        try:
            wcs = celestial_coordinates(cards, values.shape[:2])
        except (KeyError, ValueError) as error:
            notes.append(f"{path.name}: its place on the Sun is not used ({error})")
    return assembled(
        values,
        wavelength,
        stokes_names(stokes, (), n_stokes, path.name),
        path.name,
        sigma=sigma,
        unit=str(cards.get("BUNIT", "")).strip(),
        instrument=str(cards.get("INSTRUME", "")).strip(),
        time=_time(cards),
        wcs=wcs,
        summary=ReadingSummary(
            1, mended=tuple(s for s in (remark, read.mended(path.name)) if s), notes=tuple(notes)
        ),
    )


def _loaded(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise FileNotFoundError(f"no such file: {path}") from None
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise DataIntegrityError(f"{path.name}: can't be read as .npz ({error})") from error


def _only(arrays: Mapping, names: tuple[str, ...], name: str, what: str) -> str:
    found = [key for key in names if key in arrays]
    if len(found) != 1:
        raise DataIntegrityError(
            f"{name}: expected {what} as one array named {', '.join(names)}; it holds "
            f"{', '.join(arrays) or 'nothing'}"
        )
    return found[0]


def _n_stokes(shape: tuple[int, ...], n_wavelengths: int, told: str) -> int:
    """Return how many Stokes parameters an array of this shape holds."""
    if len(shape) < 4:
        return 1
    rest = list(shape)
    if n_wavelengths in rest:
        rest.remove(n_wavelengths)
    if len(told) > 1 and len(told) in rest:
        return len(told)
    return next((n for n in (4, 1, 2, 3) if n in rest), len(told) or 4)


def _sigma(
    stored: np.ndarray, shape: tuple, n: int, n_stokes: int, name: str, *, first: bool = False
) -> np.ndarray:
    """Return errors in the order of the cube: one for all, one for each wavelength or value."""
    stored = np.asarray(stored, float)
    if stored.shape == shape:
        return arranged(stored, n, n_stokes, name, wavelength_first=first)[0]
    if stored.size == 1 or stored.shape == (n,):
        return np.broadcast_to(stored.ravel(), (n,))
    raise DataIntegrityError(
        f"{name}: expected sigma of shape {shape}, ({n},) or one number, got {stored.shape}"
    )


def _text(array: np.ndarray | None) -> str:
    return "" if array is None or array.size != 1 else str(np.ravel(array)[0]).strip()


def _cube_hdu(hdus: fits.HDUList) -> int | None:
    """Return the first image that can be a cube."""
    for k, hdu in enumerate(hdus):
        if hdu.is_image and hdu.name not in ("WAVELENGTH", "SIGMA") and len(hdu.shape) in (3, 4):
            return k
    return None


def _wave_axis(cards: Mapping) -> int | None:
    """Return the FITS number of the axis of wavelengths."""
    for axis in range(1, int(cards.get("NAXIS", 0)) + 1):
        kind = str(cards.get(f"CTYPE{axis}", "")).strip().upper()
        if kind.startswith(_WAVE_TYPES):
            return axis
    return None


def _extension(hdus: fits.HDUList, wanted: str) -> np.ndarray | None:
    for hdu in hdus[1:]:
        if hdu.name == wanted and getattr(hdu, "data", None) is not None:
            data = hdu.data
            return np.asarray(data if hdu.is_image else data.field(0), float)
    return None


def _wavelengths(
    hdus: fits.HDUList, cards: Mapping, shape: tuple, told_unit: str, name: str
) -> np.ndarray:
    listed = _extension(hdus, "WAVELENGTH")
    if listed is not None:
        own = hdus["WAVELENGTH"].header
        unit = told_unit or str(own.get("BUNIT", own.get("TUNIT1", "")))
        return angstrom(np.ravel(listed), unit, name)
    axis = _wave_axis(cards)
    try:
        start, step, pixel = (
            finite_number(cards, f"{key}{axis}", default)
            for key, default in (
                ("CRVAL", None),
                ("CDELT", cards.get(f"CD{axis}_{axis}")),
                ("CRPIX", 1.0),
            )
        )
    except (KeyError, ValueError) as error:
        raise DataIntegrityError(
            f"{name}: its axis of wavelengths is not defined ({error})"
        ) from None
    n = shape[len(shape) - axis]
    values = start + step * (np.arange(1, n + 1) - pixel)
    return angstrom(values, told_unit or str(cards.get(f"CUNIT{axis}", "")), name)


def _time(cards: Mapping) -> str:
    try:
        return str(observation_time(cards))
    except (KeyError, ValueError):
        return ""
