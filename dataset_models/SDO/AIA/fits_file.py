"""One AIA image from a FITS file: checked by its header, calibrated, averaged onto our grid."""

from __future__ import annotations

import contextlib
import gzip
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS, aia_degradation

__all__ = ["FIELD_ARCSEC", "AIAFile", "AIAHeader", "average_onto_grid", "read_aia", "read_header"]

FIELD_ARCSEC = 2457.6  # of a full image: 4096 pixels of 0.6 arcsec
_LARGEST_SIDE = 16384
_WCS_KEYS = ("CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")
_WCS_KEYS += ("CDELT1", "CDELT2", "CROTA2", "PC1_1", "PC1_2", "PC2_1", "PC2_2")
_NEEDED = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2")
_LONGEST_EXPOSURE_S = 600.0
_LEAST_THROUGHPUT = 0.02  # below, the extrapolated calibration says nothing
_WCS_KEYS += ("RSUN_OBS", "DSUN_OBS", "HGLN_OBS", "HGLT_OBS", "CRLN_OBS", "CRLT_OBS")


@dataclass(frozen=True)
class AIAHeader:
    """What a file says of its image.

    Attributes
    ----------
    channel : int, angstrom
    time, end : datetime64[ms], UTC
        Start and end of the exposure.
    exposure_s : float
    quality : int
        0 is good.
    is_per_second : bool
        Whether the values have been divided by the exposure time.
    wcs : dict
        The header's coordinates, as they stand.
    shape : (y, x)
    """

    channel: int
    time: np.datetime64
    end: np.datetime64
    exposure_s: float
    quality: int
    is_per_second: bool
    wcs: dict
    shape: tuple[int, int]


@dataclass(frozen=True)
class AIAFile:
    """A calibrated image on our grid.

    Attributes
    ----------
    header : AIAHeader
    image : (y, x) float32
        DN s-1 pix-1, divided by exposure and throughput; Sun's centre in the middle, north up; NaN
        where the file has no value.
    throughput : float
        What is left of the channel's throughput at the image's time.
    """

    header: AIAHeader
    image: np.ndarray
    throughput: float


def read_header(path: str | Path) -> AIAHeader:
    """Read and check a file's header without its data.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file is damaged, no AIA image, of a channel that we do not use, or lacks what is
        needed to calibrate it.
    """
    with _opened(path) as hdus:
        return _header(_image_hdu(hdus, Path(path).name).header, Path(path).name)


def read_aia(path: str | Path, size: int) -> AIAFile:
    """Read, calibrate and average an image.

    Parameters
    ----------
    path : str or Path
        FITS, also gzipped or tile-compressed.
    size : int
        Pixels along a side of the result, which spans ``FIELD_ARCSEC``.

    Raises
    ------
    FileNotFoundError, DataIntegrityError
        As ``read_header``; also if the data can't be read or the file is coarser than the grid.
    """
    name = Path(path).name
    with _opened(path) as hdus:
        hdu = _image_hdu(hdus, name)
        header = _header(hdu.header, name)
        data = np.asarray(hdu.data, np.float64)
    if data.shape != header.shape or not np.isfinite(data).any():
        raise DataIntegrityError(f"{name}: holds no finite value, or other data than it declares")
    try:
        throughput = float(aia_degradation(header.channel, np.array([header.time]))[0])
    except ValueError as error:
        raise DataIntegrityError(f"{name}: {error}") from None
    if throughput < _LEAST_THROUGHPUT:
        raise DataIntegrityError(
            f"{name}: the calibration leaves {throughput:.3f} of {header.channel} angstrom's "
            f"throughput at {header.time}, too little to correct for"
        )
    seconds = 1.0 if header.is_per_second else header.exposure_s
    image = average_onto_grid(data / seconds / throughput, header.wcs, size, name)
    return AIAFile(header, image.astype(np.float32), throughput)


