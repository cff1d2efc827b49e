"""Reads spectra of every known instrument: looks into the files and calls their reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset_models.fits_files.cards import HeaderCards, header_cards
from dataset_models.fits_files.opening import (
    COMPRESSED_STARTS,
    FITS_ENDINGS,
    opened_hdus,
    opened_stream,
)
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.eis import read_eis
from dataset_models.spectra.fiss import is_fiss, read_fiss
from dataset_models.spectra.hinode_sp import is_hinode_sp, read_hinode_sp
from dataset_models.spectra.hinode_sp_8bit import read_hinode_sp_8bit
from dataset_models.spectra.ibis import read_ibis
from dataset_models.spectra.iris_raster import is_iris_raster, read_iris_raster
from dataset_models.spectra.line_scan import is_filtergram, read_line_scan
from dataset_models.spectra.npz_archive import opened_npz
from dataset_models.spectra.plain_spectra import (
    has_wavelengths,
    read_npz_spectra,
    read_plain_fits,
)
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.stokes_axes import STOKES
from dataset_models.spectra.wavelength_axis import read_wavelength_file

__all__ = ["READ", "read_spectra"]

READ = (
    "Hinode/SP level 1, IRIS rasters, EIS pairs (.data.h5, .head.h5), FISS pairs, IBIS scans, "
    "filtergrams with WAVEOFF, .npz with values and wavelengths, and FITS cubes with an axis WAVE "
    "or AWAV"
)
_ENDINGS = (*FITS_ENDINGS, ".npz", ".h5", ".hdf5")
_EISPAC_FITS = (".fit.h5", ".template.h5")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\3\4"
_CALCIUM = (8535.0, 8549.0)  # angstrom; what IBIS scanned where a cube has no header
_WINDOWS = {"EIS": read_eis, "IRIS": read_iris_raster}
_PLAIN = {"npz": read_npz_spectra, "FITS": read_plain_fits}
_SINGLE = {"FISS": read_fiss, "IBIS": read_ibis, "Hinode/SP in 8 bits": read_hinode_sp_8bit}
_SEVERAL = ("IRIS", "Hinode/SP", "line scan")


def read_spectra(
    paths: str | Path | Sequence[str | Path],
    *,
    window: str | float = "",
    stokes: str = "",
    wavelength_unit: str = "",
    wavelengths: str | Path | None = None,
    rest_wavelength: float | None = None,
) -> SpectralCube:
    """Read the spectra of one observation; what wrote the files is found from their content.

    Parameters
    ----------
    paths : path or sequence of paths
        Files of one observation, or one folder.
    window : str or float
        Of files with several spectral windows: a name as "Si IV 1394", a number, or a wavelength
        in angstrom.
    stokes : str
        Order of the Stokes parameters of files that do not name theirs, as "IVQU"; the cube has
        them in the order I, Q, U, V. Fewer letters choose among them.
    wavelength_unit : str
        Of .npz files and plain FITS cubes, as "nm".
    wavelengths : path, optional
        Of FITS cubes without an axis of wavelengths: a text file of them.
    rest_wavelength : float, optional
        Of filtergrams: the line's wavelength in angstrom.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If the files are of no known kind, or an option does not fit them.
    DataIntegrityError
        If a file is damaged.
    """
    files, is_folder = _listed([paths] if isinstance(paths, (str, Path)) else list(paths))
    others = _other_files(files, wavelengths) if is_folder else {}
    files = [path for path in files if path not in others]
    kind = _kind_of_all(files, wavelengths)
    options = {
        "window": window if kind in _WINDOWS else "",
        "stokes": stokes if kind in _PLAIN else "",
        "wavelength_unit": wavelength_unit if kind in _PLAIN else "",
        "wavelengths": wavelengths if kind in ("FITS", "IBIS") else None,
        "rest_wavelength": rest_wavelength if kind == "line scan" else None,
    }
    given = {
        "window": window,
        "wavelength_unit": wavelength_unit,
        "wavelengths": wavelengths,
        "rest_wavelength": rest_wavelength,
    }
    for name, value in given.items():
        if value not in ("", None) and options[name] in ("", None):
            raise ValueError(
                f"{files[0].name}: expected no {name} for this kind of file ({kind}), got "
                f"{value!r}; leave it out"
            )
    cube = _read(kind, files, {k: v for k, v in options.items() if v not in ("", None)})
    if others:
        seen = replace(cube.summary, n_given=cube.summary.n_given + len(others))
        cube = replace(cube, summary=seen.with_more(others.values(), ()))
    wanted = stokes.upper().replace(",", "").replace(" ", "")
    chooses = wanted and (len(wanted) < len(cube.stokes) or kind not in _PLAIN)
    return _chosen(cube, wanted) if chooses else cube


def _read(kind: str, files: list[Path], options: dict) -> SpectralCube:
    if kind == "Hinode/SP":
        return read_hinode_sp(files)
    if kind == "line scan":
        return read_line_scan(files, **options)
    if kind == "IRIS":
        return read_iris_raster(files, **options)
    if len({_stem(path) for path in files}) > 1:
        raise ValueError(
            f"{files[0].name}: expected one file of this kind, got {len(files)}; give one"
        )
    reader = {**_WINDOWS, **_PLAIN, **_SINGLE}[kind]
    return reader(files[0], **options)


def _other_files(files: list[Path], wavelengths: str | Path | None) -> dict[Path, str]:
    """Return the files of a folder that hold no spectra, with the reason, unless all are such."""
    out = {}
    for path in files:
        name = path.name.lower()
        if name.endswith(_EISPAC_FITS):
            out[path] = f"{path.name}: a fit or template of eispac, not spectra"
        elif not _is_companion(path):
            try:
                _kind(path, wavelengths)
            except DataIntegrityError:
                continue
            except ValueError:
                out[path] = f"{path.name}: holds no spectra of a known kind"
    return out if len(out) < len(files) else {}


def _kind_of_all(files: list[Path], wavelengths: str | Path | None) -> str:
    """Return what the files hold; several of a scan may hold one that is damaged."""
    kind, problem = "", None
    for path in files:
        if kind and _is_companion(path):
            continue
        try:
            found = _kind(path, wavelengths)
        except ValueError as error:
            problem = problem or error
            continue
        if kind and found != kind:
            raise ValueError(
                f"{path.name}: expected {kind} as in the files before it, got {found}; give files "
                "of one kind"
            )
        kind = found
    if problem is not None and kind not in _SEVERAL:
        raise problem
    return kind


def _kind(path: Path, wavelengths: str | Path | None) -> str:
    start = _start(path)
    if start == _HDF5:
        return "EIS"
    if start[:4] == _ZIP and path.name.lower().endswith(".npz"):
        with opened_npz(path) as arrays:
            is_8bit = {"data", "wav"} <= set(arrays.files) and arrays["data"].dtype == np.uint8
        return "Hinode/SP in 8 bits" if is_8bit else "npz"
    if start[:6] == b"SIMPLE" or start.startswith(COMPRESSED_STARTS):
        with opened_hdus(path) as hdus:
            cards = header_cards(hdus[0].header)
            kind = _instrument(cards, path)
            if kind:
                return kind
            if has_wavelengths(hdus):
                return "FITS"
            shape = hdus[0].shape
        file = Path(wavelengths) if wavelengths else path.with_name("wavelengths.txt")
        if len(shape) == 3 and file.is_file():
            axis = read_wavelength_file(file)
            if len(axis) == shape[0] and _CALCIUM[0] < axis.min() and axis.max() < _CALCIUM[1]:
                return "IBIS"
        if len(shape) in (3, 4) and wavelengths:
            return "FITS"
    raise ValueError(f"{path.name}: expected spectra of a known kind; read are {READ}")


def _instrument(cards: HeaderCards, path: Path) -> str:
    """Return the kind of file that a primary header names, "" if none."""
    if is_iris_raster(cards):
        return "IRIS"
    if is_hinode_sp(cards):
        return "Hinode/SP"
    if is_fiss(cards) or ("_p." in path.name and path.with_name(_stem(path)).is_file()):
        return "FISS"
    return "line scan" if is_filtergram(cards) else ""


def _is_companion(path: Path) -> bool:
    """Return whether a file is the second of a pair, which has no kind of its own."""
    return path.name.endswith(".head.h5") or "_p.f" in path.name


def _stem(path: Path) -> str:
    return path.name.replace(".head.h5", ".data.h5").replace("_p.f", "_c.f")


def _listed(paths: list[str | Path]) -> tuple[list[Path], bool]:
    """Return the files of a folder, or those named, and whether it is a folder."""
    if not paths:
        raise ValueError("expected files of spectra, or one folder; got none")
    files = [Path(path) for path in paths]
    for path in files:
        if not path.exists():
            raise FileNotFoundError(f"no such file: {path}")
    folders = [path for path in files if path.is_dir()]
    if folders and len(files) > 1:
        raise ValueError(f"expected files or one folder, got {len(files)} paths with {folders[0]}")
    if not folders:
        return sorted(set(files)), False
    found = sorted(
        path
        for path in folders[0].iterdir()
        if path.is_file() and path.name.lower().endswith(_ENDINGS) and path.name[0] != "."
    )
    if not found:
        raise ValueError(f"{folders[0]}: expected files of spectra, found none; read are {READ}")
    return found, True


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataIntegrityError(
            f"{path.name}: can't be opened ({error.strerror}); expected a readable file"
        ) from None
    if start[:2] == b"\x1f\x8b":
        with opened_stream(path) as file:
            return file.read(8)
    return start


def _chosen(cube: SpectralCube, wanted: str) -> SpectralCube:
    """Return the cube with some of its Stokes parameters."""
    missing = [letter for letter in wanted if letter not in cube.stokes]
    if missing:
        raise ValueError(
            f"expected stokes among {''.join(cube.stokes)}, got {wanted!r}; choose those"
        )
    kept = [cube.stokes.index(letter) for letter in STOKES if letter in wanted]
    sigma = cube.sigma
    if sigma is not None and sigma.ndim >= 2 and sigma.shape[-2] == len(cube.stokes):
        sigma = sigma[..., kept, :]
    return replace(
        cube,
        values=cube.values[:, :, kept],
        stokes=tuple(cube.stokes[k] for k in kept),
        sigma=sigma,
    )
