"""Training scenes are turned; nothing else is."""

import numpy as np
import pytest

from dataset_models.solar_scenes.generated import GeneratedScenes
from dataset_models.splits import Split
from network_models.image_classification.training.turned_scenes import TurnedScenes

SPLIT = Split(np.arange(24), np.arange(24, 30), np.arange(30, 36), "test", by_time=False)


@pytest.fixture(scope="module")
def scenes():
    return GeneratedScenes(1, n_observations=36, frames_per_observation=1, size=32)


def images_of(batches):
    return np.concatenate([batches[k][0]["image"] for k in range(len(batches))])


def ways_of(image):
    turned = [np.rot90(image, k) for k in range(4)]
    return turned + [t[:, ::-1] for t in turned]


def test_every_training_image_is_one_of_eight_views_of_its_own(scenes):
    batches = TurnedScenes(scenes).training_batches(SPLIT, batch_size=8, seed=3)
    found, order = images_of(batches), batches._order
    chosen = []
    for image, row in zip(found, order, strict=True):
        views = ways_of(scenes.read(np.array([row]))["image"][0])
        (same,) = np.flatnonzero([np.array_equal(image, view) for view in views])[:1]
        chosen.append(same)
    assert len(set(chosen)) > 4


def test_the_turns_are_a_function_of_seed_and_epoch(scenes):
    first, again = (
        TurnedScenes(scenes).training_batches(SPLIT, batch_size=8, seed=3) for _ in range(2)
    )
    first.set_epoch(2)
    before = images_of(first)
    again.set_epoch(5)
    assert not np.array_equal(images_of(again), before)
    again.set_epoch(2)
    np.testing.assert_array_equal(images_of(again), before)


def test_validation_and_test_are_not_turned(scenes):
    turned = TurnedScenes(scenes)
    batches = turned.test_batches(SPLIT, batch_size=6)
    np.testing.assert_array_equal(images_of(batches), scenes.read(SPLIT.test)["image"])
    assert turned.fingerprint() == scenes.fingerprint()
