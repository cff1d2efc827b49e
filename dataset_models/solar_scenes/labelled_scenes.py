"""Labelled scenes that somebody brings, of whatever kind: files, tiles of stores, Slic's .npz."""

from __future__ import annotations

from pathlib import Path

from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.files.folder import SceneFolder
from dataset_models.solar_scenes.files.slic_files import SlicFiles
from dataset_models.solar_scenes.store_scenes import StoreScenes, names_stores

__all__ = ["open_labelled_scenes"]


def open_labelled_scenes(place: str | Path, *, size: int) -> SolarData:
    """Open class folders, a CSV of files or of tiles of stores, or Slic's ``.npz``."""
    if str(place).endswith(".npz"):
        return SlicFiles(place)
    if names_stores(place):
        return StoreScenes(place, size=size)
    return SceneFolder(place, size=size)
