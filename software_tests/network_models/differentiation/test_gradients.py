"""Gradients: analytic cases, finite differences, both backends, each sample for itself."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from network_models.differentiation.gradients import InputGradient, log_odds, weighted_sum
from network_models.differentiation.layer_outputs import LayerOutput

ROOT = Path(__file__).parents[3]


def small_network(dtype="float32"):
    """Build a network with two inputs and weights that are the same on every backend."""
    image = keras.Input((6, 5, 3), name="image", dtype=dtype)
    side = keras.Input((2,), name="side", dtype=dtype)
    x = keras.layers.Conv2D(4, 3, activation="gelu", dtype=dtype)(image)
    x = keras.layers.Flatten(dtype=dtype)(x)
    x = keras.layers.Concatenate(dtype=dtype)([x, side])
    x = keras.layers.Dense(3, activation="softmax", dtype=dtype)(x)
    network = keras.Model({"image": image, "side": side}, x)
    generator = np.random.default_rng(5)
    network.set_weights([generator.normal(0, 0.3, w.shape) for w in network.get_weights()])
    return network


def small_inputs(n=3):
    generator = np.random.default_rng(6)
    return {"image": generator.normal(size=(n, 6, 5, 3)), "side": generator.normal(size=(n, 2))}


def test_a_linear_network_s_gradient_is_its_weights():
    inputs = keras.Input((4,), name="x")
    network = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    gradient = InputGradient(network, weighted_sum([1.0, -2.0]))
    values, found = gradient({"x": np.ones((5, 4))})
    kernel, bias = network.get_weights()
    np.testing.assert_allclose(found, np.tile(kernel @ [1.0, -2.0], (5, 1)), rtol=1e-6)
    np.testing.assert_allclose(values, (kernel.sum(0) + bias) @ [1.0, -2.0], rtol=1e-5)


@pytest.mark.parametrize("make", [weighted_sum, log_odds])
def test_gradients_are_finite_differences_in_float64(make):
    network, inputs = small_network("float64"), small_inputs(2)
    gradient = InputGradient(network, make([0, 1, 1]), wrt="image")
    _, found = gradient(inputs)
    step = 1e-5
    for place in ((0, 2, 3, 1), (1, 5, 0, 2), (1, 0, 0, 0)):
        ends = []
        for sign in (1, -1):
            moved = {name: value.copy() for name, value in inputs.items()}
            moved["image"][place] += sign * step
            ends.append(gradient(moved)[0][place[0]])
        assert found[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-7)


def test_each_sample_has_its_own_gradient():
    network, inputs = small_network(), small_inputs()
    gradient = InputGradient(network, weighted_sum([0, 0, 1]), wrt="side")
    values, together = gradient(inputs)
    for k in range(3):
        value, alone = gradient({name: v[[k]] for name, v in inputs.items()})
        np.testing.assert_allclose(alone[0], together[k], atol=1e-6)
        assert value[0] == pytest.approx(values[k], abs=1e-6)


def test_maps_are_averaged_and_unused_inputs_have_no_gradient():
    image, unused = keras.Input((4, 4, 2), name="image"), keras.Input((3,), name="unused")
    network = keras.Model({"image": image, "unused": unused}, keras.layers.ReLU()(image))
    inputs = {"image": np.ones((1, 4, 4, 2)), "unused": np.ones((1, 3))}
    _, found = InputGradient(network, weighted_sum([1, 0]), wrt="image")(inputs)
    np.testing.assert_allclose(found[0, ..., 0], 1 / 16)
    assert (found[..., 1] == 0).all()
    _, none = InputGradient(network, weighted_sum([1, 0]), wrt="unused")(inputs)
    assert (none == 0).all()


def test_wrong_names_and_weights_say_what_exists():
    network = small_network()
    with pytest.raises(ValueError, match="inputs image, side; say which one"):
        InputGradient(network, weighted_sum([1, 0, 0]))
    with pytest.raises(ValueError, match="no input 'aia'; it has image, side"):
        InputGradient(network, weighted_sum([1, 0, 0]), wrt="aia")
    gradient = InputGradient(network, weighted_sum([1, 0]), wrt="image")
    with pytest.raises(ValueError, match="2 weights, the network 3 outputs"):
        gradient(small_inputs())
    with pytest.raises(ValueError, match="also needs the inputs side"):
        gradient({"image": small_inputs()["image"]})


_OTHER = """
import numpy as np
from network_models.differentiation.gradients import InputGradient, weighted_sum
from software_tests.network_models.differentiation.test_gradients import small_inputs, small_network
gradient = InputGradient(small_network(), weighted_sum([0.5, -1, 2]), wrt="image")
values, found = gradient(small_inputs())
np.savez(PATH, values=values, gradient=found)
"""


def test_jax_gives_the_same(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("compares TensorFlow with JAX")
    path = tmp_path / "jax.npz"
    code = _OTHER.replace("PATH", repr(str(path)))
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    gradient = InputGradient(small_network(), weighted_sum([0.5, -1, 2]), wrt="image")
    values, found = gradient(small_inputs())
    with np.load(path) as other:
        np.testing.assert_allclose(other["values"], values, atol=1e-5)
        np.testing.assert_allclose(other["gradient"], found, atol=1e-5 * np.abs(found).max())


def test_log_odds_do_not_saturate():
    inputs = keras.Input((2,), name="x")
    network = keras.Model(inputs, keras.layers.Softmax()(inputs))
    for x in (-30.0, 0.0, 30.0):
        values, found = InputGradient(network, log_odds([0, 1]))({"x": np.array([[0.0, x]])})
        assert values[0] == pytest.approx(x, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(found, [[-1, 1]], rtol=1e-4)


def test_inputs_keep_their_own_types():
    index = keras.Input((1,), name="index", dtype="int32")
    image = keras.Input((3,), name="image")
    chosen = keras.layers.Flatten()(keras.layers.Embedding(4, 3)(index))
    network = keras.Model(
        {"index": index, "image": image}, keras.layers.Multiply()([chosen, image])
    )
    gradient = InputGradient(network, weighted_sum([1, 1, 1]), wrt="image")
    table = network.get_weights()[0]
    _, found = gradient({"index": np.array([[2]]), "image": np.full((1, 3), 0.7)})
    np.testing.assert_allclose(found, table[2:3], rtol=1e-6)


def test_another_backend_is_refused_with_a_sentence(monkeypatch):
    network = small_network()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    for explain in (
        lambda: InputGradient(network, weighted_sum([1, 0, 0]), wrt="image"),
        lambda: LayerOutput(network, network.layers[-1].name),
    ):
        with pytest.raises(ValueError, match="on TensorFlow and JAX, not on torch"):
            explain()
