"""Trials under limits, in a process that is killed where it has to be."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from network_models.smac.trial_worker import Limits, TrialWorker
from software_tests.network_models.smac.toy_problem import NAME, ToyConfig, formula

ROOT = Path(__file__).parents[3]
# an interpreter with NumPy needs some 100 MiB; the toy that takes memory takes 1 GiB
LIMITS = Limits(seconds=2.0, memory_mib=500.0, threads=1)


@pytest.fixture
def worker():
    worker = TrialWorker()
    yield worker
    worker.close()


def request(do="trial", values=None, **options):
    return {
        "do": do,
        "script": NAME,
        "options": asdict(ToyConfig(**options)),
        "values": values or {},
        "epochs": 3,
        "share": 1.0,
        "fold": None,
        "seed": 0,
        "max_parameters": 50,
        "folds": 0,
    }


def test_a_trial_gives_its_score_and_when_it_ran(worker):
    before = time.time()
    answer = worker.run(request(values={"depth": 3, "rate": 0.1}), LIMITS)
    assert answer["status"] == "success"
    assert answer["cost"] == formula(ToyConfig(depth=3, rate=0.1), 3, None)
    assert before <= answer["started"] <= answer["ended"] <= time.time()


def test_the_process_stays_for_the_next_trial(worker):
    worker.run(request(), LIMITS)
    child = worker._child.pid
    worker.run(request(values={"depth": 1}), LIMITS)
    assert worker._child.pid == child


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [
        ("raise", "crash", "RuntimeError: the third layer has no input"),
        ("nan", "diverged", "the loss became nan"),
        ("large", "too large", "more than 50 parameters"),
        ("sleep", "timeout", "longer than 2 s"),
        ("memory", "memory", "MiB of memory, more than 500"),
        ("exit", "crash", "its process ended with status 3: the driver of the camera is gone"),
    ],
)
def test_each_failure_has_its_status_and_reason_and_the_next_trial_runs(
    worker, behaviour, status, reason
):
    answer = worker.run(request(behaviour=behaviour), LIMITS)
    assert answer["status"] == status
    assert reason in answer["reason"]
    assert worker.run(request(), LIMITS)["status"] == "success"


def test_a_killed_process_costs_one_trial(worker):
    worker.run(request(), LIMITS)
    os.kill(worker._child.pid, signal.SIGKILL)
    worker._child.wait()
    assert worker.run(request(), LIMITS)["status"] == "success"


def test_a_score_that_is_no_number_is_no_success(worker):
    answer = worker.run(request(values={"rate": float("inf")}), LIMITS)
    assert answer["status"] == "diverged"
    assert "its score is" in answer["reason"]


def test_data_that_can_t_be_opened_are_a_reason(worker):
    answer = worker.run(request("open", broken_data=True), LIMITS)
    assert answer["status"] == "crash"
    assert "sun.fits can't be read: expected an image" in answer["reason"]


def test_the_data_are_described(worker):
    answer = worker.run(request("open"), LIMITS)
    assert answer["source"] == "a formula"
    assert answer["sets"] == {"training": 3, "validation": 1, "test": 1}


def test_a_process_ends_with_the_one_that_started_it():
    code = (
        "import os, signal, sys\n"
        "from network_models.smac.trial_worker import TrialWorker\n"
        "from software_tests.network_models.smac.test_trial_worker import LIMITS, request\n"
        "worker = TrialWorker(); worker.run(request(), LIMITS)\n"
        "print(worker._child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    }
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert run.returncode == -signal.SIGKILL
    child = int(run.stdout)
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie":
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} outlived its parent")


def test_the_driver_never_imports_keras():
    # TensorFlow's threads do not survive a fork, and a search must start at once
    code = (
        "import sys\n"
        "import network_models.smac.optimize, network_models.smac.search\n"
        "import network_models.smac.search_report, network_models.smac.search_results\n"
        "import network_models.smac.retraining\n"
        "from network_models.training.problem import open_problem, searchable_scripts\n"
        "[open_problem(script) for script in searchable_scripts()]\n"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
