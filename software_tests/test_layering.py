"""Imports only go down, and every package is this checkout's own."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ["tools", "dataset_models", "network_models", "science", "software_tests"]
FILES = sorted(p for floor in FLOORS for p in (ROOT / floor).rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])
    names = {name.split(".")[0] for name in imported(path)}
    up = [name for name in FLOORS[floor + 1 :] if name in names]
    assert not up, f"{path} imports {up} from a floor above"
    if floor == 0:
        assert not names & {"keras", "tensorflow", "jax", "torch"}, "tools never import keras"
    is_plotting = "plotting" in path.parts or floor == len(FLOORS) - 1
    assert is_plotting or "matplotlib" not in names, "only tools/plotting imports matplotlib"


@pytest.mark.parametrize("name", FLOORS[:-1])
def test_packages_lie_in_this_checkout(name):
    assert Path(importlib.import_module(name).__file__).is_relative_to(ROOT)


def test_tools_and_datasets_work_without_keras():
    # downloads, lists and scores must start at once: none of them may import keras
    modules = "tools.score_card, tools.report.report, dataset_models.GOES.flare_history"
    modules += ", dataset_models.audit, network_models.xray_flux_forecast.foreign_forecasts"
    code = f"import sys, {modules}; assert 'keras' not in sys.modules, 'keras was imported'"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_module_hides_a_dependency():
    names = {p.stem for p in FILES}
    hidden = names & {"keras", "tensorflow", "jax", "numpy", "scipy", "sklearn", "smac", "sunpy"}
    assert not hidden


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_runtime_code_never_unpickles_or_evaluates(path):
    # CVE lists of pickle, yaml.load, Lambda layers: what could run a stranger's code is not used
    if "software_tests" in path.parts:
        return
    tree = ast.parse(path.read_text())
    names = {name.split(".")[0] for name in imported(path)}
    assert not {"pickle", "dill", "joblib", "cloudpickle"} & names
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in {"eval", "exec", "yaml.load", "os.system"}, (path, name)
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                dangerous = {("allow_pickle", True), ("safe_mode", False), ("shell", True)}
                assert (keyword.arg, value) not in dangerous, (path, keyword.arg)
        if isinstance(node, ast.Attribute):
            assert node.attr != "Lambda", path
