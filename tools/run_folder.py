"""Run folders: one folder per training, made without races, found again by its configuration."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import IO

from tools.atomic_files import sweep_partial_files, write_json
from tools.long_work.resumable import locked_file

__all__ = [
    "RunFolder",
    "find_run",
    "new_run_folder",
    "software_versions",
]

logger = logging.getLogger(__name__)

_SUBFOLDERS = ("epochs", "performance", "maps", "features", "embeddings")


class RunFolder:
    """The folder of one training run.

    Holds ``config.json`` (written before the first batch), ``summary.txt``, ``architecture.png``,
    ``best_performing.keras``, ``state-0.npz`` and ``state-1.npz``, ``epochs/``, ``performance/``,
    ``maps/``, ``features/``, ``embeddings/`` and, when all is done, ``report.html``.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock: IO | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def best_network(self) -> Path:
        """Path of the best network by validation score."""
        return self / "best_performing.keras"

    @property
    def is_finished(self) -> bool:
        """Whether training, scores and report are all there."""
        return (self / "report.html").is_file()

    @property
    def config(self) -> dict:
        """The content of config.json.

        Raises
        ------
        ValueError
            If the folder has none, or it can't be read.
        """
        try:
            config = json.loads((self / "config.json").read_text())
            if not isinstance(config, dict):
                raise ValueError(f"expected an object, got {type(config).__name__}")
            return config
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(
                f"{self.path} is no run folder: it has no config.json. A run is a folder "
                "trained_models/TRAINING_START_TIME made by a training script"
            ) from None
        except (OSError, ValueError) as error:
            raise ValueError(f"{self / 'config.json'} can't be read: {error}") from error

    @property
    def skill(self) -> dict:
        """The score card in performance/skill.json."""
        return json.loads((self / "performance/skill.json").read_text())

    def write_config(self, config: dict) -> None:
        """Write config.json in one step."""
        write_json(self / "config.json", config)

    def note(self, **entries: object) -> None:
        """Add entries to config.json, or change them; nothing is written if all stand there."""
        config = self.config
        if any(config.get(name) != value for name, value in entries.items()):
            self.write_config(config | entries)

    def lock(self) -> bool:
        """Claim the folder for this process; False if another one holds it.

        The kernel frees the lock when the process ends, however it ends.
        """
        self._lock = locked_file(self / "run.lock")
        if self._lock is None:
            return False
        sweep_partial_files(self.path)
        return True

    def unlock(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def new_run_folder(parent: str | Path) -> RunFolder:
    """Make and lock a new run folder named by the time in UTC, such as ``20261121T101500``.

    ``os.mkdir`` decides between processes that start in the same second: each gets its own.
    """
    parent = Path(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"the folder for runs can't be made ({error.strerror}); give another --output"
        raise OSError(error.errno, reason, str(parent)) from None
    start = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    attempt = 0
    while True:
        path = parent / (f"{start}-{attempt}" if attempt else start)
        try:
            os.mkdir(path)
        except FileExistsError:
            attempt += 1
            continue
        run = RunFolder(path)
        if run.lock():
            for name in _SUBFOLDERS:
                (path / name).mkdir()
            return run


def find_run(parent: str | Path, identity: str) -> RunFolder | None:
    """Return the newest run with this identity that no other process works on, locked, or None."""
    for path in sorted(Path(parent).glob("*/config.json"), reverse=True):
        run = RunFolder(path.parent)
        try:
            same = run.config.get("identity") == identity
        except ValueError:
            continue
        if same and run.lock():
            return run
        if same and not run.is_finished:
            logger.warning("another process works on the same run, %s", run.path)
    return None


def software_versions() -> dict[str, str]:
    """Return the versions that a result may depend on, and the commit where there is one."""
    versions = {"python": platform.python_version(), "system": platform.system()}
    names = ("heliolens", "keras", "tensorflow-cpu", "tensorflow", "jax", "numpy", "scikit-learn")
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions["commit"] = _commit()
    return versions


def _commit() -> str:
    """Return the checkout's commit, with ``+`` where files differ from it."""
    root = Path(__file__).parents[1]
    try:
        describe = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
        result = subprocess.run(describe, cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return result.stdout.strip() or "unknown"
