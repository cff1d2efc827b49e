"""The reverse pass: equal to autograd, to algebra and to itself on another backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from network_models.differentiation.gradients import InputGradient, weighted_sum
from network_models.differentiation.graph_walk import MODES
from network_models.differentiation.layer_outputs import LayerOutput, layer_shapes
from network_models.differentiation.reverse_pass import ReversePass
from software_tests.network_models.architectures import ARCHITECTURES, build, images

ROOT = Path(__file__).parents[3]
TABLES = Path(__file__).parents[1] / "tables"
HEAD = weighted_sum([1.0, -0.5])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_in_gradient_mode_it_is_the_backend_s_own_gradient(name):
    walk = ReversePass(build(name))
    assert walk.error_against_autograd(images(), HEAD) < 1e-6


@pytest.mark.parametrize("peer", ["captum", "xplique"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_captum_and_xplique_give_the_same_maps(name, peer):
    # tables/make_captum_maps.py and make_xplique_maps.py made the arrays, in other environments
    walk, given = ReversePass(build(name, side=24)), images(1, side=24)
    with np.load(TABLES / f"{peer}_maps.npz") as stored:
        expected = {k.split()[1]: stored[k] for k in stored.files if k.split()[0] == name}
    assert set(expected) >= {"guided", "deconvolution"}
    for mode, values in expected.items():
        _, found = walk.of_target(given, HEAD, mode=mode)
        largest = np.abs(values).max()
        assert largest > 0
        assert np.abs(found[0] - values).max() < 1e-6 * largest, mode


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "residual"])
def test_without_relus_every_mode_is_the_gradient(name):
    network = build(name)
    for layer in network._flatten_layers():
        if getattr(layer, "activation", None) is keras.activations.relu:
            layer.activation = keras.activations.linear
    _, expected = InputGradient(network, HEAD)(images())
    walk = ReversePass(network)
    for mode in MODES:
        _, found = walk.of_target(images(), HEAD, mode=mode)
        np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_two_layers_by_hand():
    # y = v . relu(W x): gradient W^T (v [Wx > 0]), deconvolution W^T relu(v), guided both
    x = keras.Input((3,), name="x")
    network = keras.Model(
        x, layers.Dense(1, use_bias=False)(layers.Dense(4, activation="relu", use_bias=False)(x))
    )
    w = np.array([[1, -1, 2, 0.5], [0, 1, -1, 2], [1, 1, 1, -3]], np.float32)
    v = np.array([[1.0], [-2.0], [3.0], [4.0]], np.float32)
    network.set_weights([w, v])
    given = np.array([[1.0, 2.0, 0.5]], np.float32)  # W x = 1.5, 1.5, 0.5, 3.0
    other = np.array([[-1.0, 2.0, 0.5]], np.float32)  # W x = -0.5, 3.5, -3.5, 2.0
    walk, head = ReversePass(network), weighted_sum([1.0])
    for x_value in (given, other):
        active = (x_value @ w > 0)[0]
        expected = {
            "gradient": w @ (v[:, 0] * active),
            "deconvolution": w @ np.maximum(v[:, 0], 0),
            "guided": w @ (np.maximum(v[:, 0], 0) * active),
        }
        for mode in MODES:
            values, found = walk.of_target({"x": x_value}, head, mode=mode)
            np.testing.assert_allclose(found[0], expected[mode], atol=1e-6)
            np.testing.assert_allclose(values, np.maximum(x_value @ w, 0) @ v[:, 0], rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_the_map_of_one_unit_lies_inside_its_receptive_field(mode):
    walk = ReversePass(build("plain"))
    found = walk.of_filter(images(), "second", 3, mode=mode)
    for one, (y, x), value in zip(found.maps, found.position, found.excitation, strict=True):
        # pooled rows y to y + 2, rows 2 y to 2 y + 5 before the pool, one pixel more on each side
        inside = np.zeros((32, 32), bool)
        inside[max(2 * y - 1, 0) : 2 * y + 7, max(2 * x - 1, 0) : 2 * x + 7] = True
        assert value > 0
        assert np.abs(one[~inside]).max() == 0
        assert np.abs(one[inside]).max() > 0
    given = walk.of_filter(images(), "second", 3, mode=mode, position=(6, 2))
    assert (given.position == [6, 2]).all()


def test_a_filter_starts_where_it_is_strongest():
    network, given = build("plain"), images()
    features = keras.Model(network.inputs[0], network.get_layer("second").output)
    values = np.asarray(features(given["image"]))[..., 5]
    found = ReversePass(network).of_filter(given, "second", 5, mode="gradient")
    for k in range(len(values)):
        y, x = np.unravel_index(values[k].argmax(), values[k].shape)
        assert found.position[k].tolist() == [y, x]
        assert found.excitation[k] == pytest.approx(values[k].max())
        moved = given["image"][k : k + 1] + 1e-3 * found.maps[k : k + 1]
        after = np.asarray(features(moved))[0, y, x, 5]
        expected = found.excitation[k] + 1e-3 * (found.maps[k] ** 2).sum()
        assert after == pytest.approx(expected, abs=1e-4)


def test_layers_of_models_inside_have_names():
    walk = ReversePass(build("vgg"))
    assert layer_shapes(walk.network)["block_1/second"] == (None, 16, 16, 12)
    found = walk.of_filter(images(2), "block_1/second", 0, mode="guided")
    assert found.maps.shape == (2, 32, 32, 8)


def test_a_guided_map_passes_only_where_value_and_signal_are_positive():
    network = build("plain")
    for weight in network.weights:
        weight.assign(np.abs(weight.numpy() if hasattr(weight, "numpy") else np.asarray(weight)))
    given = {"image": np.abs(images()["image"])}
    walk, head = ReversePass(network), weighted_sum([1.0, 0.0])
    _, expected = walk.of_target(given, head, mode="gradient")
    for mode in ("guided", "deconvolution"):  # all is positive: nothing is held back
        np.testing.assert_allclose(walk.of_target(given, head, mode=mode)[1], expected, rtol=1e-5)


def test_a_tensor_that_enters_a_layer_twice():
    for join in (layers.Add(), layers.Multiply(), layers.Concatenate()):
        image = keras.Input((8, 8, 8), name="image")
        x = layers.Conv2D(4, 3, activation="relu")(image)
        x = layers.GlobalAveragePooling2D()(join([x, x]))
        walk = ReversePass(keras.Model(image, layers.Dense(2)(x)))
        assert walk.error_against_autograd(images(2, side=8), HEAD) < 1e-6


def test_networks_of_any_image_size():
    image = keras.Input((None, None, 8), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="maps")(image)
    walk = ReversePass(keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))))
    found = walk.of_filter(images(2, side=12), "maps", 1, mode="guided")
    assert found.extent == (10, 10)
    assert found.maps.shape == (2, 12, 12, 8)


def test_several_inputs_and_gates():
    image, present = keras.Input((8, 8, 2), name="image"), keras.Input((2,), name="present")
    x = layers.Conv2D(3, 3, activation="gelu")(image)
    x = layers.Multiply()([x, layers.Conv2D(3, 3, activation="softplus")(image)])
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), present])
    network = keras.Model({"image": image, "present": present}, layers.Dense(2)(x))
    generator = np.random.default_rng(1)
    given = {"image": generator.normal(size=(2, 8, 8, 2)), "present": np.ones((2, 2))}
    with pytest.raises(ValueError, match="say which one is meant"):
        ReversePass(network)
    assert ReversePass(network, wrt="image").error_against_autograd(given, HEAD) < 1e-6
    assert ReversePass(network, wrt="present").error_against_autograd(given, HEAD) < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("third", 0, "guided", None), "no layer 'third'; it has first"),
        (("second", 12, "guided", None), "filters 0 to 11, not 12"),
        (("second", 0, "guidance", None), "no mode 'guidance'; there are gradient"),
        (("second", 0, "guided", (14, 0)), r"positions up to \(14, 14\)"),
        (("second", 0, "guided", (3,)), r"positions up to \(14, 14\)"),
    ],
)
def test_what_is_not_there_is_named(arguments, message):
    layer, index, mode, position = arguments
    with pytest.raises(ValueError, match=message):
        ReversePass(build("plain")).of_filter(images(1), layer, index, mode=mode, position=position)


def test_networks_without_a_rule_are_refused_by_name():
    image = keras.Input((16, 16, 8), name="image")
    x = layers.SeparableConv2D(4, 3, activation="relu", name="odd_one")(image)
    network = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(ValueError, match="odd_one: a SeparableConv2D with a ReLU inside"):
        ReversePass(network)
    assert LayerOutput(network, "odd_one")(images(1, side=16)).shape == (1, 14, 14, 4)

    class Own(keras.Model):
        def call(self, x):
            return x

    own = Own()
    own(np.zeros((1, 2)))
    with pytest.raises((ValueError, AttributeError), match="graph|inputs"):
        ReversePass(own)


def test_the_parts_of_keras_that_are_not_public_are_still_there():
    network = build("vgg")
    assert all(hasattr(network, name) for name in ("_nodes_by_depth",)), "Keras renamed its graph"
    block = network.get_layer("block_0")
    assert hasattr(block, "_functional"), "Keras renamed the graph of Sequential"
    nodes = [node for nodes in network._nodes_by_depth.values() for node in nodes]
    assert all(hasattr(node, "arguments") and hasattr(node, "is_input") for node in nodes)
    assert hasattr(block.layers[0], "convolution_op"), "Keras renamed convolution_op"


def maps_of_all(path):
    """Write all modes' maps of all architectures."""
    out = {}
    for name in ARCHITECTURES:
        walk = ReversePass(build(name))
        for mode in MODES:
            out[f"{name} {mode}"] = walk.of_target(images(), HEAD, mode=mode)[1]
    np.savez(path, **out)


def test_backends_agree(tmp_path):
    for backend in ("tensorflow", "jax"):
        code = f"from {__name__} import maps_of_all; maps_of_all('{tmp_path / backend}.npz')"
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": backend},
            check=True,
        )
    with np.load(tmp_path / "tensorflow.npz") as first, np.load(tmp_path / "jax.npz") as second:
        assert len(first.files) == 15
        for name in first.files:
            largest = np.abs(first[name]).max()
            assert largest > 0
            np.testing.assert_allclose(second[name], first[name], rtol=0, atol=1e-5 * largest)
