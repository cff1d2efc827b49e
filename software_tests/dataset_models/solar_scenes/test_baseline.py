"""What the generator is for: scenes that hand features can't tell, frames that can be memorised."""

import numpy as np

from dataset_models.solar_scenes.generated import GeneratedScenes
from dataset_models.splits import grouped, leaky_random_split
from network_models.image_classification.slic.hand_features import HandFeatureClassifier


def balanced_accuracy(found, truth):
    return np.mean([(found[truth == kind] == kind).mean() for kind in np.unique(truth)])


def test_hand_features_stay_below_their_limit_on_unseen_observations():
    data = GeneratedScenes(31, n_observations=900, frames_per_observation=1, size=48, n_processes=1)
    rows = np.flatnonzero(data.primary < 5)
    images, kinds = data.read(rows)["image"][..., 0], data.primary[rows]
    classifier = HandFeatureClassifier(n_outputs=5).fit(images[:500], kinds[:500])
    score = balanced_accuracy(classifier.predict_proba(images[500:]).argmax(1), kinds[500:])
    assert 0.4 < score <= 0.85  # 0.2 is chance


def test_a_random_split_flatters_a_memory_of_thumbnails():
    data = GeneratedScenes(
        8, n_observations=36, frames_per_observation=6, size=48, difficulty="harder", n_processes=1
    )
    generator = np.random.default_rng(0)
    shares = {"validation_share": 0.1, "test_share": 0.3, "generator": generator}
    small = np.nan_to_num(data.thumbnails(np.arange(len(data))))
    scores = []
    for split in (leaky_random_split(data.table, **shares), grouped(data.table, **shares)):
        nearest = (small[split.test] @ small[split.training].T).argmax(1)
        found = data.primary[split.training][nearest]
        scores.append(balanced_accuracy(found, data.primary[split.test]))
    assert scores[0] > scores[1] + 0.3
