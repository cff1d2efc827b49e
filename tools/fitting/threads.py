"""How many threads a compiled solver may use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numba

__all__ = ["limited_threads"]


@contextlib.contextmanager
def limited_threads(n_jobs: int) -> Iterator[int]:
    """Let compiled code use so many threads at most; give their number."""
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # set when it is read
    threads = max(min(n_jobs, most), 1)
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        yield threads
    finally:
        numba.set_num_threads(before)
