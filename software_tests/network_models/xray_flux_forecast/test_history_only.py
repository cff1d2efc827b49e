"""The main command on a small virtual Sun: run folder, scores, report, mistakes."""

import csv
import json
import re

import numpy as np
import pytest

from network_models.xray_flux_forecast.history_only import HistoryConfig, main
from software_tests.conftest import SMALL
from tools.score_card import EVENTS


@pytest.fixture(scope="module")
def skill(finished_run):
    return json.loads((finished_run / "performance/skill.json").read_text())


def test_every_report_holds_the_baselines(skill):
    # regression: FlareNet reported nothing but the loss
    expected = {"network", "logistic", "persistence", "climatology (training)"}
    expected |= {"climatology (test)", "chance", "exact"}
    assert set(skill["forecasters"]) == expected
    for event in (">=C1", ">=M1"):
        assert set(skill["events"][event]["scores"]) == expected
        for scores in skill["events"][event]["scores"].values():
            assert set(scores) == {"TSS", "HSS", "BSS", "BSS_train", "Brier", "log", "ROC"}
            assert all(len(score) == 3 for score in scores.values())
    assert set(skill["flux"]["scores"]["network"]) == {"CRPS", "MAE"}


def test_chance_has_no_skill_and_persistence_scores_like_itself(skill):
    scores = skill["events"][">=C1"]["scores"]
    low, high = scores["chance"]["TSS"][1:]
    assert low < 0.05
    assert high > -0.05
    assert scores["climatology (test)"]["BSS"][0] == pytest.approx(0, abs=1e-9)
    assert scores["persistence"]["log"][0] == "infinite"  # it forecast 0 and was wrong


def test_nobody_beats_the_exact_limit_beyond_its_interval(skill):
    for event in (">=C1", ">=M1"):
        for name in ("network", "logistic"):
            difference = skill["events"][event]["differences"][f"{name} - exact"]
            for score in ("Brier", "log"):
                assert difference[score][2] > 0  # the upper end: not significantly below


