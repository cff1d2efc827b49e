"""Networks on images, from the command line to the report, on a small virtual Sun."""

import csv
import json
import re

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.store import ImageStore
from network_models.files.safe_loading import load_network
from network_models.xray_flux_forecast.fdl1 import aia_and_goes, aia_only
from network_models.xray_flux_forecast.forecast import main as forecast
from network_models.xray_flux_forecast.forecast_request import ForecastRequest
from network_models.xray_flux_forecast.image_forecast import forecast_images
from tools.channels import AIA_CHANNELS
from tools.run_folder import RunFolder

SMALL = ["--smoke", "--virtual-years", "3", "--cadence-h", "48", "--size", "16", "--epochs", "2"]
SMALL += ["--history-h", "168", "--bootstrap-draws", "50"]
QUICK = [*SMALL, "--skip-leak-table"]


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
    np.testing.assert_allclose(*outputs, rtol=1e-5)


@pytest.fixture(scope="module")
def both_run(tmp_path_factory, stores):
    """Return a finished run on images and flare history."""
    output = tmp_path_factory.mktemp("trained_models")
    assert aia_and_goes.main([*QUICK, "--stores", stores, "--output", str(output)]) == 0
    (run,) = output.iterdir()
    return run


def test_images_and_history_together(both_run):
    network = load_network(both_run / "best_performing.keras")
    assert "flare_history" in {i.name for i in network.inputs}


def test_forecasts_from_the_run_s_own_store_are_those_of_the_run(image_run, tmp_path, capsys):
    store = ImageStore(json.loads((image_run / "config.json").read_text())["data"]["store"])
    table = tmp_path / "table.csv"
    assert forecast([str(image_run), str(store.path), "--output", str(table)]) == 0
    assert "trained on the virtual Sun (synthetic)" in capsys.readouterr().out
    found = {row["time"]: row for row in csv.DictReader(table.read_text().splitlines())}
    own = list(csv.DictReader((image_run / "performance/predictions.csv").read_text().splitlines()))
    assert len(own) > 50
    for row in own:
        for name in ("P(>=C1)", "log10_flux_q50"):
            assert float(found[row["time"]][name]) == pytest.approx(float(row[name]), abs=2e-4)


def aia_file(path, channel, value, time="2014-01-11T08:00:01"):
    cards = {"TELESCOP": "SDO/AIA", "WAVELNTH": channel, "EXPTIME": 2.0}
    cards |= {"DATE-OBS": time, "CDELT1": 38.4, "CDELT2": 38.4}
    cards |= {"CRPIX1": 32.5, "CRPIX2": 32.5, "CRVAL1": 0.0, "CRVAL2": 0.0}
    fits.PrimaryHDU(np.full((64, 64), value, np.float32), fits.Header(cards)).writeto(path)
    return str(path)


def test_forecasts_from_fits_files_and_maps_say_what_is_missing(image_run, tmp_path, capsys):
    files = [aia_file(tmp_path / f"{c}.fits", c, 50.0) for c in AIA_CHANNELS if c != 335]
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE")
    assert forecast([str(image_run), *files, str(tmp_path / "broken.fits")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("left out: broken.fits") for line in lines)
    (line,) = [line for line in lines if line.startswith("2014-01-11 08:01")]
    assert "UNLIKE TRAINING: without 335 Å" in line
    maps = [_Map(path) for path in files]
    run = RunFolder(image_run)
    from_maps = forecast_images(ForecastRequest(run, tuple(maps)))
    from_files = forecast_images(ForecastRequest(run, tuple(files)))
    np.testing.assert_allclose(from_maps.output, from_files.output, rtol=1e-5)


def test_a_time_without_an_image_is_named(image_run, tmp_path, capsys):
    files = [aia_file(tmp_path / f"{c}.fits", c, 50.0) for c in AIA_CHANNELS]
    times = ["2014-01-11T08:10", "2014-01-12T08:10"]
    assert forecast([str(image_run), *files, "--at", *times]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("left out: 2014-01-12T08:10:00: not all") for line in lines)
    assert sum(line.startswith("2014-01-1") for line in lines) == 1


class _Map:
    """What a sunpy Map has that readers use."""

    def __init__(self, path):
        with fits.open(path) as hdus:
            self.data, self.meta = hdus[0].data, dict(hdus[0].header)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.fits"], "no such file or folder"),
        (["docs"], "holds no FITS file"),
        (["README.md"], "can't be read as FITS"),
        (["docs", "--every", "6"], "images have their own times"),
        (["docs", "docs"], "one store or one folder"),
        (["docs", "--side", "nowhere.csv"], "no such table"),
    ],
)
def test_impossible_images_are_refused(image_run, arguments, message):
    with pytest.raises((ValueError, OSError), match=message):
        forecast([str(image_run), *arguments])


