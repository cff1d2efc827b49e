"""Killed at every write, fsync and replace: the training goes on and ends bit for bit the same."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import tools.atomic_files
from network_models.training.checkpoint import (
    CheckpointError,
    Progress,
    load_state,
    restore_state,
    save_network,
    save_state,
)
from network_models.training.fitting import compile_network
from network_models.training.losses import BinnedLogScore
from software_tests.conftest import ROOT
from software_tests.network_models.training.faulty_disk import FaultyDisk, SimulatedKill
from software_tests.network_models.training.small_training import (
    BINS,
    OPTIONS,
    small_network,
    small_train,
)


def hashes(folder):
    """Hash every array of the last state and of the best network, and the history."""
    arrays, progress = load_state(folder)
    digest = {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in arrays.items()}
    digest["history"] = (folder / "performance/history.csv").read_text()
    digest["progress"] = repr(progress)
    return digest


TWO_EPOCHS = dataclasses.replace(OPTIONS, epochs=2, batch_size=256)  # an epoch for each slot


def train(folder):
    outcome = small_train(folder, options=TWO_EPOCHS)
    weights = [hashlib.sha256(w.tobytes()).hexdigest() for w in outcome.network.get_weights()]
    return weights, hashes(folder)


@pytest.fixture(scope="module", autouse=True)
def eagerly():
    """Train without tracing graphs: seventy trainings in a minute."""
    plain_compile = keras.Model.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            keras.Model,
            "compile",
            lambda self, *given, **named: plain_compile(self, *given, run_eagerly=True, **named),
        )
        yield


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return the hashes of an uninterrupted run and the number of its disk operations."""
    disk = FaultyDisk(0)
    tools.atomic_files.os = disk
    try:
        result = train(tmp_path_factory.mktemp("whole"))
    finally:
        tools.atomic_files.os = os
    return result, disk.count


def test_two_uninterrupted_runs_are_equal(uninterrupted, tmp_path):
    assert train(tmp_path) == uninterrupted[0]


def test_killed_at_every_operation_and_resumed(uninterrupted, tmp_path, monkeypatch):
    expected, n_operations = uninterrupted
    assert n_operations > 25  # 2 epochs of network, best network, history and state
    for n in range(1, n_operations + 1):
        folder = tmp_path / f"killed-at-{n}"
        monkeypatch.setattr(tools.atomic_files, "os", FaultyDisk(n))
        with pytest.raises(SimulatedKill):
            small_train(folder, options=TWO_EPOCHS)
        monkeypatch.setattr(tools.atomic_files, "os", os)
        assert train(folder) == expected, f"killed at disk operation {n}"


@pytest.mark.slow
def test_really_killed_at_every_operation_and_resumed(tmp_path):
    # the same with kill -9 on a process, and with graphs
    def process(folder, n):
        module = "software_tests.network_models.training.faulty_disk"
        command = [sys.executable, "-m", module, str(folder), str(n)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert process(tmp_path / "whole", 0).returncode == 0
    expected = hashes(tmp_path / "whole")
    n = 1
    while process(tmp_path / str(n), n).returncode == -signal.SIGKILL:
        resumed = process(tmp_path / str(n), 0)
        assert resumed.returncode == 0, resumed.stderr
        assert hashes(tmp_path / str(n)) == expected, f"killed at disk operation {n}"
        n += 1
    assert n > 25


@pytest.fixture
def compiled():
    network = small_network(dropout=0.3)
    compile_network(network, BinnedLogScore(list(BINS.edges)), OPTIONS, 10)
    network.optimizer.build(network.trainable_variables)
    return network


def progress(epochs):
    return Progress(epochs, 1.0, 1, [{"epoch": k + 1, "loss": 1.0} for k in range(epochs)])


def test_states_alternate_and_the_newest_counts(compiled, tmp_path):
    for epochs in (1, 2, 3):
        save_state(tmp_path, compiled, progress(epochs))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state-0.npz", "state-1.npz"]
    assert load_state(tmp_path)[1].epochs_done == 3


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_slot_leaves_the_epoch_before(compiled, tmp_path, damage, generator):
    for epochs in (1, 2):
        save_state(tmp_path, compiled, progress(epochs))
    path = tmp_path / "state-0.npz"  # epoch 2
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 3] ^= 0x10
    else:
        data = data[: len(data) // 2 if damage == "truncated" else 0]
    path.write_bytes(data)
    assert load_state(tmp_path)[1].epochs_done == 1


def test_two_damaged_slots_are_an_error_and_none_is_a_start(tmp_path):
    assert load_state(tmp_path) is None
    (tmp_path / "state-0.npz").write_bytes(b"PK half")
    with pytest.raises(CheckpointError, match="--new-run"):
        load_state(tmp_path)


def test_all_variables_come_back_seeds_and_optimizer_included(compiled, tmp_path, generator):
    for variable in [*compiled.variables, *compiled.optimizer.variables]:
        if "float" in variable.dtype:
            variable.assign(generator.normal(size=variable.shape))
    save_state(tmp_path, compiled, progress(1))
    arrays, _ = load_state(tmp_path)
    assert any("seed" in name for name in arrays)
    assert any("momentum" in name for name in arrays)
    other = small_network(dropout=0.3)
    compile_network(other, "mse", OPTIONS, 10)
    restore_state(other, arrays)
    save_state(tmp_path, other, progress(2))
    again, _ = load_state(tmp_path)
    for name, value in arrays.items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize("change", [{"width": 8}, {"dropout": 0.0}])
def test_a_state_of_another_network_is_refused(compiled, tmp_path, change):
    save_state(tmp_path, compiled, progress(1))
    arrays, _ = load_state(tmp_path)
    other = small_network(**{"dropout": 0.3, **change})
    compile_network(other, "mse", OPTIONS, 10)
    with pytest.raises(CheckpointError, match="another network|has shape"):
        restore_state(other, arrays)


def test_networks_are_saved_in_one_step(compiled, tmp_path, monkeypatch):
    path = tmp_path / "best_performing.keras"
    save_network(path, compiled)
    first = path.read_bytes()
    monkeypatch.setattr(tools.atomic_files, "os", FaultyDisk(1))
    with pytest.raises(SimulatedKill):
        save_network(path, compiled)
    assert path.read_bytes() == first
