"""Networks of emission measure: layers against algebra, pixels against the responses."""

import keras
import numpy as np
import pytest
from keras import ops

from network_models.dem_regression.calibration import ONE_SIGMA, calibrate
from network_models.dem_regression.emission_loss import EmissionLoss
from network_models.dem_regression.emission_network import NetworkSize, build_emission_network
from network_models.dem_regression.random_curves import random_curves, roughened
from network_models.dem_regression.simulated_pixels import (
    MISSING_SIGMA,
    PixelSimulator,
    SimulatedPixels,
)
from network_models.dem_regression.train import EmissionConfig
from network_models.files.safe_loading import load_network
from network_models.layers.emission import BrightnessFeatures, Misfit, Synthesis
from tools.emission_measure import families
from tools.emission_measure.families import LOG_T_EDGES, OUT_OF_PRIOR, require_in_prior
from tools.emission_measure.response import RESPONSE_VERSIONS, bin_response

TINY = NetworkSize(width=8, first_layers=1, steps=1, step_layers=1)
TABLE = np.stack([bin_response(LOG_T_EDGES, version=v) * 1e26 for v in RESPONSE_VERSIONS])


def some_pixels(n=64, seed=0):
    return PixelSimulator(50).draw(n, np.random.default_rng(seed))


def with_random_weights(network, seed=0):
    generator = np.random.default_rng(seed)
    network.set_weights([generator.normal(0, 0.3, w.shape) for w in network.get_weights()])
    return network


def test_synthesis_is_the_product_with_the_chosen_response():
    inputs, _ = some_pixels()
    em = np.random.default_rng(1).random((64, 18)).astype("f4")
    version = inputs[:, 12:].argmax(axis=1)
    expected = np.einsum("nct,nt->nc", TABLE[version], em)
    found = ops.convert_to_numpy(Synthesis(TABLE.tolist())(em, inputs))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for k in range(len(RESPONSE_VERSIONS)):
        only = ops.convert_to_numpy(Synthesis(TABLE.tolist(), k)(em, inputs))
        np.testing.assert_allclose(only, em @ TABLE[k].T, rtol=1e-5)


def test_a_network_for_one_version_gives_what_the_whole_one_gives():
    inputs, _ = some_pixels()
    inputs[:, 12:] = np.eye(5)[1]
    whole = with_random_weights(build_emission_network(TINY))
    one = build_emission_network(TINY, version=RESPONSE_VERSIONS[1])
    one.set_weights(whole.get_weights())
    given = {"brightness": inputs[None]}
    expected = ops.convert_to_numpy(whole(given))
    np.testing.assert_allclose(ops.convert_to_numpy(one(given)), expected, rtol=2e-5, atol=1e-7)


def test_output_is_positive_and_its_model_is_its_own():
    inputs, _ = some_pixels(500)
    inputs[:20, :6] = -3.0  # no channel is positive
    inputs[20:30, :3] *= -1  # an odd number of negative channels
    network = with_random_weights(build_emission_network(TINY))
    output = ops.convert_to_numpy(network({"brightness": inputs[None]}))[0]
    em, below, above, model = np.split(output, [18, 36, 54], axis=1)
    assert np.isfinite(output).all()
    assert (em > 0).all()
    assert (below >= 0).all()
    assert (below <= em * (1 + 1e-6)).all()  # no interval reaches below 0
    assert (above > 0).all()
    expected = np.einsum("nct,nt->nc", TABLE[inputs[:, 12:].argmax(axis=1)], em)
    np.testing.assert_allclose(model, expected, rtol=1e-4)


def test_a_missing_channel_s_value_changes_nothing():
    inputs, _ = some_pixels()
    inputs[:, 6 + 2] = MISSING_SIGMA
    other = inputs.copy()
    other[:, 2] = 12345.0
    inputs[:, 2] = 0.0
    layer, network = BrightnessFeatures(TABLE[0].max(axis=1).tolist()), build_emission_network(TINY)
    for a, b in zip(layer(inputs), layer(other), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))
    network = with_random_weights(network)
    results = [ops.convert_to_numpy(network({"brightness": x[None]})) for x in (inputs, other)]
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_misfit_of_a_perfect_model_is_zero():
    inputs, _ = some_pixels()
    inputs[:, :6] = np.abs(inputs[:, :6])
    found = ops.convert_to_numpy(Misfit()(inputs[:, :6], inputs))
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_loss_by_hand():
    truth = np.zeros((1, 18))
    truth[0, 4] = 2.0
    em = np.zeros((1, 18))
    em[0, 5] = 2.0  # all of it one bin too hot
    ones = np.ones((1, 6))
    y_true = np.concatenate([truth, 3 * ones, 2 * ones, ones], axis=1)
    y_pred = np.concatenate([em, 0 * em, 0 * em, ones], axis=1)
    score = lambda *weights: float(EmissionLoss(*weights)(y_true, y_pred))  # noqa: E731
    assert score(0, 0, 0, 0) == pytest.approx(2.0)  # |0 - 2| + |2 - 0| over 2
    assert score(1, 0, 0, 0) == pytest.approx(2.0 + 0.1)  # moved by one bin of 0.1 dex
    assert score(0, 1, 0, 0) == pytest.approx(2.0 + np.sqrt(2) - 1)  # chi2 = ((1 - 3) / 2)^2
    assert score(0, 0, 1, 0) == pytest.approx(2.0, abs=1e-6)  # as bright as without noise
    # both ends lie at the emission measure; each bin that is wrong by 2 scores 2, relative to the
    # emission measure found (2 in bin 5, none in bin 4) and 0.003 of its total, 20 at most
    assert score(0, 0, 0, 1) == pytest.approx(2.0 + 20 + 2 / 2.006, rel=1e-4)


