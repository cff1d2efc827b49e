"""Where trials run: in child processes of this one, or on the workers of a dask cluster."""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Protocol

from network_models.smac.trial_worker import (
    Limits,
    TrialWorker,
    rest_in_this_process,
    run_in_this_process,
)

__all__ = [
    "PATIENCE_S",
    "WORKER_COMMAND",
    "Promise",
    "Workers",
    "dask_workers",
    "local_workers",
    "wait_for",
]

PATIENCE_S = 60.0  # without any worker
WORKER_COMMAND = "dask worker ADDRESS --nthreads 1 --host 127.0.0.1 --dashboard-address 127.0.0.1:0"

logger = logging.getLogger(__name__)

_ANSWER_S = 10  # a scheduler that is there answers within


class Promise(Protocol):
    """A trial that was sent off."""

    def done(self) -> bool:
        """Say whether its result can be had."""

    def result(self) -> dict:
        """Give it, or raise what went wrong on the way."""


class Workers(Protocol):
    """Something that runs trials."""

    def submit(self, request: dict, name: str) -> Promise:
        """Send a request of ``trial_process`` off."""

    def n_slots(self) -> int:
        """Give how many trials can run at once, now."""


class _Local:
    """Child processes, each driven by a thread."""

    def __init__(self, n: int, limits: Limits):
        self._n, self._limits = n, limits
        self._idle: queue.SimpleQueue[TrialWorker] = queue.SimpleQueue()
        self.children = [TrialWorker() for _ in range(n)]
        for child in self.children:
            self._idle.put(child)
        self.pool = ThreadPoolExecutor(n)

    def submit(self, request: dict, name: str) -> Promise:
        return self.pool.submit(self._run, request)

    def n_slots(self) -> int:
        return self._n

    def _run(self, request: dict) -> dict:
        child = self._idle.get()
        try:
            return child.run(request, self._limits)
        finally:
            self._idle.put(child)


class _Dask:
    """The workers of a dask scheduler; one that is lost has its trial run again by another."""

    def __init__(self, client, limits: Limits):
        self._client, self._limits = client, limits

    def submit(self, request: dict, name: str) -> Promise:
        return self._client.submit(
            run_in_this_process, request, asdict(self._limits), key=name, pure=False
        )

    def n_slots(self) -> int:
        if self._client.status != "running":
            raise ValueError(
                "the dask scheduler is gone; start it again and give the same command: what is "
                "finished is kept"
            )
        try:
            return len(self._client.nthreads())
        except (OSError, TimeoutError):
            return 0


def wait_for(workers: Workers, request: dict, name: str) -> dict:
    """Give the answer to one request.

    Raises
    ------
    ValueError
        If no worker is there for a minute, or it fails; the reason is told.
    """
    alone_since, promise = time.monotonic(), None
    while promise is None or not promise.done():
        if workers.n_slots():
            alone_since = time.monotonic()
            promise = promise or workers.submit(request, f"{name}-{time.time_ns()}")
        elif time.monotonic() - alone_since > PATIENCE_S:
            raise ValueError(
                f"no worker for {PATIENCE_S:.0f} s: start some by '{WORKER_COMMAND}' and give the "
                "same command again"
            )
        time.sleep(0.05)
    answer = promise.result()
    if answer["status"] != "success":
        raise ValueError(answer["reason"])
    return answer


@contextmanager
def local_workers(n: int, limits: Limits) -> Iterator[Workers]:
    """Run trials in ``n`` child processes, which end with the block."""
    workers = _Local(n, limits)
    try:
        yield workers
    finally:
        workers.pool.shutdown(wait=False, cancel_futures=True)
        for child in workers.children:
            child.close()


@contextmanager
def dask_workers(
    limits: Limits, *, scheduler: str = "", n_local: int = 0, dashboard: bool = False
) -> Iterator[Workers]:
    """Run trials on a dask cluster: one that is there, or a local one for this block.

    Parameters
    ----------
    limits : Limits
    scheduler : str
        Address such as ``tcp://127.0.0.1:8786``.
    n_local : int
        Workers of a local cluster, if no scheduler is named.
    dashboard : bool
        Serve the local cluster's dashboard, on the loopback address alone.

    Raises
    ------
    ValueError
        If no scheduler answers, or the address can't be read.
    """
    from dask.distributed import Client, LocalCluster

    for name in ("distributed", "distributed.client"):  # what goes wrong is told in a sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if not scheduler:
        with (
            LocalCluster(
                n_workers=n_local,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0" if dashboard else None,
            ) as cluster,
            Client(cluster) as client,
        ):
            if dashboard:
                logger.info("Dashboard: %s", cluster.dashboard_link)
            yield _Dask(client, limits)
        return
    try:
        client = Client(scheduler, timeout=_ANSWER_S)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ValueError(
            f"no dask scheduler answers at {scheduler} ({type(error).__name__}); start one by "
            "'dask scheduler --host 127.0.0.1 --dashboard-address 127.0.0.1:0' and give the "
            "address that it prints"
        ) from None
    with client:
        try:
            yield _Dask(client, limits)
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                client.run(rest_in_this_process)
