"""Whatever holds images of SDO, told by what lies in it: store, raw files, FITS files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dataset_models.SDO.AIA.dat_folder import DatFolder, list_dat_files
from dataset_models.SDO.fits_folder import FITSFolder, list_fits_files
from tools.channels import AIA_CHANNELS, HMI_CHANNELS

if TYPE_CHECKING:
    from dataset_models.store import ImageSource

__all__ = ["folder_source", "is_store"]


def is_store(path: str | Path) -> bool:
    """Say whether a path is an image store's folder, finished or not."""
    return (Path(path) / "manifest.json").is_file()


def folder_source(
    folder: str | Path,
    size: int,
    *,
    with_hmi: bool = False,
    degradation_corrected: bool = False,
) -> ImageSource:
    """Give the images in a folder of raw or FITS files.

    Parameters
    ----------
    folder : str or Path
    size : int
        Pixels along a side.
    with_hmi : bool
        Also take HMI's field and continuum from FITS files, as further channels.
    degradation_corrected : bool
        Whether FITS files were corrected for AIA's loss of throughput before; raw files are.

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
    raw, fits = list_dat_files(folder), list_fits_files(folder)
    if raw and fits:
        raise ValueError(
            f"{folder} holds both .dat files ({raw[0].name}) and FITS files ({fits[0].name}); give "
            "a folder of one kind"
        )
    if raw:
        if with_hmi:
            raise ValueError("raw .dat files hold AIA's channels only; leave HMI out")
        return DatFolder(folder, size)
    channels = (*AIA_CHANNELS, *HMI_CHANNELS) if with_hmi else AIA_CHANNELS
    return FITSFolder(folder, size, channels=channels, degradation_corrected=degradation_corrected)
