"""Networks on images, from the command line to the report, on a small virtual Sun."""

import json

import numpy as np
import pytest

from dataset_models.store import ImageStore
from network_models.model_files import load_network
from network_models.xray_flux_forecast.fdl1 import aia_and_goes, aia_only
from network_models.xray_flux_forecast.forecast import main as forecast

SMALL = ["--smoke", "--virtual-years", "3", "--cadence-h", "48", "--size", "16", "--epochs", "2"]
SMALL += ["--history-h", "168", "--bootstrap-draws", "50"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return str(tmp_path_factory.mktemp("image_stores"))


@pytest.fixture(scope="module")
def image_run(tmp_path_factory, stores):
    output = tmp_path_factory.mktemp("trained_models")
    assert aia_only.main([*SMALL, "--stores", stores, "--output", str(output)]) == 0
    (run,) = output.iterdir()
    return run


def test_scores_stand_beside_disc_totals_and_the_exact_forecast(image_run):
    card = json.loads((image_run / "performance/skill.json").read_text())
    scores = card["events"][">=C1"]["scores"]
    assert {"exact", "network", "disc totals", "logistic", "persistence"} <= set(scores)
    assert "network - disc totals" in card["events"][">=C1"]["differences"]
    report = (image_run / "report.html").read_text()
    assert "1 image(s) of 16 x 16 pixels in 8 channels" in report
    assert "virtual Sun (synthetic)" in report


def test_the_run_knows_its_images(image_run, stores):
    data = json.loads((image_run / "config.json").read_text())["data"]
    store = ImageStore(data["store"])
    assert data["store"].startswith(stores)
    assert data["store_fingerprint"] == store.fingerprint()


def test_the_network_takes_brightness_and_gives_a_distribution(image_run, generator):
    network = load_network(image_run / "best_performing.keras")
    assert {i.name for i in network.inputs} == {"aia", "aia_present"}
    images = generator.gamma(1, 50, (3, 1, 16, 16, 8)).astype(np.float32)
    given = {"aia": images, "aia_present": np.ones((3, 1, 8), np.float32)}
    np.testing.assert_allclose(np.asarray(network(given)).sum(axis=1), 1, atol=1e-5)


def test_a_missing_channel_does_not_reach_the_forecast(image_run, generator):
    network = load_network(image_run / "best_performing.keras")
    images = generator.gamma(1, 50, (1, 1, 16, 16, 8)).astype(np.float32)
    present = np.ones((1, 1, 8), np.float32)
    present[0, 0, 4] = 0
    other = images.copy()
    other[..., 4] = 1e4
    outputs = [np.asarray(network({"aia": i, "aia_present": present})) for i in (images, other)]
    np.testing.assert_array_equal(*outputs)


def test_images_and_history_together(tmp_path, stores):
    assert aia_and_goes.main([*SMALL, "--stores", stores, "--output", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    network = load_network(run / "best_performing.keras")
    assert "flare_history" in {i.name for i in network.inputs}


def test_forecasting_from_lists_with_an_image_run_is_refused(image_run, tmp_path):
    (tmp_path / "flares.csv").write_text("x")
    with pytest.raises(ValueError, match="was trained on images"):
        forecast([str(image_run), str(tmp_path / "flares.csv")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "give --flares"),
        (["--data", "nowhere", "--flares", "x.csv"], "nowhere is no store"),
        (["--data", "docs", "--flares", "x.csv"], "no AIA image can be read"),
        (["--frames", "5"], "1 to 4 frames"),
        (["--size", "0"], "--size must be 1 or more"),
        (["--side", "x.csv"], "take no side columns"),
        (["--size", "8"], "16 to 4096 pixels"),
    ],
)
def test_impossible_options_are_refused(arguments, message, tmp_path):
    with pytest.raises((ValueError, OSError), match=message):
        aia_only.main([*SMALL, "--stores", str(tmp_path), "--output", str(tmp_path), *arguments])


def test_a_virtual_store_has_its_own_labels(image_run, tmp_path):
    store = json.loads((image_run / "config.json").read_text())["data"]["store"]
    with pytest.raises(ValueError, match="labels come from its own record"):
        aia_only.main(["--data", store, "--flares", "x.csv", "--output", str(tmp_path)])
