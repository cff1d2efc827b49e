"""Real frames whose class is plain to see, to try classifiers of synthetic scenes on.

No training and no choice of anything was made on them. Results count scenes: nine frames of one
spot are one scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from dataset_models.solar_scenes.classes import CLASSES, NONE, OUTPUTS
from dataset_models.solar_scenes.files.frames import read_frame

__all__ = ["RealScene", "none_of_the_classes", "real_scenes", "spot_free_tiles", "spot_tiles"]

_QUIET, _SPOTS = CLASSES.index("quiet"), CLASSES.index("sunspots")
_SMOOTHED = 6.0  # pixels: granulation is smaller
_DARK, _SPOT = 0.85, 0.6  # of the median: what is no quiet photosphere, and what is a spot
_MARGIN = 12  # pixels around what is dark
# what is none of the five, by name of the scene and pattern of the files
_OTHERS = {
    "AIA 171, active region": "aia/*171*.fits",
    "EIT 195 and 171, whole Sun": "eit/*.fits",
    "XRT 2011, limb": "xrt/L1_XRT2011*.fits",
    "XRT 2012, limb": "xrt/L1_XRT2012*.fits",
    "HMI SHARP 377, field": "sharp_ar11158/*.[Bm][ra]*.fits",
}


@dataclass(frozen=True)
class RealScene:
    """Frames or tiles of one view of the Sun, all of one class.

    Attributes
    ----------
    name : str
    images : tuple of (y, x) float32
        As they were observed; missing pixels filled in.
    truth : int
        Index into ``OUTPUTS``.
    """

    name: str
    images: tuple[np.ndarray, ...]
    truth: int


def real_scenes(data: str | Path, *, tile: int = 96) -> list[RealScene]:
    """Return the scenes of a folder with ``hinode_sot``, ``hmi`` and ``sharp_ar11158``.

    Parameters
    ----------
    data : path
    tile : int
        Pixels along a side of tiles, cut without overlap.

    Raises
    ------
    FileNotFoundError
        If none of the three is there.
    """
    data, out = Path(data), []
    hinode = sorted(data.glob("hinode_sot/*.fits*"))
    if hinode:
        frames = tuple(read_frame(path).image for path in hinode)
        name = f"Hinode SOT, AR of 2011-10-08, {len(frames)} frames"
        out.append(RealScene(name, frames, _SPOTS))
        quiet = tuple(part for image in frames for part in spot_free_tiles(image, tile))
        out.append(RealScene("Hinode SOT, spot-free tiles of the same", quiet, _QUIET))
    for path in sorted(data.glob("hmi/*.fits")):
        image = read_frame(path).image
        out.append(RealScene("HMI continuum patch with spots", (image,), _SPOTS))
    for path in sorted(data.glob("sharp_ar11158/*continuum.fits")):
        image = read_frame(path).image
        out.append(RealScene("HMI SHARP 377 continuum, whole", (image,), _SPOTS))
        spots, quiet = spot_tiles(image, tile), spot_free_tiles(image, tile)
        out.append(RealScene("HMI SHARP 377, tiles with spots", tuple(spots), _SPOTS))
        out.append(RealScene("HMI SHARP 377, spot-free tiles", tuple(quiet), _QUIET))
    if not out:
        raise FileNotFoundError(
            f"{data} holds no hinode_sot/*.fits.gz, hmi/*.fits or sharp_ar11158/*continuum.fits"
        )
    return [scene for scene in out if scene.images]


def none_of_the_classes(data: str | Path) -> list[RealScene]:
    """Return the corona, X-rays and magnetograms of such a folder: whole frames, no scene class."""
    found = {name: sorted(Path(data).glob(pattern)) for name, pattern in _OTHERS.items()}
    return [
        RealScene(name, tuple(read_frame(path).image for path in paths), OUTPUTS.index(NONE))
        for name, paths in found.items()
        if paths
    ]


def spot_free_tiles(image: np.ndarray, tile: int) -> list[np.ndarray]:
    """Return the tiles without spot or pore, by brightness smoothed over granules."""
    smooth = gaussian_filter(image, _SMOOTHED)
    dark = binary_dilation(smooth < _DARK * np.median(image), iterations=_MARGIN)
    return [image[at] for at in _corners(image.shape, tile) if not dark[at].any()]


def spot_tiles(image: np.ndarray, tile: int) -> list[np.ndarray]:
    """Return the tiles of which at least a hundredth is umbra."""
    spot = image < _SPOT * np.median(image)
    return [image[at] for at in _corners(image.shape, tile) if spot[at].mean() >= 0.01]


def _corners(shape: tuple[int, int], tile: int) -> list[tuple[slice, slice]]:
    return [
        (slice(y, y + tile), slice(x, x + tile))
        for y in range(0, shape[0] - tile + 1, tile)
        for x in range(0, shape[1] - tile + 1, tile)
    ]
