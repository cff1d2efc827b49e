"""Slic's prepared frames: an .npz of rows, each a label and the 65,536 bytes of an image.

The layout is that of Armstrong & Fletcher 2019 (doi 10.1007/s11207-019-1473-z): key ``data``, and
``header`` where there are headers.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from dataset_models.solar_data import (
    ArrayInfo,
    DataIntegrityError,
    SampleTable,
    SolarData,
    hash_rows,
)
from dataset_models.solar_scenes.classes import CLASSES
from dataset_models.solar_scenes.files.near_copies import largest_aligned_correlation, thumbnail
from dataset_models.solar_scenes.files.scene_table import one_hot, scene_arrays, scene_table
from tools.atomic_files import commit_file, scratch_path

__all__ = ["SLIC_SIDE", "SlicFiles", "SlicWriter"]

SLIC_SIDE = 256
_N_COLUMNS = 1 + SLIC_SIDE**2
_SAME_SCENE = 0.8  # frames of one scene a few minutes apart correlate at 0.89 and above
_ROWS = 256  # read at a time


class SlicFiles(SolarData):
    """One of Slic's prepared sets; the rows stay on disk.

    Where the file holds headers as JSON text, as ``prepare.py --header`` writes them, times and
    groups are from there. Else the rows are taken to follow in time, as Slic wrote them, and
    neighbouring rows of one class that correlate at 0.8 or more are one group. Headers as pickled
    objects are never read.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    primary : (sample,) int
        Index of each row's class in OUTPUTS.
    headers_are_read : bool

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it is damaged or holds other rows.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"no such file: {self.path}")
        self._rows = _open_rows(self.path)
        label = np.asarray(self._rows[:, 0], float)
        if not np.isin(label, np.arange(len(CLASSES))).all():
            raise DataIntegrityError(
                f"{self.path.name}: expected labels from 0 to {len(CLASSES) - 1} in the first "
                f"column, got {sorted(set(label.tolist()))[:8]}"
            )
        self.primary = label.astype(int)
        headers = _read_headers(self.path, len(label))
        self.headers_are_read = headers is not None
        self._table = self._made_table(headers)

    @property
    def table(self) -> SampleTable:
        """The table of samples; without headers the times are seconds since 1970 by row."""
        return self._table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """The image and its label."""
        return scene_arrays((SLIC_SIDE, SLIC_SIDE))

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read rows: images as they were prepared, 0 to 255, and labels."""
        indices = np.asarray(indices, int)
        pixels = np.array(self._rows[indices, 1:], np.float32)
        images = pixels.reshape(-1, SLIC_SIDE, SLIC_SIDE, 1)
        return {"image": images, "label": one_hot(self.primary[indices])}

    def labels(self, indices: np.ndarray) -> np.ndarray:
        """Return the labels of some samples, (sample, output) float32."""
        return one_hot(self.primary[indices])

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Return small frames with mean 0 and spread 1, NaN where they show nothing."""
        return np.stack([thumbnail(self._image(row)) for row in np.asarray(indices, int)])

    def provenance(self) -> dict:
        """Return which file it is, and what is known of its frames."""
        return {
            "source": f"Slic's prepared frames in {self.path.name}",
            "samples": len(self.primary),
            "classes": {name: int((self.primary == k).sum()) for k, name in enumerate(CLASSES)},
            "groups": len(np.unique(self.table.group)),
            "groups_from": "headers" if self.headers_are_read else "likeness of neighbouring rows",
            "repairs": "none; what Slic's preparation left out is not known",
        }

    def _image(self, row: int) -> np.ndarray:
        return np.asarray(self._rows[row, 1:], np.float32).reshape(SLIC_SIDE, SLIC_SIDE)

    def _made_table(self, headers: list[dict] | None) -> SampleTable:
        n = len(self.primary)
        hashes, starts, before = np.empty(n, np.uint64), np.zeros(n, bool), None
        for first in range(0, n, _ROWS):
            rows = np.array(self._rows[first : first + _ROWS])
            hashes[first : first + len(rows)] = hash_rows(rows[:, 1:])
            if headers is not None:
                continue
            for k, row in enumerate(rows, first):
                small = thumbnail(row[1:].reshape(SLIC_SIDE, SLIC_SIDE))
                starts[k] = before is None or not _is_same(small, before)
                before = small
        if headers is not None:
            time = np.array([h["time"] or "1970-01-01" for h in headers], "datetime64[s]")
            return scene_table(time, np.array([h["group"] for h in headers]), hashes)
        starts[1:] |= np.diff(self.primary) != 0
        group = np.array([f"rows {k}" for k in np.flatnonzero(starts)])[np.cumsum(starts) - 1]
        return scene_table(np.arange(n).astype("datetime64[s]"), group, hashes)


