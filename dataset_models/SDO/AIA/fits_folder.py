"""A folder of AIA's FITS files, one per channel and time, as a source of eight-channel images."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.fits_file import FIELD_ARCSEC, AIAHeader, read_aia, read_header
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS
from tools.run_folder import code_fingerprint

__all__ = ["FITSFolder"]

logger = logging.getLogger(__name__)

_ENDINGS = (".fits", ".fits.gz", ".fit", ".fts")
_TOGETHER_S = 60  # channels of one image are taken within a minute


class FITSFolder:
    """Images made from all AIA files in a folder, whatever their names and order.

    Files are told apart by their headers. Those that can't be used are left out and named in
    ``problems``. Files of one minute make one image; a channel without a file is missing. Where a
    channel has several files in a minute, the first good one counts. An image's time is the end of
    its last exposure: from then on it is known.

    Parameters
    ----------
    folder : str or Path
    size : int
        Pixels along a side.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DataIntegrityError
        If no file can be used; the reasons are listed.
    """

    channels = AIA_CHANNELS

    def __init__(self, folder: str | Path, size: int):
        self.folder, self.size = Path(folder), size
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no such folder: {self.folder}")
        if size < 8:
            raise ValueError(f"images have 8 pixels a side or more, not {size}")
        self.pixels_averaged = (4096 / size) ** 2
        self.problems: list[str] = []
        files = self._headers()
        if not files:
            listed = "\n  ".join(self.problems[:20]) or "it holds no FITS file"
            raise DataIntegrityError(f"{self.folder}: no AIA image can be read:\n  {listed}")
        self._images = _grouped(files)
        ends = np.array([max(h.end for _, h in image) for image in self._images])
        self.times = (ends + np.timedelta64(999, "ms")).astype("datetime64[s]")
        self._unreadable: set[int] = set()

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int) -> np.ndarray:
        """Give one image, (channel, y, x) float32, DN s-1 pix-1, NaN where there is no value."""
        out = np.full((len(AIA_CHANNELS), self.size, self.size), np.nan, np.float32)
        for path, header in self._images[index]:
            try:
                out[AIA_CHANNELS.index(header.channel)] = read_aia(path, self.size).image
            except (DataIntegrityError, OSError) as error:
                self.problems.append(str(error))
                logger.warning("%s", error)
                self._unreadable.add(index)
        return out

    def is_bad(self, index: int) -> bool:
        """Say whether a file of an image is flagged by its QUALITY, or could not be read."""
        flagged = any(header.quality != 0 for _, header in self._images[index])
        return flagged or index in self._unreadable

    def describe(self) -> dict:
        """Say what the images are, with the coordinates of the first file of each channel."""
        wcs = {}
        for image in self._images:
            for _, header in image:
                wcs.setdefault(str(header.channel), header.wcs)
        return {
            "source": f"AIA FITS files ({self.folder.name})",
            "field_arcsec": FIELD_ARCSEC,
            "calibration": "exposure; degradation version 8",
            "files": self._fingerprint(),
            "code": code_fingerprint("dataset_models/SDO/AIA/fits_*.py", "tools/channels.py"),
            "wcs_of_first_files": wcs,
        }

    def _fingerprint(self) -> str:
        """Give a hash of all files by name, size and time of change."""
        digest = hashlib.sha256()
        for path in sorted(path for image in self._images for path, _ in image):
            state = path.stat()
            name = path.relative_to(self.folder).as_posix()
            digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]

    def _headers(self) -> list[tuple[Path, AIAHeader]]:
        found = []
        for path in sorted(self.folder.rglob("*")):
            if not path.name.lower().endswith(_ENDINGS):
                continue
            try:
                found.append((path, read_header(path)))
            except (DataIntegrityError, OSError) as error:
                self.problems.append(str(error))
        return found


def _grouped(files: list[tuple[Path, AIAHeader]]) -> list[list[tuple[Path, AIAHeader]]]:
    """Put the files of one minute together, in order of time, one per channel."""
    groups: list[dict[int, tuple[Path, AIAHeader]]] = []
    start = None
    for path, header in sorted(files, key=lambda f: (f[1].time, f[0].name)):
        new = start is None or (header.time - start) / np.timedelta64(1, "s") > _TOGETHER_S
        if new:
            groups.append({})
            start = header.time
        kept = groups[-1].get(header.channel)
        if kept is None or (kept[1].quality != 0 and header.quality == 0):
            groups[-1][header.channel] = (path, header)
    return [list(group.values()) for group in groups]
