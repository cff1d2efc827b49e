"""The page on adding a problem is run: all that it promises comes by itself, for every kind."""

import json
import os
import re
import subprocess
import sys

import pytest

from network_models.training.problem import open_problem, problem_scripts
from network_models.training.reopen import reopen_run
from science.deconvolutional.deconvolutional import main as deconvolve
from science.embedding.tsne import main as embed
from science.saliency.saliency import main as saliency
from software_tests.conftest import ROOT

PAGE = ROOT / "docs/adding_a_problem.md"
# single numbers, classes, maps and per-pixel outputs; one input, and two
KINDS = [("number", False), ("class", True), ("map", True), ("pixels", False), ("pixels", True)]


def code():
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return found


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Yield the page's script in a folder of its own, named by the user."""
    path = tmp_path_factory.mktemp("bright_points") / "train.py"
    path.write_text(code())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELIOLENS_PROBLEMS", str(path))
        yield path


def test_the_page_s_code_has_sixty_lines_at_most():
    assert len(code().splitlines()) <= 60


def test_a_run_s_own_word_is_not_enough_to_import_a_script(script, tmp_path, monkeypatch):
    main = open_problem(str(script)).main
    assert main(["--epochs", "1", "--output", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    assert str(script) in problem_scripts()
    monkeypatch.delenv("HELIOLENS_PROBLEMS")
    with pytest.raises(ValueError, match="HELIOLENS_PROBLEMS"):
        saliency([str(run), "first"])


@pytest.mark.parametrize(("kind", "has_exposure"), KINDS)
def test_training_report_and_explanations_come_by_themselves(script, kind, has_exposure, tmp_path):
    options = ["--kind", kind, "--epochs", "10", "--output", str(tmp_path / "runs")]
    options += ["--exposure"] if has_exposure else []
    main = open_problem(str(script)).main
    assert main(options) == 0
    (run,) = (tmp_path / "runs").iterdir()
    config = json.loads((run / "config.json").read_text())
    assert config["problem"] == "bright points"
    assert config["audit"]
    assert all(check["passed"] for check in config["audit"])
    assert (run / "report.html").read_text().count("<img") == 2
    card = json.loads((run / "performance/skill.json").read_text())
    assert card["loss"] < card["loss of the constant answer"]
    if kind != "class":
        check_plain_scores(run, card)
    assert main(options) == 0  # shown again
    assert len(list((tmp_path / "runs").iterdir())) == 1
    output = ["--output", str(tmp_path / "out")]
    assert saliency([str(run), "first", "--method", "gradient", *output]) == 0
    assert deconvolve([str(run), "3", "--top", "1", "--examples", "1", *output]) == 0
    assert embed([str(run), "--perplexity", "4", *output]) == 0
    for name in ("map.png", "filters.png", "embedding.png"):
        assert list((tmp_path / "out").glob(f"*/{name}"))
    facts = json.loads(next((tmp_path / "out").glob("*/embedding.json")).read_text())
    assert facts["samples"] > 60 if kind == "pixels" else facts["samples"] == 60


def check_plain_scores(run, card):
    """Compute the mean squared errors of the test set with numpy alone."""
    opened = reopen_run(run)
    split, dataset = opened.data.split, opened.data.dataset
    arrays = dataset.read(split.test)
    truth = arrays["truth"]
    inputs = {name: values for name, values in arrays.items() if name != "truth"}
    answer = opened.network().predict(inputs, verbose=0).reshape(truth.shape)
    constant = dataset.read(split.training)["truth"].mean(axis=0)
    assert card["loss"] == pytest.approx(((answer - truth) ** 2).mean(), rel=1e-4)
    assert card["loss of the constant answer"] == pytest.approx(
        ((constant - truth) ** 2).mean(), rel=1e-4
    )


def test_a_stopped_training_goes_on_to_the_same_network(script, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def train(folder, *, stop_after=""):
        command = [sys.executable, str(script), "--epochs", "4", "--output", str(folder)]
        process = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        with process:
            for line in process.stderr:
                if stop_after and stop_after in line:
                    process.kill()
            return process.wait()

    assert train(tmp_path / "whole") == 0
    assert train(tmp_path / "killed", stop_after="epoch 2 of 4") != 0
    assert train(tmp_path / "killed") == 0
    histories = [
        next((tmp_path / name).glob("*/performance/history.csv")).read_text()
        for name in ("whole", "killed")
    ]
    assert histories[0] == histories[1]
    assert len(list((tmp_path / "killed").iterdir())) == 1


def test_its_architecture_is_searched(script, tmp_path):
    command = [sys.executable, str(ROOT / "network_models/smac/optimize.py"), str(script)]
    options = ["--trials", "3", "--mode", "blackbox", "--max-epochs", "1", "--workers", "1"]
    options += ["--no-random-search", "--output", "search", "--", "--output", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "search/results.json").read_text())
    assert results["trials"]["SMAC"]["by status"]["success"] == 3
    assert results["score"] == "mean validation loss"
    assert len(results["test set"]) >= 1
