"""One of each: training command, run driver, opener, pool, printer, journal; no circles."""

import ast
import re
import subprocess
import sys

import pytest

from network_models.training.problem import open_problem, problem_scripts
from software_tests.conftest import ROOT

FLOORS = ("tools", "dataset_models", "network_models", "science")
CODE = {p: p.read_text() for floor in FLOORS for p in sorted((ROOT / floor).rglob("*.py"))}
SCRIPTS = [
    p.relative_to(ROOT).as_posix()
    for p, text in CODE.items()
    if re.search(r'^if __name__ == "__main__":', text, re.MULTILINE)
    and p.name not in ("trial_process.py", "watched_script.py")  # other programs start these
]


def files_with(pattern):
    return {p.relative_to(ROOT).as_posix() for p, t in CODE.items() if re.search(pattern, t)}


@pytest.mark.parametrize(
    ("pattern", "only"),
    [
        (r"except TrainingStopped", {"network_models/training/command.py"}),
        (r"find_run\(", {"network_models/training/run.py", "tools/run_folder.py"}),
        (r"def reopen_run|def open_network\b", {"network_models/training/reopen.py"}),
        (r"ProcessPoolExecutor\(|get_context\(", {"tools/long_work/processes.py"}),
        (r"os\.getppid|parent_process\(", {"tools/long_work/processes.py"}),
        (r"\bs left\b|\} left\"|%s left|%d s left", {"tools/long_work/progress.py"}),
        (r"crc32\(text\)|json\.loads\(line\)$", {"tools/long_work/journal.py"}),
        (r"f\"\.\{.*\.partial", {"tools/atomic_files.py"}),
        (r"fcntl\.", {"tools/long_work/resumable.py"}),
        (
            r"\._(?:nodes_by_depth|functional|inputs_struct|inbound_nodes|call_has_training_arg)\b"
            r'|"_(?:nodes_by_depth|functional|inputs_struct|call_has_training_arg)"',
            {"network_models/differentiation/keras_graph.py"},
        ),
    ],
)
def test_there_is_one_of_each(pattern, only):
    assert files_with(pattern) == only


def test_every_registered_layer_has_its_room():
    registered = files_with("register_keras_serializable")
    layers = {f for f in registered if "(keras.layers.Layer)" in (ROOT / f).read_text()}
    assert len(layers) >= 5
    assert all(f.startswith("network_models/layers/") for f in layers)


def imported(path, modules):
    """Return the suite's modules that a file imports, anywhere in it, types included."""
    found = set()
    for node in ast.walk(ast.parse(CODE[path])):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            found |= inner or {node.module} & modules.keys()
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules.keys()
    return found


def test_no_modules_import_each_other_in_a_circle():
    modules = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in CODE
    }
    left = {name: imported(path, modules) for name, path in modules.items()}
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    circle = {name: sorted(needs & left.keys()) for name, needs in left.items()}
    assert not circle


def test_places_that_are_named_for_later_exist():
    for path, text in CODE.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "later":
                place = node.args[0]
                # written out, so that what a result depends on is found in the text
                assert isinstance(place, ast.Constant), path
                module, _, name = place.value.partition(":")
                file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
                assert re.search(rf"^(?:def|class) {name}\b", file.read_text(), re.MULTILINE), place


def test_no_file_is_longer_than_400_lines():
    files = [*CODE, *(ROOT / "software_tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    assert not [p for p in files if len(p.read_text().splitlines()) > 400]


def test_problems_have_names_of_their_own_and_end_their_scripts():
    problems = [open_problem(script) for script in problem_scripts()]
    assert len(problems) >= 7
    assert len({p.name for p in problems}) == len(problems)
    for problem in problems:
        assert (ROOT / problem.script).is_file()
        assert all((ROOT / dataset).is_file() for dataset in problem.datasets)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_help(script):
    done = subprocess.run(
        [sys.executable, str(ROOT / script), "--help"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("usage:")
    assert "Traceback" not in done.stderr


def test_the_seed_s_paths_can_be_imported():
    from dataset_models.SDO.AIA.fdl_1 import FDL1
    from dataset_models.solar_data import SolarData
    from network_models.training_callbacks import TrainingStopped
    from tools.tools import RunFolder, option, write_json

    assert issubclass(FDL1, SolarData)
    assert issubclass(TrainingStopped, Exception)
    assert RunFolder
    assert option
    assert write_json
    assert (ROOT / "software_tests/tests.py").is_file()
