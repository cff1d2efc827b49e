"""Reads spectra of Hinode/EIS, level 1, from the pairs of HDF5 files that eispac made popular.

``NAME.data.h5`` holds counts (y, x, wavelength) of each window, ``NAME.head.h5`` wavelengths, their
corrections, the pre-flight calibration and the pointing. Counts are photons. Values of -100 are
missing. Errors: sigma^2 = max(N, 0) + r^2 photons, r = 14.427 electrons (2.29 DN at 6.3 electrons
per DN) over the 12398.5 / (3.65 wavelength) electrons that a photon frees.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.slit_scan import scan_coordinates
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.spectral_windows import chosen_window
from dataset_models.spectra.wavelength_axis import increasing
from tools.times import parse_time, parse_times

__all__ = ["eis_pair", "read_eis"]

_MISSING = -100.0
_READOUT_ELECTRONS = 14.427
_ELECTRON_VOLT_ANGSTROM = 12398.5
_VOLTS_PER_ELECTRON = 3.65
_CALIBRATED = "erg cm-2 s-1 sr-1 angstrom-1"


def eis_pair(path: str | Path) -> tuple[Path, Path]:
    """Return the file of data and the file of headers that belong together, from either of them.

    Raises
    ------
    FileNotFoundError
        If one of them does not exist.
    DataIntegrityError
        If the name ends neither in .data.h5 nor in .head.h5.
    """
    path = Path(path)
    for ending in (".data.h5", ".head.h5"):
        if path.name.endswith(ending):
            stem = path.name.removesuffix(ending)
            pair = path.with_name(f"{stem}.data.h5"), path.with_name(f"{stem}.head.h5")
            for file in pair:
                if not file.is_file():
                    raise FileNotFoundError(f"no such file: {file}; EIS files come in pairs")
            return pair
    raise DataIntegrityError(
        f"{path.name}: expected a name that ends in .data.h5 or .head.h5, got another; name an "
        "EIS pair as eispac does (other HDF5 files are not read)"
    )


def read_eis(
    path: str | Path, *, window: str | float = "", calibrated: bool = True
) -> SpectralCube:
    """Read one window, (y = slit, x = raster step from east to west, 1, wavelength).

    A pixel's wavelengths are ``cube.wavelength + cube.wavelength_shift[y, x]``: the slit is tilted
    and the orbit moves the spectrum. Values are not resampled, which would correlate their errors.
    The calibration's unit is per angstrom; eispac leaves that word out, but its line intensities
    are integrals of these values over angstrom.

    Coordinates are those of XCEN and YCEN with the file's offsets to AIA, and the offset of the
    window along the slit, as in eispac; here XCEN is the middle of the field, there the middle of
    its first pixel is at the field's edge, half a step off.

    Parameters
    ----------
    path : path
        Of either file.
    window : str or float
        A name ("Fe XII 192.410"), a number from 0, or a wavelength in angstrom.
    calibrated : bool
        Whether values are multiplied by the pre-flight calibration; else they are photons.

    Raises
    ------
    FileNotFoundError
        If a file of the pair is missing.
    DataIntegrityError
        If one is damaged or of another layout, or the window is not clear.
    """
    data_path, head_path = eis_pair(path)
    with _opened(head_path) as head:
        k, name, n_windows = _window(head, window, head_path.name)
        grid = _array(head, f"wavelength/{k}", head_path.name)
        correction = _array(head, "wavelength/wave_corr", head_path.name)
        factor = _array(head, f"radcal/{k}_pre", head_path.name) if calibrated else np.ones(1)
        offset = _array(head, f"ccd_offsets/{k}", head_path.name)
        pointing = {key: float(np.ravel(v[()])[0]) for key, v in _numbers(head["pointing"])}
        columns = _array(head, "pointing/solar_x", head_path.name)
        rows = _array(head, "pointing/solar_y", head_path.name)
        exposure = _array(head, "exposure_times/duration", head_path.name)
        index = {key: np.ravel(v[()])[0] for key, v in head["index"].items() if v.size == 1}
        index = {key: _text(v) for key, v in index.items()}
        times = [_text(v) for v in head["times/date_obs"][()]] if "times/date_obs" in head else []
    with _opened(data_path) as data:
        photons = _array(data, f"level1/{k}", data_path.name)
    if photons.ndim != 3 or photons.shape[2] != len(grid) or correction.shape != photons.shape[:2]:
        raise DataIntegrityError(
            f"{data_path.name}: expected {k} as (y, x, {len(grid)} wavelengths) with corrections "
            f"(y, x), got {photons.shape} and {correction.shape}; fetch both files again"
        )
    middle = float(np.median(correction))
    wavelength, order, remark = increasing(grid - middle, head_path.name)
    missing = ~(photons > _MISSING)
    readout = _READOUT_ELECTRONS * _VOLTS_PER_ELECTRON * grid / _ELECTRON_VOLT_ANGSTROM
    sigma = np.sqrt(np.maximum(photons, 0) + readout**2) * factor
    values = np.where(missing, np.nan, photons * factor)
    sigma[missing] = np.nan
    if missing.all():
        raise DataIntegrityError(
            f"{data_path.name}: expected values above {_MISSING:g}, got none in {name}; choose "
            "another window"
        )
    wcs, shift = _coordinates(pointing, offset, photons.shape[:2])
    middle_row = float(np.median(rows)) + shift[1]
    mended = [f"{data_path.name}: {missing.mean():.1%} of the values are missing"]
    keys = ("slit_id", "stud_acr", "target", "obstitle", "rast_acr", "date_end")
    return SpectralCube(
        values[..., order][:, :, None],
        wavelength,
        sigma=sigma[..., order][:, :, None],
        unit=_CALIBRATED if calibrated else "photons",
        instrument="Hinode/EIS",
        line=name,
        time=_start(index, head_path.name),
        wcs=wcs,
        header={key.upper(): index[key] for key in keys if key in index}
        | {"EXPTIME": float(np.median(exposure)), "WINDOW": name, "NWIN": n_windows},
        summary=ReadingSummary(
            1,
            mended=tuple([remark] if remark else []) + tuple(mended if missing.any() else []),
            notes=() if wcs else ("the slit stands still: columns are times",),
        ),
        wavelength_shift=middle - correction,
        times=parse_times(times, what=head_path.name) if len(times) == photons.shape[1] else None,
        pointing=np.stack([columns + shift[0], np.full(len(columns), middle_row)], 1)
        if len(columns) == photons.shape[1]
        else None,
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise DataIntegrityError(
            f"{path.name}: expected an HDF5 file of EIS, level 1, got {error}; fetch it again"
        ) from None


def _array(file: h5py.File, key: str, name: str) -> np.ndarray:
    if key not in file:
        raise DataIntegrityError(
            f"{name}: expected {key} as in EIS files of level 1, got none; fetch the pair again"
        )
    return np.asarray(file[key][()], float)


def _numbers(group: h5py.Group) -> list[tuple[str, h5py.Dataset]]:
    return [(key, v) for key, v in group.items() if v.size == 1 and v.dtype.kind in "fiu"]


def _window(head: h5py.File, wanted: str | float, name: str) -> tuple[str, str, int]:
    """Return the key of the window that is meant, its name, and how many there are."""
    if "wininfo" not in head or "pointing" not in head or "index" not in head:
        raise DataIntegrityError(
            f"{name}: expected groups wininfo, index and pointing, got {', '.join(head)}; give "
            "EIS files of level 1"
        )
    keys = sorted(key for key in head["wininfo"] if key.startswith("win"))
    group = head["wininfo"]
    names = [_text(np.ravel(group[k]["line_id"][()])[0]) for k in keys]
    ranges = [
        tuple(float(np.ravel(group[k][end][()])[0]) for end in ("wvl_min", "wvl_max")) for k in keys
    ]
    k = chosen_window(wanted, names, ranges, name, first=0)
    return keys[k], names[k], len(keys)


def _coordinates(
    pointing: Mapping[str, float], offset: np.ndarray, shape: tuple[int, int]
) -> tuple[dict, tuple[float, float]]:
    """Return the map's coordinates, and what is added to solar_x and solar_y, arcsec."""
    along = float(np.mean(offset)) * pointing.get("y_scale", 1.0)
    shift = pointing.get("offset_x", 0.0), pointing.get("offset_y", 0.0) - along
    needed = ("xcen", "ycen", "x_scale", "y_scale")
    if not all(key in pointing for key in needed):
        return {}, shift
    wcs = scan_coordinates(
        shape,
        centre=(pointing["xcen"] + shift[0], pointing["ycen"] + shift[1]),
        step=(pointing["x_scale"], pointing["y_scale"]),
    )
    return wcs, shift


def _text(value: object) -> object:
    return value.decode("utf-8", "replace").strip(" &\0") if isinstance(value, bytes) else value


def _start(index: Mapping, name: str) -> str:
    try:
        return str(parse_time(str(index.get("date_obs", "")), what=name))
    except ValueError:
        return ""
