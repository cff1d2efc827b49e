"""Where pairs of AIA image and emission measure come from: .npy files, a store, the virtual Sun."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.plain_arrays import open_array
from dataset_models.SDO.AIA.six_channel_series import ImageTimes
from dataset_models.SDO.sources import StoreImages
from dataset_models.solar_data import DataIntegrityError
from dataset_models.store import ImageStore
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.record import VIRTUAL_START
from tools.channels import AIA_CHANNELS, CAMERA
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.emission_measure.status import OK

__all__ = [
    "N_BINS",
    "DEMSource",
    "ImagePair",
    "PairFolder",
    "StorePairs",
    "VirtualPairs",
    "read_array",
]

N_BINS = 18
_IMAGE, _SOLUTION, _STATUS = ".aia.npy", ".emcube.npy", ".status.npy"
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{2})(\d{2})(\d{2})?)?$")
_FULL_SIDE = 4096  # pixels along a side of AIA's camera
_SHARE_OF_SATURATION = 0.98
_ROTATION_H = 27 * 24  # the Sun as seen from the Earth
_HOURS_TRIED = 48  # for a frame in which no channel is missing


@dataclass(frozen=True)
class ImagePair:
    """One image and, where its source has one, its emission measure.

    Attributes
    ----------
    dn, sigma : (y, x, 6) float32
        DN s-1 pix-1 (of a full-resolution pixel) in the channels of ``RESPONSE_CHANNELS`` and one
        sigma of it; NaN where a channel is missing, negative where the noise made it so.
    saturated : (y, x, 6) bool
    em : (y, x, 18) float32 or None
        Emission measure in the bins of ``families.LOG_T_EDGES``, cm-5 (not per K, not per dex).
    status : (y, x) uint8
        Of the solution, ``tools.emission_measure.status``.
    """

    dn: np.ndarray
    sigma: np.ndarray
    saturated: np.ndarray
    em: np.ndarray | None
    status: np.ndarray


class DEMSource(ABC):
    """Images in order of time, each perhaps with its emission measure.

    Attributes
    ----------
    times : (image,) datetime64[s]
    names : tuple of str
        What each image is called in messages.
    size : tuple of int
        Pixels of every image, (y, x).
    solutions : str
        What the emission measure that comes with the images is; empty if there is none.
    """

    times: np.ndarray
    names: tuple[str, ...]
    size: tuple[int, int]
    solutions: str

    @abstractmethod
    def pair(self, index: int) -> ImagePair:
        """Give one image with what comes with it."""

    @abstractmethod
    def describe(self) -> dict:
        """Say where the images are from; JSON types only."""


class PairFolder(DEMSource):
    """A folder of .npy files, channels and bins first, as the DeepEM chapter of HelioML used them.

    For each image, with any NAME that ends in its date (``2011-01-27``, ``2011-01-27T0830``):

    - ``NAME.aia.npy``, (6, y, x): DN s-1 pix-1 in 94, 131, 171, 193, 211, 335 angstrom, corrected
      for degradation. Negative values are data, NaN is a missing channel.
    - ``NAME.emcube.npy``, (18, y, x): emission measure per bin, cm-5, log T 5.5 to 7.2.
    - ``NAME.status.npy``, (y, x), where there is one: 0 is solved.

    Parameters
    ----------
    folder : path
    solutions : bool
        Whether the files of the emission measure are needed.
    pixels_averaged : float, optional
        Full-resolution pixels in a pixel, for the noise; those of a full disc if left out.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, no image in it, or an image's solution is lacking.
    DataIntegrityError
        If a file can't be read, has another shape or a name without a date.
    """

    def __init__(
        self, folder: str | Path, *, solutions: bool = True, pixels_averaged: float | None = None
    ):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"no such folder: {self.folder}; expected one with NAME_2011-01-27{_IMAGE} (6, y, "
                f"x) and NAME_2011-01-27{_SOLUTION} (18, y, x)"
            )
        paths = sorted(self.folder.glob(f"*{_IMAGE}"))
        if not paths:
            raise FileNotFoundError(
                f"{self.folder} holds no file *{_IMAGE}; each image is expected as "
                f"NAME_2011-01-27{_IMAGE}, (6, y, x), beside NAME_2011-01-27{_SOLUTION}, (18, y, x)"
            )
        names = [path.name.removesuffix(_IMAGE) for path in paths]
        times = np.array([_time_of(name) for name in names], "datetime64[s]")
        order = np.argsort(times, kind="stable")
        self.times, self.names = times[order], tuple(names[k] for k in order)
        if (np.diff(self.times) == np.timedelta64(0, "s")).any():
            raise DataIntegrityError(
                f"{self.folder} holds two images of one time; give them times such as "
                f"NAME_2011-01-27T0830{_IMAGE}"
            )
        self.solutions = "the folder's own solutions" if solutions else ""
        self.size = read_array(self._path(0, _IMAGE), 6).shape[1:]
        self._averaged = pixels_averaged or max(_FULL_SIDE / self.size[1], 1.0) ** 2
        for k in range(len(self.names)):
            read_array(self._path(k, _IMAGE), 6, self.size)
            if solutions:
                if not self._path(k, _SOLUTION).is_file():
                    raise FileNotFoundError(
                        f"{self._path(k, _IMAGE).name} has no {self._path(k, _SOLUTION).name} "
                        "beside it; give the file, or let a solver make the solutions (--teacher "
                        "basis-pursuit)"
                    )
                read_array(self._path(k, _SOLUTION), N_BINS, self.size)

    def __len__(self) -> int:
        return len(self.times)

    def pair(self, index: int) -> ImagePair:
        """Read one image with its solution."""
        dn = np.moveaxis(read_array(self._path(index, _IMAGE), 6, self.size), 0, -1)
        dn = np.array(dn, np.float32)
        dn[~np.isfinite(dn)] = np.nan
        sigma = aia_noise(dn, RESPONSE_CHANNELS, pixels_averaged=self._averaged).astype(np.float32)
        em, status = None, np.full(self.size, OK, np.uint8)
        if self.solutions:
            cube = read_array(self._path(index, _SOLUTION), N_BINS, self.size)
            em = np.ascontiguousarray(np.moveaxis(cube, 0, -1), np.float32)
        path = self._path(index, _STATUS)
        if self.solutions and path.is_file():
            status = np.array(read_array(path, None, self.size), np.uint8)
        return ImagePair(dn, sigma, np.zeros(dn.shape, bool), em, status)

    def describe(self) -> dict:
        """Name the folder and its images."""
        source = f"{self.folder.name}: {len(self)} images of {self.size[1]} x {self.size[0]} pixels"
        return {"source": source, "synthetic": False, "images": list(self.names)}

    def _path(self, index: int, ending: str) -> Path:
        return self.folder / (self.names[index] + ending)


class VirtualPairs(DEMSource):
    """Images of the virtual Sun (synthetic) with the plasma that they were made from.

    The emission measure is that of each pixel after the spread of light in the telescope, so that
    the temperature responses turn it into the image before photon and read noise. The virtual
    plasma reaches to log T 7.55; what is hotter than the last bin is in no bin.

    Parameters
    ----------
    record : VirtualRecord
    n_images : int
        One a rotation of 27 days, each at the first hour in which no channel is missing.
    start_day : int
        Of the first image, since the record's start.
    size : int
        Pixels along a side.

    Raises
    ------
    ValueError
        If the record is too short.
    """

    solutions = "the truth: the virtual Sun's own plasma"

    def __init__(self, record: VirtualRecord, *, n_images: int, start_day: int, size: int):
        last = start_day * 24 + (n_images - 1) * _ROTATION_H + _HOURS_TRIED
        if start_day < 0 or last >= record.n_hours:
            raise ValueError(
                f"{n_images} rotations from day {start_day} need {last / 24:.0f} days of the "
                f"virtual Sun; the record has {record.n_hours / 24:.0f}"
            )
        hours = start_day * 24 + np.arange(n_images)[:, None] * _ROTATION_H
        tried = (hours + np.arange(_HOURS_TRIED)).ravel()
        times = VIRTUAL_START + tried * np.timedelta64(3600, "s")
        self._images = _SeenPlasma(record, times, size)
        self._rows = [self._first_whole(k * _HOURS_TRIED) for k in range(n_images)]
        self.times = times[self._rows].astype("datetime64[s]")
        self.names = tuple(str(time) for time in self.times)
        self.size = (size, size)
        self._record = record

    def __len__(self) -> int:
        return len(self.times)

    def pair(self, index: int) -> ImagePair:
        """Render one image and its plasma."""
        row = self._rows[index]
        six = [AIA_CHANNELS.index(channel) for channel in RESPONSE_CHANNELS]
        left = self._images.throughput(row)[six]
        dn = np.ascontiguousarray(np.moveaxis(self._images.image(row)[six], 0, -1))
        cameras = [CAMERA[channel] for channel in RESPONSE_CHANNELS]
        full = np.array([c.saturation_dn / c.exposure_s for c in cameras]) / left
        sigma = aia_noise(
            dn,
            RESPONSE_CHANNELS,
            throughput=left,
            pixels_averaged=self._images.pixels_averaged,
        )
        em = np.moveaxis(self._images.emission_measure(row)[:N_BINS], 0, -1)
        return ImagePair(
            dn,
            sigma.astype(np.float32),
            dn >= _SHARE_OF_SATURATION * full,
            np.ascontiguousarray(em, np.float32),
            np.full(self.size, OK, np.uint8),
        )

    def plasma(self, index: int) -> np.ndarray:
        """Give all plasma of an image, (21 bins of ``LOG_T_EDGES``, y, x) float64, cm-5."""
        return self._images.emission_measure(self._rows[index])

    def describe(self) -> dict:
        """Say that the images are synthetic, and of which record."""
        return self._images.describe() | {"images": list(self.names)}

    def _first_whole(self, row: int) -> int:
        """Give the first of some hours whose frame is neither bad nor lacks a channel."""
        six = [AIA_CHANNELS.index(channel) for channel in RESPONSE_CHANNELS]
        for k in range(row, row + _HOURS_TRIED):
            if not self._images.is_bad(k) and np.isfinite(self._images.image(k)[six]).all():
                return k
        raise ValueError(f"no whole frame within {_HOURS_TRIED} h of {self._images.times[row]}")


class StorePairs(DEMSource):
    """Images of a store, some of them far apart; a solver or a file gives the emission measure.

    From the last image backwards those are taken that are not marked as bad, have a value in every
    channel, and lie far enough from the one taken before.

    Parameters
    ----------
    path : str or Path
        Of an image store with the six channels.
    n_images : int
        At most; all of them are kept in memory, 25 MB for 512 x 512 pixels with the solution.
    apart_days : float
        Least distance of two images.

    Raises
    ------
    ValueError
        If it is no store, lacks a channel, or has no such image.
    """

    solutions = ""

    def __init__(self, path: str | Path, *, n_images: int, apart_days: float = 26.0):
        store = ImageStore(path)
        self._images = StoreImages(store, store.size, RESPONSE_CHANNELS)
        self._times = ImageTimes(self._images)
        self.size = (store.size, store.size)
        apart, taken = apart_days * np.timedelta64(86400, "s"), []
        for row in range(len(store) - 1, -1, -1):
            if len(taken) == n_images:
                break
            if taken and store.times[taken[-1]] - store.times[row] < apart:
                continue
            if not self._images.is_bad(row) and self._has_all(row):
                taken.append(row)
        if not taken:
            raise DataIntegrityError(
                f"{store.path} holds no image that has a value in all of "
                f"{', '.join(map(str, RESPONSE_CHANNELS))} angstrom and is not marked as bad"
            )
        self._rows = taken[::-1]
        self.times = store.times[self._rows]
        self.names = tuple(str(time) for time in self.times)

    def __len__(self) -> int:
        return len(self.times)

    def pair(self, index: int) -> ImagePair:
        """Read one image; it has no emission measure."""
        six = self._times.read(self._rows[index])
        dn, sigma, saturated = six.tile(slice(0, self.size[0]))
        status = np.full(self.size, OK, np.uint8)
        return ImagePair(dn, sigma.astype(np.float32), saturated, None, status)

    def describe(self) -> dict:
        """Say what the store's images are, and which were taken."""
        return self._images.describe() | {"images": list(self.names)}

    def _has_all(self, row: int) -> bool:
        return bool(np.isfinite(self._images.image(row)).any(axis=(1, 2)).all())


