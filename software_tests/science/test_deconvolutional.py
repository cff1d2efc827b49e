"""The deconvolution command: the page of filters, its files, its refusals."""

import json

import keras
import numpy as np
import pytest
from astropy.io import fits

from network_models.differentiation.layer_outputs import LayerOutput
from network_models.training.reopen import open_network, reopen_run
from science.deconvolutional.deconvolutional import main
from software_tests.science.test_saliency import only, store_of


def test_the_filters_that_an_image_excites_most(image_run, capsys):
    arguments = [str(image_run), "first", "--layer", "neighbours", "--top", "2", "--search", "60"]
    assert main([*arguments, "--examples", "2"]) == 0
    folder = only(image_run / "features")
    facts = json.loads((folder / "filters.json").read_text())
    assert facts["error_against_autograd"] < 1e-5
    assert len(facts["filters"]) == 2
    excitations = [entry["excitation"] for entry in facts["filters"].values()]
    assert excitations == sorted(excitations, reverse=True)
    for k, entry in facts["filters"].items():
        shown = [one["excitation"] for one in entry["exciting images"]]
        assert shown == sorted(shown, reverse=True)
        assert len(shown) == 2
        with fits.open(folder / f"filter_{k}.fits") as hdus:
            assert hdus[1].header["FILTER"] == int(k)
            assert hdus[1].header["LAYER"] == "neighbours"
            assert len(hdus) == 9
    assert "What excites the layer neighbours" in (image_run / "report.html").read_text()


def test_the_examples_are_the_strongest_of_those_searched(image_run, tmp_path):
    arguments = [str(image_run), "first", "--layer", "neighbours", "--filter", "3"]
    assert main([*arguments, "--search", "1000", "--examples", "1", "--output", str(tmp_path)]) == 0
    facts = json.loads((only(tmp_path) / "filters.json").read_text())
    (entry,) = facts["filters"]["3"]["exciting images"]
    opened, reopened = open_network(str(image_run)), reopen_run(str(image_run))
    rows = reopened.data.split.test
    values = LayerOutput(opened.network, "neighbours")(reopened.data.dataset.read(rows))
    strongest = values[..., 3].max(axis=(1, 2))
    assert entry["excitation"] == pytest.approx(float(strongest.max()), rel=1e-5)
    assert entry["sample"] == str(reopened.data.dataset.times[rows[strongest.argmax()]])


@pytest.mark.parametrize("beside", [{}, {"config.json": '{"options": {}}'}])
def test_a_network_without_a_run_has_no_examples(image_run, tmp_path, beside):
    from dataset_models.store import ImageStore

    for name, text in beside.items():  # a folder that names no training script
        (tmp_path / name).write_text(text)
    network = tmp_path / "alone.keras"
    network.write_bytes((image_run / "best_performing.keras").read_bytes())
    image = np.nan_to_num(np.moveaxis(ImageStore(store_of(image_run)).read([0])[0], 0, -1))
    np.save(tmp_path / "one.npy", image)
    output = tmp_path / "out"
    arguments = [str(network), str(tmp_path / "one.npy"), "--output", str(output)]
    assert main([*arguments, "--mode", "guided", "--top", "1"]) == 0
    (entry,) = json.loads((only(output) / "filters.json").read_text())["filters"].values()
    assert entry["exciting images"] == []


def test_layers_are_listed(image_run, capsys):
    assert main([str(image_run), "--list-layers"]) == 0
    assert "neighbours  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "none"], "no layer 'none'; it has log_brightness"),
        (["--layer", "neighbours", "--filter", "99"], "has the filters 0 to"),
        (["--top", "0"], "--top must be 1 or more"),
        (["--examples", "-1"], "--examples must be 0 or more"),
        (["--target", "P(>=Z1)"], "no target"),
    ],
)
def test_what_is_not_there_is_named(image_run, tmp_path, arguments, message):
    with pytest.raises((ValueError, OSError)) as error:
        main([str(image_run), "first", *arguments, "--output", str(tmp_path)])
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_filters_are_held_to_random_weights(image_run, tmp_path, capsys):
    given = [str(image_run), "first", "--top", "1", "--examples", "0", "--check"]
    status = main([*given, "--mode", "guided", "--output", str(tmp_path)])
    facts = json.loads(next(tmp_path.rglob("filters.json")).read_text())
    (verdict,) = facts["verdicts"]
    assert ("do not read it" in verdict) == (status == 1)
    assert "andom" in verdict


def test_a_gradient_of_nothing_is_no_check(tmp_path, capsys):
    image = keras.Input((16, 16, 2), name="image")
    maps = keras.layers.Conv2D(3, 3, activation="relu", kernel_initializer="zeros")(image)
    flat = keras.layers.GlobalAveragePooling2D()(maps)
    keras.Model(image, keras.layers.Dense(1)(flat)).save(tmp_path / "zero.keras")
    np.save(tmp_path / "image.npy", np.ones((16, 16, 2), np.float32))
    arguments = [str(tmp_path / "zero.keras"), str(tmp_path / "image.npy"), "--top", "1"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert "could not be compared" in capsys.readouterr().out
