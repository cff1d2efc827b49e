"""Problems of one's own: sigmoids, numbered classes, what is refused, how scripts are found."""

import dataclasses
import json
import os
import time
import types

import numpy as np
import pytest

from dataset_models.array_data import ArrayData
from dataset_models.audit import audit
from dataset_models.splits import grouped
from network_models.training.lots import class_names
from network_models.training.problem import is_known, open_problem, problem_scripts
from network_models.training.reopen import reopen_run
from network_models.training.targets import (
    EMISSION_MEASURE,
    PROBABILITY,
    Target,
    class_targets,
    emission_targets,
    read_targets,
)

SCRIPT = '''"""Learn from drawn numbers (synthetic)."""
from dataclasses import dataclass
import numpy as np
from dataset_models.array_data import ArrayData
from dataset_models.splits import grouped
from network_models.training.problem import Problem, ProblemData
from network_models.training.targets import PROBABILITY, Target, class_targets
from tools.command_line import run_script
from tools.options import Trainable, option
import sibling_of_own_problem as sibling

@dataclass(frozen=True)
class Config(Trainable):
    kind: str = option("sigmoid", "end", choices=("sigmoid", "numbered", "wrong", "nothing"))
    batch_size: int = option(16, "samples per step", least=1)

def open_data(config):
    if config.kind == "nothing":
        return None
    draw = np.random.default_rng(config.seed)
    x = draw.normal(size=(120, 3))
    truth = (x[:, 0] > 0).astype(int)
    truth = truth[:, None].astype(float) if config.kind == "sigmoid" else truth
    data = ArrayData({"x": x, "truth": truth}, "truth", source="drawn (synthetic)",
                     groups=np.arange(120))
    split = grouped(data.table, validation_share=0.2, test_share=0.2, generator=draw)
    return ProblemData(data, split)

def build(config, data):
    from keras import Input, Model, layers
    given = Input((3,), name="x")
    end = layers.Dense(1, "sigmoid") if config.kind == "sigmoid" else layers.Dense(2, "softmax")
    return Model({"x": given}, end(layers.Dense(8, "relu", name="hidden")(given)))

def loss(config, data):
    from keras import losses
    if config.kind == "sigmoid":
        return losses.BinaryCrossentropy()
    return losses.SparseCategoricalCrossentropy()

def targets(config, data):
    if config.kind == "numbered":
        return class_targets(("low", "high"))
    return {"P(high)": Target("P(high)", "1", PROBABILITY, (1.0,) * sibling.N)}

PROBLEM = Problem("drawn numbers", __file__, __doc__, Config, open_data, build, loss, targets)
main = PROBLEM.main
if __name__ == "__main__":
    run_script(main)
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "sibling_of_own_problem.py").write_text("N = 1\n")
    (folder / "own_problem.py").write_text(SCRIPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELIOLENS_PROBLEMS", str(folder / "own_problem.py"))
        yield folder / "own_problem.py"


@pytest.fixture(scope="module")
def sigmoid_run(script, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs")
    main = open_problem(str(script)).main
    assert main(["--epochs", "3", "--output", str(output)]) == 0
    (run,) = output.iterdir()
    return run


def test_a_sigmoid_s_log_odds_are_those_of_its_probability(sigmoid_run):
    from science.saliency.saliency import main as saliency

    answers = {}
    for options in ([], ["--log-odds"]):
        output = sigmoid_run.parent.parent / f"maps{len(options)}"
        arguments = [str(sigmoid_run), "first", "--method", "gradient", "--output", str(output)]
        assert saliency([*arguments, *options]) == 0
        facts = json.loads(next(output.glob("*/map.json")).read_text())
        answers[len(options)] = facts["value"]
    p = answers[0]
    assert 0 < p < 1
    assert answers[1] == pytest.approx(np.log(p / (1 - p)), rel=1e-4, abs=1e-5)


def test_one_probability_is_no_choice_of_classes():
    def names(n, targets):
        network = types.SimpleNamespace(outputs=[types.SimpleNamespace(shape=(None, n))])
        return class_names(types.SimpleNamespace(network=network, targets=targets))

    assert names(1, {"P(high)": Target("P(high)", "1", PROBABILITY, (1.0,))}) == []
    assert names(2, class_targets(("low", "high"))) == ["low", "high"]


def test_classes_may_be_numbers(script, tmp_path):
    main = open_problem(str(script)).main
    assert main(["--kind", "numbered", "--epochs", "3", "--output", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    card = json.loads((run / "performance/skill.json").read_text())
    # the constant answer is the training set's shares: near log 2 for two classes of equal number
    assert card["loss of the constant answer"] == pytest.approx(np.log(2), abs=0.05)


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [("wrong", ValueError, "1 weights, the network 2 outputs"), ("nothing", TypeError, "NoneType")],
)
def test_what_does_not_fit_is_refused_before_the_training(script, tmp_path, kind, error, message):
    with pytest.raises(error, match=message):
        open_problem(str(script)).main(["--kind", kind, "--output", str(tmp_path)])
    assert not list(tmp_path.glob("*/history.csv"))


def test_another_problem_or_script_with_the_same_options_is_another_run(sigmoid_run):
    from network_models.training.run import open_run

    opened = reopen_run(sigmoid_run)

    def path_of(problem):
        run = open_run(problem, opened.config, opened.data, started=time.time())
        run.unlock()
        return run.path

    assert path_of(opened.problem) == sigmoid_run
    for change in ({"name": "another problem"}, {"script": "dataclasses"}):
        assert path_of(dataclasses.replace(opened.problem, **change)) != sigmoid_run


def test_a_target_s_name_says_its_bin():
    targets = emission_targets(np.array([5.45, 5.55, 5.65, 5.75]), "1e26 cm-5", n_outputs=5)
    assert {name: target.weights for name, target in targets.items()} == {
        "log T 5.45-5.55": (1, 0, 0, 0, 0),
        "log T 5.55-5.65": (0, 1, 0, 0, 0),
        "log T 5.65-5.75": (0, 0, 1, 0, 0),
    }
    assert {target.kind for target in targets.values()} == {EMISSION_MEASURE}
    assert class_targets(("a", "b"))["P(b)"].weights == (0, 1)


def test_a_sibling_s_change_makes_a_new_run(script, sigmoid_run):
    from tools.code_dependencies import dependencies_of

    names = {path.name for path in dependencies_of([script])}
    assert {"own_problem.py", "sibling_of_own_problem.py", "array_data.py"} <= names


def test_a_named_script_is_known_however_its_path_is_written(script, monkeypatch):
    monkeypatch.chdir(script.parent)
    monkeypatch.setenv("HELIOLENS_PROBLEMS", "own_problem.py")
    assert is_known(str(script))
    assert not is_known(str(script.with_name("other.py")))


@pytest.mark.parametrize(
    ("text", "message"),
    [("x = (", "can't be imported .SyntaxError"), ("import nowhere_at_all", "ModuleNotFound")],
)
def test_a_broken_script_is_named_and_breaks_nothing_else(tmp_path, monkeypatch, text, message):
    from network_models.training.problem import known_problems

    broken = tmp_path / "broken.py"
    broken.write_text(text)
    monkeypatch.setenv("HELIOLENS_PROBLEMS", os.pathsep.join([str(broken), "gone.py"]))
    with pytest.raises(ValueError, match=message) as found:
        open_problem(str(broken))
    assert "HELIOLENS_PROBLEMS" in str(found.value)
    assert set(known_problems()) == set(problem_scripts()) - {str(broken), "gone.py"}


def damaged(run, tmp_path, change):
    folder = tmp_path / "run"
    folder.mkdir()
    for path in run.glob("*.*"):
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((run / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(change(config)))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {k: v for k, v in c.items() if k != "data"}, "names no fingerprint"),
        (lambda c: c | {"data": []}, "names no fingerprint"),
        (lambda c: c | {"data": c["data"] | {"fingerprint": "0"}}, "no longer what it was"),
        (lambda c: c | {"script": "elsewhere.py"}, "none of this suite's training scripts"),
        (lambda c: c | {"options": c["options"] | {"epochs": "ten"}}, "--epochs must be a number"),
        (lambda c: c | {"options": c["options"] | {"seed": None}}, "--seed must be a number"),
        (lambda c: c | {"options": c["options"] | {"seed": -1}}, "--seed must be"),
    ],
)
def test_a_damaged_config_is_named(sigmoid_run, tmp_path, change, message):
    folder = damaged(sigmoid_run, tmp_path, change)
    with pytest.raises(ValueError, match=message) as found:
        _ = reopen_run(folder).data
    assert str(folder) in str(found.value)


@pytest.mark.parametrize("written", [[1], {"a": 1}, {"a": {"unit": "1", "weights": [np.nan]}}])
def test_damaged_targets_are_refused(written):
    with pytest.raises(ValueError, match=r"config\.json|not finite"):
        read_targets(written)


def test_equal_samples_in_two_sets_are_refused_by_the_audit(generator):
    x = np.repeat(generator.normal(size=(60, 3)), 2, axis=0)
    data = ArrayData(
        {"x": x, "truth": x[:, :1]}, "truth", source="drawn (synthetic)", groups=np.arange(120)
    )
    split = grouped(data.table, validation_share=0.2, test_share=0.2, generator=generator)
    report = audit(data, split)
    failed = [check for check in report.checks if not check.passed]
    assert [check.name for check in failed] == ["no near-duplicate content"]
