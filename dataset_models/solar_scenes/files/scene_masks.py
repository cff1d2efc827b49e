"""Masks of frames on disk: where the feature lies that a frame is labelled with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.files.frames import FRAME_ENDINGS, list_frames, read_pixels
from dataset_models.solar_scenes.files.resize import area_resize

__all__ = ["MASK_FOLDER", "mask_files", "read_mask"]

MASK_FOLDER = "masks"  # beside the class folders, with the same folders and names inside


def mask_files(
    folder: Path, frames: Iterable[Path]
) -> tuple[dict[Path, Path], list[tuple[Path, str]]]:
    """Find the masks of frames: ``masks/sunspots/a.fits`` for ``sunspots/a.fits.gz``.

    Returns
    -------
    masks : dict of frame: mask
    skipped : list of (Path, str)
        Files in the folder of masks that are no mask of a frame, with the reason.
    """
    place = folder / MASK_FOLDER
    if not place.is_dir():
        return {}, []
    found, skipped = list_frames(place)
    by_name = {_plain(path.relative_to(place)): path for path in found}
    named = {_plain(path.relative_to(folder)): path for path in frames}
    skipped += [(by_name[k], f"{k}: a mask of no frame") for k in sorted(set(by_name) - set(named))]
    return {named[k]: path for k, path in by_name.items() if k in named}, skipped


def _plain(path: Path) -> str:
    """Return a path without the ending of a frame."""
    text = path.as_posix()
    endings = [e for e in FRAME_ENDINGS if text.lower().endswith(e)]
    return text[: -max(map(len, endings))] if endings else text


def read_mask(path: Path, frame: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return where a mask's pixels are neither 0 nor missing, (y, x) bool, resized as the frame is.

    A pixel is inside if at least half of it is.

    Raises
    ------
    DataIntegrityError
        If a file can't be read, or the mask has other pixels than its frame.
    """
    pixels = read_pixels(path)[0]
    of_frame = read_pixels(frame)[0].shape
    if pixels.shape != of_frame:
        raise DataIntegrityError(
            f"{path}: a mask has the pixels of its frame, {of_frame[0]} x {of_frame[1]}, not "
            f"{pixels.shape[0]} x {pixels.shape[1]}"
        )
    inside = np.isfinite(pixels) & (pixels != 0)
    return area_resize(inside.astype(np.float32), shape) >= 0.5
