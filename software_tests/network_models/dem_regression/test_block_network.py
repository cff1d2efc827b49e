"""The compiled layers against Keras', on networks of all forms, and how inversions choose."""

import json
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest

from network_models.dem_regression import inversion
from network_models.dem_regression.block_network import lay_out_network, run_pixels
from network_models.dem_regression.emission_network import NetworkSize, build_emission_network
from network_models.dem_regression.inversion import PACKAGED_NETWORKS, invert_with_network
from network_models.dem_regression.pixel_results import Limits, Results
from network_models.dem_regression.simulated_pixels import MISSING_SIGMA, PixelSimulator
from tools.emission_measure.pixels import flags_of
from tools.emission_measure.response import RESPONSE_VERSIONS
from tools.emission_measure.simulated_maps import simulated_map
from tools.emission_measure.status import OK

VERSION = "v10_evenorm_chiantifix"
ENDLESS = Limits(np.array([1.0]), np.array([1e30, 1e30]), 1e30, np.arange(5, dtype=np.uint8), 1.0)


def by_blocks(network, size, version, inputs):
    """Give what the compiled layers find for pixels (pixel, 17), the unit 1e26 cm-5."""
    n = len(inputs)
    results = Results(
        *(np.empty((n, 18), np.float32) for _ in range(4)),
        model=np.empty((n, 6), np.float32),
        chi2=np.empty(n),
        status=np.empty(n, np.uint8),
    )
    dn, sigma = (np.ascontiguousarray(inputs[:, k : k + 6]) for k in (0, 6))
    limits = ENDLESS._replace(unit=np.float32(1))
    laid_out = lay_out_network(network, size, version)
    run_pixels(laid_out, dn, sigma, flags_of(None, 6), limits, results)
    return results


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize(
    ("width", "first_layers", "steps", "step_layers"),
    [(8, 1, 1, 1), (6, 2, 2, 2), (13, 3, 3, 3), (16, 1, 0, 1), (1, 1, 1, 1)],
)
def test_compiled_layers_give_what_keras_gives(width, first_layers, steps, step_layers, activation):
    size = NetworkSize(width, first_layers, steps, step_layers, activation)
    network = build_emission_network(size)
    generator = np.random.default_rng(width)
    spread = 0.5 / np.sqrt(width)
    network.set_weights([generator.normal(0, spread, w.shape) for w in network.get_weights()])
    factors = generator.uniform(0.5, 2, (3, 18))
    network.get_layer("intervals").table = factors.tolist()
    inputs, _ = PixelSimulator(50).draw(77, generator)  # no whole number of blocks
    for version in range(5):
        inputs[:, 12:] = np.eye(5)[version]
        output = keras.ops.convert_to_numpy(network({"brightness": inputs[None]}))[0]
        em, below, above, model = np.split(output, [18, 36, 54], axis=1)
        found = by_blocks(network, size, version, inputs)
        # float32 sums in another order
        np.testing.assert_allclose(found.em, em, rtol=1e-4)
        np.testing.assert_allclose(found.model, model, rtol=1e-4)
        np.testing.assert_allclose(found.low, np.maximum(em - below, 0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.high, em + above, rtol=1e-4)
        seen = inputs[:, 6:12] < MISSING_SIGMA
        away = np.where(seen, (model - inputs[:, :6]) / inputs[:, 6:12], 0)
        np.testing.assert_allclose(found.chi2, (away**2).sum(axis=1) / seen.sum(axis=1), rtol=1e-3)


@pytest.mark.parametrize("size", PACKAGED_NETWORKS)
def test_packaged_networks_invert_alike_by_both(size):
    given = simulated_map("log-normal", 24, 64, seed=77, version=VERSION)
    dn, sigma = given.dn.copy(), given.sigma.copy()
    dn[0], dn[1, 2], sigma[2, 3], dn[3] = np.nan, np.nan, 0, -1
    saturated = np.zeros(dn.shape, bool)
    saturated[4, :2] = True
    ours, theirs = (
        invert_with_network(dn, sigma, size=size, saturated=saturated, by_keras=by_keras)
        for by_keras in (False, True)
    )
    assert (ours.status[5:] == OK).mean() > 0.9
    np.testing.assert_array_equal(ours.status, theirs.status)
    total = theirs.em.sum(axis=1, keepdims=True)
    for found, expected in ((ours.em, theirs.em), (ours.extra["high"], theirs.extra["high"])):
        assert (np.abs(found - expected) <= 1e-4 * total).all()
    np.testing.assert_allclose(ours.chi2, theirs.chi2, rtol=1e-2)
    np.testing.assert_allclose(ours.model, theirs.model, rtol=1e-3, atol=1e-3)


def test_an_activation_that_is_not_compiled_goes_by_keras(tmp_path):
    size = NetworkSize(8, 1, 1, 1, "gelu")
    network = build_emission_network(size)
    generator = np.random.default_rng(0)
    network.set_weights([generator.normal(0, 0.2, w.shape) for w in network.get_weights()])
    network.save(tmp_path / "network.keras")
    path = Path(inversion.__file__).parent / "packaged/fast/network.json"
    settings = json.loads(path.read_text()) | {"shape": asdict(size)}
    (tmp_path / "network.json").write_text(json.dumps(settings))
    given = simulated_map("box", 5, 64, seed=5, version=VERSION)
    found = invert_with_network(given.dn, given.sigma, run=tmp_path)
    inputs = np.zeros((1, 25, 17), np.float32)
    inputs[0, :, :6], inputs[0, :, 6:12] = given.dn, given.sigma
    inputs[0, :, 12 + RESPONSE_VERSIONS.index(VERSION)] = 1
    expected = keras.ops.convert_to_numpy(network({"brightness": inputs}))[0, :, :18]
    np.testing.assert_allclose(found.em, 1e26 * expected, rtol=1e-4)
    with pytest.raises(ValueError, match="'gelu' is not compiled"):
        invert_with_network(given.dn, given.sigma, run=tmp_path, by_keras=False)


def test_what_has_a_gpu_goes_by_keras(monkeypatch):
    called = []
    by_keras = inversion._by_keras

    def noted(*arguments):
        called.append(1)
        return by_keras(*arguments)

    monkeypatch.setattr(inversion, "_by_keras", noted)
    inversion._prepared.cache_clear()
    given = simulated_map("box", 4, 64, seed=5, version=VERSION)
    invert_with_network(given.dn, given.sigma, size="fast")
    assert not called
    inversion._prepared.cache_clear()
    monkeypatch.setattr(inversion, "_has_gpu", lambda: True)
    invert_with_network(given.dn, given.sigma, size="fast")
    assert called
    inversion._prepared.cache_clear()
