"""DeepEM's network: its size, scalings, loss, optimiser and synthesis, against algebra."""

import keras
import numpy as np
import pytest

from network_models.dem_regression.deepem.network import (
    RootError,
    build_deepem,
    build_synthesis,
    invert_map,
    with_emission_measure,
)
from network_models.files.safe_loading import load_network
from network_models.layers.deepem import RootBrightness, SquaredEmissionMeasure
from network_models.training.coupled_adam import CoupledAdam
from tools.emission_measure.response import bin_response


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    return build_deepem()


def by_hand(network, dn):
    """Compute the network in float64 from its weights: three matrix products a pixel."""
    x = np.sqrt(np.where(dn > 0, dn, 0).astype(float))
    for number in (1, 2, 3):
        kernel, bias = network.get_layer(f"pixel_{number}").get_weights()
        x = x @ kernel[0, 0].astype(float) + bias
        if number < 3:
            x = np.where(x > 0, x, 0.01 * x)
    return x


def test_number_of_parameters(network):
    # 6 x 300 + 300 + 300 x 300 + 300 + 300 x 18 + 18
    assert network.count_params() == 97_818


def test_weights_start_as_pytorchs_convolutions_do(network):
    # uniform within 1/sqrt(fan in): spread 1/sqrt(3 fan in), 90,000 draws: 0.3 % of it
    kernel, bias = network.get_layer("pixel_2").get_weights()
    assert np.abs(kernel).max() <= 300**-0.5
    assert np.abs(bias).max() <= 300**-0.5
    assert kernel.std() == pytest.approx((3 * 300) ** -0.5, rel=0.01)
    assert bias.std() > 0


def test_network_is_a_perceptron_on_every_pixel(network, generator):
    dn = generator.lognormal(3, 2, (2, 5, 7, 6)).astype(np.float32)
    y = network.predict({"aia": dn}, verbose=0)
    np.testing.assert_allclose(y, by_hand(network, dn), atol=1e-4)  # float32 sums of 300
    em = with_emission_measure(network).predict({"aia": dn}, verbose=0)
    np.testing.assert_allclose(em, 1e25 * np.square(y), rtol=1e-6)
    moved = network.predict({"aia": dn[:, ::-1, ::-1]}, verbose=0)
    np.testing.assert_allclose(moved[:, ::-1, ::-1], y, atol=1e-5)


@pytest.mark.parametrize("bad", [-1.0, -1e-30, 0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_bad", [1, 2, 3, 6])
def test_what_is_no_light_counts_as_zero(network, bad, n_bad):
    # odd and even numbers of negative channels alike: no pixel is lost, none becomes NaN
    dn = np.full((1, 1, 2, 6), 40.0, np.float32)
    dn[0, 0, 0, :n_bad] = bad
    zero = np.full((1, 1, 2, 6), 40.0, np.float32)
    zero[0, 0, 0, :n_bad] = 0
    found = with_emission_measure(network).predict({"aia": dn}, verbose=0)
    np.testing.assert_allclose(
        found, with_emission_measure(network).predict({"aia": zero}, verbose=0), rtol=1e-5
    )
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_no_value_makes_a_weight_nan(network, generator):
    # regression: sqrt has an infinite slope at 0, and the root of a negative number is NaN
    keras.utils.set_random_seed(1)
    small = build_deepem()
    dn = generator.normal(0, 3, (1, 8, 8, 6)).astype(np.float32)
    dn[0, 0, 0], dn[0, 1, 1] = np.nan, 0.0
    em = np.zeros((1, 8, 8, 18), np.float32)  # a teacher's empty pixels
    em[0, 4:] = 1e26
    small.compile(CoupledAdam(1e-2, coupled_decay=1e-9), RootError())
    small.fit({"aia": dn}, em, epochs=5, verbose=0)
    assert all(np.isfinite(w).all() for w in small.get_weights())


def test_input_gradient_is_finite_everywhere():
    layer = RootBrightness()
    values = np.array([[-4.0, -0.0, 0.0, np.nan, 4.0, 0.25]], np.float32).reshape(1, 1, 1, 6)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the tape is TensorFlow's")
    import tensorflow as tf

    x = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x))
    slope = tape.gradient(total, x).numpy().ravel()
    # d sqrt(x) / dx = 1 / (2 sqrt(x)) where there is light
    np.testing.assert_allclose(slope, [0, 0, 0, 0, 0.25, 1.0], rtol=1e-6)


