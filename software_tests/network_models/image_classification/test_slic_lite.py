"""The small network: its size, images of any size, what it learns, and how it is explained."""

import keras
import numpy as np
import pytest

from dataset_models.solar_scenes.classes import OUTPUTS
from network_models.differentiation.contrast_scaling import without_scaling
from network_models.differentiation.gradients import log_odds
from network_models.differentiation.graph_walk import MODES
from network_models.differentiation.layer_outputs import layer_shapes
from network_models.differentiation.reverse_pass import ReversePass
from network_models.files.safe_loading import load_network
from network_models.image_classification.slic.slic_lite import (
    LAST_MAPS,
    build_slic_lite,
)
from science.saliency.attribution import Explainer

TINY = {"widths": (4, 6, 8), "n_maps": 8, "n_blocks": 1}
FLARES = log_odds(np.eye(6)[1])


@pytest.fixture
def tiny():
    keras.utils.set_random_seed(3)
    return build_slic_lite(**TINY)


def scenes(generator, n=2, shape=(64, 48)):
    """Return noise with a bright patch in the middle."""
    image = generator.normal(500, 40, (n, *shape, 1)).astype(np.float32)
    y, x = (side // 2 for side in shape)
    image[:, y - 8 : y + 8, x - 8 : x + 8] += 300
    return {"image": image}


def test_it_has_at_most_300_000_parameters():
    network = build_slic_lite()
    assert network.count_params() <= 300_000
    assert network.output_shape == (None, len(OUTPUTS))
    assert layer_shapes(network)[LAST_MAPS] == (None, None, None, 128)


def test_parameters_are_those_counted_by_hand():
    # convolutions without bias, 2 + 2 numbers of a norm per map, one matrix with bias at the end
    full = 25 * 2 * 4 + 9 * 4 * 6 + 2 * 9 * 6 * 6 + 9 * 6 * 8
    separable = 2 * (9 * 8 + 8 * 8)
    norms = 4 * (4 + 6 + 2 * 6 + 8 + 2 * 8 + 8)
    expected = full + separable + 8 * 8 + norms + (2 * 8 * 6 + 6)
    assert build_slic_lite(**TINY).count_params() == expected


@pytest.mark.parametrize("shape", [(32, 32), (96, 96), (41, 150), (377, 744)])
def test_images_of_any_size(tiny, generator, shape):
    found = tiny.predict(scenes(generator, shape=shape), verbose=0)
    assert found.shape == (2, 6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_unit_and_offset_of_the_brightness_change_nothing(tiny, generator):
    given = scenes(generator)
    expected = tiny.predict(given, verbose=0)
    for factor, offset in ((1e-6, 0.0), (40.0, -2e3)):
        other = {"image": factor * given["image"] + offset}
        np.testing.assert_allclose(tiny.predict(other, verbose=0), expected, atol=1e-4)


def test_it_takes_eight_channels_and_another_scaling(generator):
    scaling = keras.layers.Rescaling(1e-3, name="scaling")
    network = build_slic_lite(n_channels=8, n_outputs=5, scaling=scaling, **TINY)
    image = generator.gamma(2, 100, (3, 32, 32, 8)).astype(np.float32)
    assert network.predict({"image": image}, verbose=0).shape == (3, 5)
    assert network.get_layer("stem").kernel.shape == (5, 5, 8, 4)


def test_it_learns_which_images_have_a_bright_patch(generator):
    keras.utils.set_random_seed(0)
    network = build_slic_lite(**TINY, dropout=0.0)
    network.compile(keras.optimizers.Adam(1e-2), "categorical_crossentropy")
    given, label = scenes(generator, 64, (32, 32))["image"], np.repeat([1, 3], 32)
    given[32:] = generator.normal(500, 40, (32, 32, 32, 1))
    network.fit({"image": given}, np.eye(6)[label], epochs=12, batch_size=16, verbose=0)
    found = network.predict({"image": given}, verbose=0)
    assert (found.argmax(axis=1) == label).all()


def test_it_is_saved_and_loaded(tmp_path, tiny, generator):
    tiny.save(tmp_path / "n.keras")
    given = scenes(generator)
    again = load_network(tmp_path / "n.keras").predict(given, verbose=0)
    np.testing.assert_allclose(again, tiny.predict(given, verbose=0), atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_signals_are_brought_back_to_the_image(tiny, generator, mode):
    walk, given = ReversePass(tiny), scenes(generator)
    assert walk.error_against_autograd(given, FLARES) < 1e-5
    _, maps = walk.of_target(given, FLARES, mode=mode)
    assert maps.shape == given["image"].shape
    assert np.isfinite(maps).all()
    assert np.ptp(maps) > 0
    found = walk.of_filter(given, LAST_MAPS, 0, mode=mode)
    assert found.extent == (8, 6)


@pytest.mark.parametrize("method", ["gradient", "grad-cam", "occlusion", "smoothgrad"])
def test_it_is_explained(tiny, generator, method):
    given = scenes(generator, 1)
    found = Explainer(tiny, FLARES, image="image").explain(given, method)
    assert found.values.shape == (64, 48, 1)
    assert np.ptp(found.values) > 0
    if method == "grad-cam":
        assert found.notes["layer"] == LAST_MAPS


def test_both_parts_make_the_whole(tiny, generator):
    scaling, rest = without_scaling(tiny)
    given = scenes(generator)
    seen = scaling.predict(given, verbose=0)
    expected = tiny.predict(given, verbose=0)
    np.testing.assert_allclose(rest.predict({"image": seen}, verbose=0), expected, rtol=1e-5)
    assert rest.get_layer("stem") is tiny.get_layer("stem")


def test_without_scaling_the_way_from_a_grey_image_adds_up(tiny, generator):
    scaling, rest = without_scaling(tiny)
    seen = scaling.predict(scenes(generator, 1), verbose=0)
    found = Explainer(rest, FLARES, image="image").explain({"image": seen}, "integrated-gradients")
    assert found.values.shape == (64, 48, 2)
    assert found.notes["completeness_gap"] < 1e-3


def test_another_network_has_no_scaling_to_take_off():
    given = keras.Input((4, 4, 1))
    network = keras.Model(given, keras.layers.Flatten()(given), name="flat")
    with pytest.raises(ValueError, match="flat begins with Flatten; expected a SceneScaling"):
        without_scaling(network)


@pytest.mark.parametrize(
    "wrong", [{"n_channels": 0}, {"n_outputs": 1}, {"widths": (8, 8)}, {"n_maps": 0}]
)
def test_impossible_numbers_get_a_sentence(wrong):
    with pytest.raises(ValueError, match="expected at least 1 channel, 2 outputs"):
        build_slic_lite(**wrong)
