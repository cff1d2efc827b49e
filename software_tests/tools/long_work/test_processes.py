"""Processes that work for this one: in order, told when killed, and gone when it is."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from software_tests.conftest import ROOT
from tools.long_work.processes import in_order, spawned_pool, usable_processes

_kept = None


def keep(value):
    global _kept
    _kept = value


def double(number):
    if number == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02 * (number % 3))
    return 2 * number + _kept


def test_answers_come_in_order_whoever_is_fastest():
    with spawned_pool(2, initializer=keep, arguments=(1,)) as pool:
        assert list(in_order(pool, double, range(12), 2)) == [2 * n + 1 for n in range(12)]


def test_a_killed_process_is_a_sentence():
    with pytest.raises(ChildProcessError, match="was killed; the maps are kept"):  # noqa: SIM117
        with spawned_pool(1, initializer=keep, arguments=(0,), if_killed="the maps are kept") as p:
            list(in_order(p, double, [1, "die", 2], 1))


def test_working_processes_end_when_their_parent_is_killed():
    code = (
        "import time\nfrom tools.long_work.processes import spawned_pool\n"
        "if __name__ == '__main__':\n"
        "    with spawned_pool(2) as pool:\n"
        "        tasks = [pool.submit(time.sleep, 600) for _ in range(2)]\n"
        "        print('started', flush=True)\n        time.sleep(600)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    with parent:
        assert parent.stdout.readline() == "started\n"
        children = wait_for_children(parent.pid, 2)
        parent.kill()
        parent.wait()
        _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def wait_for_children(process, n):
    for _ in range(200):
        found = [
            child
            for child in psutil.Process(process).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        if len(found) >= n:
            return found
        time.sleep(0.1)
    raise AssertionError("the pool started no processes")


def test_the_number_of_processes_is_a_few():
    assert 1 <= usable_processes() <= 8
