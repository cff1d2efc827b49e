"""Chunks of a store, made and coded by several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

import numpy as np

from dataset_models.SDO.coding import MISSING, encode

if TYPE_CHECKING:
    from dataset_models.store import ImageSource

__all__ = ["coded_chunks", "follow_parent", "usable_processes"]

_CHUNKS_AHEAD = 2  # per process: bounds the memory
_MOST_PROCESSES = 8


def usable_processes() -> int:
    """Give the number of processors that this process may use, 8 at most."""
    here = getattr(os, "sched_getaffinity", None)
    return min(len(here(0)) if here else os.cpu_count() or 1, _MOST_PROCESSES)


def coded_chunks(
    source: ImageSource, chunks: Sequence[range], workers: int
) -> Iterator[tuple[np.ndarray, list[bool]]]:
    """Give the codes of each chunk's images and which of them are bad, in the chunks' order.

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
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),  # forks of threaded processes can hang
        initializer=_start_worker,
        initargs=(source,),
    )
    waiting: deque[Future] = deque()
    try:
        for rows in chunks:
            waiting.append(pool.submit(_coded_by_worker, rows))
            if len(waiting) > workers * _CHUNKS_AHEAD:
                yield _result(waiting.popleft(), source)
        while waiting:
            yield _result(waiting.popleft(), source)
    except BrokenProcessPool:
        raise ChildProcessError(
            "a process that makes images was killed; the chunks before are saved. If memory is "
            "short, build with one process"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future, source: ImageSource) -> tuple[np.ndarray, list[bool]]:
    codes, is_bad, problems = future.result()
    if problems:
        source.problems.extend(problems)
    return codes, is_bad


_source: ImageSource | None = None  # of this worker process


def _start_worker(source: ImageSource) -> None:
    """Keep the source."""
    global _source
    _source = source
    follow_parent()


def follow_parent() -> None:
    """Leave Ctrl-C to this process's parent, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _coded_by_worker(rows: range) -> tuple[np.ndarray, list[bool], list[str]]:
    return _coded(_source, rows)


def _coded(source: ImageSource, rows: range) -> tuple[np.ndarray, list[bool], list[str]]:
    """Code the images of a chunk; also give what was found wrong on the way."""
    known = len(getattr(source, "problems", ()))
    codes = np.stack(
        [
            encode(source.image(i), source.channels, pixels_averaged=source.pixels_averaged)
            for i in rows
        ]
    )
    is_bad = [bool(source.is_bad(i) or (codes[j] == MISSING).all()) for j, i in enumerate(rows)]
    return codes, is_bad, list(getattr(source, "problems", ()))[known:]
