"""Ensembles: equal weights, only common unseen times, refusals; runs opened again."""

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dataset_models.SDO.AIA.fdl_1 import FDL1
from network_models.training.reopen import reopen_run
from network_models.xray_flux_forecast.ensemble import _common_split, _require_alike, main
from network_models.xray_flux_forecast.history_only import main as train
from software_tests.conftest import SMALL


@pytest.fixture(scope="module")
def runs(tmp_path_factory, finished_run):
    """Return two small runs that differ in their seed."""
    folder = tmp_path_factory.mktemp("trained_models")
    assert (
        train(
            [*SMALL, "--epochs", "1", "--seed", "1", "--skip-leak-table", "--output", str(folder)]
        )
        == 0
    )
    (other,) = folder.iterdir()
    return [str(finished_run), str(other)]


def column(path, name):
    with open(path) as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


def test_a_run_is_opened_again_with_its_own_data(runs):
    opened = reopen_run(runs[1])
    assert opened.config.seed == 1
    assert opened.data.dataset.fingerprint() == opened.run.config["data"]["fingerprint"]
    assert opened.run.config["split"]["test"]["samples"] == len(opened.data.split.test)
    assert opened.network().name == "history_only"


def test_the_ensemble_is_the_mean_of_its_members(runs, tmp_path):
    assert main([*runs, "--output", str(tmp_path), "--bootstrap-draws", "20"]) == 0
    (run,) = tmp_path.iterdir()
    found = column(run / "performance/predictions.csv", "P(>=C1)")
    members = [column(f"{path}/performance/predictions.csv", "P(>=C1)") for path in runs]
    np.testing.assert_allclose(found, np.mean(members, axis=0), atol=2e-5)
    card = json.loads((run / "performance/skill.json").read_text())
    scores = card["events"][">=C1"]["scores"]
    own = json.loads(Path(runs[0], "performance/skill.json").read_text())
    name = f"flare history ({runs[0].split('/')[-1]})"
    assert scores[name]["Brier"][0] == pytest.approx(
        own["events"][">=C1"]["scores"]["network"]["Brier"][0], abs=1e-6
    )
    worst = max(scores[n]["Brier"][0] for n in scores if n.startswith("flare history"))
    assert scores["network"]["Brier"][0] < worst  # the Brier score is convex
    assert (run / "report.html").exists()
    assert json.loads((run / "config.json").read_text())["members"] == runs


def changed(opened, **options):
    return replace(opened, config=replace(opened.config, **options))


def test_what_can_not_be_combined_is_refused(runs, tmp_path):
    opened = reopen_run(runs[0])
    with pytest.raises(ValueError, match="only forecasts of the same thing"):
        _require_alike([opened, changed(opened, delay_h=12)])
    record = opened.data.dataset.record
    other = SimpleNamespace(record=replace(record, peak_flux=record.peak_flux * 1.01))
    elsewhere = SimpleNamespace(
        run=opened.run, config=opened.config, data=SimpleNamespace(dataset=other)
    )
    with pytest.raises(ValueError, match="trained on different records"):
        _require_alike([opened, elsewhere])
    split = opened.data.split
    apart = SimpleNamespace(data=replace(opened.data, split=replace(split, test=split.validation)))
    with pytest.raises(ValueError, match="no time in common in their test sets"):
        _common_split([opened, apart])
    with pytest.raises(ValueError, match="two or more runs"):
        main(runs[:1])
    with pytest.raises(ValueError, match="named twice"):
        main([runs[0], runs[0]])
    with pytest.raises(ValueError, match="is no run folder"):
        main([runs[0], str(tmp_path / "nowhere")])


def test_a_run_whose_data_have_changed_is_refused(runs, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    config = json.loads((copy / "config.json").read_text())
    config["data"]["fingerprint"] = "0" * 16
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no longer what it was trained on"):
        _ = reopen_run(str(copy)).data
    (copy / "report.html").unlink()
    with pytest.raises(ValueError, match="is not finished"):
        _ = reopen_run(str(copy)).data


def test_a_script_that_is_none_of_ours_is_never_imported(runs, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    config = json.loads((copy / "config.json").read_text())
    for script in ("antigravity.py", "../elsewhere.py", "tools/command_line.py", "antigravity"):
        (copy / "config.json").write_text(json.dumps(config | {"script": script}))
        with pytest.raises(ValueError, match="none of this suite's training scripts and is no"):
            reopen_run(str(copy))
    assert "antigravity" not in sys.modules


def test_members_on_images_come_first_in_whatever_order_they_are_given(monkeypatch):
    def images():
        return SimpleNamespace(run=None, data=SimpleNamespace(dataset=object.__new__(FDL1)))

    def history():
        return SimpleNamespace(run=None, data=SimpleNamespace(dataset=object()))

    members = {"a": history(), "b": images(), "c": history(), "d": images()}
    combined = []
    ensemble = "network_models.xray_flux_forecast.ensemble"
    monkeypatch.setattr("network_models.training.reopen.reopen_run", members.get)
    monkeypatch.setattr(
        "network_models.xray_flux_forecast.flux_forecast.bins_of_run", lambda run: None
    )
    monkeypatch.setattr(f"{ensemble}._combine", lambda found, *_: combined.extend(found) or 0)
    assert main(list(members)) == 0
    assert [name for m in combined for name in members if members[name] is m] == list("bdac")