def test_the_answer_as_input_is_learned_and_writes_no_score(stores, tmp_path, capsys):
    options = [*SMALL, "--epochs", "12", "--learning-rate", "0.01", "--sanity"]
    assert aia_only.main([*options, "--stores", stores, "--output", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    found, usual = re.search(r"set: ([\d.]+) dex; always the same: ([\d.]+) dex", text).groups()
    assert float(found) < 0.6 * float(usual)
    assert "No run folder and no score were written" in text
    assert not list(tmp_path.iterdir())


def test_a_network_that_does_not_learn_the_answer_fails_the_sanity_check(stores, tmp_path, capsys):
    options = [*SMALL, "--epochs", "1", "--learning-rate", "1e-9", "--sanity"]
    assert aia_only.main([*options, "--stores", stores, "--output", str(tmp_path)]) == 1
    assert "did NOT learn the answer" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def flux_run(tmp_path_factory, stores):
    """Return a finished run on images and the current flux."""
    output = tmp_path_factory.mktemp("trained_models")
    options = [*QUICK, "--side-channel", "current_flux"]
    assert aia_only.main([*options, "--stores", stores, "--output", str(output)]) == 0
    (run,) = output.iterdir()
    return run


def test_the_current_flux_beside_the_images(flux_run):
    config = json.loads((flux_run / "config.json").read_text())
    assert config["data"]["side_columns"] == ["log10 of the current 1-8 A flux (W m-2)"]
    network = load_network(flux_run / "best_performing.keras")
    assert "side" in {i.name for i in network.inputs}
    with pytest.raises(ValueError, match="give X-ray files with --flares"):
        forecast([str(flux_run), config["data"]["store"]])


def test_only_a_flux_of_the_last_half_hour_is_current(flux_run, goes_15_day, tmp_path, capsys):
    files = []
    for day in ("06T23:50:01", "07T06:20:01", "08T00:20:01", "08T00:40:01"):
        folder = tmp_path / day.replace(":", "")
        folder.mkdir()
        files += [aia_file(folder / f"{c}.fits", c, 50.0, f"2011-06-{day}") for c in AIA_CHANNELS]
    assert forecast([str(flux_run), *files, "--flares", str(goes_15_day)]) == 0
    lines = capsys.readouterr().out.splitlines()
    made = [line[:16] for line in lines if line.startswith("2011-06-0")]
    assert made == ["2011-06-07 06:21", "2011-06-08 00:21"]  # the file ends at midnight
    left = [line[10:26] for line in lines if "the side columns are not known" in line]
    assert left == ["2011-06-06T23:51", "2011-06-08T00:41"]


def test_x_ray_files_serve_runs_whose_history_is_of_flare_lists(both_run, goes_15_day, tmp_path):
    files = [aia_file(tmp_path / f"{c}.fits", c, 50.0, "2011-06-07T12:00:01") for c in AIA_CHANNELS]
    table = tmp_path / "table.csv"
    arguments = [str(both_run), *files, "--flares", str(goes_15_day), "--output", str(table)]
    assert forecast(arguments) == 0
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert 0 < float(row["P(>=C1)"]) < 1


def test_images_that_do_not_reach_the_disc_are_left_out(image_run, tmp_path):
    files = [aia_file(tmp_path / f"{c}.fits", c, np.nan) for c in AIA_CHANNELS]
    with pytest.raises(ValueError, match="no image is good|no channel covers the disc"):
        forecast([str(image_run), *files])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "give --flares"),
        (["--data", "nowhere", "--flares", "x.csv"], "no such folder: nowhere"),
        (["--data", "docs", "--flares", "x.csv"], "no image can be read"),
        (["--frames", "5"], "--frames must be 1 to 4"),
        (["--size", "0"], "--size must be 1 or more"),
        (["--side", "x.csv"], "no such table of side columns"),
        (["--side", "x.csv", "--side-channel", "current_flux"], "not both"),
        (["--size", "8"], "16 to 4096 pixels"),
    ],
)
def test_impossible_options_are_refused(arguments, message, tmp_path):
    with pytest.raises((ValueError, OSError), match=message):
        aia_only.main([*SMALL, "--stores", str(tmp_path), "--output", str(tmp_path), *arguments])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hmi"], "is a store, made already: --hmi and"),
        (["--degradation-corrected"], "is a store, made already: --hmi and"),
        (["--size", "48"], "a store of 16 x 16 pixels; leave --size out"),
    ],
)
def test_options_for_folders_are_refused_beside_a_store(image_run, tmp_path, options, message):
    store = json.loads((image_run / "config.json").read_text())["data"]["store"]
    given = ["--data", store, "--flares", "x.csv", "--output", str(tmp_path), *options]
    with pytest.raises(ValueError, match=message):
        aia_only.main(given)


def test_a_virtual_store_has_its_own_labels(image_run, tmp_path):
    store = json.loads((image_run / "config.json").read_text())["data"]["store"]
    with pytest.raises(ValueError, match="labels come from its own record"):
        aia_only.main(["--data", store, "--flares", "x.csv", "--output", str(tmp_path)])
