"""Reads Stokes spectra of Hinode's spectro-polarimeter: a FITS file of level 1 per slit position.

Stored are 16-bit integers (4, slit, wavelength), I, Q, U, V. SolarSoft's reader of these files
(``readl1_sbsp.pro``) defines what they mean, in this order: a negative I has wrapped around and is
65,536 more; then SPBSHFT of 1 or more doubles I, of 2 or more also V, of 3 also Q and U.

Signs are those of level 1 as Lites & Ichimoto (2013, doi:10.1007/s11207-012-0205-4) made it;
nothing is turned here. Q is positive perpendicular to the central meridian and negative parallel to
it (as the documentation of dkist-processing-cryonirsp says of the frame that it shares with
Hinode/SP). The signs of U and V are not stated in a source that was read, and no file with a known
field was at hand: compare the sign of the field with a magnetogram of the same region.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.fits_files.cards import HeaderCards, finite_number, header_cards, integer
from dataset_models.fits_files.header_time import observation_time
from dataset_models.fits_files.opening import list_fits_files, opened_hdus
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.slit_scan import scan_coordinates, usual_step
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.wavelength_axis import in_angstrom, increasing, linear_axis

__all__ = ["SP_GRID", "is_hinode_sp", "read_hinode_sp"]

SP_GRID = 6300.892 + 0.0215 * np.arange(112)  # Hinode/SP's usual grid, angstrom
_ORDERS = ("SLITINDX", "SLITPOS")
_WRAP = 65536.0
_FULL = (-32768, 32767)  # of Q, U and V; I is full at 65535, stored as -1
_LARGEST_SCAN = 4096  # slit positions; the instrument's scan has 2047
_SAME_PLACE = 1e-3  # arcsec
_UNEVEN = 0.2  # of a step
_SAME_GRID = 1e-3  # angstrom; half a hundredth of a pixel


@dataclass(frozen=True)
class _SlitFile:
    """What one file holds: values (4, slit, wavelength) in DN, NaN where missing."""

    name: str
    index: int
    values: np.ndarray
    full: np.ndarray
    wavelength: np.ndarray
    cards: HeaderCards
    remarks: tuple[str, ...]


def is_hinode_sp(cards: HeaderCards) -> bool:
    """Return whether a header is one of Hinode's spectro-polarimeter."""
    instrument = str(cards.get("INSTRUME", "")).upper().replace(" ", "")
    is_sp = instrument == "SOT/SP" or (instrument == "SOT" and "SPBSHFT" in cards)
    return is_sp or ("SPBSHFT" in cards and "SLITINDX" in cards)


def read_hinode_sp(paths: str | Path | Sequence[str | Path]) -> SpectralCube:
    """Read a scan of level 1, (y = slit, x = slit position, 4 Stokes, wavelength) in DN.

    Columns are in the order of SLITINDX (else SLITPOS), not of file names; a position without a
    file is NaN. Values at the ends of the stored numbers are saturated: NaN, and the pixel is
    marked. Pixels whose I is 0 throughout are NaN. Of two files of one position the first is
    read. Errors are None: estimate them from Q, U and V of the continuum.

    Parameters
    ----------
    paths : path or sequence of paths
        A folder, or files of one scan.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no FITS file.
    DataIntegrityError
        If no file can be used, or the positions are of no scan.
    """
    files, left_out = _listed(paths)
    n_given = len(files) + len(left_out)
    read: list[_SlitFile] = []
    for path in files:
        try:
            read.append(_read_file(path))
        except DataIntegrityError as error:
            left_out.append(str(error))
    if not read:
        raise DataIntegrityError(
            f"expected files of Hinode/SP level 1, got none that can be used of {len(files)}: "
            f"{left_out[0]}"
        )
    kept = _of_one_kind(read, left_out)
    first, last = kept[0].index, kept[-1].index
    if last - first >= _LARGEST_SCAN:
        raise DataIntegrityError(
            f"{kept[-1].name}: expected at most {_LARGEST_SCAN} positions, got SLITINDX {first} "
            f"to {last}; leave files of other scans out"
        )
    n_slit, n_wave = kept[0].values.shape[1:]
    values = np.full((n_slit, last - first + 1, 4, n_wave), np.nan)
    saturated = np.zeros(values.shape[:2], bool)
    times = np.full(values.shape[1], np.datetime64("NaT"), "datetime64[ms]")
    pointing = np.full((values.shape[1], 2), np.nan)
    mended = []
    for file in kept:
        x = file.index - first
        values[:, x] = np.moveaxis(file.values, 0, 1)
        saturated[:, x] = file.full
        times[x] = _time(file.cards)
        pointing[x] = [_number(file.cards, key) for key in ("XCEN", "YCEN")]
        mended.extend(file.remarks)
    notes = []
    n_missing = values.shape[1] - len(kept)
    if n_missing:
        notes.append(f"{n_missing} of {values.shape[1]} slit positions have no file; they are NaN")
    wcs, remarks = _coordinates(kept, pointing, values.shape[:2])
    notes.extend(remarks)
    known = times[~np.isnat(times)]
    return SpectralCube(
        values,
        kept[0].wavelength,
        ("I", "Q", "U", "V"),
        saturated=saturated,
        unit="DN",
        instrument="Hinode/SOT-SP",
        line="Fe I 6301/6302",
        time=str(known.min()) if len(known) else "",
        wcs=wcs,
        header=_kept_cards(kept[0].cards, n_slit),
        summary=ReadingSummary(n_given, tuple(left_out), tuple(mended), tuple(notes)),
        times=times,
        pointing=pointing,
    )