def average_onto_grid(data: np.ndarray, wcs: dict, size: int, name: str = "image") -> np.ndarray:
    """Average pixels onto the grid by their places on the sky; never a sum.

    Parameters
    ----------
    data : (y, x) float
        NaN where there is no value.
    wcs : dict
        CRPIX, CRVAL, CDELT in arcsec, and CROTA2 or PC.
    size : int
        Pixels along a side of the result.

    Returns
    -------
    (size, size) float64
        Mean of the pixels whose centres lie in each cell; where there is none, the pixel that the
        cell's centre lies in; NaN beyond the image and where it has no value.
    """
    step = FIELD_ARCSEC / size
    if max(abs(wcs["CDELT1"]), abs(wcs["CDELT2"])) > 1.05 * step:
        raise DataIntegrityError(
            f"{name}: its pixels of {abs(wcs['CDELT1']):.2f} arcsec are coarser than the "
            f"{step:.2f} arcsec of {size} pixels; ask for fewer"
        )
    x, y = _places(data.shape, wcs)
    column = np.floor((x + FIELD_ARCSEC / 2) / step).astype(int)
    row = np.floor((y + FIELD_ARCSEC / 2) / step).astype(int)
    used = (column >= 0) & (column < size) & (row >= 0) & (row < size) & np.isfinite(data)
    index = row[used] * size + column[used]
    count = np.bincount(index, minlength=size * size)
    total = np.bincount(index, data[used], minlength=size * size)
    mean = np.divide(total, count, out=np.full(size * size, np.nan), where=count > 0)
    empty = np.flatnonzero(count == 0)
    centre = (np.stack(np.divmod(empty, size)) + 0.5) * step - FIELD_ARCSEC / 2
    mean[empty] = _value_at(data, wcs, centre[1], centre[0])
    return mean.reshape(size, size)


def _matrix(wcs: dict) -> np.ndarray:
    """Give the (2, 2) matrix from pixel steps (column, row) to arcsec (x, y)."""
    angle = np.radians(wcs.get("CROTA2", 0.0))
    ratio = wcs["CDELT2"] / wcs["CDELT1"]
    turn = [
        [wcs.get("PC1_1", np.cos(angle)), wcs.get("PC1_2", -np.sin(angle) * ratio)],
        [wcs.get("PC2_1", np.sin(angle) / ratio), wcs.get("PC2_2", np.cos(angle))],
    ]
    return np.array([[wcs["CDELT1"]], [wcs["CDELT2"]]]) * np.array(turn)


def _places(shape: tuple[int, int], wcs: dict) -> tuple[np.ndarray, np.ndarray]:
    """Give each pixel centre's x (to the west) and y (to the north) in arcsec."""
    matrix = _matrix(wcs)
    column = np.arange(1, shape[1] + 1)[None] - wcs["CRPIX1"]
    row = np.arange(1, shape[0] + 1)[:, None] - wcs["CRPIX2"]
    x = wcs["CRVAL1"] + matrix[0, 0] * column + matrix[0, 1] * row
    y = wcs["CRVAL2"] + matrix[1, 0] * column + matrix[1, 1] * row
    return x, y