def test_predictions_hold_probabilities_quantiles_and_what_came(finished_run):
    with open(finished_run / "performance/predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    chances = np.array([[float(row[f"P({e})"]) for e in EVENTS] for row in rows])
    assert (np.diff(chances, axis=1) <= 1e-9).all()
    assert ((chances >= 0) & (chances <= 1)).all()
    levels = ("05", "16", "50", "84", "95")
    quantiles = np.array([[float(row[f"log10_flux_q{q}"]) for q in levels] for row in rows])
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert all(row["time"].startswith("21") for row in rows)
    assert {"observed_log10_flux", "exact P(>=C1)"} <= set(rows[0])


def test_config_holds_what_later_commands_need(finished_run):
    config = json.loads((finished_run / "config.json").read_text())
    assert config["options"]["history_h"] == 168
    assert {"P(>=C1)", "P(>=X1)", "expected log10 flux"} <= set(config["targets"])
    n_bins = len(config["bins"]["edges"]) + 1
    assert all(len(t["weights"]) == n_bins for t in config["targets"].values())
    assert all(check["passed"] for check in config["audit"])
    assert config["data"]["class_scale"] == "operational"


def test_the_report_is_one_self_contained_page(finished_run):
    page = (finished_run / "report.html").read_text()
    assert "<script" not in page.lower()
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    assert all(link.startswith(("#", "data:image/png")) for link in links)
    for title in (
        "The real Sun first",
        "Data, split and audit",
        "Network and training",
        "Scores on the test set",
        "A year of forecasts",
        "Worst misses",
        "What a random split would have claimed",
        "Versions and how to repeat this",
    ):
        assert f"<h2>{title}</h2>" in page
    assert "synthetic" in page
    assert "Not for operations" in page
    assert len(page) < 5_000_000


def test_the_random_split_flatters_and_is_refused(finished_run):
    leak = json.loads((finished_run / "performance/leak.json").read_text())
    assert any("windows do not overlap" in reason for reason in leak["refusal"])
    neighbours = leak["rows"][0]
    assert neighbours["random"][">=C1"] > neighbours["audited"][">=C1"] + 0.2
    assert neighbours["random"]["MAE"] < neighbours["audited"]["MAE"]


def test_worst_misses_tell_their_cause_from_the_hidden_state(finished_run):
    section = json.loads((finished_run / "performance/misses/section.json").read_text())
    causes = [row[-1] for row in section["tables"][0]["rows"]]
    assert len(causes) == 12
    assert all(re.search("region|primed", cause) for cause in causes)


def test_a_real_flare_list_goes_through_the_same_command(tmp_path, shared, capsys):
    data = shared / "flare/catalogues/goes_flares_1996_2018.csv"
    options = ["--data", str(data), "--epochs", "1", "--cadence-h", "24", "--width", "8"]
    options += ["--bootstrap-draws", "50", "--skip-leak-table", "--output", str(tmp_path)]
    assert main(options) == 0
    (run,) = tmp_path.iterdir()
    page = (run / "report.html").read_text()
    assert "on the real flare record" in page
    assert "test 2011-2018" in page
    skill = json.loads((run / "performance/skill.json").read_text())
    assert "exact" not in skill["forecasters"]
    assert "Brier skill &gt;=C1" not in capsys.readouterr().out


def test_labels_from_the_flux_series_get_the_simulated_limit(tmp_path):
    options = ["--virtual-years", "3", "--virtual-label", "flux", "--cadence-h", "48"]
    options += ["--history-h", "72", "--epochs", "1", "--bootstrap-draws", "20", "--width", "8"]
    assert main([*options, "--skip-leak-table", "--output", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    skill = json.loads((run / "performance/skill.json").read_text())
    assert "simulated" in skill["forecasters"]
    assert "exact" not in skill["forecasters"]
    config = json.loads((run / "config.json").read_text())
    assert config["data"]["label_kind"] == "flux series"


class TestBadInput:
    """Each mistake gets a sentence and a status that is not 0."""

    def script(self, run_command, *arguments):
        script = "network_models/xray_flux_forecast/history_only.py"
        result = run_command(script, *arguments, check=False)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        return result.stderr

    def flares(self, tmp_path, *rows):
        path = tmp_path / "flares.csv"
        header = "Flare Class,Start Time,Peak Time,End Time,Active Region Number"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    def test_unknown_option(self, run_command):
        message = self.script(run_command, "--epoch", "3")
        assert "did you mean --epochs?" in message

    def test_no_such_data(self, run_command, tmp_path):
        message = self.script(run_command, "--data", tmp_path / "none")
        assert "no such file or folder" in message

    def test_empty_list(self, run_command, tmp_path):
        message = self.script(run_command, "--data", self.flares(tmp_path))
        assert "the flare list is empty" in message

    def test_nan_class(self, run_command, tmp_path):
        row = "NaN,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,0"
        message = self.script(run_command, "--data", self.flares(tmp_path, row))
        assert "line 2: expected a flare class" in message

    def test_too_short_for_a_sample(self, run_command, tmp_path):
        row = "M1.0,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,0"
        message = self.script(run_command, "--data", self.flares(tmp_path, row))
        assert "672 h of history" in message

    def test_too_short_for_the_split(self, run_command, tmp_path):
        rows = [
            f"C1.0,2011-{m:02d}-07T06:16Z,2011-{m:02d}-07T06:41Z,2011-{m:02d}-07T06:59Z,0"
            for m in (1, 2, 3)
        ]
        message = self.script(run_command, "--data", self.flares(tmp_path, *rows))
        assert "too short" in message

    def test_a_folder_without_x_ray_files(self, run_command, tmp_path):
        (tmp_path / "notes.txt").write_text("hello")
        message = self.script(run_command, "--data", tmp_path)
        assert "holds no GOES X-ray file" in message

    def test_a_side_column_that_is_the_answer(self, run_command, tmp_path):
        from dataset_models.virtual_sun.parameters import FlareProcessParameters
        from dataset_models.virtual_sun.process import simulate_record
        from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record

        record = virtual_flare_record(simulate_record(FlareProcessParameters(), years=9, seed=1))
        hour = np.timedelta64(3600, "s")
        times = VIRTUAL_START + np.arange(0, 9 * 8766 - 30, 12) * hour
        from dataset_models.GOES.targets import window_flux

        answer = window_flux(record, times, delay=0 * hour, catch=24 * hour)
        lines = [f"{t},{v}" for t, v in zip(times, answer, strict=True)]
        path = tmp_path / "side.csv"
        path.write_text("\n".join(["time,max_goes_class", *lines]))
        output = tmp_path / "runs"
        message = self.script(run_command, *SMALL, "--side", path, "--output", output)
        assert "the audit refuses this training, because it leaks" in message
        assert "side column 1 is not the answer" in message
        (run,) = output.iterdir()
        assert not (run / "best_performing.keras").exists()

    def test_an_honest_side_column_is_used(self, tmp_path):
        path = tmp_path / "side.csv"
        days = np.datetime64("2101-01-01") + np.arange(0, 3300)
        noise = np.random.default_rng(0).normal(size=len(days))
        lines = [f"{d},{v}" for d, v in zip(days, noise, strict=True)]
        path.write_text("\n".join(["time,noise", *lines]))
        options = [*SMALL, "--epochs", "1", "--skip-leak-table", "--side", str(path)]
        assert main([*options, "--output", str(tmp_path / "runs")]) == 0

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("epochs", 0, "--epochs must be 1 or more"),
            ("dropout", 1.0, "--dropout must be 0 or more and below 1"),
            ("learning_rate", 0.0, "--learning-rate must be above 0"),
            ("seed", -1, "--seed must be 0 to"),
            ("seed", 2**32, "--seed must be 0 to"),
            ("virtual_years", float("inf"), "must be above 0 and at most 2000"),
            ("learning_rate", float("inf"), "must be above 0 and at most 1"),
            ("keep_epochs", -1, "must be 0 or more"),
            ("floor_flux", 1e-5, "--floor-flux must be above 0 and at most"),
        ],
    )
    def test_impossible_options(self, option, value, message):
        with pytest.raises(ValueError, match=message):
            HistoryConfig(**{option: value})

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--test-from", "soon"], "--test-from: expected a time"),
            (["--test-from", "1999-01-01"], "must begin within the record"),
            (["--validation-years", "1850"], "expected validation years before the test set"),
            (["--test-from", "2105-06-01", "--validation-years", "2102"], "can't be used with"),
            (["--catch-h", "0"], "--catch-h must be 1 or more"),
        ],
    )
    def test_impossible_windows_and_dates(self, arguments, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            main([*SMALL, *arguments, "--output", str(tmp_path)])


def test_smoke_gives_way_to_what_was_asked_for(tmp_path):
    options = ["--smoke", "--virtual-years", "7", "--epochs", "1", "--skip-leak-table"]
    assert main([*options, "--output", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    config = json.loads((run / "config.json").read_text())["options"]
    assert (config["virtual_years"], config["epochs"], config["width"]) == (7, 1, 32)


def test_other_side_values_are_another_data_set(tmp_path):
    from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow
    from dataset_models.GOES.side_columns import SideColumns
    from dataset_models.virtual_sun.parameters import FlareProcessParameters
    from dataset_models.virtual_sun.process import simulate_record
    from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record

    record = virtual_flare_record(simulate_record(FlareProcessParameters(), years=1, seed=1))
    time = VIRTUAL_START + np.arange(365) * np.timedelta64(86400, "s")
    prints = {
        FlareHistory(
            record, HistoryWindow(), side=SideColumns(time, np.full((365, 1), value, "f4"), (name,))
        ).fingerprint()
        for value, name in ((1, "a"), (2, "a"), (1, "b"))
    }
    assert len(prints) == 3


def test_a_control_run_learns_nothing_and_says_so(tmp_path):
    options = [*SMALL, "--shuffle-labels", "--skip-leak-table", "--output", str(tmp_path)]
    assert main(options) == 0
    (run,) = tmp_path.iterdir()
    card = json.loads((run / "performance/skill.json").read_text())
    scores = card["events"][">=C1"]["scores"]
    assert scores["network"]["BSS"][0] < 0.05
    assert scores["exact"]["BSS"][0] > 0.3  # the test set keeps its labels
    assert "Control run, labels shuffled" in (run / "report.html").read_text()


def test_shuffled_labels_stay_within_their_set():
    from software_tests.network_models.training.small_training import small_data

    dataset, split = small_data.__wrapped__()
    before = dataset.log10_peak_flux.copy()
    dataset.shuffle_labels([split.training, split.validation], seed=1)
    after = dataset.log10_peak_flux
    np.testing.assert_array_equal(after[split.test], before[split.test])
    for rows in (split.training, split.validation):
        assert (after[rows] != before[rows]).mean() > 0.3
        np.testing.assert_array_equal(np.sort(after[rows]), np.sort(before[rows]))
