"""What the headers of many frames say, without reading their data: time, place, instrument."""

from __future__ import annotations

import hashlib
import io
import lzma
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from astropy.io import fits

from dataset_models.fits_files.cards import header_cards
from dataset_models.fits_files.opening import opened_stream, quietly
from dataset_models.plain_arrays import open_array
from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.files.frame_header import (
    frame_time,
    frame_wcs,
    instrument_of,
    is_needed,
    region_number,
)
from dataset_models.solar_scenes.files.frames import check_shape, is_beside, refuse_picture
from dataset_models.solar_scenes.files.positions import sky_position

__all__ = ["ScannedFrame", "scan_frame", "scan_frames"]

_BLOCK = 2880  # bytes, FITS standard 4.0, section 3.1
_MOST_BLOCKS = 1000  # of one header; more is no header
_HASHED = 1 << 16  # bytes at the start, in the middle and at the end of a file
_THREADS = 8


@dataclass(frozen=True)
class ScannedFrame:
    """What is known of a frame before it is read.

    Attributes
    ----------
    path : Path
    time : str
        ISO text in UTC, "" where unknown.
    instrument : str
    region : int
        NOAA's number of the active region, 0 where unknown.
    centre : (float, float)
        Helioprojective position of the frame's middle in arcsec, NaN where unknown.
    content : int
        Hash of the file's size and of its bytes at the start, in the middle and at the end.
    """

    path: Path
    time: str
    instrument: str
    region: int
    centre: tuple[float, float]
    content: int


def scan_frames(paths: Sequence[Path]) -> tuple[list[ScannedFrame], list[tuple[Path, str]]]:
    """Scan the headers of many files, several at a time.

    Returns
    -------
    frames : list of ScannedFrame
        In the order of ``paths``.
    skipped : list of (Path, str)
        Files that can't be used, with the reason.
    """
    frames, skipped = [], []
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, found in zip(paths, pool.map(_scanned, paths), strict=True):
            if isinstance(found, ScannedFrame):
                frames.append(found)
            else:
                skipped.append((path, found))
    return frames, skipped


def scan_frame(path: str | Path) -> ScannedFrame:
    """Read a file's header and check that it may hold a frame.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file is no FITS file and no .npy, is cut off, or its image is no single frame.
    """
    path = Path(path)
    refuse_picture(path)
    if path.suffix.lower() == ".npy":
        check_shape(open_array(path).shape, path.name)
        return ScannedFrame(path, "", "", 0, (np.nan, np.nan), _content_hash(path))
    try:
        with opened_stream(path) as file:
            header, shape = _first_image(file, path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, TypeError) as error:
        if isinstance(error, DataIntegrityError):
            raise
        raise DataIntegrityError(f"{path.name}: can't be read as FITS ({error})") from error
    time = frame_time(header)
    wcs = frame_wcs(header, shape)
    centre = sky_position(wcs, header, time, (shape[1] - 1) / 2, (shape[0] - 1) / 2)
    if not np.isfinite(centre).all():
        given = (header.get("XCEN"), header.get("YCEN"))
        if all(isinstance(value, (int, float)) for value in given):
            centre = tuple(map(float, given))
    return ScannedFrame(
        path, time, instrument_of(header), region_number(header), centre, _content_hash(path)
    )


def _scanned(path: Path) -> ScannedFrame | str:
    try:
        return scan_frame(path)
    except (DataIntegrityError, OSError) as error:
        return str(error)


def _first_image(stream: IO[bytes], path: Path) -> tuple[dict, tuple[int, int]]:
    """Return the cards and the shape of the first image, found by the headers' sizes alone."""
    is_plain, is_primary = isinstance(stream, io.BufferedReader), True
    primary: dict = {}
    refused: DataIntegrityError | None = None
    while True:
        with quietly():
            try:
                block = _header_bytes(stream, path.name, is_primary)
            except DataIntegrityError as error:
                raise (refused or error) from None
            header = fits.Header.fromstring(block)
            n_axes, is_packed = header.get("NAXIS", 0), header.get("ZIMAGE", False)
            axis = "ZNAXIS" if is_packed else "NAXIS"
            sides = [header.get(f"{axis}{k}", 0) for k in range(header.get(axis, 0), 0, -1)]
            size = _data_size(header) if n_axes else 0
            cards = header_cards(header, needed=is_needed)
        is_image = is_packed or is_primary or cards.get("XTENSION", "").strip() == "IMAGE"
        primary = cards if is_primary else primary
        if n_axes and is_image:
            try:
                shape = check_shape(tuple(sides), path.name)
            except DataIntegrityError as error:
                if not is_beside(tuple(sides)):
                    raise
                refused, shape = refused or error, None  # the image may follow
        else:
            shape = None
        if shape is not None:
            if is_plain and stream.tell() + size > path.stat().st_size:
                raise DataIntegrityError(f"{path.name}: cut off, it holds less than it declares")
            return ({**primary, **cards} if cards.get("INHERIT") is True else cards), shape
        stream.seek(-(-size // _BLOCK) * _BLOCK, 1)
        is_primary = False


def _header_bytes(stream: IO[bytes], name: str, is_primary: bool) -> bytes:
    blocks = []
    for k in range(_MOST_BLOCKS):
        block = stream.read(_BLOCK)
        if k == 0 and not block and not is_primary:
            raise DataIntegrityError(f"{name}: holds no image")
        starts = (b"SIMPLE  =",) if is_primary else (b"XTENSION=",)
        if len(block) < _BLOCK or (k == 0 and not block.startswith(starts)):
            break
        blocks.append(block)
        if any(block[i : i + 80].rstrip() == b"END" for i in range(0, _BLOCK, 80)):
            return b"".join(blocks)
    raise DataIntegrityError(f"{name}: no FITS file, or its header is cut off")


def _data_size(header: fits.Header) -> int:
    """Return the bytes of data that follow a header (FITS standard 4.0, eq. 2)."""
    n = int(np.prod([header[f"NAXIS{k}"] for k in range(1, header["NAXIS"] + 1)], dtype=object))
    n = (n + header.get("PCOUNT", 0)) * header.get("GCOUNT", 1)
    return abs(header["BITPIX"]) // 8 * n


def _content_hash(path: Path) -> int:
    """Hash parts of a file: copies under other names are equal, whole archives take seconds."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=8)
    with open(path, "rb") as file:
        for start in sorted({0, max(size // 2 - _HASHED // 2, 0), max(size - _HASHED, 0)}):
            file.seek(start)
            digest.update(file.read(_HASHED))
    return int.from_bytes(digest.digest(), "little")
