"""Opens FITS files of every usual ending and compression, and finds the images in them."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import threading
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from dataset_models.solar_data import DataIntegrityError

__all__ = [
    "COMPRESSED_STARTS",
    "FITS_ENDINGS",
    "LARGEST_SIDE",
    "ImageInFile",
    "image_hdus",
    "list_fits_files",
    "name_of",
    "opened_hdus",
    "opened_stream",
    "opened_whole",
    "quietly",
]

_KINDS = (".fits", ".fit", ".fts")
_COMPRESSIONS = ("", ".gz", ".bz2", ".xz", ".zip", ".fz")
FITS_ENDINGS = tuple(kind + packed for kind in _KINDS for packed in _COMPRESSIONS)
COMPRESSED_STARTS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"PK\3\4")
LARGEST_SIDE = 16384  # pixels; more is a damaged header
_OTHER_COMPRESSIONS = {b"\x1f\x9d": "compress (.Z)", b"\x28\xb5\x2f\xfd": "zstandard (.zst)"}
_UNREAD = re.compile(r"\.(fits?|fts)\.(z|zst|lzma|lz4?|7z|tar)$|\.ftz$|\.fits?\.tgz$")
_LOCK = threading.RLock()  # warning filters belong to the process, frames are read in threads


@dataclass(frozen=True)
class ImageInFile:
    """One image of a FITS file that holds several.

    Attributes
    ----------
    path : Path
    hdu : int
        Counted from 0, the primary.
    plane : int, optional
        Of a cube of channels, counted from 0.
    """

    path: Path
    hdu: int
    plane: int | None = None

    @property
    def name(self) -> str:
        """File name with the number of the HDU, and of the plane."""
        plane = "" if self.plane is None else f"[{self.plane}]"
        return f"{self.path.name}[{self.hdu}]{plane}"

    def __str__(self) -> str:
        return str(self.path.with_name(self.name))


def name_of(image: object) -> str:
    """Return what an image is called in messages: file name, or ``map``."""
    if isinstance(image, ImageInFile):
        return image.name
    return Path(image).name if isinstance(image, (str, Path)) else "map"


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress astropy's remarks on non-standard headers, one thread at a time."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def list_fits_files(folder: Path) -> tuple[list[Path], list[str]]:
    """List all FITS files in a folder and the folders in it, by name.

    Returns
    -------
    files : list of Path
    left_out : list of str
        A sentence for each file that is named as FITS but hidden, such as macOS's ``._``
        companions, or compressed in a way that is not read.
    """
    files, left_out = [], []
    for path in sorted(folder.rglob("*")):
        if not path.name.lower().endswith(FITS_ENDINGS):
            if _UNREAD.search(path.name.lower()) and path.is_file():
                left_out.append(f"{path.name}: compressed in a way that is not read; unpack it")
            continue
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            left_out.append(f"{path.name}: a hidden file")
        elif path.is_dir():
            left_out.append(f"{path.name}: a folder")
        else:
            files.append(path)
    return files, left_out


@contextlib.contextmanager
def opened_stream(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressed if it is gzip, bzip2, xz or zip by its content.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it can't be opened, or its compression can't be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except OSError as error:
            raise DataIntegrityError(f"{path.name}: can't be opened ({error.strerror})") from error
        start = file.read(6)
        file.seek(0)
        if start[:2] == b"\x1f\x8b":
            file = stack.enter_context(gzip.open(file))
        elif start[:3] == b"BZh":
            file = stack.enter_context(bz2.open(file))
        elif start == b"\xfd7zXZ\0":
            file = stack.enter_context(lzma.open(file))
        elif start[:4] == b"PK\3\4":
            file = _only_member(file, path.name)
        else:
            for magic, kind in _OTHER_COMPRESSIONS.items():
                if start.startswith(magic):
                    raise DataIntegrityError(
                        f"{path.name}: compressed with {kind}, which is not read; unpack it first"
                    )
        yield file


@contextlib.contextmanager
def opened_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file as ``opened_stream`` does; what is compressed is read to the end, and checked.

    The checksums of gzip, bzip2 and xz stand at the end; who stops before reads damage as data.
    """
    with opened_stream(path) as file:
        yield file if isinstance(file, io.BufferedReader) else io.BytesIO(file.read())


@contextlib.contextmanager
def opened_hdus(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file; whatever is wrong with it becomes one kind of error.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file, or what is read from it within the block, is damaged.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        warnings.filterwarnings("error", "File may have been truncated", AstropyUserWarning)
        try:
            file = stack.enter_context(opened_whole(path))
            with fits.open(file, memmap=False) as hdus:
                yield hdus
        except (DataIntegrityError, FileNotFoundError):
            raise
        except (
            OSError,
            AstropyUserWarning,
            ValueError,
            EOFError,
            TypeError,
            LookupError,
            zlib.error,
            lzma.LZMAError,
            fits.VerifyError,
            OverflowError,
        ) as error:
            raise DataIntegrityError(f"{path.name}: can't be read as FITS ({error})") from error


def image_hdus(hdus: fits.HDUList, name: str) -> list[int]:
    """Return the numbers of the HDUs that hold an image of at least two axes.

    Raises
    ------
    DataIntegrityError
        If there is none, or one is too large to be an image.
    """
    found = []
    for k, hdu in enumerate(hdus):
        shape = hdu.shape if hdu.is_image else ()
        if len(shape) < 2:
            continue
        if max(shape[-2:]) > LARGEST_SIDE:
            raise DataIntegrityError(f"{name}: an image of {shape[::-1]} pixels is too large")
        found.append(k)
    if not found:
        raise DataIntegrityError(f"{name}: holds no image of two dimensions")
    return found


def _only_member(file: IO[bytes], name: str) -> IO[bytes]:
    """Return the one file of a zip archive, unpacked."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) == 1:
                return io.BytesIO(archive.read(members[0]))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataIntegrityError(f"{name}: a damaged zip archive ({error})") from None
    except (RuntimeError, NotImplementedError) as error:
        raise DataIntegrityError(f"{name}: a zip archive that can't be read ({error})") from None
    raise DataIntegrityError(
        f"{name}: a zip archive of {len(members)} files; expected one FITS file"
    )
