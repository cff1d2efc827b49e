"""What all datasets of labelled scenes share: their arrays, labels, table and class names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from dataset_models.solar_data import INPUT, TARGET, ArrayInfo, SampleTable
from dataset_models.solar_scenes.classes import CLASSES, NONE, OUTPUTS

__all__ = ["class_index", "one_hot", "scene_arrays", "scene_table"]

_ALIASES = {
    "filament": "filaments",
    "flare": "flares",
    "flare_ribbon": "flares",
    "flare_ribbons": "flares",
    "ribbon": "flares",
    "ribbons": "flares",
    "prominence": "prominences",
    "quiet_sun": "quiet",
    "quietsun": "quiet",
    "sunspot": "sunspots",
    "spot": "sunspots",
    "spots": "sunspots",
    "none": NONE,
    "none_of_these": NONE,
    "other": NONE,
}


def class_index(name: str) -> int:
    """Return the index in OUTPUTS of a class's name, in any spelling that people use.

    Raises
    ------
    ValueError
        If there is no such class.
    """
    plain = "_".join(name.strip().lower().replace("-", " ").replace("_", " ").split())
    known = {title.replace(" ", "_"): title for title in OUTPUTS} | _ALIASES
    if plain not in known:
        raise ValueError(
            f"unknown class {name!r}; expected one of {', '.join(CLASSES)}, or none for what is "
            "none of these"
        )
    return OUTPUTS.index(known[plain])


def one_hot(primary: np.ndarray) -> np.ndarray:
    """Return labels (sample, output) float32, 1 at each sample's class."""
    return np.eye(len(OUTPUTS), dtype=np.float32)[primary]


def scene_arrays(shape: tuple[int, int]) -> Mapping[str, ArrayInfo]:
    """Describe the arrays of a dataset of scenes: one channel's brightness, and the class."""
    return MappingProxyType(
        {
            "image": ArrayInfo(("y", "x", "channel"), (*shape, 1), "DN", INPUT),
            "label": ArrayInfo(("class",), (len(OUTPUTS),), "", TARGET),
        }
    )


def scene_table(time: np.ndarray, group: np.ndarray, content_hash: np.ndarray) -> SampleTable:
    """Make the table of samples whose labels are of the same moment as their images."""
    time = time.astype("datetime64[s]")
    quality = np.zeros(len(time), int)
    return SampleTable(time, time, time, time, time, group, quality, content_hash)
