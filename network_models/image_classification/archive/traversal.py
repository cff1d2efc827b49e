"""A pass over an archive of frames that goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.solar_scenes.files.frames import Frame, network_input, read_frame
from network_models.image_classification.archive.catalogue import failed_row, write_tables
from network_models.image_classification.archive.frame_answers import FrameAnswers
from network_models.image_classification.archive.traversal_plan import (
    LOCK_FILE,
    TraversalPlan,
    identity_of_catalogue,
)
from network_models.image_classification.classifier import Classifier
from tools.code_dependencies import fingerprint_of_code
from tools.long_work.journal import Journal
from tools.long_work.resumable import resumable_folder

__all__ = ["Outcome", "classify_files"]

logger = logging.getLogger(__name__)

_FRAMES_AT_ONCE = 16
_PIXELS_AT_ONCE = 1 << 21  # of small frames that wait for the network
_MOST_FAILED = 16  # that are told


@dataclass(frozen=True)
class Outcome:
    """What became of all files.

    Attributes
    ----------
    n_files, n_new, n_failed, n_rows : int
        Files in all, classified in this call, without an answer; rows of the catalogue.
    failed : tuple of (file, reason)
        The first ones.
    classes : dict of int
        Whole frames of each class.
    """

    n_files: int
    n_new: int
    n_failed: int
    n_rows: int
    failed: tuple[tuple[str, str], ...]
    classes: dict[str, int]


def classify_files(
    classifier: Classifier,
    files: Sequence[Path],
    plan: TraversalPlan,
    folder: str | Path,
    *,
    inputs: Sequence[str] = (),
    workers: int = 2,
    tell: Callable[[int, int, int], None] | None = None,
) -> Outcome:
    """Classify files into a catalogue, or what an earlier call has left to classify.

    A file that fails gets a row with the reason and stops nothing; it is tried again in the next
    call. Memory holds a few frames, and for each file its name.

    Parameters
    ----------
    classifier : Classifier
    files : sequence of Path
    plan : TraversalPlan
    folder : str or Path
        Gets ``journal.jsonl``, ``catalogue.csv``, ``catalogue.fits`` and, where asked for,
        ``maps/`` and ``charts/``.
    inputs : sequence of str
        What the files come from; a folder's catalogue is always of the same.
    workers : int
        Threads that read frames.
    tell : callable, optional
        Called with the numbers of files done, new and failed.

    Raises
    ------
    ValueError
        If the folder holds a catalogue of other options or of something else, or is being written
        by another process.
    OSError
        If something can't be written.
    """
    plan = plan.settled(classifier.settings.tile)
    own = identity_of_catalogue(classifier.identity, plan, inputs)
    with (
        resumable_folder(
            folder, lock=LOCK_FILE, options_file="classify.json", options=own, what="catalogue"
        ) as place,
        Journal(place / "journal.jsonl") as journal,
    ):
        answers = FrameAnswers(classifier, plan, place)
        one_pass = _Pass(classifier, plan, answers, journal, tell or (lambda *_: None))
        one_pass.run(files, workers)
        return _finished(classifier, plan, files, journal, place, one_pass.n_new)


@dataclass(frozen=True)
class _Item:
    """A file on its way through the network; one that failed has a reason."""

    file: Path
    key: str
    reason: str = ""
    frame: Frame | None = None
    small: np.ndarray | None = None
    bad_share: float = 0.0


class _Pass:
    """One call's way through all files."""

    def __init__(
        self,
        classifier: Classifier,
        plan: TraversalPlan,
        answers: FrameAnswers,
        journal: Journal,
        tell: Callable[[int, int, int], None],
    ):
        self._classifier, self._tile, self._answers = classifier, plan.tile, answers
        self._journal, self._tell = journal, tell
        # a file that other code classified is classified anew
        self._code = fingerprint_of_code([__file__])
        self._n_done = self._n_failed = 0
        self.n_new = 0

    def run(self, files: Sequence[Path], workers: int) -> None:
        """Classify what is not in the journal, a few frames at a time."""
        waiting: list[_Item] = []
        for item in _ahead(self._left(files), self._prepared, workers):
            waiting.append(item)
            pixels = sum(i.small.size for i in waiting if i.small is not None)
            holds = item.frame is not None and self._answers.keeps_image(item.frame.image.shape)
            if holds or len(waiting) >= _FRAMES_AT_ONCE or pixels > _PIXELS_AT_ONCE:
                self._flush(waiting)
                waiting = []
        if waiting:
            self._flush(waiting)

    def _left(self, files: Sequence[Path]) -> Iterator[Path]:
        """Yield the files that no earlier call has finished as they are now, by this code."""
        keys = {
            record["file"]: "" if record["failed"] else record["key"]
            for _, record in self._journal.entries()
        }
        for file in files:
            key = keys.get(str(file))
            if key and key == self._key(file) and self._answers.are_there(file):
                self._n_done += 1
            else:
                yield file

    def _key(self, file: Path) -> str:
        """Return a hash of what decides a file's rows, "" where there is no file."""
        try:
            stat = file.stat()
        except OSError:
            return ""
        text = f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns} {self._code}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]

    def _prepared(self, file: Path) -> _Item:
        """Read a frame; whatever goes wrong becomes the reason."""
        key = self._key(file)
        try:
            frame = read_frame(file)
            high, wide = frame.image.shape
            if min(high, wide) < self._tile:
                raise ValueError(
                    f"{file.name}: an image of {wide} x {high} pixels is smaller than a tile of "
                    f"{self._tile} x {self._tile}; give a larger image or a smaller --tile"
                )
            small = network_input(frame, self._classifier.settings.tile)[..., 0]
            bad_share = float(frame.bad.mean())
            if not self._answers.keeps_image(frame.image.shape):
                frame = _without_pixels(frame)
            return _Item(file, key, frame=frame, small=small, bad_share=bad_share)
        except (ValueError, OSError) as error:
            return _Item(file, key, str(error) or type(error).__name__)
        except Exception as error:
            logger.exception("%s", file)
            return _Item(file, key, f"a defect, please report it: {error!r}")

    def _flush(self, items: list[_Item]) -> None:
        """Classify frames of one shape together and add all rows to the journal at once."""
        found = self._classified([item for item in items if not item.reason])
        records = []
        for item in items:
            if item.reason:
                rows = [failed_row(self._classifier, item.reason, file=str(item.file))]
            else:
                rows = self._answers.rows(item.file, item.frame, found[item.file], item.bad_share)
            records.append(
                {
                    "file": str(item.file),
                    "key": item.key,
                    "failed": bool(item.reason),
                    "rows": rows,
                }
            )
        self._journal.append(records)
        self._n_done += len(items)
        self.n_new += len(items)
        self._n_failed += sum(bool(item.reason) for item in items)
        self._tell(self._n_done, self.n_new, self._n_failed)

    def _classified(self, items: list[_Item]) -> dict[Path, np.ndarray]:
        """Return what the network says of each whole frame, (class,) float64."""
        shapes: dict[tuple, list[_Item]] = {}
        for item in items:
            shapes.setdefault(item.small.shape, []).append(item)
        found = {}
        for alike in shapes.values():
            answers = self._classifier.of_frames(np.stack([item.small for item in alike]))
            found.update(zip((item.file for item in alike), answers, strict=True))
        return found


