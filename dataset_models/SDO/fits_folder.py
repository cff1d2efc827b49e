"""FITS files of AIA and HMI, one per channel and time, as a source of multi-channel images."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_models.fits_files.coordinates import OBSERVER_KEYS
from dataset_models.fits_files.opening import ImageInFile, list_fits_files, name_of
from dataset_models.fits_files.time_groups import group_by_time, one_per_channel
from dataset_models.reading_summary import ReadingSummary, lost_cards_note
from dataset_models.SDO.AIA.fits_file import extrapolation_warning
from dataset_models.SDO.fits_image import FIELD_ARCSEC, ImageHeader
from dataset_models.SDO.image_file import read_headers, read_image
from dataset_models.solar_data import DataIntegrityError
from tools.channels import AIA_CHANNELS, CALIBRATION, HMI_CHANNELS, is_extrapolated
from tools.code_dependencies import fingerprint_of_code

__all__ = ["FITSFolder", "FITSImages"]

logger = logging.getLogger(__name__)

_TOGETHER_S = 60  # channels of one image are taken within a minute


class FITSImages:
    """Images made from FITS files or sunpy Maps, whatever their names and order.

    Files are told apart by their headers; all images in a file count. What can't be used is left
    out and named in ``problems``, what was mended in ``mended``. Images of one time, within a
    minute, make one image (``group_by_time``); a channel without a good file is missing. A frame
    that repeats a channel of an image, in a group less than half as full, is left out, unless the
    image's own is bad. An image's time is the end of its last exposure: from then on it is known.

    Parameters
    ----------
    images : sequence of str, Path or sunpy Map
    size : int
        Pixels along a side.
    channels : tuple
        Of ``AIA_CHANNELS`` and ``HMI_CHANNELS``; images of other channels are left out.
    degradation_corrected : bool
        Whether the files were corrected for AIA's loss of throughput before.
    calibration : str
        Version by which they are corrected, one of ``CALIBRATIONS``.

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
        calibration: str = CALIBRATION,
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
        self.mended: list[str] = []
        self.n_given = 0
        self._read: set[int] = set()
        self._header_notes: list[str] = []
        self._lost: Counter[str] = Counter()
        self._corrected, self._calibration = degradation_corrected, calibration
        found = self._headers(images)
        if not found:
            listed = "\n  ".join(self.problems[:20]) or "it holds no FITS file"
            raise DataIntegrityError(f"{name}: no image can be read:\n  {listed}")
        self.times, self._images = self._in_order(self._grouped(found))
        for image in self._images:
            for place, header in image:
                if header.quality != 0:
                    self.problems.append(f"{name_of(place)}: its QUALITY is {header.quality:#x}")
                else:
                    self._header_notes += header.notes
                    self._lost.update(header.lost_cards)

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int) -> np.ndarray:
        """Return one image, (channel, y, x) float32, NaN where there is no value."""
        out = np.full((len(self.channels), self.size, self.size), np.nan, np.float32)
        is_first = index not in self._read
        for place, header in self.files(index):
            try:
                read = read_image(
                    place,
                    self.size,
                    degradation_corrected=self._corrected,
                    calibration=self._calibration,
                )
                out[self.channels.index(header.channel)] = read.image
                if read.mended and is_first:
                    self.mended.append(read.mended)
            except (DataIntegrityError, OSError) as error:
                if is_first:
                    self.problems.append(str(error))
                logger.warning("%s", error)
        self._read.add(index)
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
        version = "" if self._corrected else self._calibration
        corrected = f"version {version[1:]}" if version else "corrected before"
        return {
            "source": f"SDO FITS files ({self.name})",
            "field_arcsec": FIELD_ARCSEC,
            "calibration": f"exposure; degradation {corrected}",
            "calibration_version": version,
            "files": self._fingerprint(),
            "code": fingerprint_of_code([__file__]),
            "wcs_of_first_files": wcs,
            "observers": observers,
        }

    def summary(self) -> ReadingSummary:
        """Return what became of the files so far."""
        mended = (*self.mended, *self._header_notes)
        notes = (*self._extrapolated(), *lost_cards_note(self._lost))
        return ReadingSummary(self.n_given, tuple(self.problems), mended, notes)

    def _fingerprint(self) -> str:
        """Return a hash of all files by name, size and time of change; of maps by their data."""
        digest = hashlib.sha256()
        for place in sorted((p for image in self._images for p, _ in image), key=str):
            if isinstance(place, (str, Path, ImageInFile)):
                path = place.path if isinstance(place, ImageInFile) else Path(place)
                state = path.stat()
                text = f"{name_of(place)} {state.st_size} {state.st_mtime_ns}"
            else:
                data = np.ascontiguousarray(place.data)
                text = f"{sorted(place.meta.items())} {hashlib.sha256(data).hexdigest()}"
            digest.update(f"{text}\n".encode())
        return digest.hexdigest()[:16]

    def _headers(self, images: Sequence[object]) -> list[tuple[object, ImageHeader]]:
        found = []
        for image in images:
            self.n_given += 1
            try:
                usable, left_out = read_headers(image)
            except (DataIntegrityError, OSError) as error:
                self.problems.append(str(error))
                continue
            self.problems += left_out
            self.n_given += len(usable) + len(left_out) - 1
            for place, header in usable:
                if header.channel in self.channels:
                    found.append((place, header))
                else:
                    self.problems.append(f"{name_of(place)}: {header.channel} is not asked for")
        return found

    def _extrapolated(self) -> list[str]:
        """Return a sentence if AIA's loss of throughput is extrapolated for some of the images."""
        aia = [h.time for image in self._images for _, h in image if h.channel in AIA_CHANNELS]
        n = 0 if self._corrected or not aia else int(is_extrapolated(aia, self._calibration).sum())
        return [extrapolation_warning(n, self._calibration)] if n else []

    def _grouped(self, found: list) -> list[list[tuple[object, ImageHeader]]]:
        """Put the frames of one time together, one per channel; name those that are left out."""
        found = sorted(found, key=lambda f: (f[1].time, str(f[0])))
        times = np.array([header.time for _, header in found])
        channels = [header.channel for _, header in found]
        groups = [
            self._one_per_channel([found[k] for k in rows])
            for rows in group_by_time(times, channels, largest_spread_s=_TOGETHER_S)
        ]
        kept: list[list] = []
        for group in groups:
            if kept and self._repeats(kept[-1], group):
                continue
            if kept and self._repeats(group, kept[-1]):
                kept.pop()
            kept.append(group)
        return kept

    def _one_per_channel(self, frames: list) -> list:
        """Keep the first good frame of each channel, else its first; name the others."""
        kept, others = one_per_channel(
            frames, channel=lambda f: f[1].channel, is_good=lambda f: f[1].quality == 0
        )
        for place, header in others:
            self.problems.append(f"{name_of(place)}: another frame of {header.channel} at its time")
        return kept

    def _repeats(self, image: list, frames: list) -> bool:
        """Say whether frames only repeat channels of an image near in time; name them if so."""
        own = {header.channel: k for k, (_, header) in enumerate(image)}
        times = [header.time for _, header in image + frames]
        if (max(times) - min(times)) / np.timedelta64(1, "s") > _TOGETHER_S:
            return False
        if not all(header.channel in own for _, header in frames):
            return False
        all_bad = all(header.quality != 0 for _, header in frames)
        is_good = all(image[own[header.channel]][1].quality == 0 for _, header in frames)
        if not (all_bad and is_good) and 2 * len(frames) > len(image):
            return False
        for place, header in frames:
            k = own[header.channel]
            if image[k][1].quality != 0 and header.quality == 0:
                image[k], place = (place, header), image[k][0]
            self.problems.append(f"{name_of(place)}: another frame of {header.channel} at its time")
        return True

    def _in_order(self, images: list) -> tuple[np.ndarray, list]:
        """Sort images by the times at which they are known; of equal times the first stays."""
        ends = np.array([max(h.end for _, h in image) for image in images])
        ends = (ends + np.timedelta64(999, "ms")).astype("datetime64[s]")
        times, first = np.unique(ends, return_index=True)
        for k in sorted(set(range(len(images))) - set(first.tolist())):
            for place, _ in images[k]:
                self.problems.append(f"{name_of(place)}: another image ends in the same second")
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
        files, hidden = list_fits_files(folder)
        super().__init__(files, size, name=folder.name, **options)
        self.problems += hidden
        self.n_given += len(hidden)
