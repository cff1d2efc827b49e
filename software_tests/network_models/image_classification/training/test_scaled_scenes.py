"""A training behind the scaling sees what the network sees, and gives the whole network."""

import keras
import numpy as np
import pytest

from dataset_models.solar_scenes.generated import GeneratedScenes
from dataset_models.splits import Split
from network_models.differentiation.contrast_scaling import without_scaling
from network_models.image_classification.slic.slic_lite import build_slic_lite
from network_models.image_classification.slic.vgg13 import as_classifier, build_slic_vgg13
from network_models.image_classification.training.scaled_scenes import ScaledScenes, scaled_before
from network_models.training.fitting import TrainingOptions, fit_plainly

SPLIT = Split(np.arange(40), np.arange(40, 50), np.arange(50, 60), "test", by_time=False)


@pytest.fixture(scope="module")
def scenes():
    return GeneratedScenes(1, n_observations=60, frames_per_observation=1, size=32)


def small():
    return build_slic_lite(widths=(4, 6, 8), n_maps=8, n_blocks=1, dropout=0.2)


def test_the_views_are_those_of_the_network(scenes):
    network = small()
    scaling, rest = without_scaling(network)
    scaled = ScaledScenes(scenes, scaling)
    rows = np.array([50, 3, 17])
    given = scaled.read(rows)
    assert given["image"].shape == (3, *scaled.arrays["image"].shape)
    np.testing.assert_array_equal(given["label"], scenes.read(rows)["label"])
    expected = network.predict({"image": scenes.read(rows)["image"]}, verbose=0)
    np.testing.assert_allclose(
        rest.predict({"image": given["image"]}, verbose=0), expected, atol=1e-6
    )


def test_turning_a_scene_turns_its_views(scenes):
    """Why scaling may come before the turns: percentiles and moments know no place."""
    scaling = without_scaling(small())[0]
    image = scenes.read(np.arange(8))["image"]
    turned = np.rot90(image, axes=(1, 2))
    views, later = (np.asarray(scaling({"image": x})) for x in (image, turned))
    np.testing.assert_allclose(np.rot90(views, axes=(1, 2)), later, atol=1e-5)


def test_a_training_behind_the_scaling_is_the_training_of_the_whole(scenes):
    """The same steps on the same numbers: weights agree to rounding."""
    loss, options = keras.losses.CategoricalCrossentropy(), TrainingOptions(1, 8, 1e-3, 1e-3, 5)
    dataset, build, as_saved = scaled_before(scenes, small)
    fitted = []

    def kept(build_network):
        keras.utils.set_random_seed(5)
        fitted.append(build_network())
        return fitted[-1]

    fit_plainly(kept(build), loss, dataset=dataset, split=SPLIT, options=options)
    saved = as_saved(fitted[0])
    fit_plainly(kept(small), loss, dataset=scenes, split=SPLIT, options=options)
    for ours, theirs in zip(saved.get_weights(), fitted[1].get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    # it takes brightness again
    assert saved.predict({"image": scenes.read(np.arange(2))["image"]}, verbose=0).shape == (2, 6)


def test_other_networks_are_trained_as_they_are(scenes):
    def slic():
        return as_classifier(build_slic_vgg13(tied=True, widths=(1, 1, 1, 1), hidden=2))

    dataset, build, as_saved = scaled_before(scenes, slic)
    assert dataset is scenes
    assert build is slic
    assert as_saved is None
