"""Labelled frames on disk: folders named by class, or a CSV of labels; read when asked for."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.solar_data import ArrayInfo, DataIntegrityError, SampleTable, SolarData
from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from dataset_models.solar_scenes.files.frames import list_frames, network_input
from dataset_models.solar_scenes.files.groups import observation_groups
from dataset_models.solar_scenes.files.header_scan import ScannedFrame, scan_frames
from dataset_models.solar_scenes.files.near_copies import thumbnail
from dataset_models.solar_scenes.files.scene_masks import MASK_FOLDER, mask_files, read_mask
from dataset_models.solar_scenes.files.scene_table import (
    class_index,
    one_hot,
    scene_arrays,
    scene_table,
)
from tools.code_dependencies import fingerprint_of_code
from tools.csv_files import read_csv_table
from tools.times import parse_time

__all__ = ["SceneFolder"]

logger = logging.getLogger(__name__)

_READ_WHOLE = 1000  # files that are read once at the start; of more, only the headers are
_UNKNOWN_TIME = np.datetime64(0, "s")


@dataclass(frozen=True)
class _Label:
    primary: int
    group: str = ""
    time: str = ""
    mask: Path | None = None


def _masks(labels: Mapping[Path, _Label]) -> dict[Path, Path]:
    return {path: label.mask for path, label in labels.items() if label.mask is not None}


class SceneFolder(SolarData):
    """Frames with one label each, in folders named by class or listed in a CSV.

    Only headers and labels are kept, whatever the number of files. Files that can't be used are
    left out and listed. A file that turns out to be broken later is listed, too, and another of
    its class stands in, so that no training stops at it.

    Parameters
    ----------
    place : str or Path
        A folder with folders named by class (``CLASSES`` in any case, also ``sunspot``,
        ``quiet_sun``, ``none`` ...) and, if wanted, ``masks`` with the same folders and names
        inside; or a CSV with the columns ``file`` (relative to the CSV), ``label`` and, if wanted,
        ``group``, ``time`` (ISO, UTC) and ``mask`` (relative to the CSV).
    size : int or (y, x)
        Pixels of each image.
    check_data : bool, optional
        Whether all files are read once at the start, to leave out those with damaged data; by
        default up to 1000.

    Attributes
    ----------
    paths : tuple of Path
        Of each row of the table.
    primary : (sample,) int
        Index of each row's class in OUTPUTS.
    skipped : list of (Path, str)
        Files that can't be used, with the reason.

    Raises
    ------
    FileNotFoundError
        If the place does not exist.
    ValueError
        If a class is unknown, or a line of the CSV is wrong.
    DataIntegrityError
        If no frame can be used.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        size: int | tuple[int, int] = 96,
        check_data: bool | None = None,
    ):
        self.place = Path(place)
        self.shape = (size, size) if isinstance(size, int) else tuple(size)
        if min(self.shape) < 8:
            raise ValueError(f"images have 8 pixels a side or more, not {size}")
        if not self.place.exists():
            raise FileNotFoundError(f"no such folder or CSV: {self.place}")
        is_folder = self.place.is_dir()
        labels, self.skipped = _class_folders(self.place) if is_folder else _labels(self.place)
        self._masks, lost = mask_files(self.place, labels) if is_folder else (_masks(labels), [])
        self.skipped += lost
        frames, broken = scan_frames(list(labels))
        self.skipped += broken
        if check_data or (check_data is None and len(frames) <= _READ_WHOLE):
            frames = [frame for frame in frames if self._is_readable(frame.path)]
        if not frames:
            listed = "\n  ".join(reason for _, reason in self.skipped[:20]) or "it holds no file"
            raise DataIntegrityError(f"{self.place}: no frame can be used:\n  {listed}")
        self.paths = tuple(frame.path for frame in frames)
        self.primary = np.array([labels[path].primary for path in self.paths])
        self._frames = frames
        base = self.place if is_folder else self.place.parent
        self._table = _table(frames, [labels[path] for path in self.paths], base)
        if self.skipped:
            logger.warning("%s: %d files are left out", self.place, len(self.skipped))

    @property
    def table(self) -> SampleTable:
        """The table of samples; the time is 1970 where a file gives none."""
        return self._table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """The image and its label."""
        return scene_arrays(self.shape)

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read frames as ``network_input`` gives them, and their labels."""
        images = np.empty((len(indices), *self.shape, 1), np.float32)
        for image, row in zip(images, indices, strict=True):
            image[:] = self._image(int(row))
        return {"image": images, "label": one_hot(self.primary[indices])}

    def labels(self, indices: np.ndarray) -> np.ndarray:
        """Return the labels of some samples, (sample, output) float32."""
        return one_hot(self.primary[indices])

    @property
    def has_mask(self) -> np.ndarray:
        """Whether a mask lies beside each frame, (sample,) bool."""
        return np.array([path in self._masks for path in self.paths])

    def masks(self, indices: np.ndarray) -> np.ndarray:
        """Return where each of ``CLASSES`` is, (batch, 5, y, x) bool.

        A frame's mask is of the class that it is labelled with; all is False where it has none, or
        is labelled as none of the five.

        Raises
        ------
        DataIntegrityError
            If a mask can't be read or is of other pixels than its frame.
        """
        out = np.zeros((len(indices), len(CLASSES), *self.shape), bool)
        for masks, row in zip(out, indices, strict=True):
            path, k = self.paths[int(row)], self.primary[int(row)]
            if path in self._masks and k < len(CLASSES):
                masks[k] = read_mask(self._masks[path], path, self.shape)
        return out

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Return small frames with mean 0 and spread 1, NaN where they show nothing."""
        return np.stack([thumbnail(self._image(int(row))[..., 0]) for row in indices])

    def provenance(self) -> dict:
        """Return which files of which classes, instruments and times there are."""
        times = sorted(frame.time for frame in self._frames if frame.time)
        return {
            "source": f"frames in {self.place.name}",
            "first": times[0] if times else None,
            "last": times[-1] if times else None,
            "files": len(self),
            "classes": {name: int((self.primary == k).sum()) for k, name in enumerate(OUTPUTS)},
            "instruments": dict(sorted(Counter(f.instrument for f in self._frames).items())),
            "groups": len(np.unique(self.table.group)),
            "skipped": len(self.skipped),
            "skipped_files": [reason for _, reason in self.skipped[:20]],
            "size": list(self.shape),
            "repairs": "NaN, fill values, blocks of zeros, dark lines: filled in from neighbours",
            "code": fingerprint_of_code([__file__]),
        }

    def fingerprint(self) -> str:
        """Return a hash of files, labels, groups and size."""
        digest = hashlib.sha256(super().fingerprint().encode())
        digest.update(f"{self.shape} {self.primary.tolist()}".encode())
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.paths)

    def _is_readable(self, path: Path) -> bool:
        try:
            network_input(path, self.shape)
        except (DataIntegrityError, OSError) as error:
            self.skipped.append((path, str(error)))
            return False
        return True

    def _image(self, row: int) -> np.ndarray:
        try:
            return network_input(self.paths[row], self.shape)
        except (DataIntegrityError, OSError) as error:
            if all(path != self.paths[row] for path, _ in self.skipped):
                self.skipped.append((self.paths[row], str(error)))
                logger.warning("another frame of its class stands in: %s", error)
        for other in self._stand_ins(row):
            if self._is_readable(self.paths[other]):
                return network_input(self.paths[other], self.shape)
        raise DataIntegrityError(
            f"{self.paths[row].name}: can't be read, nor can another frame of its class and group"
        )

    def _stand_ins(self, row: int) -> np.ndarray:
        """Return other rows of the same class and group, which no split parts, nearest first."""
        group = self._table.group
        rows = np.flatnonzero((self.primary == self.primary[row]) & (group == group[row]))
        known_bad = {path for path, _ in self.skipped}
        rows = [k for k in rows[np.argsort(np.abs(rows - row))] if self.paths[k] not in known_bad]
        return np.array(rows, int)


