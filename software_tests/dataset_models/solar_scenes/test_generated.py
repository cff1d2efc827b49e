"""Generated scenes as a dataset: contract, drawing by processes, audit, frozen difficulty."""

import json
import shutil

import numpy as np
import pytest

from dataset_models.audit import audit
from dataset_models.solar_scenes import generated
from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.solar_scenes.generated import GeneratedScenes
from dataset_models.solar_scenes.painting import difficulty as difficulty_module
from dataset_models.solar_scenes.painting.difficulty import Difficulty, load_difficulty
from dataset_models.splits import grouped, leaky_random_split, slic_every_nth


@pytest.fixture(scope="module")
def data():
    return GeneratedScenes(5, n_observations=24, frames_per_observation=3, size=48, n_processes=1)


def test_the_contract_is_kept(data):
    assert data.verify() == []
    arrays = data.read(np.array([0, 5, 71]))
    assert arrays["image"].shape == (3, 48, 48, 1)
    assert arrays["image"].dtype == arrays["label"].dtype == np.float32
    np.testing.assert_array_equal(arrays["label"].argmax(1), data.primary[[0, 5, 71]])
    assert (np.bincount(data.primary) == 12).all()  # 24 observations of 3 frames over 6 kinds
    assert data.read(np.array([], int))["image"].shape == (0, 48, 48, 1)
    provenance = data.provenance()
    assert provenance["is_synthetic"]
    assert "synthetic" in provenance["source"]
    json.dumps(provenance)
    with pytest.raises(IndexError, match="numbered 0 to 71"):
        data.read(np.array([72]))


def test_time_increases_and_observations_lie_days_apart(data):
    time, group = data.table.time, data.table.group
    assert (np.diff(time) > np.timedelta64(0, "s")).all()
    new = group[1:] != group[:-1]
    assert new.sum() == 23
    assert np.diff(time)[new].min() > np.timedelta64(48, "h")
    assert len(np.unique(data.table.content_hash)) == 72


def test_masks_and_labels_are_those_of_the_scenes(data):
    rows = np.array([4, 40])
    masks, labels = data.masks(rows), data.labels(rows)
    assert masks.shape == (2, 5, 48, 48)
    for k, row in enumerate(rows):
        scene = data.scene(row)
        np.testing.assert_array_equal(masks[k], scene.masks)
        np.testing.assert_array_equal(labels[k], scene.labels)
        np.testing.assert_array_equal(data.read(rows)["image"][k, ..., 0], scene.image)
        assert scene.primary == data.observation(row).primary
    assert data.masks(np.array([], int)).shape == (0, 5, 48, 48)


def test_images_are_equal_for_any_number_of_processes(data, monkeypatch):
    monkeypatch.setattr(generated, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(generated, "_PER_TASK", 7)
    parallel = GeneratedScenes(
        5, n_observations=24, frames_per_observation=3, size=48, n_processes=2
    )
    parallel.draw()
    rows = np.arange(72)
    np.testing.assert_array_equal(parallel.read(rows)["image"], data.read(rows)["image"])
    assert parallel.fingerprint() == data.fingerprint()


def test_images_that_are_not_kept_are_equal(data, monkeypatch):
    monkeypatch.setattr(generated, "_KEPT_BYTES", 0)
    other = GeneratedScenes(5, n_observations=24, frames_per_observation=3, size=48, n_processes=1)
    rows = np.array([3, 3, 60])
    np.testing.assert_array_equal(other.read(rows)["image"], data.read(rows)["image"])


def test_other_seeds_sizes_and_knobs_have_other_fingerprints(data):
    others = [
        GeneratedScenes(6, n_observations=24, frames_per_observation=3, size=48),
        GeneratedScenes(5, n_observations=24, frames_per_observation=3, size=64),
        GeneratedScenes(
            5, n_observations=24, frames_per_observation=3, size=48, difficulty={"noise": 2}
        ),
    ]
    assert len({data.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_thumbnails_know_near_copies_but_not_gain_and_bias(data):
    small = data.thumbnails(np.arange(72))
    assert small.shape == (72, 576)
    # independent of gain and bias, by the definition: mean 0, norm 1
    known = small[np.isfinite(small).all(1)]
    np.testing.assert_allclose(known.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose((known**2).sum(1), 1, atol=1e-5)


def test_a_flat_image_is_not_compared(data, monkeypatch):
    monkeypatch.setattr(
        GeneratedScenes, "_images", lambda self, rows: np.full((len(rows), 48, 48), 7.0)
    )
    assert np.isnan(data.thumbnails(np.array([0]))).all()


def test_the_audit_accepts_groups_and_refuses_random_and_every_nth(data, generator):
    shares = {"validation_share": 0.2, "test_share": 0.2, "generator": generator}
    assert audit(data, grouped(data.table, **shares)).passed
    assert not audit(data, leaky_random_split(data.table, **shares)).passed
    assert not audit(data, slic_every_nth(data.table, 10, kinds=data.primary)).passed


def test_one_class_for_each_output_in_the_label(data):
    assert data.dimensions()["label"] == (len(OUTPUTS),)


def test_the_standard_difficulty_is_frozen(tmp_path, monkeypatch):
    assert isinstance(load_difficulty("standard"), Difficulty)
    folder = difficulty_module._FOLDER
    for name in difficulty_module.NAMES:
        shutil.copy(folder / f"difficulty_{name}.json", tmp_path)
    monkeypatch.setattr(difficulty_module, "_FOLDER", tmp_path)
    load_difficulty("standard")
    file = tmp_path / "difficulty_standard.json"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ValueError, match="was changed; restore the file"):
        load_difficulty("standard")
    load_difficulty("harder")  # stated, not frozen


def test_knobs_are_checked(tmp_path):
    with pytest.raises(ValueError, match="unknown knobs colour; there are filament_contrast"):
        load_difficulty({"colour": 1.0})
    with pytest.raises(ValueError, match="pores_in_quiet must lie in 0 to 1"):
        load_difficulty({"pores_in_quiet": 1.5})
    with pytest.raises(ValueError, match="noise must be a number"):
        load_difficulty({"noise": "loud"})
    with pytest.raises(FileNotFoundError, match="give standard or harder"):
        load_difficulty(tmp_path / "missing.json")
    own = tmp_path / "own.json"
    own.write_text('{"knobs": {"noise": 3.0}}')
    assert load_difficulty(own) == Difficulty(noise=3.0)
    own.write_text('{"noise": 3.0}')
    with pytest.raises(ValueError, match="object 'knobs'"):
        load_difficulty(own)


def test_impossible_datasets_are_refused():
    with pytest.raises(ValueError, match="at least 1 observation"):
        GeneratedScenes(1, n_observations=0)
