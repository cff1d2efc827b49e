"""Every notebook of docs/walkthroughs runs from its first to its last cell, at smoke size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/walkthroughs").glob("*.ipynb"))
SMOKE = {"WALKTHROUGH_SIZE": "48", "WALKTHROUGH_EPOCHS": "3"}
SAID = {  # by each notebook, at the latest in its last cells
    "classification.ipynb": ("balanced accuracy", "of the map's energy lies on it"),
    "dem.ipynb": ("our network    L1", "A adds"),
    "inversions.ipynb": ("prior and width  answers", "every piece was exchanged once"),
}


def code_of(path):
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == list(SAID)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path, tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text(code_of(path))
    environment = os.environ | SMOKE | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for words in SAID[path.name]:
        assert words in done.stdout