def _class_folders(folder: Path) -> tuple[dict[Path, _Label], list[tuple[Path, str]]]:
    """List the frames of each class folder."""
    labels: dict[Path, _Label] = {}
    skipped: list[tuple[Path, str]] = []
    inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    folders = [p for p in inside if p.is_dir() and p.name != MASK_FOLDER]
    if not folders:
        raise DataIntegrityError(
            f"{folder}: expected folders named by class ({', '.join(CLASSES)}, none), found none"
        )
    for path in folders:
        try:
            primary = class_index(path.name)
        except ValueError as error:
            raise ValueError(f"{folder}: a folder of an {error}") from None
        frames, others = list_frames(path)
        labels |= dict.fromkeys(frames, _Label(primary))
        skipped += others
    skipped += [(p, f"{p.name}: lies in no class folder") for p in inside if not p.is_dir()]
    return labels, skipped


def _labels(path: Path) -> tuple[dict[Path, _Label], list[tuple[Path, str]]]:
    """Read a CSV of labels; a file that is not there is left out and listed."""
    names, rows = read_csv_table(path, "list of labels")
    missing = [name for name in ("file", "label") if name not in names]
    if missing:
        raise ValueError(
            f"{path.name}: expected the columns file, label[, group][, time][, mask] in its "
            f"first line; {' and '.join(missing)} not found"
        )
    labels: dict[Path, _Label] = {}
    skipped = []
    for number, row in rows:
        where = f"{path.name}, line {number}"
        file = path.parent / row["file"].strip()
        try:
            label = _Label(
                class_index(row["label"]),
                row.get("group", "").strip(),
                _iso(row),
                _mask_of(row, path.parent),
            )
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if not row["file"].strip() or file in labels:
            raise ValueError(f"{where}: expected a file that no line before names, got {file.name}")
        if file.is_file():
            labels[file] = label
        else:
            skipped.append((file, f"{where}: no such file: {file}"))
    return labels, skipped


