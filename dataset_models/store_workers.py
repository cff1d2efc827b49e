"""Chunks of a store, made and coded by several processes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dataset_models.reading_summary import ReadingSummary
from dataset_models.SDO.coding import MISSING, encode
from tools.long_work.processes import in_order, spawned_pool

__all__ = ["CodedChunk", "ImageSource", "coded_chunks"]


class ImageSource(Protocol):
    """What a store is built from: times in order, and one image for each.

    Attributes
    ----------
    times : (image,) datetime64[s]
    size : int
        Pixels along a side.
    channels : tuple
    pixels_averaged : float
        Full-resolution pixels in a pixel.
    problems : list of str
        What is left out, as far as it is known: one sentence for each file or image.
    mended : list of str
        What was assumed, ignored or made missing in what is used, as far as it is known.
    """

    times: np.ndarray
    size: int
    channels: tuple[int | str, ...]
    pixels_averaged: float
    problems: list[str]
    mended: list[str]

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def image(self, index: int) -> np.ndarray:
        """Return (channel, y, x) float32 in ``channel_unit``, NaN where there is no value."""
        ...

    def is_bad(self, index: int) -> bool:
        """Whether the image is marked as bad."""
        ...

    def describe(self) -> dict:
        """Return what the images are; JSON types only."""
        ...

    def summary(self) -> ReadingSummary | None:
        """Return what became of the files so far; None where there are none."""
        ...


@dataclass(frozen=True)
class CodedChunk:
    """Images as codes.

    Attributes
    ----------
    codes : (image, channel, y, x) int16
    is_bad : list of bool
    left_out, mended : list of str
        What was found on the way.
    """

    codes: np.ndarray
    is_bad: list[bool]
    left_out: list[str]
    mended: list[str]


def coded_chunks(
    source: ImageSource, chunks: Sequence[range], workers: int
) -> Iterator[CodedChunk]:
    """Yield the codes of each chunk's images, in the chunks' order.

    Parameters
    ----------
    source : ImageSource
        Sent to every process where there are several.
    chunks : sequence of range
        The images of each chunk.
    workers : int
        Processes; with 1 the work is done in this one.

    Yields
    ------
    CodedChunk

    Raises
    ------
    ChildProcessError
        If a process was killed, by lack of memory for instance.
    """
    if workers <= 1 or len(chunks) <= 1:
        for rows in chunks:
            yield _coded(source, rows)
        return
    killed = "the chunks before are saved. If memory is short, build with one process"
    n = min(workers, len(chunks))
    with spawned_pool(n, initializer=_keep_source, arguments=(source,), if_killed=killed) as pool:
        for chunk in in_order(pool, _coded_by_worker, chunks, n):
            source.problems.extend(chunk.left_out)
            source.mended.extend(chunk.mended)
            yield chunk


_source: ImageSource | None = None  # of this worker process


def _keep_source(source: ImageSource) -> None:
    global _source
    _source = source


def _coded_by_worker(rows: range) -> CodedChunk:
    if _source is None:
        raise RuntimeError("this process was not given a source")
    return _coded(_source, rows)


def _coded(source: ImageSource, rows: range) -> CodedChunk:
    """Code the images of a chunk."""
    known, mended = len(source.problems), len(source.mended)
    codes = np.stack(
        [
            encode(source.image(i), source.channels, pixels_averaged=source.pixels_averaged)
            for i in rows
        ]
    )
    is_bad = [bool(source.is_bad(i) or (codes[j] == MISSING).all()) for j, i in enumerate(rows)]
    return CodedChunk(codes, is_bad, source.problems[known:], source.mended[mended:])
