"""forecast.py: probabilities, interval and flags for new data, from lists and light curves."""

import csv

import keras
import numpy as np
import pytest

from network_models.xray_flux_forecast.forecast import main
from network_models.xray_flux_forecast.novelty import Novelty

HEADER = "Flare Class,Start Time,Peak Time,End Time,Active Region Number"


@pytest.fixture
def flares(tmp_path):
    """Return a list of C flares, three a day for 20 days, then an M9."""
    rows = [HEADER]
    for day in range(1, 21):
        for hour in (3, 11, 19):
            stamp = f"2015-03-{day:02d}T{hour:02d}"
            rows.append(f"C2.0,{stamp}:00Z,{stamp}:10Z,{stamp}:20Z,12297")
    rows.append("M9.0,2015-03-21T10:00Z,2015-03-21T10:10Z,2015-03-21T10:20Z,12297")
    path = tmp_path / "flares.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_one_line_and_one_row_per_time(finished_run, flares, tmp_path, capsys):
    table = tmp_path / "forecasts.csv"
    at = ["2015-03-15T00:00", "2015-03-21T12:00Z"]
    arguments = [str(finished_run), str(flares), "--at", *at, "--output", str(table)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("2015-03-15 00:00")
    assert lines[2].startswith("2015-03-21 12:00")
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["time"] for row in rows] == ["2015-03-15T00:00:00", "2015-03-21T12:00:00"]
    # after an M9 two hours ago more is to come than in a quiet fortnight of C flares
    assert float(rows[1]["P(>=M1)"]) > float(rows[0]["P(>=M1)"])
    assert rows[0]["unlike_training"] == ""


def test_forecasts_know_nothing_of_what_comes_later(finished_run, flares, tmp_path):
    cut = tmp_path / "cut.csv"
    cut.write_text("\n".join(flares.read_text().splitlines()[:-1]) + "\n")
    tables = []
    for data in (flares, cut):
        table = tmp_path / f"{data.stem}.table"
        main([str(finished_run), str(data), "--at", "2015-03-20T12:00", "--output", str(table)])
        tables.append(table.read_text())
    assert tables[0] == tables[1]


def test_a_light_curve_is_read_for_a_run_trained_on_flare_lists(finished_run, goes_15_day, capsys):
    assert main([str(finished_run), str(goes_15_day), "--every", "6"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == 5
    assert all("UNLIKE TRAINING" in line for line in lines)  # one day of 168 h
    assert "of the history is covered" in lines[-1]


def test_stale_data_are_flagged(finished_run, flares, capsys):
    main([str(finished_run), str(flares), "--at", "2015-03-23T00:00"])
    assert "the last 6 h before the forecast are not covered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at", "tomorrow"], "--at takes times"),
        (["--every", "0"], "--every must be 1 or more"),
        (["--at", "2015-03-20", "--every", "3"], "not both"),
        (["--side", "none.csv"], "no such table of side columns"),
    ],
)
def test_wrong_options_are_refused(finished_run, flares, arguments, message):
    with pytest.raises((ValueError, OSError), match=message):
        main([str(finished_run), str(flares), *arguments])


def test_a_folder_that_is_no_run_is_refused(flares, tmp_path):
    with pytest.raises(ValueError, match="no run folder"):
        main([str(tmp_path), str(flares)])


def test_a_foreign_network_with_a_lambda_is_refused(finished_run, flares, tmp_path, run_command):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text((finished_run / "config.json").read_text())
    inputs = keras.Input((168, 3), name="flare_history")
    output = keras.layers.Lambda(lambda x: x[:, 0])(inputs)
    keras.Model(inputs, output).save(run / "best_performing.keras")
    script = "network_models/xray_flux_forecast/forecast.py"
    result = run_command(script, run, flares, check=False)
    assert result.returncode == 2
    assert "holds a Lambda layer" in result.stderr
    assert "Traceback" not in result.stderr


class TestNovelty:
    def test_training_like_samples_pass_and_others_are_flagged(self, generator):
        training = generator.normal(size=(5000, 4)) @ np.diag([1, 2, 3, 0.1])
        novelty = Novelty.of_training(training)
        observed = np.ones((3, 48))
        observed[2, :40] = 0
        features = np.array([[0, 0, 0, 0], [0, 0, 0, 2.0], [0, 0, 0, 0]])
        reasons = novelty.reasons(features, observed)
        assert reasons[0] == ""
        assert "unlike any in training" in reasons[1]
        assert "only 17 % of the history" in reasons[2]

    def test_one_in_a_thousand_of_the_training_set_is_beyond_the_limit(self, generator):
        training = generator.normal(size=(20_000, 3))
        novelty = Novelty.of_training(training)
        assert (novelty.distance(training) > novelty.limit).mean() == pytest.approx(1e-3, abs=2e-4)

    def test_distance_is_mahalanobis(self, generator):
        training = generator.normal(size=(50_000, 2)) * [1.0, 3.0]
        novelty = Novelty.of_training(training)
        # shrinkage leaves the diagonal as it is: (3, 0) and (0, 9) lie three spreads away
        np.testing.assert_allclose(novelty.distance([[3, 0], [0, 9]]), 3, rtol=0.02)
