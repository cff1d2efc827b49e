"""FITS images of the full Sun: opened whatever is wrong, averaged by their coordinates."""

from __future__ import annotations

import contextlib
import gzip
import re
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.utils.exceptions import AstropyUserWarning

from dataset_models.solar_data import DataIntegrityError

__all__ = [
    "FIELD_ARCSEC",
    "OBSERVER_KEYS",
    "ImageHeader",
    "average_blocks",
    "average_onto_grid",
    "coordinates",
    "grid_cells",
    "image_of",
    "number_of",
    "opened_hdus",
    "opened_image",
    "time_of",
]

FIELD_ARCSEC = 2457.6  # of a full image: 4096 pixels of 0.6 arcsec
_LARGEST_SIDE = 16384
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?")
_MS = "datetime64[ms]"
OBSERVER_KEYS = ("RSUN_OBS", "DSUN_OBS", "HGLN_OBS", "HGLT_OBS", "CRLN_OBS", "CRLT_OBS")
_WCS_KEYS = ("CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")
_WCS_KEYS += ("CDELT1", "CDELT2", "CROTA2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", *OBSERVER_KEYS)
_NEEDED = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2")


@dataclass(frozen=True)
class ImageHeader:
    """What a file, or a map, says of its image.

    Attributes
    ----------
    channel : int or str
        Of ``AIA_CHANNELS`` (angstrom) or ``HMI_CHANNELS``.
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

    channel: int | str
    time: np.datetime64
    end: np.datetime64
    exposure_s: float
    quality: int
    is_per_second: bool
    wcs: dict
    shape: tuple[int, int]


@contextlib.contextmanager
def opened_image(image: object) -> Iterator[tuple[str, fits.Header, object]]:
    """Open a file's first image, or take a map's; give name, header, and what holds the data.

    Whatever is wrong with a file becomes one kind of error.

    Parameters
    ----------
    image : str, Path, or an object with ``data`` and ``meta``
        A FITS file, also gzipped or tile-compressed; or a sunpy Map.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file can't be read or holds no image.
    """
    if not isinstance(image, (str, Path)):
        if not hasattr(image, "meta") or not hasattr(image, "data"):
            raise TypeError(f"expected a FITS file or a map, got {type(image).__name__}")
        header = _header_of_map(image)
        yield f"map of {header.get('DATE-OBS', 'unknown time')}", header, image
        return
    with opened_hdus(Path(image)) as hdus:
        hdu = _image_hdu(hdus, Path(image).name)
        yield Path(image).name, hdu.header, hdu


def image_of(holder: object, shape: tuple[int, int], name: str) -> np.ndarray:
    """Give the (y, x) float64 data of what ``opened_image`` gave; refuse what holds no value."""
    data = np.asarray(holder.data, np.float64)
    mask = getattr(holder, "mask", None)
    if mask is not None:
        data = np.where(mask, np.nan, data)
    if data.shape != shape or not np.isfinite(data).any():
        raise DataIntegrityError(f"{name}: holds no finite value, or other data than it declares")
    return data


def _header_of_map(image: object) -> fits.Header:
    header = fits.Header()
    for key, value in image.meta.items():
        if key.lower() in ("comment", "history", "keycomments", "simple", "extend"):
            continue
        with contextlib.suppress(ValueError, fits.VerifyError):  # cards that FITS can't hold
            header[key.upper()[:8]] = value
    header["NAXIS2"], header["NAXIS1"] = np.shape(image.data)
    return header


def time_of(header: fits.Header) -> np.datetime64:
    """Give the start of the exposure, UTC; raises KeyError or ValueError where there is none.

    A date alone is not enough: the image would count as known hours before it was taken.
    """
    text = str(header.get("DATE-OBS") or header["T_OBS"]).strip().removesuffix("Z")
    if "T" not in text and "TIME-OBS" in header:
        text = f"{text}T{str(header['TIME-OBS']).strip()}"
    if not _TIME.fullmatch(text):
        raise ValueError(f"the time {text!r}")
    scale = str(header.get("TIMESYS", "UTC")).strip().upper()
    if scale not in ("UTC", "TAI"):
        raise ValueError(f"times in {scale}")
    if scale == "TAI":
        return Time(text, format="isot", scale="tai").utc.to_value("datetime64").astype(_MS)
    return np.datetime64(text, "ms")


def number_of(header: fits.Header, key: str, default: int | None = None) -> int:
    """Give an integer that may be written as text, also hexadecimal."""
    value = header.get(key, default)
    if isinstance(value, str):
        return int(value.strip(), 0)
    if value is None or int(value) != value:
        raise ValueError(f"{key} is {value}")
    return int(value)


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
    cell = _cells(data.shape, wcs, size)
    used = (cell >= 0) & np.isfinite(data)
    index = cell[used]
    count = np.bincount(index, minlength=size * size)
    total = np.bincount(index, data[used], minlength=size * size)
    mean = np.divide(total, count, out=np.full(size * size, np.nan), where=count > 0)
    empty = np.flatnonzero(count == 0)
    centre = (np.stack(np.divmod(empty, size)) + 0.5) * step - FIELD_ARCSEC / 2
    mean[empty] = _value_at(data, wcs, centre[1], centre[0])
    return mean.reshape(size, size)


def grid_cells(shape: tuple[int, int], wcs: dict, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the cell of the grid that each pixel is averaged into, and its share of the mean.

    Parameters
    ----------
    shape : (y, x)
        Of the image; all its pixels are taken to have values.
    wcs, size
        As for ``average_onto_grid``.

    Returns
    -------
    cell : (y, x) int
        row * size + column; -1 beyond the grid.
    share : (y, x) float
        One over the number of pixels in the cell.
    """
    cell = _cells(shape, wcs, size)
    count = np.bincount(cell[cell >= 0], minlength=size * size)
    return cell, 1 / np.maximum(count, 1)[cell]


