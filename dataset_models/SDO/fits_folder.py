"""FITS files of AIA and HMI, one per channel and time, as a source of multi-channel images."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_models.SDO.fits_image import FIELD_ARCSEC, OBSERVER_KEYS, ImageHeader
from dataset_models.SDO.image_file import name_of, read_header, read_image
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS, HMI_CHANNELS
from tools.code_dependencies import fingerprint_of_code

__all__ = ["FITSFolder", "FITSImages", "list_fits_files"]

logger = logging.getLogger(__name__)

_ENDINGS = (".fits", ".fits.gz", ".fit", ".fts")
_TOGETHER_S = 60  # channels of one image are taken within a minute


def list_fits_files(folder: Path) -> list[Path]:
    """Return all FITS files in a folder and the folders in it, by name."""
    return sorted(p for p in folder.rglob("*") if p.name.lower().endswith(_ENDINGS))


class FITSImages:
    """Images made from FITS files or sunpy Maps, whatever their names and order.

    Files are told apart by their headers. Those that can't be used are left out and named in
    ``problems``. Files of one minute make one image; a channel without a good file is missing.
    Where a channel has several files in a minute, the first good one counts. An image's time is the
    end of its last exposure: from then on it is known.

    Parameters
    ----------
    images : sequence of str, Path or sunpy Map
    size : int
        Pixels along a side.
    channels : tuple
        Of ``AIA_CHANNELS`` and ``HMI_CHANNELS``; images of other channels are left out.
    degradation_corrected : bool
        Whether the files were corrected for AIA's loss of throughput before.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    DataIntegrityError
        If no image can be used; the reasons are listed.
    """

    def __init__(
        self,
        images: Sequence[object],
        size: int,
        *,
        channels: tuple[int | str, ...] = AIA_CHANNELS,
        degradation_corrected: bool = False,
        name: str = "FITS files",
    ):
        if size < 8:
            raise ValueError(f"images have 8 pixels a side or more, not {size}")
        unknown = [c for c in channels if c not in (*AIA_CHANNELS, *HMI_CHANNELS)]
        if unknown:
            raise ValueError(
                f"expected channels among {', '.join(map(str, (*AIA_CHANNELS, *HMI_CHANNELS)))}; "
                f"got {', '.join(map(str, unknown))}"
            )
        self.size, self.channels, self.name = size, tuple(channels), name
        self.pixels_averaged = (4096 / size) ** 2
        self.problems: list[str] = []
        self._corrected = degradation_corrected
        found = self._headers(images)
        if not found:
            listed = "\n  ".join(self.problems[:20]) or "it holds no FITS file"
            raise DataIntegrityError(f"{name}: no image can be read:\n  {listed}")
        self.times, self._images = self._in_order(_grouped(found))

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int) -> np.ndarray:
        """Return one image, (channel, y, x) float32, NaN where there is no value."""
        out = np.full((len(self.channels), self.size, self.size), np.nan, np.float32)
        for place, header in self._images[index]:
            if header.quality != 0:
                self.problems.append(f"{name_of(place)}: its QUALITY is {header.quality:#x}")
        for place, header in self.files(index):
            try:
                read = read_image(place, self.size, degradation_corrected=self._corrected)
                out[self.channels.index(header.channel)] = read.image
            except (DataIntegrityError, OSError) as error:
                self.problems.append(str(error))
                logger.warning("%s", error)
        return out

    def files(self, index: int) -> list[tuple[object, ImageHeader]]:
        """Return the good files, or maps, that one image is made of, with their headers."""
        return [(place, header) for place, header in self._images[index] if header.quality == 0]

    def is_bad(self, index: int) -> bool:
        """Return whether all files of an image are flagged by their QUALITY."""
        return all(header.quality != 0 for _, header in self._images[index])

    def describe(self) -> dict:
        """Describe what the images are; coordinates of first files, and each image's observer."""
        wcs = {}
        for image in self._images:
            for _, header in image:
                wcs.setdefault(str(header.channel), header.wcs)
        observers = [
            {key: image[0][1].wcs[key] for key in OBSERVER_KEYS if key in image[0][1].wcs}
            for image in self._images
        ]
        corrected = "corrected before" if self._corrected else "version 8"
        return {
            "source": f"SDO FITS files ({self.name})",
            "field_arcsec": FIELD_ARCSEC,
            "calibration": f"exposure; degradation {corrected}",
            "files": self._fingerprint(),
            "code": fingerprint_of_code([__file__]),
            "wcs_of_first_files": wcs,
            "observers": observers,
        }

    def _fingerprint(self) -> str:
        """Return a hash of all files by name, size and time of change; of maps by their data."""
        digest = hashlib.sha256()
        for place in sorted((p for image in self._images for p, _ in image), key=str):
            if isinstance(place, Path):
                state = place.stat()
                text = f"{place.name} {state.st_size} {state.st_mtime_ns}"
            else:
                data = np.ascontiguousarray(place.data)
                text = f"{sorted(place.meta.items())} {hashlib.sha256(data).hexdigest()}"
            digest.update(f"{text}\n".encode())
        return digest.hexdigest()[:16]

    def _headers(self, images: Sequence[object]) -> list[tuple[object, ImageHeader]]:
        found = []
        for given in images:
            image = Path(given) if isinstance(given, (str, Path)) else given
            try:
                header = read_header(image)
            except (DataIntegrityError, OSError) as error:
                self.problems.append(str(error))
                continue
            if header.channel in self.channels:
                found.append((image, header))
            else:
                self.problems.append(f"{name_of(image)}: {header.channel} is not asked for")
        return found

    def _in_order(self, images: list) -> tuple[np.ndarray, list]:
        """Sort images by the times at which they are known; of equal times the first stays."""
        ends = np.array([max(h.end for _, h in image) for image in images])
        ends = (ends + np.timedelta64(999, "ms")).astype("datetime64[s]")
        times, first = np.unique(ends, return_index=True)
        for k in sorted(set(range(len(images))) - set(first.tolist())):
            names = ", ".join(name_of(place) for place, _ in images[k])
            self.problems.append(f"{names}: another image ends in the same second")
        return times, [images[k] for k in first]


class FITSFolder(FITSImages):
    """Images made from all FITS files in a folder and the folders in it, as ``FITSImages``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """

    def __init__(self, folder: str | Path, size: int, **options):
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")
        super().__init__(list_fits_files(folder), size, name=folder.name, **options)


def _grouped(
    files: list[tuple[object, ImageHeader]],
) -> list[list[tuple[object, ImageHeader]]]:
    """Put the files of one minute together, in order of time, one per channel."""
    groups: list[dict[int | str, tuple[object, ImageHeader]]] = []
    start = None
    for image, header in sorted(files, key=lambda f: (f[1].time, str(f[0]))):
        new = start is None or (header.time - start) / np.timedelta64(1, "s") > _TOGETHER_S
        if new:
            groups.append({})
            start = header.time
        kept = groups[-1].get(header.channel)
        if kept is None or (kept[1].quality != 0 and header.quality == 0):
            groups[-1][header.channel] = (image, header)
    return [list(group.values()) for group in groups]
