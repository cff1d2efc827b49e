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
