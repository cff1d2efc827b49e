"""Only networks without foreign code are loaded."""

import json
import zipfile

import keras
import numpy as np
import pytest

from network_models.files.safe_loading import load_network


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.keras"
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    network.compile("adam", "mse")
    network.save(path)
    return path, network


def test_plain_networks_load(plain):
    path, network = plain
    x = np.ones((4, 3), np.float32)
    np.testing.assert_allclose(load_network(path)(x), network(x), rtol=1e-6)


def test_a_lambda_layer_is_refused(tmp_path):
    path = tmp_path / "foreign.keras"
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(path)
    with pytest.raises(ValueError, match="foreign.keras: holds a Lambda layer"):
        load_network(path)


def with_config(path, change):
    """Rewrite the configuration inside a .keras file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def test_classes_of_other_modules_are_refused(plain):
    path, _ = plain

    def change(config):
        config["config"]["layers"][1].update(module="os", class_name="system")

    with_config(path, change)
    with pytest.raises(ValueError, match=r"os\.system"):
        load_network(path)


def test_hidden_functions_are_refused(plain):
    path, _ = plain

    def change(config):
        dense = config["config"]["layers"][1]["config"]
        dense["activation"] = {"class_name": "function", "config": "system", "module": "os"}

    with_config(path, change)
    with pytest.raises(ValueError, match=r"plain\.keras"):
        load_network(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pth", b"x", "can carry code"),
        ("a.pickle", b"x", "can carry code"),
        ("a.keras", b"", "damaged"),
        ("a.keras", b"PK half of a file", "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_network(tmp_path / name)


def test_a_truncated_network_is_refused(plain):
    path, _ = plain
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_network(path)


def test_a_missing_network_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such network"):
        load_network(tmp_path / "none.keras")