class _SeenPlasma(VirtualImages):
    """Images of the virtual Sun that also give the plasma as the telescope spreads it."""

    def emission_measure(self, index: int) -> np.ndarray:
        """Give the emission measure, (bin of ``LOG_T_EDGES``, y, x) float64, cm-5."""
        return self._blurred(self._corona.emission_measure(int(self._hours[index])))


def read_array(
    path: str | Path, n_first: int | None, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Open an .npy array (first, y, x), or (y, x) where ``n_first`` is None, and check its shape.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it can't be read or is of another shape or kind.
    """
    path = Path(path)
    array = open_array(path)
    lead = () if n_first is None else (n_first,)
    wanted = (*lead, *(size or ("y", "x")))
    is_shape = array.ndim == len(wanted) and array.shape[: len(lead)] == lead and array.size > 0
    if size is not None:
        is_shape = array.shape == wanted
    if not is_shape or array.dtype.kind not in "fiu":
        raise DataIntegrityError(
            f"{path.name}: expected numbers of the shape ({', '.join(map(str, wanted))}), got "
            f"{array.shape} of {array.dtype}; channels and bins come first, all images have one "
            "size"
        )
    return array


def _time_of(name: str) -> np.datetime64:
    """Read the date at the end of a file's name."""
    found = _DATE.search(name)
    try:
        if found is None:
            raise ValueError("no date")
        hour, minute, second = (part or "00" for part in found.groups()[1:])
        return np.datetime64(f"{found[1]}T{hour}:{minute}:{second}", "s")
    except ValueError:
        raise DataIntegrityError(
            f"{name}{_IMAGE}: expected a name that ends in its date, such as "
            f"AIA_DEM_2011-01-27{_IMAGE} or AIA_DEM_2011-01-27T0830{_IMAGE}"
        ) from None
