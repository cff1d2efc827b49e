"""The options of a search, and the folder that it is kept in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from network_models.training.problem import Problem
from tools.atomic_files import is_scratch_of, sweep_partial_files, write_json
from tools.long_work.resumable import claim
from tools.options import option
from tools.run_folder import software_versions

__all__ = ["SearchConfig", "open_search_folder", "usable_workers"]

_SETTINGS = "search.json"
# what decides which trials there are; limits and places may change when a search is gone on with
_IDENTITY = (
    "mode",
    "fidelity",
    "min_epochs",
    "max_epochs",
    "folds",
    "training_share",
    "search",
    "max_parameters",
    "seed",
)


@dataclass(frozen=True)
class SearchConfig:
    """Options of a search; the command line is made from these fields."""

    mode: str = option(
        "budgets",
        "budgets: Hyperband, many short trainings and few long ones; folds: racing over "
        "cross-validation folds; blackbox: every trial in full",
        choices=("budgets", "folds", "blackbox"),
    )
    trials: int = option(60, "most trials; give more and the same search goes on")
    minutes: float = option(15.0, "no trial begins after so many minutes; running ones end")
    fidelity: str = option(
        "epochs", "what a smaller budget has fewer of", choices=("epochs", "samples")
    )
    min_epochs: int = option(1, "smallest budget, passes through the training part")
    max_epochs: int = option(9, "largest budget, passes")
    folds: int = option(4, "folds of --mode folds")
    training_share: float = option(
        0.0, "share of the training set that trials see; the script's own choice if 0"
    )
    search: tuple[str, ...] = option((), "options to search; all that can be searched if empty")
    workers: int = option(0, "trials at once on this machine; one for each core if 0")
    scheduler: str = option("", "dask scheduler to use instead, such as tcp://127.0.0.1:8786")
    dashboard: bool = option(
        False, "local workers under dask, with its dashboard on the loopback address"
    )
    threads: int = option(0, "threads of each trial; the cores shared out if 0 (1 on a cluster)")
    trial_minutes: float = option(10.0, "longest trial, minutes")
    memory_mib: float = option(6000.0, "most memory of a trial's process, MiB")
    max_parameters: int = option(150_000_000, "largest network, as the original allowed")
    random_search: bool = option(True, "also search at random, at equal cost")
    retrain: bool = option(
        True, "train the script's own network and what either search found best as ordinary runs"
    )
    seed: int = option(0, "seed of the search and of every trial")
    output: str = option("", "folder of the search; network_models/smac/searches/... if empty")

    def __post_init__(self):
        for name in ("trials", "min_epochs", "max_epochs", "max_parameters"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
        for name in ("workers", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name} must not be negative; 0 means as many as fit")
        for name in ("minutes", "trial_minutes", "memory_mib"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"--{name.replace('_', '-')} must be positive and finite")
        if self.max_epochs < self.min_epochs:
            raise ValueError(
                f"--max-epochs {self.max_epochs} must not be below --min-epochs {self.min_epochs}"
            )
        if self.mode == "budgets" and self.fidelity == "epochs":
            self._require_whole_budgets()
        if self.mode != "budgets" and (self.fidelity != "epochs" or self.min_epochs != 1):
            raise ValueError("--fidelity and --min-epochs are for --mode budgets: leave them out")
        if self.mode == "folds" and self.folds < 2:
            raise ValueError(f"--folds must be 2 or more, got {self.folds}")
        if not 0 <= self.training_share <= 1:
            raise ValueError("--training-share must be above 0 and at most 1 (0: the script's own)")
        if self.scheduler and (self.workers or self.dashboard):
            raise ValueError("--scheduler has its own workers: leave --workers and --dashboard out")
        if not 0 <= self.seed < 2**31:
            raise ValueError("--seed takes 0 to 2^31 - 1")

    def _require_whole_budgets(self) -> None:
        """Refuse budgets that are no whole number of passes."""
        budget = self.max_epochs
        while budget >= 3 * self.min_epochs and budget % 3 == 0:
            budget //= 3
        if budget >= 3 * self.min_epochs:
            low = self.min_epochs
            raise ValueError(
                f"--max-epochs {self.max_epochs} would need budgets that are no whole passes: "
                f"every budget is a third of the next. Take {3 * low}, {9 * low} or {27 * low}, or "
                "--fidelity samples"
            )


def usable_workers(config: SearchConfig) -> tuple[int, int]:
    """Return how many trials run at once on this machine, and the threads of each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if config.scheduler:
        return 0, config.threads or 1
    workers = config.workers or cores
    return workers, config.threads or max(cores // workers, 1)


@contextlib.contextmanager
def open_search_folder(
    config: SearchConfig, problem: Problem, options: Mapping[str, object], space: str
) -> Iterator[Path]:
    """Make or find the folder of a search, claimed for this process.

    Parameters
    ----------
    config : SearchConfig
    problem : Problem
    options : dict
        Of the training script, shared by all trials.
    space : str
        The search space in words.

    Raises
    ------
    ValueError
        If the folder is in use, holds another search, or holds something else.
    """
    described = {name: getattr(config, name) for name in _IDENTITY}
    described |= {"script": problem.script, "options": dict(options), "space": space}
    text = json.dumps(described, sort_keys=True)
    identity = hashlib.sha256(text.encode()).hexdigest()[:16]
    stem = Path(problem.script).stem
    if stem == "train":
        stem = Path(problem.script).parent.name
    folder = Path(config.output or f"network_models/smac/searches/{stem}_{identity[:8]}")
    _require_free(folder, identity)
    folder.mkdir(parents=True, exist_ok=True)
    with claim(folder / "search.lock") as is_ours:
        if not is_ours:
            raise ValueError(f"another process is searching in {folder}; wait for it, or stop it")
        with _cleared_if_nothing_came(folder):  # ours alone: nobody else's is cleared
            sweep_partial_files(folder)
            if not (folder / _SETTINGS).exists():
                settings = {
                    "identity": identity,
                    "script": problem.script,
                    "options": dict(options),
                    "search": asdict(config),
                    "space": space.splitlines(),
                    "score": problem.search.score,
                    "versions": software_versions(),
                }
                write_json(folder / _SETTINGS, json.loads(json.dumps(settings)))
            yield folder


@contextlib.contextmanager
def _cleared_if_nothing_came(folder: Path) -> Iterator[None]:
    """Remove a new folder again where the search could not even begin."""
    is_new = not (folder / _SETTINGS).exists()
    try:
        yield
    except Exception:  # any error: it is raised again, only the empty folder goes
        if is_new and {p.name for p in folder.iterdir()} <= {_SETTINGS, "search.lock"}:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        raise


def _require_free(folder: Path, identity: str) -> None:
    """Refuse a folder that holds something else."""
    settings = folder / _SETTINGS
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give another --output")
    if settings.exists():
        try:
            found = json.loads(settings.read_text()).get("identity")
        except (OSError, ValueError, AttributeError) as error:
            raise ValueError(f"{settings} can't be read ({error}); give another --output") from None
        if found != identity:
            raise ValueError(
                f"{folder} holds another search (see its {_SETTINGS}): give another --output, or "
                "the options that it was begun with"
            )
    elif folder.is_dir() and any(not _is_left_over(p) for p in folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no search; give another --output")


def _is_left_over(path: Path) -> bool:
    """Return whether a file is of a search that was killed before its settings were written."""
    return path.name == "search.lock" or is_scratch_of(path, _SETTINGS)
