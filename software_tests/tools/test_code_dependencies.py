"""The code that a result depends on: found from imports, wherever it moves."""

import shutil

import pytest

from tools.code_dependencies import ROOT, code_of_script, dependencies_of, fingerprint_of_code

FILES = {
    "tools/__init__.py": "",
    "tools/later.py": "def later(place): ...\n",
    "tools/tables/__init__.py": "",
    "tools/tables/numbers.csv": "1,2\n",
    "tools/plotting/__init__.py": "",
    "tools/plotting/draw.py": "COLOUR = 'red'\n",
    "tools/physics.py": "from tools.tables import read\nread('numbers')\n",
    "science/__init__.py": "",
    "science/list.json": "{}",
    "science/result.py": (
        "from typing import TYPE_CHECKING\nfrom tools.later import later\n"
        "if TYPE_CHECKING:\n    from science.only_types import Kind\n"
        "def make():\n    from tools import physics\n    from tools.plotting import draw\n"
        "    return later('science.late:work'), open('list.json'), physics, draw\n"
    ),
    "science/late.py": "LATE = 1\n",
    "science/only_types.py": "class Kind: ...\n",
    "science/unused.py": "",
    "weights/a.bin": "w",
}
NEEDED = {"science/result.py", "science/late.py", "science/list.json", "tools/physics.py"}
NEEDED |= {"tools/tables/numbers.csv", "tools/later.py"}
OPTIONS = {"exclude": ("tools/plotting/*",), "data": ["weights/*"]}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def fingerprint(root):
    return fingerprint_of_code(["science/result.py"], root=root, **OPTIONS)


def test_imports_are_followed_wherever_they_stand(root):
    found = dependencies_of(["science/result.py"], root=root, **OPTIONS)
    names = {p.relative_to(root).as_posix() for p in found if p.name != "__init__.py"}
    assert names == NEEDED | {"weights/a.bin"}


@pytest.mark.parametrize("name", sorted(NEEDED | {"weights/a.bin"}))
def test_any_change_makes_old_results_invalid(root, name):
    before = fingerprint(root)
    text = (root / name).read_text() or "\n"
    (root / name).write_text(text[:-1] + " ")  # one character, of the same length
    assert fingerprint(root) != before


@pytest.mark.parametrize("name", ["tools/plotting/draw.py", "science/unused.py"])
def test_what_decides_no_number_makes_nothing_invalid(root, name):
    before = fingerprint(root)
    (root / name).write_text("OTHER = 1\n")
    (root / "science/only_types.py").write_text("class Kind:\n    x = 1\n")
    assert fingerprint(root) == before


def test_tables_named_by_parts_relative_imports_and_inverted_checks(root):
    (root / "science/result.py").write_text(
        "import typing\nfrom . import late\nfrom .unused import X\nkind = 'a'\n"
        "open(f'list_{kind}.json')\n"
        "if not typing.TYPE_CHECKING:\n    import tools.physics\n"
        "if typing.TYPE_CHECKING:\n    from science.only_types import Kind\n"
    )
    (root / "science/list_a.json").write_text("{}")
    found = dependencies_of(["science/result.py"], root=root, **OPTIONS)
    names = {p.relative_to(root).as_posix() for p in found if p.name != "__init__.py"}
    expected = {"result.py", "late.py", "unused.py", "list_a.json"}
    assert {name.removeprefix("science/") for name in names if "science/" in name} == expected
    assert "tools/physics.py" in names


def test_a_file_that_moves_makes_old_results_invalid_and_is_still_found(root):
    before = fingerprint(root)
    shutil.move(root / "tools/physics.py", root / "tools/optics.py")
    text = (root / "science/result.py").read_text().replace("import physics", "import optics")
    (root / "science/result.py").write_text(text.replace(" physics,", " optics,"))
    found = dependencies_of(["science/result.py"], root=root, **OPTIONS)
    assert root / "tools/optics.py" in found
    assert root / "tools/tables/numbers.csv" in found
    assert fingerprint(root) != before


def test_patterns_and_modules_that_match_nothing_are_refused(root):
    with pytest.raises(FileNotFoundError, match=r"gone/\* matches no file"):
        dependencies_of(["science/result.py"], root=root, data=["gone/*"], exclude=())
    with pytest.raises(FileNotFoundError, match="matches no file"):
        dependencies_of(["science/result.py"], root=root, exclude=("tools/colours/*",))
    with pytest.raises(FileNotFoundError, match="no such module"):
        dependencies_of(["science/moved.py"], root=root, exclude=())


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        # both were missed by the lists that were kept by hand
        ("science/dem/series.py", "dataset_models/SDO/AIA/six_channel_series.py"),
        ("science/dem/series.py", "network_models/layers/compiled.py"),
        ("science/dem/series.py", "network_models/files/safe_loading.py"),
        ("science/dem/series.py", "tools/tables/emission_measure_errors.json"),
        ("science/dem/series.py", "tools/emission_measure/tikhonov.py"),
        (
            "network_models/image_classification/archive/traversal.py",
            "dataset_models/plain_arrays.py",
        ),
        (
            "network_models/image_classification/archive/traversal.py",
            "dataset_models/solar_scenes/classes.py",
        ),
        ("dataset_models/virtual_sun/images.py", "dataset_models/virtual_sun/corona.py"),
        ("dataset_models/solar_scenes/generated.py", "tools/random_streams.py"),
        (
            "network_models/xray_flux_forecast/history_only.py",
            "network_models/xray_flux_forecast/evaluation.py",
        ),
    ],
)
def test_the_suite_s_own_results_depend_on_what_makes_them(module, needed):
    names = {p.relative_to(ROOT).as_posix() for p in dependencies_of([module])}
    assert needed in names
    assert not any(name.startswith(("tools/plotting", "tools/report")) for name in names)


def test_scripts_have_fingerprints_of_their_own(tmp_path):
    first = code_of_script("network_models/xray_flux_forecast/history_only.py")
    assert first != code_of_script("network_models/dem_regression/train.py")
    outside = tmp_path / "own.py"
    outside.write_text("from tools.options import option\n")
    assert len(code_of_script(str(outside))) == 16
    assert len(code_of_script("software_tests.network_models.smac.toy_problem")) == 16
    with pytest.raises(FileNotFoundError, match="no such module"):
        code_of_script("json_of_nobody")
