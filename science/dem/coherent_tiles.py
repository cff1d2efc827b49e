"""Data and results of a coherent series on disk: times staged on one grid, tiles solved once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.rotating_grids import on_one_grid
from dataset_models.SDO.AIA.six_channel_series import SixChannelTime
from dataset_models.SDO.AIA.six_channels import SixChannels
from tools.atomic_files import commit_file, scratch_path, write_arrays, write_json

__all__ = ["StagedTimes", "Tiles", "stage_times"]

logger = logging.getLogger(__name__)

_ARRAYS = ("exposure_s", "throughput")


class StagedTimes:
    """All times of a series on one grid, each as an array on disk.

    Attributes
    ----------
    given : list of SixChannels
        Those that could be read, in order of time; their ``dn`` lie on disk.
    index : list of int
        Of ``given`` in the series.
    reasons : dict of str
        Why others could not be read, by their index in the series.
    """

    def __init__(self, given: list[SixChannels], index: list[int], reasons: dict[int, str]):
        self.given, self.index, self.reasons = given, index, reasons

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.given[0].shape

    @property
    def seconds(self) -> np.ndarray:
        """Seconds since the first time, (time,)."""
        times = np.array([g.time for g in self.given], "datetime64[ms]")
        return (times - times[0]) / np.timedelta64(1, "s")

    def tile(self, rows: slice, columns: slice = slice(None)) -> tuple[np.ndarray, ...]:
        """Return brightness, error and what is saturated of some rows, (y, x, time, channel)."""
        parts = [g.tile(rows) for g in self.given]
        return tuple(np.stack([part[k][:, columns] for part in parts], axis=2) for k in range(3))


def stage_times(items: list[SixChannelTime], folder: Path, *, is_coregistered: bool) -> StagedTimes:
    """Read every time once, one at a time, and write it onto the first one's grid.

    What an earlier call staged of the same files is taken as it is.

    Raises
    ------
    DataIntegrityError
        If times lie on several grids and are not to be coregistered.
    ValueError
        If fewer than two times can be read.
    """
    folder.mkdir(exist_ok=True)
    given, index, reasons, first = [], [], {}, None
    digest = hashlib.sha256(str(is_coregistered).encode())
    for k, item in enumerate(items):
        try:
            identity = item.identity()
        except OSError as error:
            reasons[k] = str(error)
            continue
        digest.update(f"{identity}\n".encode())  # the grid is that of the first time
        stem = folder / f"time-{digest.hexdigest()[:16]}"
        staged = _staged(stem)
        if staged is None:
            try:
                read = item.read()
            except (ValueError, OSError) as error:
                logger.info("  %s failed: %s", item.time, error)
                reasons[k] = str(error)
                continue
            if first is not None:
                elapsed = np.datetime64(read.time, "ms") - np.datetime64(first.time, "ms")
                read = on_one_grid(
                    read,
                    first.shape,
                    first.wcs,
                    elapsed / np.timedelta64(1, "s"),
                    is_coregistered=is_coregistered,
                )
            staged = _stage(read, stem)
        first = staged if first is None else first
        given.append(staged)
        index.append(k)
    if len(given) < 2:
        told = "; ".join(sorted(set(reasons.values()))[:3])
        raise ValueError(
            f"expected 2 or more times that can be read, got {len(given)} of {len(items)} "
            f"({told or 'no others'}); coherence in time needs several: leave out --coherent"
        )
    order = np.argsort([np.datetime64(g.time, "ms") for g in given], kind="stable")
    return StagedTimes([given[k] for k in order], [index[k] for k in order], reasons)


def _stage(read: SixChannels, stem: Path) -> SixChannels:
    """Write a time; its list of values comes last and says that it is whole."""
    path = stem.with_suffix(".npy")
    scratch = scratch_path(path)
    with open(scratch, "wb") as file:
        np.save(file, np.asarray(read.dn, np.float32))
    commit_file(scratch, path)
    names = [f.name for f in dataclasses.fields(read) if f.name != "dn"]
    write_json(stem.with_suffix(".json"), {name: _plain(getattr(read, name)) for name in names})
    staged = _staged(stem)
    if staged is None:
        raise OSError(
            f"expected {path} as it was just written, got no such array; look at the disk"
        )
    return staged


def _staged(stem: Path) -> SixChannels | None:
    """Return a time that was staged before."""
    try:
        values = json.loads(stem.with_suffix(".json").read_text())
        for name in _ARRAYS:
            values[name] = np.array(values[name])
        values["names"] = tuple(values["names"])
        values["saturation_dn"] = float(values["saturation_dn"])
        dn = np.load(stem.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        return SixChannels(dn, **values)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _plain(value):
    """Return a value as JSON has it; infinity as a word."""
    if isinstance(value, np.ndarray | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


class Tiles:
    """Results of rows of a series, a file each, that belong to one set of data, options and code.

    Parameters
    ----------
    folder : Path
    identity : str
        Files of others are removed.
    """

    def __init__(self, folder: Path, identity: str):
        self._folder, self._identity = folder, identity
        folder.mkdir(exist_ok=True)
        for path in sorted(folder.glob("tile-*.npz")):
            if not path.name.startswith(f"tile-{identity}-"):
                path.unlink()

    def _path(self, first: int) -> Path:
        return self._folder / f"tile-{self._identity}-{first:06d}.npz"

    def write(self, first: int, arrays: dict[str, np.ndarray]) -> None:
        """Write a tile that begins with some row, in one step."""
        write_arrays(self._path(first), arrays)

    def has(self, first: int) -> bool:
        """Whether a tile is there and whole enough to be opened."""
        try:
            with np.load(self._path(first), allow_pickle=False) as tile:
                return "whole" in tile
        except (OSError, ValueError, KeyError):
            return False

    def read(self, first: int, *names: str) -> list[np.ndarray]:
        """Return some arrays of a tile."""
        with np.load(self._path(first), allow_pickle=False) as tile:
            return [tile[name] for name in names]
