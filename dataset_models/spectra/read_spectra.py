"""Reads spectra of every known instrument: looks into the files and calls their reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataset_models.fits_files.opening import (
    COMPRESSED_STARTS,
    FITS_ENDINGS,
    opened_hdus,
    opened_stream,
)
from dataset_models.spectra.plain_spectra import (
    has_wavelengths,
    read_npz_spectra,
    read_plain_fits,
)
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.wavelength_axis import STOKES

__all__ = ["READ", "read_spectra"]

READ = ".npz with values and wavelengths, and FITS cubes with an axis WAVE or AWAV"
_ENDINGS = (*FITS_ENDINGS, ".npz", ".h5", ".hdf5")


def read_spectra(
    paths: str | Path | Sequence[str | Path],
    *,
    window: str = "",
    stokes: str = "",
    wavelength_unit: str = "",
) -> SpectralCube:
    """Read the spectra of one observation; what wrote the files is found from their content.

    Parameters
    ----------
    paths : path or sequence of paths
        Files of one observation, or one folder.
    window : str
        Of files with several spectral windows: a name as "Si IV 1394", or a wavelength in
        angstrom.
    stokes : str
        Order of the Stokes parameters of files that do not name theirs, as "IVQU"; the cube has
        them in the order I, Q, U, V. Fewer letters choose among them.
    wavelength_unit : str
        Of files that do not name theirs, as "nm".

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If the files are of no known kind, or an option does not fit them.
    DataIntegrityError
        If a file is damaged.
    """
    files = _listed([paths] if isinstance(paths, (str, Path)) else list(paths))
    cube = _read(files, window, stokes, wavelength_unit)
    wanted = stokes.upper().replace(",", "").replace(" ", "")
    return _chosen(cube, wanted) if 0 < len(wanted) < len(cube.stokes) else cube


def _read(files: list[Path], window: str, stokes: str, wavelength_unit: str) -> SpectralCube:
    first = files[0]
    start = _start(first)
    if start[:4] == b"PK\3\4" and first.name.lower().endswith(".npz"):
        return read_npz_spectra(_alone(files), stokes=stokes, wavelength_unit=wavelength_unit)
    if start[:6] == b"SIMPLE" or start.startswith(COMPRESSED_STARTS):
        with opened_hdus(first) as hdus:
            is_plain = has_wavelengths(hdus)
        if is_plain:
            return read_plain_fits(_alone(files), stokes=stokes, wavelength_unit=wavelength_unit)
    raise ValueError(f"{first.name}: expected spectra of a known kind; read are {READ}")


def _listed(paths: list[str | Path]) -> list[Path]:
    """Return the files of a folder, or those named."""
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
        return sorted(set(files))
    found = sorted(
        path
        for path in folders[0].iterdir()
        if path.is_file() and path.name.lower().endswith(_ENDINGS) and path.name[0] != "."
    )
    if not found:
        raise ValueError(f"{folders[0]}: expected files of spectra, found none; read are {READ}")
    return found


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        start = file.read(8)
    if start[:2] == b"\x1f\x8b":
        with opened_stream(path) as file:
            return file.read(8)
    return start


def _alone(files: list[Path]) -> Path:
    if len(files) > 1:
        raise ValueError(
            f"{files[0].name}: expected one file of this kind, got {len(files)}; give one"
        )
    return files[0]


def _chosen(cube: SpectralCube, wanted: str) -> SpectralCube:
    """Return the cube with some of its Stokes parameters."""
    missing = [letter for letter in wanted if letter not in cube.stokes]
    if missing:
        raise ValueError(f"expected stokes among {''.join(cube.stokes)}, got {wanted!r}")
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