class SlicWriter:
    """Write one of Slic's prepared sets row by row, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Of the .npz; rows gather in a file beside it until ``finish`` is called.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.n_rows = 0
        self._headers: list[str] = []
        self._rows = tempfile.TemporaryFile(dir=self.path.parent)

    def add(self, label: int, image: np.ndarray, header: dict | None = None) -> None:
        """Add a (256, 256) uint8 frame, with JSON values to be kept beside it."""
        self._rows.write(bytes([label]) + np.ascontiguousarray(image, np.uint8).tobytes())
        self._headers.append(json.dumps(header or {}))
        self.n_rows += 1

    def finish(self, *, with_header: bool = False) -> None:
        """Return the file its name. Stored, not compressed, so that it can be read in any order."""
        scratch = scratch_path(self.path)
        try:
            with zipfile.ZipFile(scratch, "w") as archive:
                with _member(archive, "data") as file:
                    _npy_header(file, (self.n_rows, _N_COLUMNS), np.dtype(np.uint8))
                    self._rows.seek(0)
                    shutil.copyfileobj(self._rows, file, 1 << 20)
                if with_header:
                    with _member(archive, "header") as file:
                        np.lib.format.write_array(file, np.array(self._headers))
            commit_file(scratch, self.path)
        finally:
            scratch.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Forget the rows."""
        self._rows.close()


def _open_rows(path: Path) -> np.ndarray:
    """Map the rows into memory; those of a compressed file are unpacked to disk first."""
    try:
        with zipfile.ZipFile(path) as archive:
            if "data.npy" not in archive.namelist():
                raise DataIntegrityError(f"{path.name}: expected the key data, found none")
            info = archive.getinfo("data.npy")
            with archive.open(info) as member:
                shape, is_fortran, dtype = _read_npy_header(member, path.name)
                offset = member.tell()
                if info.file_size - offset != dtype.itemsize * shape[0] * shape[1]:
                    raise DataIntegrityError(f"{path.name}: data holds less than it declares")
                if info.compress_type == zipfile.ZIP_STORED:
                    while member.read(1 << 20):  # to the end, which checks the CRC
                        pass
                    file, offset = open(path, "rb"), offset + _start_of(path, info)
                else:
                    file, offset = _scratch(path.parent), 0
                    shutil.copyfileobj(member, file, 1 << 20)
                    file.flush()
    except DataIntegrityError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataIntegrityError(f"{path.name}: can't be read as .npz ({error})") from error
    order = "F" if is_fortran else "C"
    with file:  # the map keeps the file, also one without a name
        return np.memmap(file, dtype, "r", offset, shape, order)


def _read_npy_header(member: IO[bytes], name: str) -> tuple[tuple[int, int], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    reader = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        reader = np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = reader(member)
    if len(shape) != 2 or shape[1] != _N_COLUMNS or shape[0] < 1 or dtype.kind not in "iuf":
        raise DataIntegrityError(
            f"{name}: expected rows of a label and {SLIC_SIDE} x {SLIC_SIDE} numbers, got the "
            f"shape {shape} of {dtype}"
        )
    return shape, is_fortran, dtype


def _start_of(path: Path, info: zipfile.ZipInfo) -> int:
    """Return the place of a stored member's bytes (ZIP application note, section 4.3.7)."""
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)
    return info.header_offset + 30 + sum(struct.unpack("<HH", local[26:30]))


def _scratch(folder: Path) -> IO[bytes]:
    """Open a file without a name beside the data, which may be larger than the memory."""
    with contextlib.suppress(OSError):
        return tempfile.TemporaryFile(dir=folder)
    return tempfile.TemporaryFile()


def _read_headers(path: Path, n: int) -> list[dict] | None:
    """Return each row's header where they are JSON text, else None."""
    with contextlib.suppress(KeyError, ValueError, TypeError), np.load(path) as archive:
        texts = archive["header"]  # pickled objects are refused with a ValueError
        headers = [json.loads(str(text)) for text in texts]
        fields = [{key: str(header[key]) for key in ("time", "group")} for header in headers]
        if len(fields) == n:
            return fields
    return None


def _is_same(thumb: np.ndarray, before: np.ndarray) -> bool:
    likeness = largest_aligned_correlation(thumb[None], before[None])[0]
    return bool(likeness >= _SAME_SCENE)


@contextlib.contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    # a fixed date: equal rows give equal files
    info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    with archive.open(info, "w", force_zip64=True) as file:
        yield file


def _npy_header(file: IO[bytes], shape: tuple[int, int], dtype: np.dtype) -> None:
    text = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, text)