def _listed(paths: str | Path | Sequence[str | Path]) -> tuple[list[Path], list[str]]:
    """Return the files, and a sentence for each in a folder that is not read."""
    given = [Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths)]
    files: list[Path] = []
    left_out: list[str] = []
    for path in given:
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
        if path.is_dir():
            inside, unread = list_fits_files(path)
            files.extend(inside)
            left_out.extend(unread)
        else:
            files.append(path)
    if not files:
        raise FileNotFoundError(f"expected FITS files of Hinode/SP, got none in {given}")
    return files, left_out


def _read_file(path: Path) -> _SlitFile:
    name = path.name
    with opened_hdus(path) as hdus:
        cards = header_cards(hdus[0].header)
        data = hdus[0].data
    shape = None if data is None else data.shape
    if shape is None or len(shape) != 3 or shape[0] != 4:
        raise DataIntegrityError(
            f"{name}: expected (4 stokes, y, wavelength), got {shape}; give files of Hinode/SP, "
            "level 1"
        )
    key = next((k for k in _ORDERS if k in cards), None)
    if key is None:
        raise DataIntegrityError(
            f"{name}: expected SLITINDX or SLITPOS, got neither: its place in the scan is unknown; "
            "leave it out"
        )
    try:
        index, shift = integer(cards, key), integer(cards, "SPBSHFT", 0)
    except ValueError as error:
        raise DataIntegrityError(
            f"{name}: expected integers in {key} and SPBSHFT, got {error}: its place in the scan "
            "is unknown; leave it out"
        ) from None
    if not 0 <= shift <= 3:
        raise DataIntegrityError(f"{name}: expected SPBSHFT from 0 to 3, got {shift}; leave it out")
    stored = np.asarray(data)
    values = stored.astype(float)
    full = np.zeros(values.shape, bool)
    if np.issubdtype(stored.dtype, np.integer):
        values[0][values[0] < 0] += _WRAP
        full[0] = values[0] == _WRAP - 1
        full[1:] = np.isin(stored[1:], _FULL)
    for least, planes in ((1, [0]), (2, [3]), (3, [1, 2])):
        if shift >= least:
            values[planes] *= 2
    values[full] = np.nan
    dark = (stored[0] == 0).all(1)
    values[:, dark] = np.nan
    values[~np.isfinite(values)] = np.nan
    remarks = [] if "SPBSHFT" in cards else [f"{name}: SPBSHFT is missing and taken as 0"]
    if dark.any():
        remarks.append(f"{name}: {dark.sum()} pixels without light are missing")
    wavelength, remark = _wavelengths(cards, values.shape[2], name)
    wavelength, order, unordered = increasing(wavelength, name)
    remarks += [text for text in (remark, unordered) if text]
    return _SlitFile(
        name, index, values[..., order], full.any((0, 2)), wavelength, cards, tuple(remarks)
    )


def _wavelengths(cards: HeaderCards, n: int, name: str) -> tuple[np.ndarray, str]:
    """Return the axis that the header says, else the usual grid, in angstrom, and a remark."""
    if "CRVAL1" in cards and cards.get("CDELT1"):
        axis = linear_axis(cards, 1, n, name)
        return in_angstrom(axis, str(cards.get("CUNIT1", "")), name, said="Fe I 6301/6302")[0], ""
    if n != len(SP_GRID):
        raise DataIntegrityError(
            f"{name}: expected CRVAL1 and CDELT1, or the usual {len(SP_GRID)} wavelengths, got {n} "
            "without them; leave it out"
        )
    return SP_GRID, f"{name}: its header has no wavelengths; the usual grid from 6300.892 is taken"


