"""score.py: anybody's forecasts are audited first, then scored beside the baselines."""

import json

import numpy as np
import pytest

from network_models.xray_flux_forecast.foreign_forecasts import read_forecasts
from network_models.xray_flux_forecast.score import main

HOUR = np.timedelta64(3600, "s")
HEADER = "Flare Class,Start Time,Peak Time,End Time,Active Region Number"


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """Give a list of ten years: a flare a day in every other fortnight, and what it holds."""
    generator = np.random.default_rng(3)
    days = np.arange(np.datetime64("2000-01-01"), np.datetime64("2010-01-01"))
    active = (np.arange(len(days)) // 14) % 2 == 0
    days = days[active & (generator.random(len(days)) < 0.9)]
    letters = generator.choice(["C3.0", "M2.0", "X1.5"], len(days), p=[0.8, 0.15, 0.05])
    rows = [HEADER]
    for day, name in zip(days, letters, strict=True):
        rows.append(f"{name},{day}T11:50Z,{day}T12:00Z,{day}T12:10Z,0")
    path = tmp_path_factory.mktemp("truth") / "flares.csv"
    path.write_text("\n".join(rows) + "\n")
    return path, set(days.tolist()), dict(zip(days.tolist(), letters, strict=True))


def write(path, times, *columns, header="time,P(>=C1),P(>=M1)"):
    lines = [header]
    lines += [",".join([str(t), *(f"{c[k]:.4f}" for c in columns)]) for k, t in enumerate(times)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def daily():
    return np.arange(np.datetime64("2005-01-01"), np.datetime64("2009-12-01"))


def outcomes(truth, daily):
    _, days, letters = truth
    c1 = np.array([d in days for d in daily.tolist()])
    m1 = np.array([letters.get(d, "B")[0] in "MX" for d in daily.tolist()])
    return c1, m1


def test_honest_forecasts_are_scored_beside_baselines(truth, daily, tmp_path, capsys):
    c1, _ = outcomes(truth, daily)
    generator = np.random.default_rng(0)
    p = np.clip(0.45 + 0.4 * (c1 - 0.5) + generator.normal(0, 0.15, len(c1)), 0.01, 0.99)
    path = write(tmp_path / "f.csv", daily, p, 0.2 * p)
    assert main([str(path), str(truth[0]), "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "issue times were not chosen by activity" in out
    card = json.loads((tmp_path / "out/skill.json").read_text())
    scores = card["events"][">=C1"]["scores"]
    names = {"forecasts", "logistic", "persistence", "chance"}
    assert names | {"climatology (earlier)", "climatology (test)"} == set(scores)
    # by hand from the file's own columns
    brier = np.mean((np.round(p, 4) - c1) ** 2)
    assert scores["forecasts"]["Brier"][0] == pytest.approx(brier, abs=1e-9)
    base = c1.mean()
    assert scores["forecasts"]["BSS"][0] == pytest.approx(1 - brier / (base * (1 - base)))
    assert (tmp_path / "out/report.html").exists()


def test_the_answer_itself_is_refused(truth, daily, tmp_path, run_command):
    # regression: in a published file a class column depends on the outcome (TSS .902)
    c1, m1 = outcomes(truth, daily)
    path = write(tmp_path / "f.csv", daily, c1.astype(float), m1.astype(float))
    script = "network_models/xray_flux_forecast/score.py"
    result = run_command(script, path, truth[0], check=False)
    assert result.returncode == 2
    assert "FAILED  P(>=C1) is not the answer: 100.0 %" in result.stdout
    assert "training" not in result.stderr
    assert "TSS" not in result.stdout
    assert "Traceback" not in result.stderr


def test_a_forecast_that_separates_without_a_fault_is_the_answer(truth, daily, tmp_path, capsys):
    c1, m1 = outcomes(truth, daily)
    path = write(tmp_path / "f.csv", daily, 0.3 + 0.2 * c1, np.full(len(m1), 0.1))
    with pytest.raises(ValueError, match="refuses to score these forecasts"):
        main([str(path), str(truth[0])])
    assert "ROC area 1.0000" in capsys.readouterr().out


def test_a_run_folder_is_not_overwritten(truth, daily, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    path = write(tmp_path / "f.csv", daily, np.full(len(daily), 0.5), np.full(len(daily), 0.1))
    with pytest.raises(ValueError, match="is a run folder"):
        main([str(path), str(truth[0]), "--output", str(tmp_path)])


def test_few_blocks_and_few_events_give_no_interval(truth, tmp_path, capsys):
    days = np.arange(np.datetime64("2009-06-01"), np.datetime64("2009-06-20"))
    p = np.random.default_rng(1).uniform(0.2, 0.8, len(days))
    main([str(write(tmp_path / "f.csv", days, p, p / 4)), str(truth[0])])
    text = capsys.readouterr().out
    assert "[not defined]" in text
    assert " [-" not in text.replace("not defined", "")


def test_forecasts_for_active_days_only_are_refused(truth, daily, tmp_path):
    # regression: a published file drops the quiet days; 281 of its 282 days have a flare
    c1, _ = outcomes(truth, daily)
    chosen = c1 | (np.arange(len(c1)) % 10 == 0)
    p = np.full(chosen.sum(), 0.5)
    path = write(tmp_path / "f.csv", daily[chosen], p, p / 2)
    with pytest.raises(ValueError, match="issue times were not chosen by activity"):
        main([str(path), str(truth[0])])


def test_forecasts_of_known_days_are_refused(truth, daily, tmp_path):
    path = write(tmp_path / "f.csv", daily, np.full(len(daily), 0.5), np.full(len(daily), 0.1))
    with pytest.raises(ValueError, match="issued within the training data"):
        main([str(path), str(truth[0]), "--trained-until", "2006-01-01"])


def test_windows_beyond_the_truth_are_counted_and_left_out(truth, tmp_path, capsys):
    days = np.arange(np.datetime64("2009-06-01"), np.datetime64("2010-02-01"))
    p = np.random.default_rng(1).uniform(0.2, 0.8, len(days))
    path = write(tmp_path / "f.csv", days, p, p / 4)
    assert main([str(path), str(truth[0])]) == 0
    text = capsys.readouterr().out
    assert "windows reach past the truth" in text
    assert "passed  the truth covers the windows: 0 of" not in text


def test_without_earlier_truth_thresholds_are_one_half(truth, tmp_path):
    days = np.arange(np.datetime64("2001-01-01"), np.datetime64("2002-06-01"))
    p = np.random.default_rng(1).uniform(0.2, 0.8, len(days))
    path = write(tmp_path / "f.csv", days, p, p / 4)
    main([str(path), str(truth[0]), "--output", str(tmp_path / "out")])
    card = json.loads((tmp_path / "out/skill.json").read_text())
    assert "logistic" not in card["forecasters"]
    assert card["events"][">=C1"]["thresholds"]["forecasts"] == 0.5


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("P(>=M1)", ">=M1"),
        (">=M5", ">=M5"),
        ("p_X1", ">=X1"),
        ("M1.0+", ">=M1"),
        ("prob_C", ">=C1"),
        ("probability_M5.0", ">=M5"),
    ],
)
def test_column_names_of_other_people(tmp_path, name, event):
    path = tmp_path / "f.csv"
    path.write_text(f"time,{name},comment\n2005-01-01,0.5,x\n")
    assert list(read_forecasts(path).probability) == [event]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no forecasts"),
        ("time,P(>=C1)\n", "no forecasts"),
        ("date,P(>=C1)\n2005-01-01,0.5\n", "column 'time'"),
        ("time,skill\n2005-01-01,0.5\n", "at least one of"),
        ("time,P(>=C1)\n2005-01-01,1.5\n", "line 2: expected probabilities from 0 to 1"),
        ("time,P(>=C1)\n2005-01-01,nan\n", "line 2: expected probabilities"),
        ("time,P(>=C1)\n2005-01-01,\n", "line 2"),
        ("time,P(>=C1)\nyesterday,0.5\n", "line 2"),
        ("time,P(>=C1)\n2005-01-02,0.5\n2005-01-01,0.5\n", "issue times must increase"),
        ("time,P(>=C1)\n2005-01-01,0.5\n2005-01-01,0.5\n", "issue times must increase"),
        ("time,C1,P(>=C1)\n2005-01-01,0.5,0.5\n", "mean the same event"),
        ("time,P(>=C1),P(>=C1)\n2005-01-01,0.5,0.5\n", "stand there twice"),
        ("time,P(>=C1)\n2005-01-01,0.5,0.1\n", "line 2: expected 2 columns"),
        (f"time,P(>=C1)\n2005-01-01,{'1' * 200000}\n", "as CSV text"),
    ],
)
def test_bad_forecasts_are_refused(tmp_path, text, message):
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_forecasts(path)


def test_missing_forecasts_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such table of forecasts"):
        read_forecasts(tmp_path / "none.csv")
