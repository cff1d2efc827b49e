"""Networks of Keras 2 are read as they were; nothing of a stranger's is run."""

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from network_models.files.safe_loading import load_network

TABLES = Path(__file__).parents[1] / "tables"


@pytest.mark.parametrize("name", ["functional", "sequential"])
def test_a_file_that_keras_2_wrote_gives_what_keras_2_gave(name):
    expected = np.load(TABLES / "keras_2_outputs.npz")
    network = load_network(TABLES / f"keras_2_{name}.h5")
    np.testing.assert_allclose(network(expected["image"]), expected[name], rtol=1e-5, atol=1e-6)


@pytest.fixture
def of_2017(tmp_path):
    """Return a file as Keras 2.0.6 wrote it: layers as a plain list, no layer for the input."""
    network = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(3, 3, activation="relu", name="conv2d_1"),
            layers.Flatten(name="flatten_1"),
            layers.Dense(1, name="dense_1"),
        ]
    )
    path = tmp_path / "old.hdf5"
    network.save(tmp_path / "new.h5")
    normal = {"scale": 1.0, "mode": "fan_avg", "distribution": "normal", "seed": None}
    start = {"class_name": "VarianceScaling", "config": normal}
    convolution = {"name": "conv2d_1", "trainable": True, "batch_input_shape": [None, 8, 8, 2]}
    convolution |= {"dtype": "float32", "filters": 3, "kernel_size": [3, 3], "strides": [1, 1]}
    convolution |= {"padding": "valid", "data_format": "channels_last", "activation": "relu"}
    convolution |= {"use_bias": True, "kernel_initializer": start, "dilation_rate": [1, 1]}
    dense = {"name": "dense_1", "trainable": True, "units": 1, "activation": "linear"}
    config = [
        {"class_name": "Conv2D", "config": convolution},
        {"class_name": "Flatten", "config": {"name": "flatten_1", "trainable": True}},
        {"class_name": "Dense", "config": dense},
    ]
    with h5py.File(tmp_path / "new.h5") as new, h5py.File(path, "w") as old:
        old.attrs["keras_version"], old.attrs["backend"] = b"2.0.6", b"tensorflow"
        old.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config})
        new.copy("model_weights", old)
        old["model_weights"].attrs["keras_version"] = b"2.0.6"
    return path, network


def test_a_file_of_2017_loads(of_2017, generator):
    path, network = of_2017
    x = generator.normal(size=(2, 8, 8, 2)).astype(np.float32)
    before = path.read_bytes()
    np.testing.assert_allclose(load_network(path)(x), network(x), rtol=1e-6)
    assert path.read_bytes() == before


def sequential_of_2017(path, layer, weights, *, backend="tensorflow", version="2.0.8"):
    """Write a network of one layer as Keras 2 wrote it."""
    defaults = {"trainable": True, "dtype": "float32", "name": "a", "use_bias": True}
    config = {"class_name": layer["class_name"], "config": {**defaults, **layer["config"]}}
    with h5py.File(path, "w") as file:
        file.attrs["backend"], file.attrs["keras_version"] = backend, version
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": [config]})
        group = file.create_group("model_weights")
        group.attrs["keras_version"], group.attrs["backend"] = version, backend
        group.attrs["layer_names"] = np.array([b"a"])
        own = group.create_group("a")
        own.attrs["weight_names"] = np.array([f"a/{n}:0".encode() for n in weights])
        for name, value in weights.items():
            own[f"a/{name}:0"] = np.asarray(value, np.float32)
    return path


def test_hard_sigmoid_is_that_of_keras_2(tmp_path, case_files):
    # Keras 2: 0.2 x + 0.5, cut at 0 and 1; Keras 3: x / 6 + 0.5
    layer = {"class_name": "Dense", "config": {"units": 1, "activation": "hard_sigmoid"}}
    layer["config"]["batch_input_shape"] = [None, 1]
    path = sequential_of_2017(tmp_path / "a.h5", layer, {"kernel": [[1.0]], "bias": [0.0]})
    paths = [path, *case_files("f24_h5/hard_sigmoid.h5")]
    for place in paths:
        network = load_network(place)
        found = network(np.array([[-9.0], [0.0], [1.0], [9.0]], np.float32))
        np.testing.assert_allclose(found[:, 0], [0.0, 0.5, 0.7, 1.0], atol=1e-6)
    network.save(tmp_path / "a.keras")  # the converted network is one of ours
    again = load_network(tmp_path / "a.keras")(np.array([[1.0]], np.float32))
    np.testing.assert_allclose(again, 0.7, atol=1e-6)