def _value_at(data: np.ndarray, wcs: dict, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give the pixels that places in arcsec lie in, NaN beyond the image."""
    steps = np.linalg.inv(_matrix(wcs)) @ np.stack([x - wcs["CRVAL1"], y - wcs["CRVAL2"]])
    column, row = steps[0] + wcs["CRPIX1"] - 1, steps[1] + wcs["CRPIX2"] - 1
    inside = (np.abs(column - (data.shape[1] - 1) / 2) <= data.shape[1] / 2) & (
        np.abs(row - (data.shape[0] - 1) / 2) <= data.shape[0] / 2
    )
    out = np.full(len(x), np.nan)
    column = np.clip(np.round(column[inside]).astype(int), 0, data.shape[1] - 1)
    row = np.clip(np.round(row[inside]).astype(int), 0, data.shape[0] - 1)
    out[inside] = data[row, column]
    return out


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[fits.HDUList]:
    """Open a FITS file, plain or gzipped; whatever is wrong with it becomes one kind of error."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        warnings.filterwarnings("error", "File may have been truncated", AstropyUserWarning)
        try:
            file = stack.enter_context(open(path, "rb"))
        except OSError as error:
            raise DataIntegrityError(f"{path.name}: can't be opened ({error.strerror})") from error
        if file.read(2) == b"\x1f\x8b":
            file = stack.enter_context(gzip.open(path))
        file.seek(0)
        try:
            with fits.open(file, memmap=False) as hdus:
                yield hdus
        except DataIntegrityError:
            raise
        except (
            OSError,
            AstropyUserWarning,
            ValueError,
            EOFError,
            TypeError,
            LookupError,
            zlib.error,
            fits.VerifyError,
        ) as error:
            raise DataIntegrityError(f"{path.name}: can't be read as FITS ({error})") from error


def _image_hdu(hdus: fits.HDUList, name: str):
    """Give the first HDU that holds an image."""
    for hdu in hdus:
        if hdu.is_image and hdu.header.get("NAXIS", 0) == 2:
            sides = hdu.header["NAXIS1"], hdu.header["NAXIS2"]
            if max(sides) > _LARGEST_SIDE:
                raise DataIntegrityError(f"{name}: an image of {sides} pixels is too large")
            return hdu
    raise DataIntegrityError(f"{name}: holds no image of two dimensions")


def _header(header: fits.Header, name: str) -> AIAHeader:
    telescope = str(header.get("TELESCOP", "unknown"))
    if "AIA" not in telescope.upper() and "AIA" not in str(header.get("INSTRUME", "")).upper():
        instrument = f"{telescope} {header.get('INSTRUME', '')}".strip()
        raise DataIntegrityError(f"{name}: expected an image of SDO/AIA, got one of {instrument}")
    channel = header.get("WAVELNTH")
    if channel not in AIA_CHANNELS:
        raise DataIntegrityError(
            f"{name}: expected a channel of {', '.join(map(str, AIA_CHANNELS))} angstrom, got "
            f"{channel}"
        )
    try:
        text = str(header.get("DATE-OBS") or header["T_OBS"])
        time = np.datetime64(text.strip().removesuffix("Z"), "ms")
        exposure_s, quality = float(header["EXPTIME"]), int(header.get("QUALITY", 0))
        wcs = _coordinates(header)
    except (KeyError, ValueError, TypeError) as error:
        raise DataIntegrityError(
            f"{name}: its header lacks or garbles a value ({error})"
        ) from error
    if np.isnat(time) or not 0 < exposure_s < _LONGEST_EXPOSURE_S:
        raise DataIntegrityError(
            f"{name}: its header's time is {time}, its exposure time {exposure_s} s"
        )
    return AIAHeader(
        channel=int(channel),
        time=time,
        end=time + np.timedelta64(round(exposure_s * 1000), "ms"),
        exposure_s=exposure_s,
        quality=quality,
        is_per_second=_is_per_second(str(header.get("BUNIT", "DN")), name),
        wcs=wcs,
        shape=(int(header["NAXIS2"]), int(header["NAXIS1"])),
    )


def _coordinates(header: fits.Header) -> dict:
    """Give the header's coordinates, numbers as finite floats; helioprojective, in arcsec."""
    wcs = {}
    for key in _WCS_KEYS:
        if key not in header:
            if key in _NEEDED:
                raise KeyError(key)
            continue
        if key.startswith(("CTYPE", "CUNIT")):
            wcs[key] = str(header[key]).strip()
        else:
            wcs[key] = float(header[key])
            if not np.isfinite(wcs[key]):
                raise ValueError(f"{key} is {wcs[key]}")
    units = {wcs.get(key, "arcsec").lower() for key in ("CUNIT1", "CUNIT2")}
    if not units <= {"arcsec", "arcsecs", "arcseconds"}:
        raise ValueError(f"coordinates in {', '.join(sorted(units))}, not in arcsec")
    kinds = {wcs.get("CTYPE1", "HPLN")[:4], wcs.get("CTYPE2", "HPLT")[:4]}
    if not kinds <= {"HPLN", "HPLT"}:
        raise ValueError(f"coordinates {', '.join(sorted(kinds))}, not helioprojective")
    if wcs["CDELT1"] == 0 or wcs["CDELT2"] == 0:
        raise ValueError("pixels of size 0")
    return wcs


def _is_per_second(text: str, name: str) -> bool:
    """Say whether a unit is per second; DN, counts and DN per pixel are not."""
    try:
        unit = u.Unit(text.replace("DN", "ct").replace("dn", "ct").replace("counts", "ct"))
    except ValueError:
        raise DataIntegrityError(f"{name}: the unit {text!r} can't be read") from None
    for power, answer in ((0, False), (-1, True)):
        if any((unit / (base * u.s**power)).is_unity() for base in (u.ct, u.ct / u.pix)):
            return answer
    raise DataIntegrityError(f"{name}: expected DN or DN / s, got {text!r}")