def test_loss_is_the_mean_squared_error_of_the_root(generator):
    y_true = generator.lognormal(np.log(1e26), 2, (2, 3, 4, 18)).astype(np.float32)
    y_true[0, 0] = 0
    y_pred = generator.normal(0, 3, y_true.shape).astype(np.float32)
    expected = np.mean((y_pred.astype(float) - np.sqrt(y_true.astype(float) / 1e25)) ** 2)
    assert float(RootError()(y_true, y_pred)) == pytest.approx(expected, rel=1e-5)


def test_optimiser_is_pytorchs_adam_with_l2(generator):
    # algorithm 1 of Kingma & Ba with decay w added to the gradient, in float64
    rate, decay, beta_1, beta_2, epsilon = 1e-2, 0.3, 0.9, 0.999, 1e-8
    start = generator.normal(size=5)
    gradients = generator.normal(size=(20, 5)) * np.array([1, 1e-3, 1e-9, 100, 0])
    w, m, v = start.copy(), np.zeros(5), np.zeros(5)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient + decay * w
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        w -= rate * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    variable = keras.Variable(start.astype(np.float32))
    optimizer = CoupledAdam(rate, coupled_decay=decay)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [variable])
    np.testing.assert_allclose(np.asarray(variable), w, atol=2e-6)  # float32
    # decoupled decay would have moved the last weight, which has no gradient, by rate x decay x w
    assert abs(w[4] - start[4]) > 10 * rate * decay * abs(start[4])
    again = CoupledAdam.from_config(optimizer.get_config())
    assert (again.coupled_decay, again.epsilon) == (decay, epsilon)


def test_synthesis_is_the_matrix_product(generator):
    response = bin_response(np.linspace(5.45, 7.25, 19))
    em = generator.lognormal(np.log(1e26), 2, (2, 5, 6, 18)).astype(np.float32)
    model = build_synthesis(response)
    assert model.trainable_weights == []
    found = model.predict({"emission_measure": em}, verbose=0)
    np.testing.assert_allclose(found, em.astype(float) @ response.T, rtol=1e-5)  # float32
    assert (model.predict({"emission_measure": 0 * em}, verbose=0) == 0).all()  # the bias is 0


def test_a_map_of_any_size_is_inverted_in_blocks(network, generator, monkeypatch):
    monkeypatch.setattr("network_models.dem_regression.deepem.network._ROWS_PIXELS", 20)
    dn = generator.lognormal(3, 1, (11, 7, 6)).astype(np.float32)
    found = invert_map(network, dn)
    np.testing.assert_allclose(found, by_hand(network, dn), atol=1e-4)


def test_saved_network_takes_brightness_and_gives_emission_measure(network, tmp_path, generator):
    whole = with_emission_measure(network)
    whole.save(tmp_path / "deepem.keras")
    dn = generator.normal(20, 15, (1, 4, 4, 6)).astype(np.float32)
    loaded = load_network(tmp_path / "deepem.keras")
    np.testing.assert_allclose(
        loaded.predict({"aia": dn}, verbose=0),
        1e25 * by_hand(network, dn) ** 2,
        rtol=1e-3,
        atol=1e20,
    )
    again = SquaredEmissionMeasure.from_config(SquaredEmissionMeasure(2.0).get_config())
    assert again.unit_cm5 == 2.0
