"""The commands of the suite's first README: a foreign .hdf5, fdl_1.py, and a .dat file."""

import json

import keras
import numpy as np
import pytest

from network_models.files.safe_loading import load_network
from network_models.training.run import LEGACY_NETWORK, write_legacy_network
from network_models.xray_flux_forecast import history_only
from science.deconvolutional.deconvolutional import main as deconvolve
from science.embedding.tsne import main as embed
from science.saliency.saliency import main as saliency
from software_tests.conftest import ROOT

DATASET = "dataset_models/SDO/AIA/fdl_1.py"
NAME = "20140111_0800_AIA_08_64_64.dat"


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return somebody's network as .hdf5 and .keras, and a raw file of eight channels."""
    folder = tmp_path_factory.mktemp("foreign")
    keras.utils.set_random_seed(4)
    network = keras.Sequential(
        [
            keras.Input((64, 64, 8)),
            keras.layers.Conv2D(4, 5, strides=4, activation="relu", name="filters"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, name="flux"),
        ]
    )
    write_legacy_network(network, folder / "best_performing.hdf5")
    network.save(folder / "network.keras")
    data = np.random.default_rng(1).gamma(2, 50, (8, 64, 64)).astype("<f4")
    (folder / NAME).write_bytes(data.tobytes())
    return folder, network, data


@pytest.mark.parametrize("file", ["best_performing.hdf5", "network.keras"])
def test_saliency_takes_a_foreign_network_the_dataset_and_a_raw_file(given, file, tmp_path):
    folder, network, data = given
    arguments = [str(folder / file), str(ROOT / DATASET), str(folder / NAME)]
    assert saliency([*arguments, "--method", "gradient", "--output", str(tmp_path)]) == 0
    facts = json.loads(next(tmp_path.glob("*/map.json")).read_text())
    expected = network.predict(np.moveaxis(data, 0, -1)[None], verbose=0)[0, 0]
    assert facts["value"] == pytest.approx(float(expected), rel=1e-5)
    assert facts["target"] == "output 0"
    assert facts["sample"] == "2014-01-11T08:01:00"  # known at the end of its minute


def test_deconvolution_takes_them_too(given, tmp_path):
    folder, *_ = given
    arguments = [str(folder / "best_performing.hdf5"), str(ROOT / DATASET), str(folder / NAME)]
    assert deconvolve([*arguments, "--top", "2", "--output", str(tmp_path)]) == 0
    facts = json.loads(next(tmp_path.glob("*/filters.json")).read_text())
    assert facts["layer"] == "filters"
    assert len(facts["filters"]) == 2


def test_a_dataset_s_script_is_found_from_any_folder(given, tmp_path, monkeypatch):
    folder, *_ = given
    monkeypatch.chdir(tmp_path)
    arguments = [str(folder / "network.keras"), DATASET, str(folder / NAME)]
    assert saliency([*arguments, "--method", "gradient", "--output", str(tmp_path / "o")]) == 0


def test_what_a_foreign_network_can_not_be_given_is_a_sentence(given, tmp_path):
    folder, *_ = given
    network = str(folder / "network.keras")
    with pytest.raises(ValueError, match="belongs to no run, so its data are not known"):
        embed([network, str(ROOT / DATASET)])
    with pytest.raises(ValueError, match="no problem of this suite takes its samples from"):
        saliency([network, str(ROOT / "dataset_models/splits.py"), str(folder / NAME)])
    with pytest.raises(FileNotFoundError, match="no such dataset"):
        saliency([network, "dataset_models/fdl_9.py", str(folder / NAME)])
    small = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten()])
    small.save(tmp_path / "three.keras")
    with pytest.raises(ValueError, match="square images of 8 channels"):
        saliency([str(tmp_path / "three.keras"), str(ROOT / DATASET), str(folder / NAME)])


def test_the_seed_s_file_is_written_on_request_and_is_the_best_network(tmp_path, capsys):
    options = ["--virtual-years", "7", "--cadence-h", "48", "--history-h", "96", "--width", "8"]
    options += ["--epochs", "1", "--bootstrap-draws", "20", "--skip-leak-table"]
    options += ["--output", str(tmp_path)]
    assert history_only.main(options) == 0
    (run,) = tmp_path.iterdir()
    assert not (run / LEGACY_NETWORK).exists()
    assert history_only.main([*options, "--legacy-format"]) == 0  # of the finished run
    assert [p.name for p in tmp_path.iterdir()] == [run.name]
    old, new = load_network(run / LEGACY_NETWORK), load_network(run / "best_performing.keras")
    history = np.random.default_rng(0).gamma(1, 1e-6, (5, 96, 3)).astype(np.float32)
    answers = [n.predict({"flare_history": history}, verbose=0) for n in (old, new)]
    np.testing.assert_allclose(*answers, rtol=1e-5)
