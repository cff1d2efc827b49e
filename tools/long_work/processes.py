"""Processes that work for this one: how many, how they start, and that they end with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

__all__ = ["end_with_parent", "in_order", "spawned_pool", "usable_processes"]

T = TypeVar("T")
R = TypeVar("R")

_MOST_PROCESSES = 8
_LOOK_S = 0.5
_AHEAD = 2  # tasks per process that wait to be taken: bounds the memory


def usable_processes() -> int:
    """Return the number of processors that this process may use, 8 at most."""
    here = getattr(os, "sched_getaffinity", None)
    return min(len(here(0)) if here else os.cpu_count() or 1, _MOST_PROCESSES)


def end_with_parent() -> None:
    """End this process when the one that started it ends, however it ends."""
    started_by = multiprocessing.parent_process()
    parent = os.getppid() if started_by is None or not started_by.pid else started_by.pid

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def spawned_pool(
    n: int,
    *,
    initializer: Callable[..., None] | None = None,
    arguments: tuple = (),
    if_killed: str = "what was finished is kept. If memory is short, use fewer processes",
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh processes, which leave Ctrl-C to this one and end with it.

    Parameters
    ----------
    n : int
    initializer : callable, optional
        Called in each process with ``arguments``, which must survive being sent to it.
    if_killed : str
        What is kept and what to do, for the sentence about a process that was killed.

    Raises
    ------
    ChildProcessError
        If a process was killed, by lack of memory for instance.
    """
    pool = ProcessPoolExecutor(
        n,
        mp_context=multiprocessing.get_context("spawn"),  # forks of threaded processes can hang
        initializer=_begin,
        initargs=(initializer, arguments),
    )
    try:
        yield pool
    except BrokenProcessPool:
        raise ChildProcessError(f"a working process was killed; {if_killed}") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def in_order(
    pool: ProcessPoolExecutor, function: Callable[[T], R], items: Iterable[T], n_processes: int
) -> Iterator[R]:
    """Yield what a function makes of each item, in their order, a few items ahead."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > n_processes * _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _begin(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if initializer is not None:
        initializer(*arguments)
