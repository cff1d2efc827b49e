"""One frame of any instrument, of one channel: read, its bad pixels filled in, its place known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.wcs import WCS

from dataset_models.fits_files.cards import HeaderCards, hdu_cards
from dataset_models.fits_files.coordinates import COORDINATE_KEY
from dataset_models.fits_files.opening import FITS_ENDINGS, LARGEST_SIDE, opened_hdus, quietly
from dataset_models.fits_files.values import pixel_values
from dataset_models.plain_arrays import open_array
from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.files.bad_pixels import fill_in, find_bad_pixels
from dataset_models.solar_scenes.files.frame_header import (
    frame_time,
    frame_wcs,
    instrument_of,
)
from dataset_models.solar_scenes.files.positions import beyond_limb, position_arcsec
from dataset_models.solar_scenes.files.resize import area_resize

__all__ = [
    "FRAME_ENDINGS",
    "SMALLEST_SIDE",
    "Frame",
    "check_shape",
    "is_beside",
    "list_frames",
    "network_input",
    "position_arcsec",
    "read_frame",
    "read_pixels",
    "refuse_picture",
    "repaired",
]

logger = logging.getLogger(__name__)

SMALLEST_SIDE = 32  # pixels; a smaller frame shows no class of scene
_LARGEST_BAD_SHARE = 0.5
FRAME_ENDINGS = (*FITS_ENDINGS, ".npy")
_PICTURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP": "JPEG 2000",
}


@dataclass(frozen=True)
class Frame:
    """A frame whose missing pixels are filled in.

    Attributes
    ----------
    image : (y, x) float32
        Brightness in the file's unit, finite.
    bad : (y, x) bool
        Pixels that were missing and are filled in.
    header : dict
        The readable cards; empty for .npy.
    wcs : astropy.wcs.WCS or None
        Helioprojective or heliographic coordinates, None where there are none to use.
    time : str
        ISO text in UTC, "" where unknown.
    instrument : str
        Telescope and instrument, "" where unknown.
    path : Path
    """

    image: np.ndarray
    bad: np.ndarray
    header: dict
    wcs: WCS | None
    time: str
    instrument: str
    path: Path


def read_frame(path: str | Path) -> Frame:
    """Read a frame: the first image of a FITS file of any ending and compression, or an .npy.

    Missing pixels (NaN, fill values, blocks of zeros, dark or dead lines) are filled in from their
    neighbours and kept in a mask.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file can't be read, is a picture or a cube, is smaller than ``SMALLEST_SIDE``, has
        one value only, or more than half of it is missing.
    """
    path = Path(path)
    data, header = read_pixels(path)
    image = np.ascontiguousarray(data, np.float32)
    wcs = frame_wcs(header, image.shape)
    filled, bad = repaired(image, _blank_sky(image, wcs, header), path.name)
    return Frame(filled, bad, header, wcs, frame_time(header), instrument_of(header), path)


def read_pixels(path: Path) -> tuple[np.ndarray, dict]:
    """Read pixels (y, x) as they are, and the readable cards; raises as ``read_frame``."""
    refuse_picture(path)
    data, header = (_npy(path), {}) if path.suffix.lower() == ".npy" else _fits(path)
    if not _is_real(data.dtype):
        raise DataIntegrityError(f"{path.name}: expected real numbers, got {data.dtype}")
    return data, header


def network_input(frame: Frame | str | Path, size: int | tuple | None = None) -> np.ndarray:
    """Return what a network is fed with: the one preparation for training and for use.

    Scaling is a layer of the network, so the brightness stays as it is.

    Parameters
    ----------
    frame : Frame, str or Path
    size : int or (y, x), optional
        Area-averaged to so many pixels along both sides, whatever the frame's proportions; as it
        is by default.

    Returns
    -------
    (y, x, 1) float32
    """
    image = frame.image if isinstance(frame, Frame) else read_frame(frame).image
    if size is not None:
        image = area_resize(image, (size, size) if isinstance(size, int) else tuple(size))
    return image[..., None]


def list_frames(*places: str | Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """List the files that may be frames, and those that are not, with the reason.

    Parameters
    ----------
    *places : str or Path
        Files, and folders that are searched with the folders in them.

    Returns
    -------
    frames : list of Path
        By name within each folder; a file that is given itself counts whatever its name.
    skipped : list of (Path, str)

    Raises
    ------
    FileNotFoundError
        If a place does not exist.
    """
    frames: dict[Path, None] = {}
    skipped = []
    for place in map(Path, places):
        if place.is_dir():
            for path in sorted(p for p in place.rglob("*") if p.is_file()):
                if any(part.startswith(".") for part in path.relative_to(place).parts):
                    if path.name.lower().endswith(FRAME_ENDINGS):
                        skipped.append((path, f"{path.name}: a hidden file"))
                    continue
                if path.name.lower().endswith(FRAME_ENDINGS):
                    frames.setdefault(path)
                else:
                    skipped.append((path, f"{path.name}: not FITS, by its name"))
        elif place.exists():
            frames.setdefault(place)
        else:
            raise FileNotFoundError(f"no such file or folder: {place}")
    return list(frames), skipped


def refuse_picture(path: Path) -> None:
    """Raise DataIntegrityError if a file is a picture by its first bytes."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataIntegrityError(f"{path.name}: can't be opened ({error.strerror})") from error
    kind = next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)
    if kind:
        raise DataIntegrityError(
            f"{path.name}: a {kind} picture, whose colours are no brightness; give the FITS file"
        )


