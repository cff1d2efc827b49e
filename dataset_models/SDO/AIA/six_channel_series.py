"""Times of six channels, one after another: of a folder of FITS files, a store, the virtual Sun."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from dataset_models.fits_files.opening import ImageInFile, list_fits_files, name_of
from dataset_models.fits_files.time_groups import group_by_time, one_per_channel
from dataset_models.reading_summary import ReadingSummary, lost_cards_note
from dataset_models.SDO.AIA.six_channels import SixChannels, read_six_images
from dataset_models.SDO.image_file import read_headers
from dataset_models.SDO.sources import StoreImages, is_store
from dataset_models.solar_data import DataIntegrityError
from dataset_models.store import ImageStore
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.record import VIRTUAL_START, hour_of_time
from tools.channels import CALIBRATION, CAMERA, aia_degradation
from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.times import parse_time

__all__ = [
    "FITSTime",
    "FITSTimes",
    "ImageTimes",
    "SixChannelTime",
    "SixChannelTimes",
    "StoreTime",
    "nearest_time",
    "six_channel_times",
    "virtual_time",
]


class SixChannelTime(Protocol):
    """One time: small, so that it can be sent to another process or machine.

    Attributes
    ----------
    time : str
        UTC.
    """

    time: str

    def read(self) -> SixChannels:
        """Give the six channels; raise ValueError or OSError if they are bad."""

    def identity(self) -> str:
        """Give a hash that changes when the images do."""


class SixChannelTimes(Protocol):
    """Times in order, and the six channels of each.

    Attributes
    ----------
    times : (time,) datetime64
    source : str
    problems : list of str
        What can't be read, a sentence each.
    """

    times: np.ndarray
    source: str
    problems: list[str]

    def item(self, index: int) -> SixChannelTime:
        """Return one of the times."""

    def summary(self) -> ReadingSummary | None:
        """Return what became of the files; None where there are none."""


@dataclass(frozen=True)
class FITSTime:
    """FITS files of one time, and how they are read (``read_six_images``)."""

    time: str
    files: tuple[Path | ImageInFile, ...]
    options: tuple[tuple[str, object], ...]

    def read(self) -> SixChannels:
        """Give the six channels; raise ValueError or OSError if they are bad."""
        return read_six_images(self.files, **dict(self.options))

    def identity(self) -> str:
        """Give a hash of the files' names, sizes and times of change, and of how they are read."""
        digest = hashlib.sha256(repr(self.options).encode())
        for place in self.files:
            state = (place.path if isinstance(place, ImageInFile) else place).stat()
            digest.update(f"{place.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class StoreTime:
    """One image of a store, which is opened once in a process."""

    time: str
    path: str
    fingerprint: str
    index: int

    def read(self) -> SixChannels:
        """Give the six channels; raise ValueError or OSError if they are bad."""
        return _opened_store(self.path, self.fingerprint).read(self.index)

    def identity(self) -> str:
        """Give a hash of what the store holds and of which image this is."""
        return f"{self.fingerprint} {self.time}"


class FITSTimes:
    """Times of FITS files, whatever their names and order; files of other channels are left out.

    Files belong to one time by ``group_by_time``: the nearest one, within the spread.

    Parameters
    ----------
    files : sequence of Path
    largest_spread_s : float
    options
        Of ``read_six_images``.
    """

    def __init__(self, files: Sequence[Path], *, largest_spread_s: float, **options):
        self._options = {"largest_spread_s": largest_spread_s, **options}
        self.problems: list[str] = []
        self.unused: list[str] = []
        self._n_given, self._mended = len(files), []
        self._lost: Counter[str] = Counter()
        self.source = f"{len(files)} FITS files"
        found = []
        for path in files:
            try:
                usable, left_out = read_headers(path)
            except (DataIntegrityError, OSError) as error:
                self.problems.append(str(error))
                continue
            self.problems += left_out
            self._n_given += len(usable) + len(left_out) - 1
            for place, header in usable:
                if header.channel in RESPONSE_CHANNELS:
                    found.append((header.time, header.channel, place, header.quality != 0))
                    self._mended += header.notes
                    self._lost.update(header.lost_cards)
                else:
                    self.unused.append(
                        f"{name_of(place)}: {header.channel} is none of the six channels"
                    )
        if not found:
            listed = "\n  ".join(self.problems[:20]) or "no FITS file of these channels"
            raise DataIntegrityError(
                f"no image of {', '.join(map(str, RESPONSE_CHANNELS))} angstrom can be used:\n  "
                f"{listed}"
            )
        found = sorted(found, key=lambda f: (f[0], str(f[2])))
        times = np.array([time for time, *_ in found])
        channels = [channel for _, channel, *_ in found]
        rows = group_by_time(times, channels, largest_spread_s=largest_spread_s)
        self._groups = [self._one_per_channel([found[k] for k in group]) for group in rows]
        self.times = np.array([min(frame[0] for frame in group) for group in self._groups])

    def _one_per_channel(self, frames: list) -> list:
        """Keep the first good frame of each channel, else its first; name the others."""
        kept, others = one_per_channel(frames, channel=lambda f: f[1], is_good=lambda f: not f[3])
        for _, channel, place, _ in others:
            self.unused.append(f"{name_of(place)}: another frame of {channel} at its time")
        return kept

    def leave_out(self, sentences: list[str]) -> None:
        """Count files that are not used, a sentence each."""
        self.unused += sentences
        self._n_given += len(sentences)

    def summary(self) -> ReadingSummary:
        """Return what became of the files so far; single times may fail later."""
        left_out = (*self.problems, *self.unused)
        notes = lost_cards_note(self._lost)
        return ReadingSummary(self._n_given, left_out, tuple(self._mended), tuple(notes))

    def item(self, index: int) -> FITSTime:
        """Give one of the times."""
        files = tuple(frame[2] for frame in self._groups[index])
        return FITSTime(str(self.times[index]), files, tuple(sorted(self._options.items())))


class ImageTimes:
    """Times of an image store, or of the virtual Sun as it is rendered.

    Parameters
    ----------
    images : StoreImages or VirtualImages
    """

    def __init__(self, images: StoreImages | VirtualImages):
        self._images, self.times = images, images.times
        said = images.describe()
        self.source, self.problems = said["source"], []
        self.is_synthetic = bool(said.get("synthetic"))
        self._fingerprint = said.get("averaged_from", "")
        self._calibration = said.get("calibration_version", "v8")  # before it was recorded

    def read(self, index: int) -> SixChannels:
        """Give the six channels of a time; raise ValueError if it is bad."""
        time = str(self.times[index])
        if self._images.is_bad(index):
            raise DataIntegrityError(f"the image of {time} is marked as bad")
        rows = [self._images.channels.index(channel) for channel in RESPONSE_CHANNELS]
        image = self._images.image(index)[rows]
        if not np.isfinite(image).any():
            raise DataIntegrityError(f"the image of {time} holds no value")
        return SixChannels(
            np.moveaxis(image, 0, -1),
            self._wcs(index),
            time,
            (self.source,),
            throughput=self._throughput(index),
            pixels_averaged=self._images.pixels_averaged,
            saturation_dn=0.98 * CAMERA[171].saturation_dn,
            is_synthetic=self.is_synthetic,
            calibration=self._calibration,
        )

    def summary(self) -> ReadingSummary | None:
        """Return what became of the files that a store was built from."""
        return self._images.summary()

    def item(self, index: int) -> StoreTime:
        """Give one of a store's times."""
        path = str(self._images.store.path.resolve())
        return StoreTime(str(self.times[index]), path, self._fingerprint, index)

    def _throughput(self, index: int) -> np.ndarray:
        """Give what was left of each channel's throughput, by which brightness was divided."""
        if self.is_synthetic:
            return _VirtualCalendar(self.times).of_channels(index)
        try:
            time, version = self.times[[index]], self._calibration or CALIBRATION
            left = [aia_degradation(c, time, version)[0] for c in RESPONSE_CHANNELS]
        except ValueError as error:
            raise DataIntegrityError(f"{self.source}: {error}") from None
        return np.clip(left, 0.02, None)  # extrapolated beyond, it says nothing

    def _wcs(self, index: int) -> dict:
        """Give the keywords of the coordinates."""
        if isinstance(self._images, StoreImages):
            return self._images.store.wcs(index)
        step = self._images.describe()["field_arcsec"] / self._images.size
        wcs = {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec"}
        for axis in "12":
            wcs |= {f"CRPIX{axis}": (self._images.size + 1) / 2, f"CRVAL{axis}": 0.0}
            wcs[f"CDELT{axis}"] = step
        return wcs


def _image_times(path: str | Path) -> ImageTimes:
    """Give a store's times, at its own size."""
    store = ImageStore(path)
    return ImageTimes(StoreImages(store, store.size, RESPONSE_CHANNELS))


@lru_cache(maxsize=2)
def _opened_store(path: str, fingerprint: str) -> ImageTimes:
    """Open a store once; the fingerprint tells apart what lay there at other times."""
    return _image_times(path)


class _VirtualCalendar(VirtualImages):
    """How old the virtual camera is, without a Sun before it."""

    def __init__(self, times: np.ndarray):
        self.times = times

    def of_channels(self, index: int) -> np.ndarray:
        """Give the throughput of the six channels."""
        left = dict(zip(self.channels, self.throughput(index), strict=True))
        return np.array([left[channel] for channel in RESPONSE_CHANNELS])


def six_channel_times(
    given: Sequence[str | Path], *, largest_spread_s: float, **options
) -> SixChannelTimes:
    """Give the times of one store, of folders of FITS files, or of FITS files.

    Raises
    ------
    FileNotFoundError
        If something does not exist.
    ValueError
        If kinds are mixed, or nothing can be used.
    """
    paths = [Path(path) for path in given]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"no such file or folder: {path}. Expected an image store, FITS files or folders"
            )
    stores = [path for path in paths if path.is_dir() and is_store(path)]
    if stores:
        if len(paths) > 1:
            raise ValueError("give one store alone, or FITS files and folders")
        given = {key: value for key, value in options.items() if key != "calibration"}
        changed = {key: value for key, value in given.items() if value not in (False, "data")}
        if changed:
            raise ValueError(
                f"{stores[0]} holds images on one grid, corrected for the loss of throughput; "
                "--degradation, --degradation-corrected and --coregister are for FITS files"
            )
        return _image_times(stores[0])
    files, hidden = [], []
    for path in paths:
        found, left_out = list_fits_files(path) if path.is_dir() else ([path], [])
        files += found
        hidden += left_out
    times = FITSTimes(sorted(set(files)), largest_spread_s=largest_spread_s, **options)
    times.leave_out(hidden)
    return times


def nearest_time(times: np.ndarray, wanted: str, tolerance_s: float) -> int:
    """Give the index of the time that was asked for.

    Parameters
    ----------
    times : (time,) datetime64
    wanted : str
        Such as 2014-01-11T08:00; empty if there is only one.
    tolerance_s : float
        How far the nearest one may lie.

    Raises
    ------
    ValueError
        If it is no time, or none is as near as that.
    """
    span = f"{len(times)} times, from {times[0]} to {times[-1]}"
    if not wanted:
        if len(times) == 1:
            return 0
        raise ValueError(f"there are {span}; say which one with --time, or use invert_series.py")
    time = parse_time(wanted, what="--time")
    away = np.abs(times.astype("datetime64[ms]") - time) / np.timedelta64(1, "s")
    nearest = int(np.argmin(away))
    if away[nearest] > tolerance_s:
        raise ValueError(
            f"there is no image within {tolerance_s:g} s of {time} (--spread); the nearest of "
            f"{span}, is that of {times[nearest]}"
        )
    return nearest


def virtual_time(wanted: str, n_hours: int) -> np.ndarray:
    """Give a time of the virtual Sun's record, (1,) datetime64[s]; its middle if none is asked for.

    Raises
    ------
    ValueError
        If it is no full hour of the record.
    """
    hour = np.timedelta64(3600, "s")
    time = parse_time(wanted, what="--time") if wanted else VIRTUAL_START + n_hours // 2 * hour
    time = np.array([time], "datetime64[s]")
    if not 0 <= int(hour_of_time(time)[0]) < n_hours:
        raise ValueError(
            f"--time {wanted}: the virtual Sun is known from {VIRTUAL_START} to "
            f"{VIRTUAL_START + (n_hours - 1) * hour}; a longer record has --virtual-years"
        )
    return time
