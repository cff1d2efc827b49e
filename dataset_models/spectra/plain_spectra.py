"""Reads spectra of .npz files and of FITS cubes that no instrument's reader knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.fits_files.cards import HeaderCards, hdu_cards
from dataset_models.fits_files.coordinates import celestial_coordinates
from dataset_models.fits_files.header_time import observation_time
from dataset_models.fits_files.opening import opened_hdus
from dataset_models.fits_files.values import pixel_values
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.npz_archive import opened_npz
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.stokes_axes import STOKES, arranged, n_stokes_of, stokes_names
from dataset_models.spectra.wavelength_axis import (
    in_angstrom,
    increasing,
    linear_axis,
    read_wavelength_file,
)

__all__ = ["has_wavelengths", "read_npz_spectra", "read_plain_fits"]

_VALUES = ("values", "data", "stokes", "intensity")
_WAVELENGTHS = ("wavelength", "wavelengths", "wav")
_WAVE_TYPES = ("WAVE", "AWAV", "LAMBDA")
_OTHER_TYPES = ("VELO", "VRAD", "VOPT", "FREQ", "ENER", "WAVN")
_CONTINUUM = (0.3, 1.5)  # median of Stokes I that is divided by the quiet Sun's continuum
_CONTINUUM_UNITS = ("continuum", "i/ic", "i/i_c", "ic", "i_c", "relative to continuum")


def read_npz_spectra(path: Path, *, stokes: str = "", wavelength_unit: str = "") -> SpectralCube:
    """Read spectra of a .npz file.

    Names of its arrays: ``values``, ``data``, ``stokes`` or ``intensity``; ``wavelength``,
    ``wavelengths`` or ``wav``; optional ``sigma`` (one number, one per wavelength, or as the
    values) and texts ``unit``, ``wavelength_unit``, ``stokes_names``, ``line``. Values are
    (y, x, stokes, wavelength), (y, x, wavelength), (y, wavelength, x) or an order that ``arranged``
    knows. Values without a unit whose I has a median from 0.3 to 1.5 are in units of the continuum.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the Stokes parameters' names are unknown.
    DataIntegrityError
        If the file can't be read, lacks an array, holds no finite value, or the unit of its
        wavelengths is not clear.
    """
    path = Path(path)
    with opened_npz(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    texts = {key: a for key, a in arrays.items() if a.dtype.kind in "US"}
    listed = [str(word) for word in np.ravel(texts.get("stokes_names", texts.get("stokes", ())))]
    if "stokes" in texts and len(listed) == 1:
        listed = list(listed[0])
    numbers = {key: a for key, a in arrays.items() if key not in texts or key != "stokes"}
    key = _only(numbers, _VALUES, path.name, "values")
    wave_key = _only(numbers, _WAVELENGTHS, path.name, "wavelengths")
    stored = arrays[key]
    if stored.dtype.kind not in "fiu":
        raise DataIntegrityError(
            f"{path.name}: expected real numbers in {key}, got {stored.dtype}; save it as float"
        )
    axis = np.ravel(arrays[wave_key]).astype(float)
    n_stokes = len(listed) or n_stokes_of(stored.shape, len(axis), wavelength_first=False)
    values, remark = arranged(
        stored.astype(float), len(axis), n_stokes, path.name, wavelength_first=False
    )
    sigma = None
    if "sigma" in arrays:
        sigma = _sigma(arrays["sigma"], stored.shape, len(axis), n_stokes, path.name)
    return _assembled(
        values,
        axis,
        wavelength_unit or _text(texts.get("wavelength_unit")),
        stokes_names(stokes, listed, n_stokes, path.name),
        path.name,
        sigma=sigma,
        remarks=[remark],
        unit=_text(texts.get("unit")) or ("DN" if stored.dtype.kind in "iu" else ""),
        line=_text(texts.get("line")),
        instrument=_text(texts.get("instrument")),
    )


def has_wavelengths(hdus: fits.HDUList) -> bool:
    """Return whether a FITS file holds a cube with wavelengths that ``read_plain_fits`` reads."""
    k = _cube_hdu(hdus)
    if k is None:
        return False
    return _axis(hdu_cards(hdus, k), _WAVE_TYPES) is not None or "WAVELENGTH" in hdus


def read_plain_fits(
    path: Path,
    *,
    stokes: str = "",
    wavelength_unit: str = "",
    wavelengths: str | Path | None = None,
) -> SpectralCube:
    """Read a FITS cube: (wavelength, y, x), or with a Stokes axis before or after the wavelength.

    Wavelengths come from the text file that is named, an extension WAVELENGTH (an image, or a
    table's first column), or an axis WAVE, AWAV or LAMBDA of the header; they stay in vacuum or
    air as they are. Which axis is which the header's CTYPE says, else the lengths. Errors come from
    an extension SIGMA. Decreasing wavelengths are turned, others sorted with a remark.

    Parameters
    ----------
    path : path
    stokes : str
        The order in the file, as "IVQU", where its header has no axis STOKES.
    wavelength_unit : str
        As "nm"; goes before the header's CUNIT.
    wavelengths : path, optional
        Text, one number on each line.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If the Stokes parameters' names are unknown.
    DataIntegrityError
        If the file can't be read, lacks wavelengths or finite values, or the unit of its
        wavelengths is not clear.
    """
    path = Path(path)
    with opened_hdus(path) as hdus:
        k = _cube_hdu(hdus)
        cards = HeaderCards() if k is None else hdu_cards(hdus, k)
        if k is None or not (has_wavelengths(hdus) or wavelengths):
            other = _axis(cards, _OTHER_TYPES)
            got = f"an axis {cards[f'CTYPE{other}']}" if other else "none of them"
            raise DataIntegrityError(
                f"{path.name}: expected a cube with an axis WAVE or AWAV, or with an extension "
                f"WAVELENGTH, got {got}; name a text file of its wavelengths"
            )
        shape = hdus[k].shape
        axis, unit = _wavelengths(hdus, cards, shape, wavelengths, path.name)
        read = pixel_values(hdus[k], cards, path.name, shape=shape)
        noise = _extension(hdus, "SIGMA")
    places = [_axis(cards, _WAVE_TYPES), _axis(cards, ("STOKES",))]
    listed = _header_stokes(cards, places[1], shape, path.name)
    n_stokes = n_stokes_of(shape, len(axis), wavelength_first=True)
    if places[1] is not None:
        n_stokes = shape[len(shape) - places[1]]
    values, remark = _placed(read.data, len(axis), n_stokes, places, path.name)
    sigma = None
    if noise is not None:
        sigma = _sigma(noise, shape, len(axis), n_stokes, path.name, places=places)
    notes, wcs = [], {}
    if "CTYPE1" in cards:
        try:
            wcs = celestial_coordinates(cards, values.shape[:2])
        except (KeyError, ValueError) as error:
            notes.append(f"{path.name}: its place on the Sun is not used ({error})")
    told = "" if len(listed) == n_stokes and len(stokes) == n_stokes and places[1] else stokes
    return _assembled(
        values,
        axis,
        wavelength_unit or unit,
        stokes_names(told, listed, n_stokes, path.name),
        path.name,
        sigma=sigma,
        remarks=[remark, read.mended(path.name)],
        notes=notes,
        unit=str(cards.get("BUNIT", "")).strip(),
        instrument=str(cards.get("INSTRUME", "")).strip(),
        line=str(cards.get("LINE", "")).strip(),
        time=_time(cards),
        wcs=wcs,
    )


def _assembled(
    values: np.ndarray,
    axis: np.ndarray,
    axis_unit: str,
    names: tuple[str, ...],
    name: str,
    *,
    sigma: np.ndarray | None,
    remarks: list[str],
    notes: list[str] | None = None,
    **attributes: object,
) -> SpectralCube:
    """Return a cube with wavelengths increasing and Stokes parameters as I, Q, U, V."""
    wavelength, said = in_angstrom(axis, axis_unit, name, said=str(attributes.get("line", "")))
    wavelength, order, unordered = increasing(wavelength, name)
    by_name = sorted(range(len(names)), key=lambda k: STOKES.index(names[k]))
    names = tuple(names[k] for k in by_name)
    values = np.array(values[:, :, by_name][..., order], order="C")
    values[~np.isfinite(values)] = np.nan
    if not np.isfinite(values).any():
        raise DataIntegrityError(
            f"{name}: holds no finite value; expected some, check how it was written"
        )
    if sigma is not None:
        sigma = sigma[..., order] if sigma.shape[-1] == len(order) else sigma
        if sigma.ndim >= 2 and sigma.shape[-2] == len(names):
            sigma = sigma[..., by_name, :]
    unit, guessed = str(attributes.pop("unit", "")), ""
    if unit.lower() in _CONTINUUM_UNITS:
        unit = "continuum"
    elif not unit and names[0] == "I":
        middle = np.nanmedian(values[:, :, 0]) if np.isfinite(values[:, :, 0]).any() else np.nan
        if _CONTINUUM[0] <= middle <= _CONTINUUM[1]:
            unit = "continuum"
            guessed = f"{name}: values near 1 without a unit are taken as parts of the continuum"
    mended = tuple(text for text in (*remarks, said, unordered, guessed) if text)
    summary = ReadingSummary(1, mended=mended, notes=tuple(notes or ()))
    return SpectralCube(
        values, wavelength, names, sigma=sigma, unit=unit, summary=summary, **attributes
    )


def _only(arrays: Mapping, names: tuple[str, ...], name: str, what: str) -> str:
    found = [key for key in names if key in arrays]
    if len(found) != 1:
        raise DataIntegrityError(
            f"{name}: expected {what} as one array named {', '.join(names)}; it holds "
            f"{', '.join(arrays) or 'nothing'}; rename them"
        )
    return found[0]


def _placed(
    array: np.ndarray, n: int, n_stokes: int, places: list[int | None], name: str
) -> tuple[np.ndarray, str]:
    """Return a FITS array as (y, x, stokes, wavelength) by CTYPE where it says all, by lengths."""
    wave, stokes = places
    if wave is None or (array.ndim == 4 and stokes is None) or array.ndim not in (3, 4):
        return arranged(array, n, n_stokes, name, wavelength_first=True)
    last = [array.ndim - axis for axis in (stokes, wave) if axis is not None]
    rest = [axis for axis in range(array.ndim) if axis not in last]
    if array.ndim == 3 and stokes is not None:
        return arranged(array, n, n_stokes, name, wavelength_first=True)
    if array.shape[last[-1]] != n:
        raise DataIntegrityError(
            f"{name}: expected {n} wavelengths along its axis WAVE, got {array.shape[last[-1]]}; "
            "give those of this cube"
        )
    turned = array.transpose(*rest, *last)
    return (turned if array.ndim == 4 else turned[:, :, None]), ""


def _header_stokes(
    cards: Mapping, axis: int | None, shape: tuple[int, ...], name: str
) -> tuple[str, ...]:
    """Return the names by FITS' numbers along an axis STOKES, () if the header has none."""
    if axis is None or f"CRVAL{axis}" not in cards:
        return ()
    numbers = linear_axis({f"CDELT{axis}": 1.0, **cards}, axis, shape[len(shape) - axis], name)
    if not np.isin(numbers, (1, 2, 3, 4)).all():
        raise DataIntegrityError(
            f"{name}: expected Stokes numbers 1 to 4 for I, Q, U, V, got "
            f"{', '.join(f'{v:g}' for v in numbers)}; mend CRVAL{axis}"
        )
    return tuple(STOKES[int(v) - 1] for v in numbers)


def _sigma(
    stored: np.ndarray,
    shape: tuple,
    n: int,
    n_stokes: int,
    name: str,
    *,
    places: list[int | None] | None = None,
) -> np.ndarray:
    """Return errors in the order of the cube: one for all, one for each wavelength or value."""
    stored = np.asarray(stored, float)
    if stored.shape == shape and places is not None:
        return _placed(stored, n, n_stokes, places, name)[0]
    if stored.shape == shape:
        return arranged(stored, n, n_stokes, name, wavelength_first=False)[0]
    if stored.size == 1 or stored.shape == (n,):
        return np.broadcast_to(stored.ravel(), (n,))
    raise DataIntegrityError(
        f"{name}: expected sigma of shape {shape}, ({n},) or one number, got {stored.shape}; turn "
        "its axes"
    )


def _text(array: np.ndarray | None) -> str:
    return "" if array is None or array.size != 1 else str(np.ravel(array)[0]).strip()


def _cube_hdu(hdus: fits.HDUList) -> int | None:
    """Return the first image that can be a cube."""
    for k, hdu in enumerate(hdus):
        if hdu.is_image and hdu.name not in ("WAVELENGTH", "SIGMA") and len(hdu.shape) in (3, 4):
            return k
    return None


def _axis(cards: Mapping, types: tuple[str, ...]) -> int | None:
    """Return the FITS number of the axis of one of these types."""
    for axis in range(1, int(cards.get("NAXIS", 0)) + 1):
        if str(cards.get(f"CTYPE{axis}", "")).strip().upper().startswith(types):
            return axis
    return None


def _extension(hdus: fits.HDUList, wanted: str) -> np.ndarray | None:
    for hdu in hdus[1:]:
        if hdu.name == wanted and getattr(hdu, "data", None) is not None:
            data = hdu.data
            return np.asarray(data if hdu.is_image else data.field(0), float)
    return None


def _wavelengths(
    hdus: fits.HDUList, cards: Mapping, shape: tuple, wavelengths: str | Path | None, name: str
) -> tuple[np.ndarray, str]:
    """Return wavelengths, and their unit as it is written."""
    if wavelengths:
        return read_wavelength_file(wavelengths), ""
    listed = _extension(hdus, "WAVELENGTH")
    if listed is not None:
        own = hdus["WAVELENGTH"].header
        return np.ravel(listed), str(own.get("BUNIT", own.get("TUNIT1", "")))
    axis = _axis(cards, _WAVE_TYPES)
    values = linear_axis(cards, axis, shape[len(shape) - axis], name)
    return values, str(cards.get(f"CUNIT{axis}", ""))


def _time(cards: Mapping) -> str:
    try:
        return str(observation_time(cards))
    except (KeyError, ValueError):
        return ""
