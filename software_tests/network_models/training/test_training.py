"""The training path: the run's tree, resuming after kill -9, signals, leaks, backends."""

import csv
import dataclasses
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dataset_models.audit import LeakError
from dataset_models.splits import leaky_random_split
from network_models.training.callbacks import EpochOrder, TrainingStopped
from network_models.training.checkpoint import load_state
from network_models.training.fitting import train
from network_models.training.losses import BinnedLogScore
from network_models.training.problem import ProblemData, open_problem
from network_models.training.run import open_run
from network_models.xray_flux_forecast.history_only import HistoryConfig
from software_tests.conftest import ROOT
from software_tests.network_models.training.small_training import OPTIONS, small_data, small_train
from tools.code_dependencies import code_of_script
from tools.run_folder import RunFolder

SCRIPT = "network_models/xray_flux_forecast/history_only.py"
KILLS = int(os.environ.get("HELIOLENS_KILLS", "10"))  # make figures asks for 100
QUICK = ["--virtual-years", "7", "--cadence-h", "24", "--history-h", "168", "--width", "16"]
QUICK += ["--bootstrap-draws", "50", "--skip-leak-table", "--batch-size", "64"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    outcome = small_train(folder)
    return RunFolder(folder), outcome


def test_the_run_has_the_documented_tree(run):
    folder, _ = run
    files = {str(p.relative_to(folder.path)) for p in folder.path.rglob("*") if p.is_file()}
    curves = {f for f in files if "tfevents" in f}
    assert len(curves) == 1
    assert files - curves == {
        "architecture.png",
        "best_performing.keras",
        "config.json",
        "epochs/epoch-002.keras",  # --keep-epochs 2 of 3
        "epochs/epoch-003.keras",
        "performance/history.csv",
        "state-0.npz",
        "state-1.npz",
        "summary.txt",
    }


def test_history_has_a_header_and_one_row_per_epoch(run):
    # regression: FlareNet's loss file ended after its header
    folder, outcome = run
    with open(folder / "performance/history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert set(rows[0]) == {"epoch", "loss", "val_loss"}
    best = min(rows, key=lambda row: float(row["val_loss"]))
    assert int(best["epoch"]) == outcome.progress.best_epoch
    assert float(best["val_loss"]) == outcome.progress.best_score


def test_the_best_network_is_that_of_the_smallest_validation_loss(run):
    # regression: FlareNet's search minimised the training loss
    folder, outcome = run
    dataset, split = small_data()
    arrays = dataset.read(split.validation)
    output = outcome.network.predict({"flare_history": arrays["flare_history"]}, verbose=0)
    edges = outcome.network.get_layer("flux_distribution").edges
    losses = BinnedLogScore(edges, reduction="none")(arrays["log10_peak_flux"], output)
    score = float(np.mean(losses))
    penalty = sum(float(p) for p in outcome.network.losses)
    assert score + penalty == pytest.approx(outcome.progress.best_score, rel=1e-4)  # float32 sums


def test_curves_are_readable_by_tensorboard(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run[0] / "performance"))
    events.Reload()
    losses = events.Scalars("epoch/val_loss")
    assert [e.step for e in losses] == [1, 2, 3]
    assert losses[-1].value == pytest.approx(run[1].progress.history[-1]["val_loss"])


def test_summary_and_drawing_name_every_layer(run):
    text = (run[0] / "summary.txt").read_text()
    for layer in run[1].network.layers:
        assert layer.name in text
    assert (run[0] / "architecture.png").read_bytes().startswith(b"\x89PNG")


def test_reading_ahead_changes_nothing_not_even_after_a_stop(run, tmp_path, monkeypatch):
    monkeypatch.setattr("dataset_models.streaming._HEAVY_BYTES", 0)  # all batches are heavy
    set_epoch, epochs = EpochOrder.on_epoch_begin, []

    def stop_in_the_second(self, epoch, logs=None):
        set_epoch(self, epoch)
        epochs.append(epoch)
        if epochs == [0, 1]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(EpochOrder, "on_epoch_begin", stop_in_the_second)
    with pytest.raises(TrainingStopped):
        small_train(tmp_path)
    small_train(tmp_path)
    expected, progress = load_state(run[0].path)
    found, after = load_state(tmp_path)
    assert len(set(epochs)) == 3
    assert {k: v.tobytes() for k, v in found.items()} == {
        k: v.tobytes() for k, v in expected.items()
    }
    assert after.history == progress.history


def test_a_leak_fails_the_training_before_the_first_batch(tmp_path, generator):
    dataset, _ = small_data()
    split = leaky_random_split(
        dataset.table, validation_share=0.2, test_share=0.2, generator=generator
    )
    folder = RunFolder(tmp_path)
    folder.write_config({"identity": "leak"})

    def never():
        raise AssertionError("no network may be built after a failed audit")

    with pytest.raises(LeakError, match="windows do not overlap"):
        train(never, None, dataset=dataset, split=split, options=OPTIONS, run=folder)
    assert any(not check["passed"] for check in folder.config["audit"])


def opened(parent, *, started=None, problem=None, **options):
    config = HistoryConfig(**{"epochs": 3, "output": str(parent)} | options)
    started = time.time() if started is None else started
    data = ProblemData(*small_data())
    run = open_run(problem or open_problem(SCRIPT), config, data, started=started)
    run.unlock()
    return run


class TestOpenRun:
    def test_the_same_options_find_the_unfinished_run(self, tmp_path):
        first = opened(tmp_path)
        assert opened(tmp_path, keep_epochs=5).path == first.path  # changes nothing computed
        assert opened(tmp_path, epochs=4).path != first.path
        assert opened(tmp_path, legacy_format=True).path == first.path
        assert opened(tmp_path, new_run=True).path != first.path

    def test_another_problem_with_the_same_options_on_the_same_data_is_another_run(self, tmp_path):
        first = opened(tmp_path)
        problem = open_problem(SCRIPT)
        assert opened(tmp_path, problem=dataclasses.replace(problem, name="b")).path != first.path
        other = dataclasses.replace(problem, script="network_models/dem_regression/train.py")
        assert opened(tmp_path, problem=other).path != first.path

    def test_a_finished_run_is_shown_again_unless_the_code_has_changed(self, tmp_path):
        first = opened(tmp_path)
        (first / "report.html").write_text("done")
        assert opened(tmp_path, started=time.time() + 1).path == first.path
        first.write_config({**first.config, "code": "older"})
        assert opened(tmp_path, started=time.time() + 1).path != first.path

    def test_a_run_that_finished_after_this_process_began_is_not_shared(self, tmp_path):
        began = time.time() - 10
        first = opened(tmp_path)
        (first / "report.html").write_text("done")
        assert opened(tmp_path, started=began).path != first.path

    def test_config_tells_all_that_repeats_the_run(self, tmp_path):
        config = opened(tmp_path).config
        assert config["options"]["epochs"] == 3
        assert config["code"] == code_of_script(SCRIPT)
        assert config["versions"]["keras"]
        assert config["data"]["source"].startswith("virtual Sun (synthetic)")
        assert config["data"]["fingerprint"] == small_data()[0].fingerprint()


def state_hashes(folder):
    arrays, progress = load_state(folder)
    digest = {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in arrays.items()}
    return digest, progress


def only_run(parent):
    (folder,) = parent.iterdir()
    return folder


def start(output, *more):
    command = [sys.executable, SCRIPT, *QUICK, "--output", str(output), *more]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the process ended before {text!r}")


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    parent = tmp_path_factory.mktemp("whole")
    process = start(parent, "--epochs", "40")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return only_run(parent), output


def test_killed_at_random_moments_and_resumed(whole_run, tmp_path):
    # kill -9 of a real process, again and again, then the rest: all arrays as if uninterrupted
    moments = random.Random(20261121)
    killed, round_ = 0, 0
    while killed < KILLS:
        parent = tmp_path / f"round-{round_}"
        while killed < KILLS:
            process = start(parent, "--epochs", "40")
            wait_for(process, "Audit of the data")
            time.sleep(moments.uniform(0, 4))
            if process.poll() is not None:
                break
            process.kill()
            process.communicate()
            killed += 1
        process = start(parent, "--epochs", "40")
        output, _ = process.communicate()
        assert process.returncode == 0, output
        folder = only_run(parent)
        assert state_hashes(folder) == state_hashes(whole_run[0])
        for name in ("history.csv", "predictions.csv", "skill.json"):
            ours, theirs = (f / "performance" / name for f in (folder, whole_run[0]))
            assert ours.read_text() == theirs.read_text(), name
        assert not list(folder.rglob("*.partial*"))
        round_ += 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_say_how_to_go_on(tmp_path, number, status):
    process = start(tmp_path, "--epochs", "400")
    wait_for(process, "epoch 2 of 400")
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert "finished epochs, all saved" in output
    assert "--epochs 400" in output.split("give the same command again")[1]
    assert "Traceback" not in output
    assert load_state(only_run(tmp_path))[1].epochs_done >= 2


@pytest.mark.slow
def test_twenty_commands_of_one_second_get_twenty_folders(tmp_path):
    processes = [start(tmp_path, "--epochs", "1") for _ in range(20)]
    for process in processes:
        wait_for(process, "Run folder")
    assert len(list(tmp_path.iterdir())) == 20
    for process in processes:
        process.kill()
        process.communicate()


def test_the_finished_run_is_shown_again_at_once(whole_run):
    process = start(whole_run[0].parent, "--epochs", "40")
    output, _ = process.communicate()
    assert process.returncode == 0
    assert "This run was made before" in output
    assert output.splitlines()[-4:] == whole_run[1].splitlines()[-4:]
    assert only_run(whole_run[0].parent) == whole_run[0]


def small_process(backend, run, weights):
    script = "software_tests/network_models/training/small_training.py"
    return subprocess.Popen(
        [sys.executable, script, str(run), str(weights)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def both_backends(tmp_path_factory):
    """Return the folder with one small training on each backend, from the same weights."""
    folder = tmp_path_factory.mktemp("backends")
    for backend in ("tensorflow", "jax"):
        process = small_process(backend, folder / backend, folder / "weights.npz")
        output, _ = process.communicate()
        assert process.returncode == 0, output
    return folder


def test_tensorflow_and_jax_agree(both_backends):
    # dropout off, same weights: losses, weights and forecasts to 1e-4 relative
    results = {}
    for backend in ("tensorflow", "jax"):
        with np.load(both_backends / backend / "outcome.npz") as saved:
            results[backend] = {name: saved[name] for name in saved.files}
    for name, value in results["tensorflow"].items():
        difference = np.linalg.norm(value - results["jax"][name]) / np.linalg.norm(value)
        assert difference < 1e-4, (name, difference)
    config = json.loads((both_backends / "jax/config.json").read_text())
    assert config["split"]["test"]["samples"] > 100


def test_jax_resumes_exactly_too(both_backends):
    run, weights = both_backends / "cut", both_backends / "weights.npz"
    process = small_process("jax", run, weights)
    while not (run / "state-1.npz").exists() and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert load_state(run)[1].epochs_done < OPTIONS.epochs
    process = small_process("jax", run, weights)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert state_hashes(run) == state_hashes(both_backends / "jax")