def _cells(shape: tuple[int, int], wcs: dict, size: int) -> np.ndarray:
    """Give the cell that each pixel's centre lies in, (y, x) int, -1 beyond the grid."""
    step = FIELD_ARCSEC / size
    x, y = _places(shape, wcs)
    column = np.floor((x + FIELD_ARCSEC / 2) / step).astype(int)
    row = np.floor((y + FIELD_ARCSEC / 2) / step).astype(int)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    return np.where(inside, row * size + column, -1)


def average_blocks(image: np.ndarray, size: int) -> np.ndarray:
    """Average square blocks of pixels, leaving out those without a value.

    Parameters
    ----------
    image : (channel, y, x) float
        NaN where there is no value; its sides are whole multiples of ``size``.
    size : int
        Pixels along a side of the result.

    Returns
    -------
    (channel, size, size) float32
        NaN where a block has no value.
    """
    n = image.shape[1] // size
    blocks = image.reshape(len(image), size, n, size, n)
    known = np.isfinite(blocks)
    count = known.sum(axis=(2, 4))
    total = np.where(known, blocks, 0).sum(axis=(2, 4), dtype=float)
    out = np.full(count.shape, np.nan)
    return np.divide(total, count, out=out, where=count > 0).astype(np.float32)


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


def coordinates(header: fits.Header) -> dict:
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
    kinds = wcs.get("CTYPE1", "HPLN")[:4], wcs.get("CTYPE2", "HPLT")[:4]
    if kinds != ("HPLN", "HPLT"):
        raise ValueError(
            f"coordinates {' and '.join(kinds)}, not HPLN and HPLT: helioprojective, x first"
        )
    if wcs["CDELT1"] == 0 or wcs["CDELT2"] == 0:
        raise ValueError("pixels of size 0")
    matrix = _matrix(wcs)
    if abs(np.linalg.det(matrix)) <= 1e-3 * np.prod(np.linalg.norm(matrix, axis=1)):
        raise ValueError("its coordinates turn both axes into one")
    return wcs


@contextlib.contextmanager
def opened_hdus(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file, plain or gzipped; whatever is wrong with it becomes one kind of error."""
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
