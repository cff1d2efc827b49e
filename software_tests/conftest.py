"""What all tests share: no network, quiet backends, the real data where they are."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
GUARD = Path(__file__).parent / "no_network" / "sitecustomize.py"

SMALL = ["--virtual-years", "9", "--cadence-h", "12", "--history-h", "168", "--width", "16"]
SMALL += ["--epochs", "3", "--bootstrap-draws", "100", "--batch-size", "128"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(GUARD.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)


def pytest_configure(config):
    """Guard this process; others inherit the guard through PYTHONPATH."""
    spec = importlib.util.spec_from_file_location("no_network_guard", GUARD)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.fixture(scope="session")
def shared():
    """Give the folder of real observations, or skip."""
    if not SHARED.is_dir():
        pytest.skip("the real observations (../shared/data) are not here")
    return SHARED


@pytest.fixture(scope="session")
def case_files():
    """Return what lists the files of a known case (../shared/cases), none where they are absent."""
    return lambda pattern: sorted((SHARED.parent / "cases").glob(pattern))


@pytest.fixture(scope="session")
def goes_15_day():
    """Give the GOES-15 file of 2011-06-07 from sunpy's own wheel."""
    spec = importlib.util.find_spec("sunpy")
    return Path(spec.submodule_search_locations[0]) / "data/test/go1520110607.fits"


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Give a small finished run of the history network on the virtual Sun."""
    from network_models.xray_flux_forecast.history_only import main

    output = tmp_path_factory.mktemp("trained_models")
    assert main([*SMALL, "--output", str(output)]) == 0
    (run,) = output.iterdir()
    return run


@pytest.fixture
def generator():
    """Give a generator with a fixed seed."""
    return np.random.default_rng(20261121)


@pytest.fixture
def run_command():
    """Run one of the suite's scripts in a process of its own."""

    def run(*arguments, check=True, **options):
        command = [sys.executable, *map(str, arguments)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)
        if check:
            assert result.returncode == 0, result.stdout + result.stderr
        return result

    return run