def _without_pixels(frame: Frame) -> Frame:
    """Return a frame of the same shape that takes no memory."""
    shape = frame.image.shape
    empty = np.broadcast_to(np.float32(0), shape), np.broadcast_to(False, shape)
    return dataclasses.replace(frame, image=empty[0], bad=empty[1])


def _ahead(
    files: Iterator[Path], prepare: Callable[[Path], _Item], workers: int
) -> Iterator[_Item]:
    """Prepare files in threads, a few ahead of what takes them, and give them in order."""
    pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque = deque()
        for file in files:
            waiting.append(pool.submit(prepare, file))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(
    classifier: Classifier,
    plan: TraversalPlan,
    files: Sequence[Path],
    journal: Journal,
    folder: Path,
    n_new: int,
) -> Outcome:
    """Write the tables from the journal's newest records and count them."""
    places = {record["file"]: place for place, record in journal.entries()}

    def rows() -> Iterator[dict]:
        for record in journal.read(places[str(file)] for file in files):
            yield from record["rows"]

    header = {"MODEL": classifier.identity, "TILE": plan.tile, "STRIDE": plan.stride}
    n_rows = write_tables(rows, folder, header)
    failed, n_failed, classes = [], 0, dict.fromkeys(OUTPUTS, 0)
    for row in rows():
        if row.get("reason"):
            n_failed += 1
            failed.extend([(row["file"], row["reason"])][: _MOST_FAILED - len(failed)])
        elif row["region"] == 0:
            classes[row["class"]] += 1
    return Outcome(len(files), n_new, n_failed, n_rows, tuple(failed), classes)