def test_simulated_pixels_are_what_the_responses_give():
    inputs, targets = some_pixels(4000)
    em, rate = targets[:, :18], targets[:, 30:]
    expected = np.einsum("nct,nt->nc", TABLE[inputs[:, 12:].argmax(axis=1)], em)
    # within a bin plasma isn't spread evenly: a few per cent, more for single temperatures
    assert np.median(np.abs(expected / rate - 1)) < 0.05
    seen = inputs[:, 6:12] < MISSING_SIGMA / 2
    away = ((inputs[:, :6] - rate) / inputs[:, 6:12])[seen]
    assert np.mean(np.abs(away) < 1) == pytest.approx(ONE_SIGMA, abs=0.03)
    assert 0.01 < (~seen).any(axis=1).mean() < 0.05
    np.testing.assert_array_equal(inputs[:, :12], targets[:, 18:30])


def test_random_curves_have_the_covariance_that_they_say():
    scale = np.full(20000, 0.15)
    curves = random_curves(20000, np.random.default_rng(2), scale=scale)
    assert abs(curves.mean()) < 0.02
    for lag in (0, 5, 15, 30):  # hundredths of a dex; 20000 draws know a correlation to 0.007
        expected = np.exp(-((0.01 * lag) ** 2) / (2 * 0.15**2))
        assert np.mean(curves[:, 40] * curves[:, 40 + lag]) == pytest.approx(expected, abs=0.03)
    flat = roughened(np.full((500, 180), 1 / 180), np.random.default_rng(3))
    np.testing.assert_allclose(flat.sum(axis=1), 1)
    assert (flat > 0).all()
    nothing = roughened(np.zeros((3, 180)), np.random.default_rng(3))
    np.testing.assert_array_equal(nothing, 0)


def test_random_curves_change_only_the_pixels_that_are_asked_for():
    draw = lambda share: PixelSimulator(50, rough_share=share).draw(  # noqa: E731
        3000, np.random.default_rng(0)
    )
    inputs, targets = draw(1.0)
    assert np.isfinite(inputs).all()
    assert (targets[:, :18].sum(axis=1) > 0).all()
    expected = np.einsum("nct,nt->nc", TABLE[inputs[:, 12:].argmax(axis=1)], targets[:, :18])
    assert np.median(np.abs(expected / targets[:, 30:] - 1)) < 0.05
    np.testing.assert_array_equal(draw(0.0)[0], some_pixels(3000)[0])
    with pytest.raises(ValueError, match="--rough-share"):
        EmissionConfig(rough_share=1.5)


def test_every_epoch_has_pixels_of_its_own():
    data = SimulatedPixels(3, block_pixels=8, n_training=6, n_validation=2, n_test=2, n_parts=20)
    split, seen = data.split(), []
    batches = data.training_batches(split, batch_size=2, seed=1)
    for epoch in range(3):
        batches.set_epoch(epoch)
        seen.extend(batches._order)
    assert len(set(seen)) == 18
    assert not set(seen) & {*split.validation, *split.test}
    first = data.read(np.array([4]))["brightness"]
    np.testing.assert_array_equal(first, data.read(np.array([4]))["brightness"])


def test_what_networks_are_judged_on_is_refused(tmp_path, monkeypatch):
    require_in_prior(["box"])
    for family in OUT_OF_PRIOR:
        with pytest.raises(ValueError, match="judged on"):
            require_in_prior(["box", family])
    changed = tmp_path / "out_of_prior.json"
    changed.write_text(families._LIST.read_text().replace('"tent"', '"teepee"'))
    monkeypatch.setattr(families, "_LIST", changed)
    with pytest.raises(ValueError, match="were changed"):
        PixelSimulator(10)


def test_calibrated_intervals_cover_what_they_say():
    inputs, targets = some_pixels(8192)
    network = with_random_weights(build_emission_network(TINY), seed=4)
    found = calibrate(network, inputs, targets)
    output = network.predict({"brightness": inputs[None]}, verbose=0)[0].astype(float)
    em, below, above = (output[:, 18 * k : 18 * (k + 1)] for k in range(3))
    from_zero = below >= em
    low = np.where(from_zero, 0, em - np.minimum(found.factors[0] * below, em))
    high = em + np.where(from_zero, found.factors[2], found.factors[1]) * above
    inside = (targets[:, :18] >= low) & (targets[:, :18] <= high)
    reached = found.factors.max(axis=0) < 60  # an untrained network's may not stretch that far
    assert reached.sum() > 6
    shares = inside.mean(axis=0)[reached]
    assert (shares >= ONE_SIGMA - 1e-3).all()  # more where many truths are exactly 0
    assert np.median(shares) == pytest.approx(ONE_SIGMA, abs=1e-3)


def test_a_saved_network_is_the_same(tmp_path):
    network = with_random_weights(build_emission_network(TINY))
    inputs, _ = some_pixels()
    network.save(tmp_path / "network.keras")
    again = load_network(tmp_path / "network.keras")
    given = {"brightness": inputs[None]}
    np.testing.assert_array_equal(
        ops.convert_to_numpy(network(given)), ops.convert_to_numpy(again(given))
    )
    assert isinstance(again, keras.Model)
