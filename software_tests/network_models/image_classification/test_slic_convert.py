"""Slic's PyTorch weights give the network that PyTorch has; another file gets a sentence."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from dataset_models.solar_scenes.files.resize import legacy_slic
from network_models.files.safe_loading import load_network
from network_models.files.torch_weights import read_state_dictionary
from network_models.image_classification.slic.convert import main, slic_from_torch
from network_models.image_classification.slic.vgg13 import SLIC_SIDE, build_slic_vgg13

TABLES = Path(__file__).parents[1] / "tables"  # made by make_slic_small.py, in PyTorch
WEIGHTS = TABLES / "slic_small.pth"
READER = "network_models.files.torch_weights.read_state_dictionary"


def small(**other):
    return build_slic_vgg13(**{"side": 64, "widths": (3, 4, 5, 6), "hidden": 7, **other})


@pytest.fixture
def peer():
    with np.load(TABLES / "slic_small.npz") as stored:
        return {"image": stored["image"][..., None]}, stored["logits"]


@pytest.mark.parametrize("name", ["slic_small.pth", "slic_small_old.pth"])
def test_logits_are_those_of_pytorch(peer, name):
    image, expected = peer
    assert np.ptp(expected, axis=0).min() > 0.1  # the images differ
    found = slic_from_torch(TABLES / name, small()).predict(image, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_layer_gets_its_tensors():
    network, tensors = small(), read_state_dictionary(WEIGHTS, with_counters=True)
    slic_from_torch(WEIGHTS, network)
    kernel = tensors["layer5.0.weight"]
    assert np.asarray(network.get_layer("convolution_5").kernel)[0, 2, 1, 4] == kernel[4, 1, 0, 2]
    norm = network.get_layer("norm_8").get_weights()
    names = ("weight", "bias", "running_mean", "running_var")
    for found, name in zip(norm, names, strict=True):
        np.testing.assert_array_equal(found, tensors[f"layer8.1.{name}"])
    first = np.asarray(network.get_layer("dense_1").kernel)
    # map 4, row 1, column 0 of 6 maps of 2 x 2
    np.testing.assert_array_equal(
        first[(1 * 2 + 0) * 6 + 4], tensors["classifier.0.weight"][:, 4 * 4 + 1 * 2 + 0]
    )


def test_the_command_writes_a_network(tmp_path, peer, monkeypatch, capsys):
    monkeypatch.setattr(
        "network_models.image_classification.slic.vgg13.build_slic_vgg13", lambda: small()
    )
    output = tmp_path / "slic.keras"
    assert main([str(WEIGHTS), "--output", str(output), "--bare"]) == 0
    assert "slic_small.pth" in capsys.readouterr().out
    image, expected = peer
    np.testing.assert_allclose(load_network(output).predict(image, verbose=0), expected, atol=1e-5)


def test_the_classifier_sees_frames_as_slic_was_trained_on_them(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "network_models.image_classification.slic.vgg13.build_slic_vgg13",
        lambda: small(side=SLIC_SIDE),
    )
    # a network of random weights: rounding to grey levels moves its answer by up to 0.14
    keras.utils.set_random_seed(1)
    weights = small(side=SLIC_SIDE)
    monkeypatch.setattr(
        "network_models.image_classification.slic.convert.slic_from_torch", lambda _: weights
    )
    output = tmp_path / "slic.keras"
    assert main([str(WEIGHTS), "--output", str(output)]) == 0
    frame = np.random.default_rng(0).normal(3e4, 2e3, (300, 410)).astype(np.float32)
    found = load_network(output).predict({"image": frame[None, ..., None]}, verbose=0)[0]
    # the preparation for arrays, with its rounding to whole grey levels
    grey = legacy_slic(frame).astype(np.float32)[None, ..., None]
    logits = weights.predict({"image": grey}, verbose=0)[0]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(found[:5], expected, atol=0.03)
    assert found[5] == 0


def test_names_of_several_gpus_are_understood(peer, monkeypatch):
    tensors = read_state_dictionary(WEIGHTS, with_counters=True)
    parallel = {f"module.{name}": values for name, values in tensors.items()}
    monkeypatch.setattr(READER, lambda *_, **__: parallel)
    image, expected = peer
    found = slic_from_torch(WEIGHTS, small()).predict(image, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def changed(name, values):
    def change(tensors):
        tensors[name] = values

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("layer3.1.bias"), r"layer3\.1\.bias is lacking$"),
        (changed("layer9.0.bias", np.zeros(6)), r"layer9\.0\.bias is none of its tensors"),
        (changed("layer2.0.bias", np.zeros(4)), r"layer2\.0\.bias is \(4,\), not \(3,\)"),
        (changed("classifier.6.bias", np.full(5, np.nan)), r"classifier\.6\.bias is not finite"),
        (changed("layer8.1.running_var", np.full(6, -1.0)), r"running_var is negative"),
        (lambda tensors: tensors.clear(), r"layer1\.0\.weight is lacking.* and 50 more"),
    ],
)
def test_other_tensors_get_a_sentence(monkeypatch, change, message):
    tensors = read_state_dictionary(WEIGHTS, with_counters=True)
    change(tensors)
    monkeypatch.setattr(READER, lambda *_, **__: tensors)
    network = small()
    before = network.get_weights()
    with pytest.raises(ValueError, match="expected the 54 tensors of Slic's network") as error:
        slic_from_torch(WEIGHTS, network)
    assert error.match(message)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # all is checked before anything is written


def test_weights_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"layer1\.0\.weight is \(3, 1, 3, 3\), not \(2, 1, 3, 3"):
        slic_from_torch(WEIGHTS, small(widths=(2, 4, 5, 6)))


def test_counters_are_read_only_where_they_are_expected():
    with pytest.raises(ValueError, match=r"torch\.LongStorage"):
        read_state_dictionary(WEIGHTS)
    tensors = read_state_dictionary(WEIGHTS, with_counters=True)
    assert tensors["layer8.1.num_batches_tracked"] == 3 * 40  # three times in each of 40 batches
    assert tensors["layer1.1.num_batches_tracked"] == 40


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        slic_from_torch(tmp_path / "none.pth")
    with pytest.raises(ValueError, match="must end in"):
        main([str(WEIGHTS), "--output", str(tmp_path / "x.h5")])
    (tmp_path / "text.pth").write_text("these are not weights")
    with zipfile.ZipFile(tmp_path / "empty.pth", "w") as archive:
        archive.writestr("a/b", "c")
    (tmp_path / "cut.pth").write_bytes(WEIGHTS.read_bytes()[:9000])
    for name in ("text.pth", "empty.pth", "cut.pth"):
        with pytest.raises(ValueError, match=name):
            slic_from_torch(tmp_path / name)
    with pytest.raises(ValueError, match="larger than 0 MiB"):
        read_state_dictionary(WEIGHTS, largest_mib=0)
