"""Raw eight-channel files, ``YYYYMMDD_HHMM_AIA_08_1024_1024.dat``, as a source of images.

A file holds float32 numbers in little-endian order, 8 channels x rows x columns, channels in the
order of ``AIA_CHANNELS``, row 0 in the south; brightness divided by exposure and degradation, DN
s-1 pix-1. It has no header, so its name has to tell time and shape, and its length to agree.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_models.reading_summary import ReadingSummary
from dataset_models.SDO.fits_image import FIELD_ARCSEC, average_blocks
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS
from tools.code_dependencies import fingerprint_of_code

__all__ = ["DatFolder", "DatImages", "list_dat_files", "read_dat"]

logger = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{8})_(\d{4})_AIA_(\d{2})_(\d{2,5})_(\d{2,5})\.dat(\.gz)?")
_MINUTE = np.timedelta64(60, "s")
# whatever is brighter, darker as a whole, or more negative is no AIA image in DN s-1 pix-1
_LARGEST_DN_S, _DARKEST_DN_S, _LOWEST_DN_S = 1e7, 1e-3, -1e4
_PACKED = b"\x1f\x8b"


def list_dat_files(folder: Path) -> list[Path]:
    """Return all raw files in a folder and the folders in it, by name; also badly named ones."""
    return sorted(p for p in folder.rglob("*") if p.name.endswith((".dat", ".dat.gz")))


def read_dat(path: str | Path) -> np.ndarray:
    """Read a raw file at its own size, (channel, y, x) float32, DN s-1 pix-1.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If its name does not tell time and shape, its length is another, or its values can't be
        brightness.
    """
    path = Path(path)
    _, shape = _told(path)
    data = path.read_bytes()
    if data[:2] == _PACKED and path.name.endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataIntegrityError(f"{path.name}: can't be unpacked ({error})") from None
    expected = 4 * int(np.prod(shape))
    if len(data) != expected:
        raise DataIntegrityError(
            f"{path.name}: expected {' x '.join(map(str, shape))} float32 values, {expected} "
            f"bytes, got {len(data)}"
        )
    image = np.frombuffer(data, "<f4").reshape(shape)
    known = image[np.isfinite(image)]
    if len(known) == 0:
        raise DataIntegrityError(f"{path.name}: holds no finite value")
    low, high = float(known.min()), float(known.max())
    if not (_LOWEST_DN_S < low and _DARKEST_DN_S < high < _LARGEST_DN_S):
        raise DataIntegrityError(
            f"{path.name}: values from {low:.3g} to {high:.3g} are no brightness in DN s-1 pix-1; "
            "are they float32 in little-endian order?"
        )
    return image


class DatImages:
    """Images made from raw files; those that can't be used are in ``problems``.

    An image's time is the end of the minute in its name: from then on it is known.

    Parameters
    ----------
    paths : sequence of str or Path
    size : int
        Pixels along a side; a whole part of those in the files, which are averaged.

    Raises
    ------
    DataIntegrityError
        If no file can be used; the reasons are listed.
    """

    channels = AIA_CHANNELS

    def __init__(self, paths: Sequence[str | Path], size: int, *, name: str = ".dat files"):
        self.name, self.size = name, size
        if size < 8:
            raise ValueError(f"images have 8 pixels a side or more, not {size}")
        self.pixels_averaged = (4096 / size) ** 2
        self.problems: list[str] = []
        self.mended: list[str] = []
        self._n_given = len(paths)
        found = {}
        for path in map(Path, paths):
            try:
                time, shape = _told(path)
                if shape[1] % size or shape[1] < size:
                    raise DataIntegrityError(
                        f"{path.name}: {shape[1]} pixels can't be averaged to {size} by whole "
                        "numbers; ask for another size"
                    )
            except DataIntegrityError as error:
                self.problems.append(str(error))
                continue
            if time in found:
                self.problems.append(f"{path.name}: {found[time].name} is of the same minute")
            else:
                found[time] = path
        if not found:
            listed = "\n  ".join(self.problems[:20]) or "it holds no .dat file"
            raise DataIntegrityError(f"{name}: no image can be read:\n  {listed}")
        self.times = np.array(sorted(found), "datetime64[s]")
        self._paths = [found[time] for time in sorted(found)]
        self._unreadable: set[int] = set()

    def __len__(self) -> int:
        return len(self._paths)

    def image(self, index: int) -> np.ndarray:
        """Return one image, (channel, y, x) float32, DN s-1 pix-1, NaN where there is no value."""
        try:
            image = read_dat(self._paths[index])
        except (DataIntegrityError, OSError) as error:
            if index not in self._unreadable:
                self.problems.append(str(error))
            logger.warning("%s", error)
            self._unreadable.add(index)
            return np.full((len(AIA_CHANNELS), self.size, self.size), np.nan, np.float32)
        return average_blocks(image, self.size)

    def file(self, index: int) -> tuple[Path, int]:
        """Return the file of an image, and how many pixels a side it has."""
        path = self._paths[index]
        return path, _told(path)[1][1]

    def is_bad(self, index: int) -> bool:
        """Return whether a file could not be read; a raw file carries no other quality."""
        return index in self._unreadable

    def summary(self) -> ReadingSummary:
        """Return what became of the files so far."""
        return ReadingSummary(self._n_given, tuple(self.problems))

    def describe(self) -> dict:
        """Describe what the images are; JSON types only."""
        digest = hashlib.sha256()
        for path in self._paths:
            state = path.stat()
            digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return {
            "source": f"raw AIA files ({self.name})",
            "field_arcsec": FIELD_ARCSEC,
            "calibration": "as in the files: exposure and degradation",
            "files": digest.hexdigest()[:16],
            "code": fingerprint_of_code([__file__]),
        }


class DatFolder(DatImages):
    """Images made from all raw files in a folder and the folders in it, as ``DatImages``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """

    def __init__(self, folder: str | Path, size: int):
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")
        super().__init__(list_dat_files(folder), size, name=folder.name)


def _told(path: Path) -> tuple[np.datetime64, tuple[int, int, int]]:
    """Return what a file's name tells: when the image was complete, and its shape."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise DataIntegrityError(
            f"{path.name}: expected a name such as 20140111_0800_AIA_08_1024_1024.dat"
        )
    day, clock, channels, height, width = match.groups()[:5]
    shape = (int(channels), int(height), int(width))
    if shape[0] != len(AIA_CHANNELS) or shape[1] != shape[2]:
        raise DataIntegrityError(
            f"{path.name}: expected {len(AIA_CHANNELS)} channels and a square image, its name says "
            f"{' x '.join(map(str, shape))}"
        )
    try:
        text = f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:]}"
        return np.datetime64(text, "s") + _MINUTE, shape
    except ValueError:
        raise DataIntegrityError(f"{path.name}: {day}_{clock} is no time") from None
