"""A search on a dask cluster whose parts fail."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from software_tests.network_models.smac.test_optimize import (
    ENVIRONMENT,
    FAST,
    lines_of,
    search,
    start,
    trials_of,
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def dask(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def cluster():
    """Yield the address of a scheduler, its process, and those of two workers of one thread."""
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    here = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    processes = [dask("scheduler", "--port", port, *here)]
    worker = ["worker", address, "--nthreads", "1", "--no-nanny", *here]
    processes += [dask(*worker) for _ in range(2)]
    yield address, *processes
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def start_on(folder, address):
    options = ["--scheduler", address, "--trials", "20", "--output", "search"]
    options += ["--no-random-search", "--no-retrain", "--", "--pause-s", "0.3"]
    run = start(folder, *options)
    table = folder / "search/trials.csv"
    while run.poll() is None and lines_of(table) <= 4:
        time.sleep(0.1)
    return run


def test_a_cluster_that_loses_a_worker_finishes_every_trial(tmp_path, cluster):
    address, _, worker, _ = cluster
    run = start_on(tmp_path, address)
    os.killpg(worker.pid, signal.SIGKILL)
    out, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    assert "SMAC: 20 trials, 20 succeeded" in out
    finished = trials_of(tmp_path)
    assert len(finished) == 20
    assert len({r.facts["process"] for _, r in finished}) == 2


def test_a_scheduler_that_dies_is_a_sentence_and_the_search_goes_on_elsewhere(tmp_path, cluster):
    address, scheduler, *_ = cluster
    run = start_on(tmp_path, address)
    os.killpg(scheduler.pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=100)
    assert run.returncode == 2, errors
    assert "the dask scheduler is gone; start it again" in errors
    fast = ["--trials", "20", "--output", "search", "--no-random-search", "--no-retrain"]
    out, _ = search(tmp_path, *fast, "--", "--pause-s", "0.3")  # the same search, without dask
    assert "SMAC: 20 trials, 20 succeeded" in out
    assert len(trials_of(tmp_path)) == 20


def test_local_workers_under_dask_serve_their_dashboard_on_loopback(tmp_path):
    out, errors = search(tmp_path, *FAST, "--dashboard", "--no-random-search", "--no-retrain")
    assert re.search(r"Dashboard: http://127\.0\.0\.1:\d+/", errors)
    assert "SMAC: 12 trials, 12 succeeded" in out
