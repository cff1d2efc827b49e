"""Layers and losses against NumPy, closed forms and their own saved selves."""

import keras
import numpy as np
import pytest

from network_models.layers.flux import BinnedFluxHead, MultiScaleHistory
from network_models.training.losses import BinnedLogScore
from network_models.xray_flux_forecast.flux_forecast import (
    class_probabilities,
    flux_bins,
    flux_targets,
)
from network_models.xray_flux_forecast.flux_head import flux_head
from tools.score_card import EVENTS

EDGES = [-7.0, -6.0, -5.0, -4.0]
RATES = [0.5, 0.2, 0.15, 0.1, 0.05]


@pytest.fixture
def history(generator):
    flux = np.where(generator.random((5, 72)) < 0.2, 10 ** generator.uniform(-7, -4, (5, 72)), 0)
    count = (flux >= 1e-6).astype(float)
    return np.stack([flux, count, np.ones((5, 72))], axis=2).astype(np.float32)


def test_history_summaries_equal_numpy(history):
    got = np.asarray(MultiScaleHistory([6, 24, 72], 1e-7)(history))
    columns = []
    for window in (6, 24, 72):
        part = history[:, -window:].astype(float)
        days = window / 24
        columns.append(np.log10(np.maximum(part[..., 0].max(axis=1), 1e-7) / 1e-7))
        columns.append(np.log1p(part[..., 1].sum(axis=1) / days))
        columns.append(np.log1p(part[..., 0].sum(axis=1) * 1e6 / days))
    np.testing.assert_allclose(got, np.stack(columns, axis=1), rtol=2e-5, atol=1e-6)  # float32


def test_rates_are_per_observed_day(history):
    half = history.copy()
    half[:, :36] = 0  # the older half not observed, nothing seen there
    whole = np.concatenate([half[:, 36:], half[:, 36:]], axis=1)
    rates = [np.asarray(MultiScaleHistory([72], 1e-7)(h))[:, 1] for h in (half, whole)]
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-5)


def test_a_light_curve_adds_its_mean_flux(history):
    flux = np.full((5, 72, 1), 3e-7, np.float32)
    got = np.asarray(MultiScaleHistory([24], 1e-7)(np.concatenate([history, flux], axis=2)))
    assert got.shape == (5, 4)
    np.testing.assert_allclose(got[:, 3], np.log10(3), rtol=1e-5)


def test_the_head_starts_at_the_climatology():
    head = BinnedFluxHead(EDGES, RATES, knots=[-7, -5])
    head.build((None, 3))
    head.kernel.assign(np.zeros((3, 2)))
    np.testing.assert_allclose(np.asarray(head(np.ones((2, 3)))), [RATES, RATES], rtol=1e-5)


def test_probabilities_add_up_to_one_whatever_the_features(generator):
    head = BinnedFluxHead(EDGES, RATES, knots=[-7, -5])
    output = np.asarray(head(generator.normal(size=(50, 4)).astype(np.float32) * 30))
    np.testing.assert_allclose(output.sum(axis=1), 1, atol=1e-5)
    assert (output >= 0).all()


def test_classes_above_the_last_knot_share_their_weights():
    head = BinnedFluxHead(EDGES, RATES, knots=[-7, -5])
    np.testing.assert_allclose(head._tents, [[1, 0.5, 0, 0], [0, 0.5, 1, 1]])


def test_the_log_score_is_minus_log_of_the_bin_that_came():
    loss = BinnedLogScore(EDGES, reduction="none")
    p = np.tile(np.array(RATES, np.float32), (6, 1))
    values = np.array([-7.0, -6.5, -6.0, -5.0, -4.0, -3.2], np.float32)
    expected = -np.log(np.array(RATES)[[0, 1, 2, 3, 4, 4]])
    np.testing.assert_allclose(np.asarray(loss(values, p)), expected, rtol=1e-5)


def test_the_log_score_is_proper():
    # its mean under a distribution is smallest for that distribution itself
    truth = np.array(RATES)
    values = np.repeat([-7.0, -6.5, -5.5, -4.5, -3.5], (truth * 1000).astype(int))
    loss = BinnedLogScore(EDGES)

    def mean(p):
        return float(loss(values, np.tile(np.asarray(p, np.float32), (len(values), 1))))

    assert mean(truth) < min(mean([0.4, 0.3, 0.15, 0.1, 0.05]), mean([0.6, 0.1, 0.15, 0.1, 0.05]))


def test_saved_and_loaded_networks_give_the_same(tmp_path, history):
    inputs = keras.Input((72, 3), name="flare_history")
    features = MultiScaleHistory([6, 72], 1e-7)(inputs)
    network = keras.Model(inputs, BinnedFluxHead(EDGES, RATES, knots=[-7, -5])(features))
    network.save(tmp_path / "n.keras")
    loaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    np.testing.assert_allclose(
        loaded.predict(history, verbose=0), network.predict(history, verbose=0), rtol=1e-5
    )
    for layer in network.layers:
        assert loaded.get_layer(layer.name).get_config() == layer.get_config()
    loss = keras.losses.deserialize(keras.losses.serialize(BinnedLogScore(EDGES)))
    assert loss.get_config() == BinnedLogScore(EDGES).get_config()


def test_a_head_with_wrong_rates_is_refused():
    with pytest.raises(ValueError, match="4 edges make 5 bins"):
        BinnedFluxHead(EDGES, RATES[:3], knots=[-6])


class TestFluxBins:
    def test_every_class_limit_is_an_edge(self):
        for floor in (1e-8, 1e-7, 3e-7, 1e-6):
            bins = flux_bins(floor)
            assert bins.floor == pytest.approx(np.log10(floor))
            assert (np.diff(bins.edges) > 0).all()
            for flux in EVENTS.values():
                assert np.log10(flux) in bins.edges

    def test_a_floor_above_c1_is_refused(self):
        with pytest.raises(ValueError, match="not be above C1"):
            flux_bins(2e-6)

    def test_targets_are_weights_of_the_output(self, generator):
        bins = flux_bins(1e-7)
        output = generator.dirichlet(np.ones(bins.n_bins), 20)
        targets = flux_targets(bins)
        for event, p in class_probabilities(bins, output).items():
            np.testing.assert_allclose(output @ targets[f"P({event})"].weights, p)
            assert targets[f"P({event})"].kind == "probability"
        expected = output @ targets["expected log10 flux"].weights
        assert targets["expected log10 flux"].unit == "log10(W m-2)"
        assert targets["expected log10 flux"].unit_of_changes == "dex"
        assert (expected > -7).all()
        assert (expected < -3).all()

    def test_the_head_starts_at_the_training_climatology(self, generator):
        bins = flux_bins(1e-7)
        y = generator.uniform(-7.0, -4.5, 5000)
        head = flux_head(bins, y)
        head.build((None, 2))
        head.kernel.assign(np.zeros(head.kernel.shape))
        output = np.asarray(head(np.zeros((1, 2), np.float32)))[0]
        chance = class_probabilities(bins, output)[">=C1"]
        assert chance == pytest.approx((y >= -6).mean(), abs=0.01)