def _mask_of(row: dict, place: Path) -> Path | None:
    name = (row.get("mask") or "").strip()
    if name and not (place / name).is_file():
        raise ValueError(f"no such mask: {place / name}")
    return place / name if name else None


def _iso(row: dict) -> str:
    text = row.get("time", "").strip()
    return str(parse_time(text)) if text else ""


def _table(frames: list[ScannedFrame], labels: list[_Label], base: Path) -> SampleTable:
    iso = [label.time or frame.time for frame, label in zip(frames, labels, strict=True)]
    time = np.array([text or "NaT" for text in iso], "datetime64[ms]")
    unknown = np.isnat(time)
    seconds = np.where(unknown, np.nan, time.astype("int64") / 1000)
    root = observation_groups(
        [frame.instrument for frame in frames],
        seconds,
        np.array([frame.centre for frame in frames]),
        np.array([frame.region for frame in frames]),
    )
    group, by_folder = [], 0
    for frame, label, first in zip(frames, labels, root, strict=True):
        if label.group:
            group.append(label.group)
        elif first >= 0:
            group.append(f"{frames[first].instrument} {iso[first]} {frames[first].path.name}")
        else:
            by_folder += 1
            group.append(f"folder {os.path.relpath(frame.path.parent, base)}")
    if by_folder:
        logger.warning(
            "%d of %d frames name no time or no place: those of one folder count as one "
            "observation; give a CSV with the column group to tell them apart",
            by_folder,
            len(frames),
        )
    hashes = np.array([frame.content for frame in frames], np.uint64)
    known = np.where(unknown, _UNKNOWN_TIME, time.astype("datetime64[s]"))
    return scene_table(known, np.array(group), hashes)
