"""Whatever holds images of SDO, told by what lies in it: stores, raw files, FITS files, Maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_models.fits_files.opening import list_fits_files
from dataset_models.reading_summary import ReadingSummary
from dataset_models.SDO.AIA.dat_folder import DatFolder, DatImages, list_dat_files
from dataset_models.SDO.fits_folder import FITSFolder, FITSImages
from dataset_models.SDO.fits_image import average_blocks
from dataset_models.store import ImageSource, ImageStore
from tools.channels import AIA_CHANNELS, CALIBRATION, HMI_CHANNELS

__all__ = ["StoreImages", "folder_source", "image_source", "is_store"]


class StoreImages:
    """A store's images as a source: some of its channels, averaged to another size.

    Parameters
    ----------
    store : ImageStore
    size : int
        Pixels along a side; a whole part of the store's.
    channels : tuple
        Channels of the store.
    """

    def __init__(self, store: ImageStore, size: int, channels: tuple[int | str, ...]):
        if store.size % size:
            raise ValueError(
                f"{store.path}: its {store.size} pixels can't be averaged to {size} by whole "
                "numbers; build a store of another size from the same files"
            )
        lacking = [str(c) for c in channels if c not in store.channels]
        if lacking:
            raise ValueError(f"{store.path} lacks the channels {', '.join(lacking)}")
        self.store, self.size, self.channels = store, size, tuple(channels)
        self.times = store.times
        self.problems: list[str] = []
        self.mended: list[str] = []
        self.pixels_averaged = store.manifest["pixels_averaged"] * (store.size // size) ** 2

    def __len__(self) -> int:
        return len(self.times)

    def image(self, index: int) -> np.ndarray:
        """Return one image, (channel, y, x) float32, NaN where there is no value."""
        rows = [self.store.channels.index(channel) for channel in self.channels]
        return average_blocks(self.store.read([index])[0][rows], self.size)

    def is_bad(self, index: int) -> bool:
        """Return whether the store's image is marked as bad."""
        return bool(self.store.is_bad[index])

    def summary(self) -> ReadingSummary | None:
        """Return what became of the files that the store was built from."""
        return self.store.summary()

    def describe(self) -> dict:
        """Describe what the images are; JSON types only."""
        return {**self.store.manifest["source"], "averaged_from": self.store.fingerprint()}


def is_store(path: str | Path) -> bool:
    """Return whether a path is an image store's folder, finished or not."""
    return (Path(path) / "manifest.json").is_file()


def folder_source(
    folder: str | Path,
    size: int,
    *,
    with_hmi: bool = False,
    degradation_corrected: bool = False,
    calibration: str = CALIBRATION,
) -> ImageSource:
    """Return the images in a folder of raw or FITS files.

    Parameters
    ----------
    folder : str or Path
    size : int
        Pixels along a side.
    with_hmi : bool
        Also take HMI's field and continuum from FITS files, as further channels.
    degradation_corrected : bool
        Whether FITS files were corrected for AIA's loss of throughput before; raw files are.
    calibration : str
        Version by which FITS files are corrected, one of ``CALIBRATIONS``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the folder holds both kinds, or nothing that can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no such folder: {folder}. Expected an image store, or a folder of FITS or .dat files"
        )
    raw, fits = list_dat_files(folder), list_fits_files(folder)[0]
    if raw and fits:
        raise ValueError(
            f"{folder} holds both .dat files ({raw[0].name}) and FITS files ({fits[0].name}); give "
            "a folder of one kind"
        )
    if raw:
        if with_hmi:
            raise ValueError("raw .dat files hold AIA's channels only; leave HMI out")
        if calibration != CALIBRATION:
            raise ValueError("raw .dat files are corrected already; leave the calibration out")
        return DatFolder(folder, size)
    channels = (*AIA_CHANNELS, *HMI_CHANNELS) if with_hmi else AIA_CHANNELS
    return FITSFolder(
        folder,
        size,
        channels=channels,
        degradation_corrected=degradation_corrected,
        calibration=calibration,
    )


def image_source(
    given: Sequence[object],
    size: int,
    channels: tuple[int | str, ...],
    *,
    degradation_corrected: bool = False,
    calibration: str = CALIBRATION,
) -> ImageSource:
    """Return the images that a list of paths or Maps names, at one size and in some channels.

    Parameters
    ----------
    given : sequence
        One store, one folder, or any number of FITS files, of raw .dat files, or of sunpy Maps.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    ValueError
        If kinds are mixed, or nothing can be used.
    """
    paths = [Path(p) for p in given if isinstance(p, (str, Path))]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"no such file or folder: {path}. Expected an image store, FITS or .dat files, or "
                "a folder of them"
            )
    folders = [path for path in paths if path.is_dir()]
    if folders:
        if len(given) > 1:
            raise ValueError("give one store or one folder, or files")
        if is_store(folders[0]):
            return StoreImages(ImageStore(folders[0]), size, channels)
        with_hmi = any(c in HMI_CHANNELS for c in channels)
        return folder_source(
            folders[0],
            size,
            with_hmi=with_hmi,
            degradation_corrected=degradation_corrected,
            calibration=calibration,
        )
    raw = [path for path in paths if path.name.endswith((".dat", ".dat.gz"))]
    if raw and len(raw) < len(given):
        raise ValueError("give .dat files or FITS files, not both")
    if raw:
        return DatImages(raw, size)
    return FITSImages(
        given,
        size,
        channels=channels,
        degradation_corrected=degradation_corrected,
        calibration=calibration,
    )
