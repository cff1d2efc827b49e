"""Classifiers of scenes are trained, calibrated, reported, explained and refused."""

import json

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from network_models.files.safe_loading import load_network
from network_models.image_classification.aia_regions import main as train_regions
from network_models.image_classification.classifier import open_classifier
from network_models.image_classification.package import main as package
from network_models.image_classification.slic.train import SceneConfig, main
from tools.run_folder import RunFolder

SMALL = ["--observations", "132", "--size", "32", "--epochs", "1", "--bootstrap-draws", "50"]
SMALL += ["--leak-observations", "30", "--width", "0.2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    output = tmp_path_factory.mktemp("scenes")
    assert main([*SMALL, "--output", str(output)]) == 0
    (folder,) = output.iterdir()
    return folder


def test_a_run_says_what_it_is_worth_beside_hand_features(run):
    figures = json.loads((run / "performance/scores.json").read_text())
    config = RunFolder(run).config
    n_test = config["split"]["test"]["samples"]
    for way in ("network", "hand features"):
        scores = figures["scores"][way]
        confusion = np.array(scores["confusion"]["rows_truth"])
        # row sums are the frames of each class; those of none of the five are left out
        assert confusion.sum() == scores["n_frames"]
        assert n_test * 0.7 < scores["n_frames"] < n_test
        recall = np.diag(confusion) / confusion.sum(axis=1)
        value = scores["scores"]["balanced accuracy"]["value"]
        assert value == pytest.approx(recall.mean())
    one, other = (
        figures["scores"][way]["scores"]["balanced accuracy"]["value"]
        for way in ("network", "hand features")
    )
    difference = figures["network less hand features"]["balanced accuracy"]["value"]
    assert difference == pytest.approx(one - other)
    assert "synthetic" in config["data"]["source"]
    assert all(check["passed"] for check in config["audit"])
    assert "synthetic" in (run / "report.html").read_text()


def test_the_leaking_splits_are_refused_by_the_audit_and_known_from_training(run):
    rows = json.loads((run / "performance/scores.json").read_text())["splits"]
    grouped, random, every_tenth = rows
    assert grouped["audit"] == "passed"
    assert grouped["network above the first split"] is None
    assert grouped["frames whose observation is in training"] == 0
    near = [row["likeness"]["above 0.95"] / row["likeness"]["frames"] for row in rows]
    assert near[0] < 0.5 * min(near[1:])  # a neighbour in time is nearly the same frame
    for row in (random, every_tenth):
        assert row["audit"] != "passed"
        above = row["network above the first split"]["value"]
        assert above == pytest.approx(row["network"]["value"] - grouped["network"]["value"])
        assert row["frames whose observation is in training"] > 0.9 * row["frames"]


def test_the_classifier_opens_with_its_temperature(run):
    classifier = open_classifier(run)
    network = load_network(RunFolder(run).best_network)
    assert network.layers[-1].temperature == pytest.approx(classifier.settings.temperature)
    frame = np.random.default_rng(0).normal(1, 0.1, (1, 40, 50, 1)).astype(np.float32)
    found = classifier.function(frame)
    assert found.shape == (1, len(OUTPUTS))
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert classifier.settings.sets.level == 0.9


def test_a_packaged_run_opens_alike_and_names_no_place_of_its_maker(run, tmp_path):
    assert package([str(run), "--output", str(tmp_path)]) == 0
    folder = tmp_path / "slic_lite"
    frame = np.random.default_rng(0).normal(1, 0.1, (1, 40, 50, 1)).astype(np.float32)
    found, own = (open_classifier(place).function(frame) for place in (folder, run))
    np.testing.assert_allclose(found, own, atol=1e-6)
    assert str(run.parent) not in (folder / "config.json").read_text()


def test_the_same_command_shows_the_finished_run(run, capsys, caplog):
    with caplog.at_level("INFO"):
        assert main([*SMALL, "--output", str(run.parent)]) == 0
    assert "made before" in caplog.text
    assert len(list(run.parent.iterdir())) == 1


def test_vgg13_is_trained_by_slics_optimizer(tmp_path):
    options = ["--network", "vgg13", "--width", "0.01", "--optimizer", "sgd"]
    options += ["--learning-rate", "1e-4", "--leak-observations", "0", "--batch-size", "16"]
    options += ["--observations", "66", "--epochs", "1", "--bootstrap-draws", "50"]
    assert main([*options, "--output", str(tmp_path)]) == 0
    (folder,) = tmp_path.iterdir()
    assert open_classifier(folder).settings.tile == 256


def write_labelled(folder):
    """Write frames of every class, six observations each; give the CSV of labels."""
    generator, lines = np.random.default_rng(0), ["file,label,group"]
    for name in CLASSES:
        for k in range(6):
            image = generator.normal(100, 10, (48, 48)) + 50 * CLASSES.index(name)
            fits.writeto(folder / f"{name}_{k}.fits", image.astype(np.float32))
            lines.append(f"{name}_{k}.fits,{name},{name} {k}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def test_frames_with_a_csv_of_labels_are_trained_on(tmp_path):
    labels = write_labelled(tmp_path)
    options = ["--data", str(labels), "--size", "32", "--epochs", "1", "--width", "0.2"]
    options += ["--bootstrap-draws", "20", "--output", str(tmp_path / "runs"), "--seed", "3"]
    assert main(options) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    config = RunFolder(folder).config
    parts = ("training", "validation", "test")
    sets = {name: config["split"][name]["samples"] for name in parts}
    assert sum(sets.values()) == 30  # six frames of each of five classes
    assert "synthetic" not in config["data"]["source"]
    scores = json.loads((folder / "performance/scores.json").read_text())["scores"]
    assert scores["network"]["n_frames"] == scores["hand features"]["n_frames"] == sets["test"]


def test_observations_that_leave_a_set_without_classes_are_refused_before_the_training(tmp_path):
    for name in CLASSES:  # without time and place a folder is one observation
        (tmp_path / "frames" / name).mkdir(parents=True)
        for k in range(3):
            image = np.random.default_rng(k).normal(100, 10, (48, 48)).astype(np.float32)
            fits.writeto(tmp_path / "frames" / name / f"{k}.fits", image)
    options = ["--data", str(tmp_path / "frames"), "--size", "32", "--epochs", "1"]
    with pytest.raises(ValueError, match="give more observations of each class"):
        main([*options, "--output", str(tmp_path / "runs")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 20}, "--size must be 32 or more"),
        ({"observations": 0}, "1 or more"),
        ({"dropout": 1.0}, "below 1"),
        ({"width": 9.0}, "--width"),
        ({"leak_observations": 5}, "30 or more"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SceneConfig(**options)


def test_regions_of_the_virtual_sun_are_classified(tmp_path):
    options = ["--images", "14", "--image-size", "96", "--tile", "32", "--per-class", "2"]
    options += ["--epochs", "1", "--bootstrap-draws", "20", "--output", str(tmp_path)]
    assert train_regions(options) == 0
    (run,) = tmp_path.iterdir()
    figures = json.loads((run / "performance/scores.json").read_text())
    assert set(figures["scores"]) == {"network", "mean brightness"}
    assert "synthetic" in RunFolder(run).config["data"]["source"]
