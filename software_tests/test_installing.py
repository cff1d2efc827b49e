"""What installs this suite: pip takes every line given to it; a missing backend is named."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def pip_lines_of_conda():
    """Return the lines under ``- pip:`` of environment.yml, by their indentation."""
    text = (ROOT / "environment.yml").read_text()
    block = re.search(r"^( +)- pip:\n((?:\1 +- .*\n)+)", text, flags=re.MULTILINE)
    return [line.strip().removeprefix("- ") for line in block[2].splitlines()]


def test_pip_takes_what_the_conda_environment_gives_it(tmp_path):
    lines = pip_lines_of_conda()
    assert lines == ["-r requirements.txt"]
    file = tmp_path / "requirements.txt"
    file.write_text("\n".join(lines).replace("-r ", f"-r {ROOT}/") + "\n")
    # everything is installed where the tests run, so that pip parses and downloads nothing
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "-r", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    file.write_text(file.read_text() + "--no-deps -e .\n")  # what was there before
    done = subprocess.run([*command, "-r", str(file)], capture_output=True, text=True)
    assert "no such option: --no-deps" in done.stderr


def test_the_locked_packages_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in ("cpu", "test"):
        wanted += project["optional-dependencies"][extra]
    locked = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", line)
        if found:
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            locked.setdefault(name, []).append(found[2])
    for text in wanted:
        requirement = Requirement(text)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in locked, text
        for version in locked[name]:
            assert requirement.specifier.contains(version), f"{text}: {version} is locked"


def test_a_missing_backend_is_one_sentence_with_the_extra_to_take(tmp_path):
    """As after ``pip install -e .``: a package that is not there, instead of TensorFlow."""
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    environment |= {"KERAS_BACKEND": "tensorflow"}
    for script in ("xray_flux_forecast/history_only.py", "image_classification/classify.py"):
        command = [sys.executable, str(ROOT / "network_models" / script)]
        command += ["--smoke"] if "history" in script else ["packaged", str(ROOT / "README.md")]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 2
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("error: Keras finds no backend: install one with pip install -e")
        assert "Traceback" not in done.stderr
