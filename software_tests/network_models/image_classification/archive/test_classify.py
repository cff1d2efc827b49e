"""The command: what a catalogue holds, what stops nothing, what is refused, and kills."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

import network_models.image_classification.archive.traversal as traversal
import tools.atomic_files
import tools.long_work.journal
from dataset_models.solar_scenes.classes import OUTPUTS
from network_models.image_classification.classifier import ClassifierSettings
from network_models.image_classification.classify import main
from software_tests.network_models.image_classification.small_classifier import (
    CARDS,
    write_frames,
    write_model,
)
from software_tests.network_models.training.faulty_disk import FaultyDisk, SimulatedKill

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "run")


@pytest.fixture
def data(tmp_path):
    return write_frames(tmp_path / "data")


def classify(model, data, *more):
    output = data.parent / "out"
    return main([str(model), str(data), "--output", str(output), *map(str, more)])


def listed(data, name="catalogue.csv"):
    with open(data.parent / "out" / name, newline="") as file:
        return list(csv.DictReader(file))


def softmax(logits):
    weight = np.exp(logits - np.max(logits))
    return weight / weight.sum()


def expected_probability(mean):
    """Return what the small network says of an image of this mean."""
    return softmax(np.array([-10, -10, -10, 10, 0.2 * mean - 11, -10]) / 2.0)


def test_each_frame_has_its_row(model, data, capsys):
    assert classify(model, data) == 0
    text = capsys.readouterr().out
    assert "5 files classified, 0 were there, 0 failed; 0 regions" in text
    assert "3 quiet, 2 sunspots" in text
    rows = listed(data)
    assert [Path(row["file"]).name for row in rows] == [f"frame{k}.fits" for k in range(5)]
    for k, row in enumerate(rows):
        image = fits.getdata(data / f"frame{k}.fits")
        probability = expected_probability(image.mean())
        found = [float(v) for key, v in row.items() if key.startswith("p_")]
        assert found == pytest.approx(probability, abs=2e-3)  # float32 after a temperature
        assert row["class"] == ("sunspots" if k % 2 else "quiet")
        five = max(found[:5]) / (1 - found[5])  # given that it is one of the five
        assert float(row["probability"]) == pytest.approx(five, abs=2e-5)
        assert row["time"] == CARDS["DATE-OBS"]
        assert (row["x_px"], row["y_px"]) == ("64.5", "59.5")
        # the middle of the frame is the reference pixel
        assert float(row["hpc_x_arcsec"]) == pytest.approx(300, abs=1e-3)
        assert float(row["hpc_y_arcsec"]) == pytest.approx(-200, abs=1e-3)
        assert float(row["area_arcsec2"]) == pytest.approx(120 * 130 * 0.25, rel=1e-4)
        assert len(row["model"]) == 16
        assert row["reason"] == ""


def test_the_table_says_the_same(model, data):
    (data / "broken.fits").write_bytes(b"SIMPLE")
    classify(model, data, "--tiles")
    rows = listed(data)
    with fits.open(data.parent / "out/catalogue.fits") as hdus:
        hdus.verify("exception")
        table = hdus["CATALOGUE"].data
        assert len(table) == len(rows)
        for row, cells in zip(rows, table, strict=True):
            assert [cells[n] for n in ("file", "class", "prediction_set", "reason")] == [
                row[n] for n in ("file", "class", "prediction_set", "reason")
            ]
            assert cells["region"] == int(row["region"])
            if not row["reason"]:
                assert cells["hpc_x_arcsec"] == float(row["hpc_x_arcsec"])
                assert cells["abstain"] == (row["abstain"] == "1")
        assert np.isnan(table["probability"][[bool(row["reason"]) for row in rows]]).all()
        assert hdus["CATALOGUE"].columns["area_arcsec2"].unit == "arcsec2"


def test_regions_lie_where_the_feature_is(model, data):
    assert classify(model, data, "--tiles", "--tile", 32, "--stride", 8) == 0
    rows = listed(data)
    regions = [row for row in rows if row["region"] != "0"]
    assert [Path(row["file"]).name for row in regions] == ["frame1.fits", "frame3.fits"]
    for row in regions:
        assert row["class"] == "sunspots"
        assert row["prediction_set"] == "sunspots"
        assert row["abstain"] == "0"
        # bright from column 65 to 129: a tile is called sunspots above a mean of 105, that is
        # where a third of it is bright; the blending spreads its votes over half a tile
        assert float(row["x_px"]) == pytest.approx(97, abs=8)
        assert float(row["y_px"]) == pytest.approx(59.5, abs=1)
        assert 0.4 * 120 * 130 < int(row["area_px"]) < 0.7 * 120 * 130
        assert float(row["area_arcsec2"]) == pytest.approx(int(row["area_px"]) / 4, rel=1e-3)
        x = 300 + (float(row["x_px"]) - 64.5) * 0.5
        assert float(row["hpc_x_arcsec"]) == pytest.approx(x, abs=0.01)


def test_maps_and_charts_are_written(model, data):
    arguments = ["--tiles", "--map", "--bar-chart", "--tile", 32, "--map-bin", 7]
    assert classify(model, data, *arguments) == 0
    out = data.parent / "out"
    rows = [row for row in listed(data) if row["region"] == "0"]
    assert len({row["map"] for row in rows}) == 5
    assert len(list((out / "charts").glob("*.png"))) == 5
    with fits.open(out / rows[1]["map"]) as hdus:
        hdus.verify("exception")
        header, cube = hdus[0].header, hdus[0].data
        assert cube.shape == (6, 18, 19)
        assert cube[:5].sum(axis=0) == pytest.approx(np.ones((18, 19)), abs=1e-5)
        assert [header[f"CLASS{k}"] for k in range(1, 7)] == list(OUTPUTS)
        assert cube[4, 9, 15] > 0.99
        image = WCS(fits.Header({k: v for k, v in CARDS.items() if k != "DATE-OBS"}))
        written = WCS(header, naxis=2)
        given = image.wcs_pix2world([(3 * 7 + 3, 5 * 7 + 3)], 0)
        assert written.wcs_pix2world([(3, 5)], 0) == pytest.approx(given, abs=1e-9)
    assert (out / rows[1]["map"]).with_suffix(".png").stat().st_size > 1000


def test_bad_files_are_listed_and_stop_nothing(model, data, capsys):
    whole = (data / "frame0.fits").read_bytes()
    (data / "a_cut.fits").write_bytes(whole[: len(whole) // 2])
    (data / "b_empty.fits").write_bytes(b"")
    fits.writeto(data / "c_rgb.fits", np.ones((3, 120, 130), np.float32))
    fits.writeto(data / "d_small.fits", np.random.default_rng(0).normal(size=(60, 90)))
    fits.writeto(data / "e_table.fits", np.full((120, 130), np.nan, np.float32))
    (data / "notes.txt").write_text("no frame")
    assert classify(model, data) == 0
    text = capsys.readouterr().out
    assert "10 files" in text
    assert "5 failed" in text
    assert "left out: notes.txt: not FITS, by its name" in text
    rows = listed(data)
    assert len(rows) == 10
    reasons = {Path(r["file"]).name: r["reason"] for r in rows if r["reason"]}
    assert len(reasons) == 5
    assert "colour picture" in reasons["c_rgb.fits"]
    assert "90 x 60 pixels is smaller than a tile of 96 x 96" in reasons["d_small.fits"]
    assert all(name in reason for name, reason in reasons.items())
    assert not any("defect" in reason for reason in reasons.values())


def test_if_every_file_failed_the_status_says_so(model, tmp_path, capsys):
    Image.new("RGB", (200, 200), "red").save(tmp_path / "sun.png")
    status = main([str(model), str(tmp_path / "sun.png"), "--output", str(tmp_path / "out")])
    assert status == 1
    assert "PNG picture" in capsys.readouterr().out


def test_a_frame_without_coordinates_has_no_place(model, data):
    fits.writeto(data / "frame0.fits", fits.getdata(data / "frame0.fits"), overwrite=True)
    assert classify(model, data) == 0
    row = listed(data)[0]
    assert row["hpc_x_arcsec"] == row["hpc_y_arcsec"] == row["area_arcsec2"] == row["time"] == ""
    assert row["class"] == "quiet"


def test_large_frames_are_searched_by_themselves(model, tmp_path):
    data = write_frames(tmp_path / "data", n=2, shape=(260, 300))
    assert classify(model, data, "--tile", 32) == 0
    assert [row["region"] for row in listed(data)] == ["0", "0", "1"]
    shutil.rmtree(tmp_path / "out")
    assert classify(model, data, "--tile", 32, "--whole") == 0
    assert [row["region"] for row in listed(data)] == ["0", "0"]


def test_more_files_are_added_and_changed_ones_made_anew(model, data, capsys):
    assert classify(model, data) == 0
    first = listed(data)
    shutil.copy(data / "frame1.fits", data / "frame0b.fits")
    changed = fits.getdata(data / "frame4.fits") + 200
    fits.writeto(data / "frame4.fits", changed, fits.Header(CARDS), overwrite=True)
    os.utime(data / "frame4.fits", ns=(1, 1))
    capsys.readouterr()
    assert classify(model, data) == 0
    assert "2 files classified, 4 were there" in capsys.readouterr().out
    rows = listed(data)
    assert [Path(r["file"]).name[5:7] for r in rows] == ["0.", "0b", "1.", "2.", "3.", "4."]
    assert rows[5]["class"] == "sunspots"
    assert [rows[k] for k in (0, 2, 3, 4)] == first[:4]
    (data / "frame2.fits").unlink()
    assert classify(model, data) == 0
    assert len(listed(data)) == 5


def test_a_file_that_is_given_twice_has_one_row(model, data):
    again = data / ".." / "data" / "frame1.fits"
    output = str(data.parent / "out")
    assert main([str(model), str(data), str(again), "--output", output]) == 0
    assert [Path(row["file"]) for row in listed(data)] == sorted(data.glob("*.fits"))


def test_a_lost_map_is_made_again(model, data, capsys):
    assert classify(model, data, "--map") == 0
    lost = data.parent / "out" / listed(data)[2]["map"]
    lost.unlink()
    capsys.readouterr()
    assert classify(model, data, "--map") == 0
    assert "1 files classified, 4 were there" in capsys.readouterr().out
    assert lost.is_file()


def test_a_kill_at_any_write_repeats_and_loses_nothing(model, data, monkeypatch):
    (data / "broken.fits").write_bytes(b"SIMPLE")
    monkeypatch.setattr(traversal, "_FRAMES_AT_ONCE", 2)
    assert classify(model, data, "--tiles", "--tile", 32) == 0
    out = data.parent / "out"
    expected = {n: (out / n).read_bytes() for n in ("catalogue.csv", "catalogue.fits")}
    for n in range(1, 100):
        shutil.rmtree(out)
        disk = FaultyDisk(n)
        with monkeypatch.context() as patch:
            patch.setattr(tools.atomic_files, "os", disk)
            patch.setattr(tools.long_work.journal, "os", disk)
            if not disk_died(lambda: classify(model, data, "--tiles", "--tile", 32)):
                break
        assert classify(model, data, "--tiles", "--tile", 32) == 0
        assert {name: (out / name).read_bytes() for name in expected} == expected
        assert not list(out.glob(".*"))
    assert n > 15  # options, six files in five batches or more, two tables: two operations each


def disk_died(call):
    try:
        call()
    except SimulatedKill:
        return True
    return False


def test_kill_9_in_another_process(model, data):
    out = data.parent / "out"
    module = "software_tests.network_models.image_classification.small_classifier"
    command = [sys.executable, "-m", module, str(model), str(data), str(out), "5"]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "catalogue.fits").exists()
    assert classify(model, data) == 0
    assert len(listed(data)) == 5


def test_ctrl_c_leaves_with_a_sentence(model, data, monkeypatch, run_command):
    code = "import signal, sys; from tools.command_line import run_script\n"
    code += "import network_models.image_classification.archive.traversal as t\n"
    code += "from network_models.image_classification.classify import main\n"
    code += "def stop(*a): raise KeyboardInterrupt\n"
    code += "t.write_tables = stop\n"
    code += "run_script(lambda: main(sys.argv[1:]))"
    arguments = [str(model), str(data), "--output", str(data.parent / "out")]
    stopped = run_command("-c", code, *arguments, check=False)
    assert stopped.returncode == 130
    assert "give the same command again" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert classify(model, data) == 0
    assert len(listed(data)) == 5


def test_what_can_not_be_done_gets_a_sentence(model, data, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="no FITS files in"):
        main([str(model), str(empty), "--output", str(tmp_path / "o")])
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        main([str(model), str(tmp_path / "nowhere"), "--output", str(tmp_path / "o")])
    with pytest.raises(FileNotFoundError, match="no such model"):
        main([str(tmp_path / "nothing"), str(data), "--output", str(tmp_path / "o")])
    with pytest.raises(FileNotFoundError, match="holds no best_performing"):
        main([str(empty), str(data), "--output", str(tmp_path / "o")])
    (tmp_path / "bad.keras").write_bytes(b"PK no network")
    with pytest.raises(ValueError, match="damaged"):
        main([str(tmp_path / "bad.keras"), str(data), "--output", str(tmp_path / "o")])
    with pytest.raises(ValueError, match="exclude one another"):
        classify(model, data, "--whole", "--tiles")
    with pytest.raises(ValueError, match="--map-bin <= --stride <= --tile"):
        classify(model, data, "--stride", 100)
    assert not (tmp_path / "o").exists()


def test_a_folder_of_other_options_is_refused(model, data, tmp_path):
    assert classify(model, data) == 0
    before = listed(data)
    with pytest.raises(ValueError, match="threshold was 0.5, is 0.7"):
        classify(model, data, "--threshold", 0.7)
    with pytest.raises(ValueError, match="inputs was"):
        main([str(model), str(data / "frame0.fits"), "--output", str(tmp_path / "out")])
    assert listed(data) == before
    with pytest.raises(ValueError, match="holds other files"):
        main([str(model), str(data), "--output", str(data)])


def test_settings_come_back(model, tmp_path):
    settings = ClassifierSettings.from_json(model / "classes.json")
    settings.to_json(tmp_path / "classes.json")
    assert ClassifierSettings.from_json(tmp_path / "classes.json") == settings
    ClassifierSettings().to_json(tmp_path / "plain.json")
    assert ClassifierSettings.from_json(tmp_path / "plain.json") == ClassifierSettings()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"temperature": 3.0}, "was made for 3"),
        ({"temperature": -1}, "above 0"),
        ({"classes": ["a"]}, "expected the classes"),
        ({"abstain": {"score": "x", "threshold": 1, "coverage": 1}}, "abstention score"),
        ({"conformal": {"level": 0.9}}, "lacks 'threshold'"),
        ({"tile": "wide"}, "invalid literal"),
    ],
)
def test_damaged_settings_get_a_sentence(model, data, tmp_path, change, text):
    run = tmp_path / "run"
    shutil.copytree(model, run)
    value = json.loads((run / "classes.json").read_text()) | change
    (run / "classes.json").write_text(json.dumps(value))
    with pytest.raises(ValueError, match=text):
        classify(run, data)


def test_a_network_of_other_shapes_is_refused(data, tmp_path):
    import keras

    image = keras.Input((64, 64, 3), name="image")
    network = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(image)))
    network.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="expected a network from images"):
        classify(tmp_path / "other.keras", data)


def test_a_network_without_settings_has_no_sets(model, data, tmp_path):
    shutil.copy(model / "best_performing.keras", tmp_path / "alone.keras")
    assert classify(tmp_path / "alone.keras", data) == 0
    assert all(row["prediction_set"] == "" for row in listed(data))
