"""Batches: every sample once an epoch, in an order that is a function of seed and epoch."""

import numpy as np
import pytest

from dataset_models.solar_data import INPUT
from dataset_models.streaming import Batches, epoch_order
from software_tests.dataset_models.toy_data import ToyData


def values(batches):
    return np.concatenate([batches[k][1] for k in range(len(batches))])


def test_one_epoch_visits_every_sample_once():
    # regression: FlareNet's sequence gave the batch size as its length
    data = ToyData(103)
    batches = Batches(data, np.arange(103), batch_size=10, seed=4)
    assert len(batches) == 11
    targets = values(batches)
    assert sorted(targets) == sorted(data.read(np.arange(103))["target"])
    inputs, _ = batches[0]
    assert inputs["series"].shape == (10, 8)


def test_order_is_a_pure_function_of_seed_and_epoch():
    data = ToyData(100)
    first = Batches(data, np.arange(100), batch_size=10, seed=4)
    second = Batches(data, np.arange(100), batch_size=10, seed=4)
    for epoch in (3, 0):
        first.set_epoch(epoch)
    order_0 = values(first)
    np.testing.assert_array_equal(order_0, values(second))
    second.set_epoch(1)
    assert not np.array_equal(order_0, values(second))
    other = Batches(data, np.arange(100), batch_size=10, seed=5)
    assert not np.array_equal(order_0, values(other))
    assert sorted(epoch_order(50, seed=1, epoch=2)) == list(range(50))


def test_without_a_seed_the_order_is_that_of_the_rows():
    data = ToyData(50)
    rows = np.array([7, 3, 11])
    np.testing.assert_array_equal(
        values(Batches(data, rows, batch_size=2)), data.read(rows)["target"]
    )


@pytest.mark.parametrize(("heavy_bytes", "workers"), [(1 << 20, 1), (0, 2)])
def test_threads_give_the_samples_of_the_process_itself(heavy_bytes, workers, monkeypatch):
    # regression: FlareNet's worker processes read with other settings than the main one
    import keras

    monkeypatch.setattr("dataset_models.streaming._HEAVY_BYTES", heavy_bytes)
    data = ToyData(200)
    batches = Batches(data, np.arange(200), batch_size=16, seed=1)
    assert batches.workers == workers
    seen = []

    class Recorder(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sum(x, axis=1, keepdims=True)

    inputs = keras.Input((8,), name="series")
    network = keras.Model({"series": inputs}, Recorder()(inputs))
    output = network.predict(batches, verbose=0)
    seen = output[:, 0]
    expected = np.concatenate([batches[k][0]["series"].sum(axis=1) for k in range(len(batches))])
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-5)  # float32 sums


def test_reading_one_batch_reads_only_its_samples():
    # regression: FlareNet's validation read the whole set for each of its steps
    data = ToyData(200)
    batches = Batches(data, np.arange(200), batch_size=16)
    data.n_read = 0
    for k in range(len(batches)):
        batches[k]
    assert data.n_read == 200


def test_verbs_of_the_dataset(generator):
    data = ToyData(100)
    assert data.dimensions() == {"series": (8,), "target": ()}
    assert data.names(INPUT) == ["series"]
    assert data.verify() == []
    assert "nothing to download" in data.download()
    assert ToyData(100, seed=3).fingerprint() != data.fingerprint()


@pytest.mark.parametrize(("rows", "size"), [([], 4), ([1], 0)])
def test_impossible_batches_are_refused(rows, size):
    with pytest.raises(ValueError, match="no samples|at least 1"):
        Batches(ToyData(10), np.array(rows, int), batch_size=size)
