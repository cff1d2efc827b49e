"""The command from its options to its report: on a toy, locally and on a dask cluster."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from network_models.smac.search_results import named_configurations, result_lines
from network_models.smac.trials import finished_trials
from software_tests.network_models.smac.toy_problem import NAME
from tools.long_work.journal import Journal
from tools.report.report import read_sections

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, str(ROOT / "network_models/smac/optimize.py"), NAME]
FAST = ["--trials", "12", "--workers", "2", "--output", "search"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])}


def start(folder, *options):
    return subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs these tests in the background has them ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def search(folder, *options, status=0):
    process = start(folder, *options)
    out, errors = process.communicate(timeout=240)
    assert process.returncode == status, errors
    assert "Traceback" not in errors, errors
    return out, errors


def trials_of(folder, name="trials"):
    records = _records(folder / f"search/{name}.journal")
    asked = [r["asked"]["number"] for r in records if "asked" in r]
    told = [r["told"] for r in records if "told" in r]
    assert sorted(asked) == sorted(told), "a trial is without a result, or has two"
    return finished_trials(records)


def _records(file):
    with Journal(file) as journal:
        return [record for _, record in journal.entries()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, search(folder, *FAST)[0]


def test_a_search_accounts_for_all_trials_and_judges_its_best(finished):
    folder, out = finished
    assert len(trials_of(folder)) == 12
    assert "SMAC: 12 trials, 12 succeeded" in out
    results = json.loads((folder / "search/results.json").read_text())
    own, best = results["test set"][:2]
    assert own["difference"] == 0
    # the toy's networks are their formula at 5 passes, and its losses are that plus noise
    assert best["loss"] - own["loss"] == pytest.approx(best["difference"])
    assert best["low"] <= best["difference"] <= best["high"]
    assert best["n_events"] == 10
    counts = results["trials"]
    spent = counts["SMAC"]["passes"] + counts["finals"]["passes"]
    largest = results["best"]["SMAC"]["budget"]
    assert 0 <= counts["random search"]["passes"] - spent < largest
    assert "Test set, never seen by the search: best of SMAC" in out


def test_tables_and_report_hold_the_same(finished):
    folder, _ = finished
    with open(folder / "search/trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    costs = {row["trial"]: float(row["cost"]) for row in rows}
    assert costs == {str(t.number): r.cost for t, r in trials_of(folder)}
    titles = [section.title for _, section in read_sections(folder / "search/sections")]
    assert titles[:3] == ["What was found", "On data that the search never saw",
                          "How the best came down"]  # fmt: skip
    assert (folder / "search/report.html").stat().st_size > 10000


def test_the_same_command_shows_a_finished_search_again(finished):
    folder, out = finished
    before = (folder / "search/trials.journal").read_bytes()
    again, _ = search(folder, *FAST)
    assert (folder / "search/trials.journal").read_bytes() == before
    pattern = re.compile(r"\d+\.\d min")
    assert pattern.sub("", again) == pattern.sub("", out)
    assert len(list((folder / "runs").iterdir())) == len(
        {r["run"] for r in json.loads((folder / "search/retrained.json").read_text())}
    )


def test_more_trials_go_on_with_it(finished):
    folder, _ = finished
    before = trials_of(folder)
    out, _ = search(folder, *FAST[2:], "--trials", "15", "--no-retrain")
    assert "SMAC: 15 trials" in out
    assert trials_of(folder)[:12] == before


def test_another_search_does_not_take_its_folder(finished):
    folder, _ = finished
    _, errors = search(folder, *FAST, "--seed", "5", status=2)
    assert "holds another search" in errors


def lines_of(table):
    return table.read_text().count("\n") if table.exists() else 0


def test_kills_at_five_moments_lose_nothing(tmp_path):
    options = [*FAST, "--no-random-search", "--no-retrain", "--", "--pause-s", "0.15"]
    table = tmp_path / "search/trials.csv"
    for n_lines in (0, 2, 3, 5, 7):
        process = start(tmp_path, *options)
        while not (tmp_path / "search/search.json").exists() or n_lines > lines_of(table):
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it could be killed"
        process.kill()
        process.communicate()
        if table.exists():  # no half-written history
            rows = list(csv.reader(table.read_text().splitlines()))
            assert all(len(row) == len(rows[0]) for row in rows)
    out, _ = search(tmp_path, *options)
    assert "SMAC: 12 trials, 12 succeeded" in out
    assert len(trials_of(tmp_path)) == 12


def test_folds_go_on_with_more_trials_and_all_are_tried_on_all(tmp_path):
    folds = ["--mode", "folds", "--folds", "4", "--workers", "1", "--output", "search"]
    folds += ["--no-retrain", "--max-epochs", "5"]
    for trials in ("6", "7", "9"):
        search(tmp_path, *folds, "--trials", trials)
    results = json.loads((tmp_path / "search/results.json").read_text())
    assert results["own"]["n_trials"] == results["best"]["SMAC"]["n_trials"] == 4
    assert results["best"]["SMAC"]["cost"] <= results["own"]["cost"]


def test_the_best_and_the_script_s_own_are_tried_in_full_however_early_it_ends(tmp_path):
    few = ["--trials", "6", "--workers", "1", "--output", "search", "--no-retrain"]
    out, _ = search(tmp_path, *few)
    assert {trial.budget for trial, _ in trials_of(tmp_path)} == {1.0}
    results = json.loads((tmp_path / "search/results.json").read_text())
    own, best = results["own"], results["best"]["SMAC"]
    assert own["budget"] == best["budget"] == 9.0
    assert best["cost"] <= own["cost"]
    assert "SMAC: 6 trials" in out
    finals = trials_of(tmp_path, "finals")
    assert len(finals) == len({str(trial.values) for trial, _ in finals}) == 2
    again, _ = search(tmp_path, *few[:1], "7", *few[2:])  # more trials: no final is run twice
    assert trials_of(tmp_path, "finals")[:2] == finals
    assert "SMAC: 7 trials" in again


def test_kills_in_the_middle_of_the_finals_lose_nothing(tmp_path):
    few = ["--trials", "6", "--workers", "1", "--output", "search", "--no-retrain"]
    few += ["--no-random-search", "--", "--pause-s", "0.5"]
    table, journal = tmp_path / "search/finals.csv", tmp_path / "search/finals.journal"
    for n_lines in (0, 2):  # while the first is trained, and while the second is
        process = start(tmp_path, *few)
        while not (journal.exists() and journal.stat().st_size) or n_lines > lines_of(table):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        process.kill()
        process.communicate()
    before = finished_trials(_records(journal))
    out, _ = search(tmp_path, *few)
    finals = trials_of(tmp_path, "finals")
    assert len(before) == 1
    assert finals[:1] == before
    assert len(finals) == len({str(trial.values) for trial, _ in finals}) == 2
    assert "finals: 2 trials, 2 succeeded" in out


def test_what_smac_proposed_is_named_where_the_script_s_own_is_better():
    own = {"values": {"depth": 2}, "cost": 0.5, "n_trials": 1, "budget": 9.0}
    other = {**own, "values": {"depth": 3}, "cost": 0.6}
    both = {"SMAC": other, "random search": other}
    results = {"own": own, "best": {"SMAC": own, "random search": other}, "proposed": both}
    names = ["the script's own", "best of SMAC", "best proposal of SMAC", "best of random search"]
    assert list(named_configurations(results)) == names
    better = results | {"best": {"SMAC": {**other, "cost": 0.4}}}
    assert list(named_configurations(better)) == names[:2]
    alone = results | {"best": {"SMAC": own}, "proposed": {"SMAC": None}}  # no other succeeded
    assert list(named_configurations(alone)) == names[:2]
    early = alone | {"proposed": {"SMAC": {**other, "budget": 1.0}}}  # it failed in full
    assert list(named_configurations(early)) == names[:2]
    chance = results | {"best": {"SMAC": other, "random search": own}}
    assert list(named_configurations(chance))[2:] == [names[3], "best proposal of random search"]


def test_scores_of_different_budgets_are_not_compared():
    named = {"values": {"depth": 2}, "cost": 0.5, "n_trials": 1}
    counts = {"trials": 2, "by status": {"success": 2}, "passes": 12, "minutes": 1.0}
    results = {
        "score": "formula",
        "trials": {"SMAC": counts},
        "own": {**named, "budget": 9.0},
        "best": {"SMAC": {**named, "budget": 3.0}},
        "proposed": {"SMAC": None},
        "test set": [],
    }
    assert "These scores can't be compared" in result_lines(results)[-1]
    results["best"]["SMAC"]["budget"] = 9.0
    assert "nothing better" in result_lines(results)[-1]


def test_limits_of_trials_are_not_those_of_judging(tmp_path):
    slow = ["--trials", "6", "--workers", "1", "--output", "search", "--trial-minutes", "0.05"]
    out, _ = search(tmp_path, *slow, "--no-random-search", "--", "--judged-s", "4")
    assert "Test set, never seen by the search" in out


def test_other_data_are_not_mixed_in(tmp_path):
    (tmp_path / "data").write_text("a")
    options = [*FAST, "--no-retrain", "--no-random-search", "--", "--data-file", "data"]
    search(tmp_path, *options)
    (tmp_path / "data").write_text("b")
    _, errors = search(tmp_path, *options, status=2)
    assert (
        "the data are no longer those that search was begun with (fingerprint b, then a)" in errors
    )


def test_a_failed_training_keeps_what_was_found(tmp_path):
    (tmp_path / "runs").write_text("a file where runs would be made")
    _, errors = search(tmp_path, *FAST, "--no-random-search", status=2)
    assert "the training failed with status" in errors
    assert (tmp_path / "search/report.html").exists()
    assert json.loads((tmp_path / "search/results.json").read_text())["best"]["SMAC"]


def test_a_search_that_was_killed_before_its_settings_were_written_begins(tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search/.search.json.123.partial").write_text("{")
    (tmp_path / "search/search.lock").touch()
    search(tmp_path, *FAST, "--no-retrain", "--no-random-search")


def test_a_search_that_can_t_begin_leaves_no_folder(tmp_path):
    search(tmp_path, *FAST, "--", "--broken-data", status=2)
    assert not (tmp_path / "search").exists()


def test_ctrl_c_says_how_to_go_on(tmp_path):
    process = start(tmp_path, *FAST, "--", "--pause-s", "0.5")
    while process.poll() is None and not (tmp_path / "search/trials.csv").exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "To go on, give the same command again" in errors


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--", "--behaviour", "raise"], "first 5 trials all failed (5 crash). The last: Runtime"),
        (
            ["--trial-minutes", "0.01", "--", "--behaviour", "sleep"],
            "all failed (5 timeout)",
        ),
        (["--memory-mib", "1"], "MiB of memory, more than 1"),
        (["--max-parameters", "1", "--", "--behaviour", "large"], "5 too large"),
        (["--", "--broken-data"], "the data can't be opened: ValueError: sun.fits can't be read"),
        (["--mode", "folds", "--folds", "9"], "9 folds need at least 18 years; there are 10"),
        (["--search", "momentum", "--", "--optimizer", "adam"], "momentum counts only where"),
        (["--search", "rat"], "can't search rat: expected some of depth"),
        (["--", "--widht", "3"], "did you mean --width?"),
        (["--trails", "3"], "did you mean --trials?"),
        (["--", "--epochs", "3"], "--epochs behind --: the search sets it itself"),
        (["--max-epochs", "2", "--min-epochs", "3"], "must not be below --min-epochs"),
        (["--max-epochs", "5"], "--max-epochs 5 would need budgets that are no whole passes"),
        (["--mode", "blackbox", "--fidelity", "samples"], "are for --mode budgets"),
        (["--search", "depth", "width"], "only 13 configurations, and Hyperband needs 30"),
        (["--scheduler", "tcp://127.0.0.1:1"], "no dask scheduler answers at tcp://127.0.0.1:1"),
        (["--scheduler", "nonsense:x:y"], "no dask scheduler answers at nonsense"),
    ],
)
def test_what_can_t_be_is_a_sentence(tmp_path, options, says):
    own = options[: options.index("--")] if "--" in options else options
    rest = options[len(own) :]
    scheduler = "--scheduler" in own
    fast = ["--trials", "12", "--workers", "0" if scheduler else "1", "--output", "search"]
    _, errors = search(tmp_path, *fast, *own, *rest, status=2)
    assert says in errors


def test_an_occupied_folder_is_a_sentence_and_stays_as_it_is(tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search/thesis.tex").write_text("important")
    _, errors = search(tmp_path, *FAST, status=2)
    assert "search is not empty and holds no search; give another --output" in errors
    assert [p.name for p in (tmp_path / "search").iterdir()] == ["thesis.tex"]


def test_two_processes_do_not_share_a_folder(tmp_path):
    process = start(tmp_path, *FAST, "--no-retrain", "--", "--pause-s", "0.3")
    while process.poll() is None and not (tmp_path / "search/data.json").exists():
        time.sleep(0.1)
    _, errors = search(tmp_path, *FAST, "--", "--pause-s", "0.3", status=2)
    assert "another process is searching in search" in errors
    assert process.wait(timeout=120) == 0
    process.communicate()


def test_optimize_sh_is_the_same_command(tmp_path):
    run = subprocess.run(
        [str(ROOT / "network_models/smac/optimize.sh"), "--help"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    assert "training script" in run.stdout
