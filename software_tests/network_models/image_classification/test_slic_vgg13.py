"""Slic's network: its parameters counted, its eighth convolution used three times."""

import math

import keras
import numpy as np
import pytest

from network_models.differentiation.layer_outputs import layer_shapes
from network_models.files.safe_loading import load_network
from network_models.image_classification.slic.vgg13 import build_slic_vgg13

SMALL = {"side": 32, "widths": (3, 4, 5, 6), "hidden": 7}


def full_size(tied):
    """Build the network of 623 MB without filling its variables."""
    with keras.StatelessScope(initialize_variables=False):
        return build_slic_vgg13(tied=tied)


def n_trainable(network):
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def test_trainable_parameters_are_those_of_the_published_code():
    # the layers of rhero12/Slic@66e400c, counted in PyTorch; torchvision's vgg13_bn has the same
    # convolutions as the untied one
    assert n_trainable(full_size(tied=True)) == 155_711_685
    assert n_trainable(full_size(tied=False)) == 160_433_349


def test_most_parameters_are_in_the_matrices():
    network = full_size(tied=True)
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    n_dense = sum(math.prod(v.shape) for layer in dense for v in layer.trainable_variables)
    assert n_dense == 32768 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 5 + 5 == 151_023_621
    assert n_trainable(network) - n_dense == 4_688_064


def test_stages_halve_the_image():
    shapes = layer_shapes(full_size(tied=False))
    found = [shapes[f"pool_{stage}"][1:] for stage in range(1, 6)]
    expected = [(128, 128, 64), (64, 64, 128), (32, 32, 256), (16, 16, 512), (8, 8, 512)]
    assert found == expected
    assert shapes["flat"][1] == 32768


def test_norms_are_as_in_pytorch():
    norms = [x for x in full_size(tied=True).layers if "BatchNorm" in type(x).__name__]
    assert len(norms) == 8
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


def test_three_convolutions_are_one(generator):
    network = build_slic_vgg13(**SMALL)
    assert len(network.get_layer("convolution_8")._inbound_nodes) == 3
    image = {"image": generator.uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)}
    untied = build_slic_vgg13(tied=False, **SMALL)
    for layer in untied.layers:
        name, _, place = layer.name.partition("_")
        if layer.weights:
            source = f"{name}_8" if place in ("9", "10") else layer.name
            layer.set_weights(network.get_layer(source).get_weights())
    expected = untied.predict(image, verbose=0)
    np.testing.assert_allclose(network.predict(image, verbose=0), expected, rtol=1e-5)


def test_its_statistics_move_three_times_a_batch(generator):
    network = build_slic_vgg13(**SMALL)
    norm = network.get_layer("norm_8")
    norm.momentum = 0.5
    convolution = network.get_layer("convolution_8")
    convolution.set_weights([0 * convolution.get_weights()[0], np.full(6, 8.0, np.float32)])
    image = generator.uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    network({"image": image}, training=True)
    # three times half the way from 0 to the constant 8
    np.testing.assert_allclose(np.asarray(norm.moving_mean), 7.0, rtol=1e-6)


def test_it_is_saved_and_loaded(tmp_path, generator):
    network = build_slic_vgg13(**SMALL)
    network.save(tmp_path / "n.keras")
    again = load_network(tmp_path / "n.keras")
    assert n_trainable(again) == n_trainable(network)
    image = {"image": generator.uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)}
    expected = network.predict(image, verbose=0)
    np.testing.assert_allclose(again.predict(image, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_odd_sizes_get_a_sentence():
    with pytest.raises(ValueError, match="multiple of 32 pixels, not 250"):
        build_slic_vgg13(side=250)
    with pytest.raises(ValueError, match="four widths"):
        build_slic_vgg13(widths=(64, 128, 256))
