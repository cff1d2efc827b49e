"""Image networks survive kill -9: ten times at random moments, then the same arrays."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from network_models.training.checkpoint import load_state
from software_tests.network_models.training.small_image_training import OPTIONS, small_store

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("HELIOLENS_KILLS", "10"))  # make figures asks for 100


def start(run, store):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "software_tests.network_models.training.small_image_training",
            run,
            store,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate()
    assert process.returncode == 0, output


def state(run):
    arrays, progress = load_state(run)
    return {name: array.tobytes() for name, array in arrays.items()}, progress


def test_killed_in_training_ten_times(tmp_path):
    store = str(small_store(tmp_path / "store").path)
    whole = tmp_path / "whole"
    finish(start(str(whole), store))
    expected, progress = state(whole)
    assert progress.epochs_done == OPTIONS.epochs
    moments, kills, round_ = random.Random(20261121), 0, 0
    while kills < KILLS:
        run = tmp_path / f"killed-{round_}"
        while kills < KILLS:
            process = start(str(run), store)
            for line in process.stdout:
                if "Audit" in line:
                    break
            time.sleep(moments.uniform(0, 2.5))
            if process.poll() is not None:
                break
            process.kill()
            process.communicate()
            kills += 1
        finish(start(str(run), store))
        found, after = state(run)
        assert found == expected
        assert after.history == progress.history
        round_ += 1