def test_an_lstm_of_keras_2_keeps_its_gates(tmp_path):
    # one step from a state of 0: c = g(i) tanh(z), h = g(o) tanh(c), with z = x for all four gates
    config = {"units": 1, "activation": "tanh", "recurrent_activation": "hard_sigmoid"}
    config |= {"batch_input_shape": [None, 1, 1], "time_major": False, "return_sequences": False}
    weights = {"kernel": [[1.0] * 4], "recurrent_kernel": [[0.0] * 4], "bias": [0.0] * 4}
    layer = {"class_name": "LSTM", "config": config}
    path = sequential_of_2017(tmp_path / "a.h5", layer, weights)
    gate = 0.2 * 0.8 + 0.5
    expected = gate * np.tanh(gate * np.tanh(0.8))
    found = load_network(path)(np.full((1, 1, 1), 0.8, np.float32))
    np.testing.assert_allclose(found, [[expected]], rtol=1e-6)


def test_theano_s_kernels_are_turned(tmp_path, case_files):
    # Theano convolves: an impulse in the first corner meets the kernel's last element
    layer = {"class_name": "Conv2D", "config": {"filters": 1, "kernel_size": [3, 3]}}
    layer["config"] |= {"batch_input_shape": [None, 3, 3, 1], "activation": "linear"}
    weights = {"kernel": np.arange(9).reshape(3, 3, 1, 1), "bias": [0.0]}
    image = np.zeros((1, 3, 3, 1), np.float32)
    image[0, 0, 0, 0] = 1
    path = sequential_of_2017(tmp_path / "a.h5", layer, weights, backend="theano")
    for place in [path, *case_files("f24_h5/theano.h5")]:
        np.testing.assert_allclose(load_network(place)(image).numpy().ravel(), [8.0])
    plain = sequential_of_2017(tmp_path / "b.h5", layer, weights)
    np.testing.assert_allclose(load_network(plain)(image).numpy().ravel(), [0.0])


def test_what_theano_wrote_otherwise_is_refused_by_name(tmp_path):
    layer = {"class_name": "SeparableConv2D", "config": {"filters": 1, "kernel_size": [3, 3]}}
    layer["config"]["batch_input_shape"] = [None, 3, 3, 1]
    path = sequential_of_2017(tmp_path / "a.h5", layer, {}, backend="theano")
    with pytest.raises(ValueError, match=r"a\.h5: written by SeparableConv2D with Theano"):
        load_network(path)
    layer["class_name"] = "Conv2D"
    path = sequential_of_2017(tmp_path / "b.h5", layer, {}, backend="theano", version="1.2.2")
    with pytest.raises(ValueError, match=r"written by Keras 1\.2\.2 with Theano"):
        load_network(path)


def test_policies_and_keys_of_tensorflow_s_keras_are_read(tmp_path):
    policy = {"class_name": "Policy", "config": {"name": "float32"}}
    config = {"axis": [1], "momentum": 0.9, "epsilon": 1e-3, "center": True, "scale": True}
    config |= {"batch_input_shape": [None, 2], "dtype": policy, "renorm": False, "fused": True}
    layer = {"class_name": "BatchNormalization", "config": config}
    weights = {"gamma": [1, 1], "beta": [0, 1], "moving_mean": [0, 0], "moving_variance": [1, 1]}
    path = sequential_of_2017(tmp_path / "a.h5", layer, weights)
    with h5py.File(path, "r+") as file:
        stored = json.loads(file.attrs["model_config"])
        del stored["config"][0]["config"]["use_bias"]
        file.attrs["model_config"] = json.dumps(stored)
    found = load_network(path)(np.array([[2.0, 2.0]], np.float32))
    np.testing.assert_allclose(found, [[2 / np.sqrt(1.001), 2 / np.sqrt(1.001) + 1]], rtol=1e-6)


def test_what_can_not_be_loaded_is_said(of_2017, tmp_path):
    path, _ = of_2017
    config = {"class_name": "Sequential", "config": [{"class_name": "Lambda", "config": {}}]}
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ValueError, match=r"old.hdf5: holds a Lambda layer"):
        load_network(path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(
            {
                "class_name": "Sequential",
                "config": [{"class_name": "OwnThing", "config": {"name": "x"}}],
            }
        )
    with pytest.raises(ValueError, match="Keras 3 can't build"):
        load_network(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(ValueError, match="at most its weights"):
        load_network(path)
    with h5py.File(path, "r+") as file:
        file["model_weights"]["elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")
        file.attrs["model_config"] = "{}"
    with pytest.raises(ValueError, match="points elsewhere"):
        load_network(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\nnothing")
    with pytest.raises(ValueError, match="damaged, or no HDF5 network"):
        load_network(path)
    with pytest.raises(FileNotFoundError, match="no such network"):
        load_network(tmp_path / "none.hdf5")