def _of_one_kind(read: list[_SlitFile], left_out: list[str]) -> list[_SlitFile]:
    """Return the files of the commonest size and grid in the order of the slit."""
    shape = Counter(file.values.shape for file in read).most_common(1)[0][0]
    same = []
    for file in read:
        if file.values.shape == shape:
            same.append(file)
            continue
        left_out.append(
            f"{file.name}: holds {_spelled(file.values.shape)} values, others have "
            f"{_spelled(shape)}"
        )
    grid = np.median([file.wavelength for file in same], axis=0)
    kept = []
    for file in same:
        away = np.abs(file.wavelength - grid).max()
        if away <= _SAME_GRID:
            kept.append(file)
        else:
            left_out.append(f"{file.name}: its wavelengths are {away:.3f} angstrom off the others'")
    if not kept:
        raise DataIntegrityError(
            f"{same[0].name}: expected one wavelength grid in the scan, got as many as files; give "
            "files of one scan"
        )
    by_place: dict[int, _SlitFile] = {}
    for file in kept:
        if by_place.setdefault(file.index, file) is not file:
            left_out.append(
                f"{file.name}: position {file.index} was read from {by_place[file.index].name}; "
                "give the files of one scan"
            )
    return [by_place[k] for k in sorted(by_place)]


def _spelled(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _coordinates(
    kept: list[_SlitFile], pointing: np.ndarray, shape: tuple[int, int]
) -> tuple[dict, list[str]]:
    """Return the map's coordinates ({} where they are not known), and remarks."""
    cards = kept[0].cards
    y_step = _number(cards, "YSCALE") or _number(cards, "CDELT2")
    columns = np.arange(shape[1])
    x, y = pointing.T
    x_step = usual_step(columns, x)
    known, stated = np.isfinite(x), _number(cards, "XSCALE")
    remarks = []
    if abs(x_step) < _SAME_PLACE:  # XCEN is the whole map's centre in each file
        x_step, middle = stated, (shape[1] - 1) / 2
    else:
        middle = float(np.median(columns[known]))
        steps = np.diff(x[known]) / np.diff(columns[known])
        n_odd = int((np.abs(steps - x_step) > _UNEVEN * abs(x_step)).sum())
        if n_odd:
            remarks.append(
                f"{n_odd} of {len(steps)} scan steps differ from {x_step:.3f} arcsec by more than "
                f"{_UNEVEN:.0%}: the map is not even"
            )
        if abs(abs(x_step) - abs(stated)) > _UNEVEN * abs(x_step):
            remarks.append(f"XCEN moves by {x_step:.3f} arcsec a step, XSCALE says {stated:.3f}")
        elif np.isfinite(stated):
            x_step = float(np.copysign(stated, x_step))
    if not (np.isfinite([x_step, y_step]).all() and np.isfinite(pointing).all(1).any()):
        return {}, ["place on the Sun unknown: expected XCEN, YCEN, and XSCALE, YSCALE"]
    roll = next((_number(cards, k) for k in ("CROTA2", "CROTA1") if k in cards), 0.0)
    wcs = scan_coordinates(
        shape,
        centre=(float(np.nanmedian(x)), float(np.nanmedian(y))),
        step=(x_step, y_step),
        roll_deg=roll if np.isfinite(roll) else 0.0,
        reference=(middle + 1, (shape[0] + 1) / 2),
    )
    return wcs, remarks if wcs else [*remarks, "the slit stands still: columns are times"]


def _kept_cards(cards: HeaderCards, n_slit: int) -> dict:
    keys = ("SPBSHFT", "SPNINT", "EXPTIME", "OBSTITLE", "NOAA_NUM", "XSCALE", "YSCALE", "DOP_RCV")
    header = {key: cards[key] for key in keys if key in cards}
    return header | {"N_SLIT": n_slit}


def _number(cards: HeaderCards, key: str) -> float:
    """Return a card as a number, NaN where there is none that can be used."""
    try:
        return finite_number(cards, key)
    except (KeyError, ValueError):
        return np.nan


def _time(cards: HeaderCards) -> np.datetime64:
    try:
        return observation_time(cards)
    except (KeyError, ValueError):
        return np.datetime64("NaT")