def check_shape(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    """Return the (y, x) of what should be one frame; axes of length 1 do not count.

    Raises
    ------
    DataIntegrityError
        If it is a colour picture, a cube, too small or too large.
    """
    sides = tuple(n for n in shape if n != 1)
    if len(sides) == 3 and (sides[0] in (3, 4) or sides[2] in (3, 4)):
        raise DataIntegrityError(
            f"{name}: a colour picture of the shape {shape}; give one channel's brightness (y, x)"
        )
    if len(sides) > 2:
        raise DataIntegrityError(
            f"{name}: a cube of the shape {shape}; give one frame (y, x) in a file of its own"
        )
    if len(sides) < 2 or min(sides) < SMALLEST_SIDE:
        raise DataIntegrityError(
            f"{name}: expected {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels or more, got the shape "
            f"{shape}"
        )
    if max(sides) > LARGEST_SIDE:
        raise DataIntegrityError(f"{name}: an image of {sides} pixels is too large")
    return sides


def repaired(image: np.ndarray, sky: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Fill in what is missing: the image, and which pixels were. A blanked sky becomes 0.

    Raises
    ------
    DataIntegrityError
        If the frame shows too little.
    """
    bad = find_bad_pixels(image) & ~sky
    share = bad.sum() / max((~sky).sum(), 1)
    if share > _LARGEST_BAD_SHARE or sky.all():
        raise DataIntegrityError(
            f"{name}: {max(share, sky.mean()):.0%} of its pixels are missing; at most "
            f"{_LARGEST_BAD_SHARE:.0%} can be filled in"
        )
    good = image[~bad & ~sky]
    if good.min() == good.max():
        raise DataIntegrityError(
            f"{name}: all its pixels are {good[0]:g}, it shows nothing; leave it out"
        )
    filled = fill_in(np.where(sky, np.float32(0), image) if sky.any() else image, bad)
    return filled, bad | sky


def _blank_sky(image: np.ndarray, wcs: WCS | None, header: dict) -> np.ndarray:
    """Find a sky without values beyond the limb, as HMI's; smeared out, the limb would be lost."""
    missing = ~np.isfinite(image)
    if missing.any():
        beyond = beyond_limb(wcs, header, image.shape)
        if beyond is not None and (missing & beyond).sum() > 0.5 * max(beyond.sum(), 1):
            return missing & beyond
    return np.zeros(image.shape, bool)


def _npy(path: Path) -> np.ndarray:
    array = open_array(path)
    return array.reshape(check_shape(array.shape, path.name))


def _fits(path: Path) -> tuple[np.ndarray, HeaderCards]:
    with quietly(), opened_hdus(path) as hdus:
        numbers = [k for k, hdu in enumerate(hdus) if hdu.is_image and hdu.header.get("NAXIS", 0)]
        if not numbers:
            raise DataIntegrityError(f"{path.name}: holds no image")
        k = next((n for n in numbers if not is_beside(hdus[n].shape)), numbers[0])
        shape, cards = check_shape(hdus[k].shape, path.name), hdu_cards(hdus, k)
        values = pixel_values(hdus[k], cards, path.name, shape=shape)
    others = [str(n) for n in numbers if n != k]
    if others:
        logger.warning("%s: HDU %d is read, left out: HDU %s", path.name, k, ", ".join(others))
    lost = [key for key in cards.left_out if COORDINATE_KEY.fullmatch(key)]
    if lost:
        logger.warning("%s: without a usable value: %s", path.name, ", ".join(lost))
    if values.mended(path.name):
        logger.warning("%s", values.mended(path.name))
    return values.data, cards


def is_beside(shape: tuple[int, ...]) -> bool:
    """Return whether an image only stands beside a frame: a preview, a spectrum, nothing.

    A cube is what the file is about: its auxiliary arrays are no frames.
    """
    sides = [n for n in shape if n != 1]
    return len(sides) < 2 or (len(sides) == 2 and min(sides) < SMALLEST_SIDE)


def _is_real(dtype: np.dtype) -> bool:
    return np.issubdtype(dtype, np.floating) or np.issubdtype(dtype, np.integer)
