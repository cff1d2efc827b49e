"""DeepEM's script from data to report: figures, resuming, teachers, refusals."""

import json

import numpy as np
import pytest

from network_models.dem_regression.deepem.train import PROBLEM, main
from network_models.files.safe_loading import load_network
from software_tests.dataset_models.SDO.AIA.test_dem_pairs import write_folder
from tools.report.report import read_sections

SCRIPT = "network_models/dem_regression/deepem/train.py"
SMALL = ["--smoke", "--size", "32", "--jobs", "1"]


@pytest.fixture(autouse=True)
def short_clock(monkeypatch):
    monkeypatch.setattr("network_models.dem_regression.deepem.experiment._TIMED_S", 0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    output = tmp_path_factory.mktemp("trained_models")
    assert main([*SMALL, "--teacher", "basis-pursuit", "--output", str(output)]) == 0
    (folder,) = output.iterdir()
    return folder


def test_the_report_holds_the_five_figures_and_the_appendix(run):
    assert (run / "report.html").is_file()
    sections = {section.title: section for _, section in read_sections(run)}
    figures = [f.file for section in sections.values() for f in section.figures]
    # images and teacher, loss, bins, mean curve, synthesis; the appendix has bins and synthesis
    assert figures == [
        "teacher.png",
        "loss.png",
        "architecture.png",
        "bins.png",
        "mean.png",
        "synthesis.png",
        "bins.png",
        "synthesis.png",
    ]
    for folder, section in read_sections(run):
        for figure in section.figures:
            assert (folder / figure.file).read_bytes().startswith(b"\x89PNG")
    assert "Appendix A: the training image" in sections
    assert sections["What came out"].warning == "Simulated images (synthetic)."


def test_the_run_says_how_it_was_made(run):
    config = json.loads((run / "config.json").read_text())
    assert config["script"] == SCRIPT == PROBLEM.script
    assert config["problem"] == "DeepEM"
    assert config["options"]["learning_rate"] == 1e-3  # of --smoke
    assert config["options"]["weight_decay"] == 1e-9
    assert config["data"]["teacher"].startswith("basis-pursuit")
    assert all(check["passed"] for check in config["audit"])
    card = json.loads((run / "performance/skill.json").read_text())
    assert card["solutions_per_second"] > 0
    # the solver's own solution gives the data back within its tolerance
    assert card["test"]["teacher_over_observed"]["171"] == pytest.approx(1, abs=0.05)


def test_the_saved_network_takes_brightness_and_gives_emission_measure(run):
    network = load_network(run / "best_performing.keras")
    assert network.count_params() == 97_818
    dn = np.full((1, 2, 3, 6), 50.0, np.float32)
    dn[0, 0, 0, :3] = [-3.0, np.nan, 0.0]
    em = network.predict({"aia": dn}, verbose=0)
    assert em.shape == (1, 2, 3, 18)
    assert np.isfinite(em).all()
    assert (em >= 0).all()


def test_the_same_command_shows_the_finished_run_again(run, capsys):
    before = (run / "report.html").stat().st_mtime_ns
    arguments = [*SMALL, "--teacher", "basis-pursuit", "--output", str(run.parent)]
    assert main(arguments) == 0
    assert str(run) in capsys.readouterr().out
    assert (run / "report.html").stat().st_mtime_ns == before
    assert len(list(run.parent.iterdir())) == 1


def test_training_lowers_the_loss_that_the_scores_are_in(run):
    rows = np.genfromtxt(run / "performance/history.csv", delimiter=",", names=True)
    assert len(rows) == 12  # of --smoke
    assert rows["loss"][-1] < 0.25 * rows["loss"][0]
    # the score is the loss after an epoch, the history the one before its only step
    card = json.loads((run / "performance/skill.json").read_text())
    assert 0.3 * rows["loss"][-1] < card["training"]["loss"] < 1.2 * rows["loss"][-1]


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, run, monkeypatch):
    import os
    import signal

    from network_models.training.callbacks import RunRecorder

    arguments = [*SMALL, "--teacher", "basis-pursuit", "--output", str(tmp_path)]
    record, seen = RunRecorder.on_epoch_end, []

    def stop_after_the_first(self, epoch, logs=None):
        record(self, epoch, logs)
        seen.append(epoch)
        if seen == [0]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunRecorder, "on_epoch_end", stop_after_the_first)
    assert main(arguments) == 130
    assert main(arguments) == 0
    (folder,) = tmp_path.iterdir()
    assert seen == list(range(12))
    known, again = (load_network(f / "best_performing.keras") for f in (run, folder))
    for a, b in zip(known.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_seeds_folder_trains(tmp_path):
    write_folder(tmp_path, size=(12, 10))
    for name in ("mine", "runs"):
        (tmp_path / name).mkdir()
    for path in tmp_path.glob("*.emcube.npy"):  # anybody's favourite solutions
        np.save(tmp_path / "mine" / path.name, 2 * np.load(path))
    arguments = ["--smoke", "--epochs", "2", "--data", str(tmp_path)]
    arguments += ["--teacher", str(tmp_path / "mine"), "--output", str(tmp_path / "runs")]
    assert main(arguments) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    card = json.loads((folder / "performance/skill.json").read_text())
    # the images were made as response times half of these solutions
    assert card["test"]["teacher_over_observed"]["211"] == pytest.approx(2, rel=1e-4)
    assert json.loads((folder / "config.json").read_text())["data"]["synthetic"] is False


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--epochs", "0"], "--epochs must be 1 or more"),
        (["--images", "2"], "--images must be 3 or more"),
        (["--size", "8"], "--size must be 16 to 4,096"),
        (["--learning-rate", "nan"], "--learning-rate must be above 0"),
        (["--weight-decay", "-1"], "--weight-decay must be 0 or more"),
        (["--seed", "-1"], "--seed must be 0"),
        (["--jobs", "-1"], "--jobs must be 0 or more"),
        (["--apart-days", "0"], "--apart-days must be above 0"),
        (["--apart-days", "40", "--size", "16"], "at least 40 days apart"),
        (["--data", "/nowhere"], "no such folder"),
        (["--teacher", "nobody", "--size", "16"], "no teacher 'nobody'"),
    ],
)
def test_wrong_options_get_a_sentence(tmp_path, arguments, text):
    with pytest.raises((ValueError, OSError), match=text):
        main([*arguments, "--output", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_the_script_turns_errors_into_sentences(run_command, tmp_path):
    result = run_command(SCRIPT, "--data", tmp_path, check=False)
    assert result.returncode == 2
    assert "holds no file *.aia.npy" in result.stderr
    assert "Traceback" not in result.stderr
