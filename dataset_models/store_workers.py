"""Chunks of a store, made and coded by several processes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from dataset_models.SDO.coding import MISSING, encode
from tools.long_work.processes import in_order, spawned_pool

__all__ = ["ImageSource", "coded_chunks"]


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
        What was found wrong so far, one sentence each.
    """

    times: np.ndarray
    size: int
    channels: tuple[int | str, ...]
    pixels_averaged: float
    problems: list[str]

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


def coded_chunks(
    source: ImageSource, chunks: Sequence[range], workers: int
) -> Iterator[tuple[np.ndarray, list[bool]]]:
    """Yield the codes of each chunk's images and which of them are bad, in the chunks' order.

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
    (image, channel, y, x) int16, list of bool

    Raises
    ------
    ChildProcessError
        If a process was killed, by lack of memory for instance.
    """
    if workers <= 1 or len(chunks) <= 1:
        for rows in chunks:
            codes, is_bad, _ = _coded(source, rows)
            yield codes, is_bad
        return
    killed = "the chunks before are saved. If memory is short, build with one process"
    n = min(workers, len(chunks))
    with spawned_pool(n, initializer=_keep_source, arguments=(source,), if_killed=killed) as pool:
        for codes, is_bad, problems in in_order(pool, _coded_by_worker, chunks, n):
            source.problems.extend(problems)
            yield codes, is_bad


_source: ImageSource | None = None  # of this worker process


def _keep_source(source: ImageSource) -> None:
    global _source
    _source = source


def _coded_by_worker(rows: range) -> tuple[np.ndarray, list[bool], list[str]]:
    if _source is None:
        raise RuntimeError("this process was not given a source")
    return _coded(_source, rows)


def _coded(source: ImageSource, rows: range) -> tuple[np.ndarray, list[bool], list[str]]:
    """Code the images of a chunk; also return what was found wrong on the way."""
    known = len(source.problems)
    codes = np.stack(
        [
            encode(source.image(i), source.channels, pixels_averaged=source.pixels_averaged)
            for i in rows
        ]
    )
    is_bad = [bool(source.is_bad(i) or (codes[j] == MISSING).all()) for j, i in enumerate(rows)]
    return codes, is_bad, source.problems[known:]
