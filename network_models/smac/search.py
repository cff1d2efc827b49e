"""A whole search: open the data once, SMAC's trials, random search's, retraining, report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ConfigSpace import ConfigurationSpace

from network_models.smac.outcome import (
    best_of_budgets,
    best_rival,
    total_budget,
    without,
    write_tables,
)
from network_models.smac.proposers import (
    FinalsProposer,
    Proposer,
    RandomProposer,
    SearchPlan,
    SMACProposer,
)
from network_models.smac.search_config import SearchConfig, usable_workers
from network_models.smac.search_space import plain_values
from network_models.smac.stage import Stage
from network_models.smac.trial_worker import Limits
from network_models.smac.trials import Trial, TrialResult
from network_models.smac.workers import Workers, dask_workers, local_workers, wait_for
from network_models.training.problem import Problem
from tools.atomic_files import write_json
from tools.long_work.journal import Journal
from tools.options import Trainable

__all__ = ["Found", "Searched", "open_judge", "open_workers", "run_stages"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Searched:
    """What is searched, and how.

    Attributes
    ----------
    problem : Problem
    base : Trainable
        The training script's options that all trials share; values around which is searched.
    space : ConfigurationSpace
    config : SearchConfig
    """

    problem: Problem
    base: Trainable
    space: ConfigurationSpace
    config: SearchConfig

    @property
    def plan(self) -> SearchPlan:
        """How trials are spent."""
        c = self.config
        return SearchPlan(
            c.mode,
            smallest=float(c.min_epochs),
            largest=float(c.max_epochs),
            folds=c.folds,
            seed=c.seed,
            crash_cost=self.problem.search.crash_cost,
        )

    @property
    def own(self) -> dict:
        """The script's own values of the options that are searched."""
        return plain_values(self.space.get_default_configuration())

    @property
    def share(self) -> float:
        """Of the training set that trials see."""
        return self.config.training_share or self.problem.search.training_share

    def request(self, trial: Trial) -> dict:
        """Make the request of ``trial_process`` for a trial."""
        epochs, share = round(trial.budget), self.share
        if self.config.fidelity == "samples":
            epochs = self.config.max_epochs
            share *= trial.budget / self.config.max_epochs
        return self.opening() | {
            "do": "trial",
            "values": trial.values,
            "epochs": max(epochs, 1),
            "share": share,
            "fold": None if trial.fold is None else [trial.fold, self.plan.folds],
            "seed": trial.seed,
            "max_parameters": self.config.max_parameters,
        }

    def opening(self) -> dict:
        """Make the request that opens the data."""
        options = dataclasses.asdict(self.base)
        script = self.problem.script
        return {"do": "open", "script": script, "options": options, "folds": self.plan.folds}


@dataclass(frozen=True)
class Found:
    """The trials of a search.

    Attributes
    ----------
    smac, finals, chance : list of (Trial, TrialResult)
        SMAC's; those that brought its best, and the script's own, to the largest budget; random
        search's.
    data : dict
        What the data are: source, sizes of the sets, fingerprint.
    """

    smac: list[tuple[Trial, TrialResult]]
    finals: list[tuple[Trial, TrialResult]]
    chance: list[tuple[Trial, TrialResult]]
    data: dict

    @property
    def guided(self) -> list[tuple[Trial, TrialResult]]:
        """All trials but random search's."""
        return [*self.smac, *self.finals]


@contextlib.contextmanager
def open_judge() -> Iterator[Workers]:
    """Yield one worker without limits, for finished runs."""
    endless = float("inf")
    with local_workers(1, Limits(endless, endless, os.cpu_count() or 1)) as worker:
        yield worker


@contextlib.contextmanager
def open_workers(config: SearchConfig) -> Iterator[Workers]:
    """Yield the workers that a search asks for."""
    n, threads = usable_workers(config)
    limits = Limits(config.trial_minutes * 60, config.memory_mib, threads)
    if config.scheduler or config.dashboard:
        manager = dask_workers(
            limits, scheduler=config.scheduler, n_local=n, dashboard=config.dashboard
        )
    else:
        manager = local_workers(n, limits)
    with manager as workers:
        yield workers


def run_stages(searched: Searched, folder: Path, workers: Workers) -> Found:
    """Run what is left of SMAC's search and of random search.

    Raises
    ------
    ValueError
        If the data can't be opened, or nothing works.
    """
    if {"keras", "tensorflow"} & set(sys.modules):
        raise RuntimeError("the driver of a search must not import keras: trials do, elsewhere")
    data = open_data(searched, workers)
    _require_same_data(folder / "data.json", data)
    write_json(folder / "data.json", data)
    sets = ", ".join(f"{n:,} {name}" for name, n in data["sets"].items())
    logger.info("Data: %s; samples: %s; trials see %g of training", data["source"], sets,
                searched.share)  # fmt: skip
    config, plan = searched.config, searched.plan
    smac = _stage(searched, folder, workers, "trials", SMACProposer(searched.space, plan),
                  config.trials)  # fmt: skip
    found = Found(smac, _finals(searched, folder, workers, smac), [], data)
    if not config.random_search:
        return found
    whole = plan.folds or 1  # a configuration is tried on all folds
    n = math.ceil(total_budget(found.guided) / plan.largest / whole) * whole
    logger.info("Random search at equal cost: %d trials of %g passes", n, plan.largest)
    chance = _stage(searched, folder, workers, "random", RandomProposer(searched.space, plan), n,
                    most_minutes=float("inf"))  # fmt: skip
    return dataclasses.replace(found, chance=chance)


def _require_same_data(file: Path, data: dict) -> None:
    """Refuse to go on with a search whose data are no longer what they were.

    Raises
    ------
    ValueError
        If the fingerprints differ.
    """
    before = json.loads(file.read_text())["fingerprint"] if file.exists() else data["fingerprint"]
    if before != data["fingerprint"]:
        raise ValueError(
            f"the data are no longer those that {file.parent} was begun with (fingerprint "
            f"{data['fingerprint']}, then {before}): scores of both can't be compared. Give "
            "another --output to begin again"
        )


def open_data(searched: Searched, workers: Workers) -> dict:
    """Let one worker open the data, which may have to be made first; give what they are.

    Raises
    ------
    ValueError
        If it can't, or there is no worker.
    """
    try:
        answer = wait_for(workers, searched.opening(), "open")
    except ValueError as error:
        raise ValueError(f"the data can't be opened: {error}") from None
    return {name: answer[name] for name in ("source", "sets", "scheme", "fingerprint")}


def _stage(
    searched: Searched,
    folder: Path,
    workers: Workers,
    name: str,
    proposer: Proposer,
    most_trials: int,
    *,
    most_minutes: float | None = None,
) -> list[tuple[Trial, TrialResult]]:
    minutes = searched.config.minutes if most_minutes is None else most_minutes
    with Journal(folder / f"{name}.journal") as journal, proposer:
        stage = Stage(
            name=name,
            proposer=proposer,
            journal=journal,
            most_trials=most_trials,
            most_seconds=60 * minutes,
            crash_cost=searched.problem.search.crash_cost,
            request=searched.request,
            told=_table_writer(folder, name, list(searched.space)),
            may_fail=name == "finals",
        )
        finished = stage.run(workers)
    write_tables(folder, name, finished, list(searched.space))
    return finished


def _table_writer(folder: Path, name: str, names: Sequence[str]) -> Callable:
    return lambda finished: write_tables(folder, name, finished, names)


def _finals(
    searched: Searched, folder: Path, workers: Workers, finished: list[tuple[Trial, TrialResult]]
) -> list[tuple[Trial, TrialResult]]:
    """Try the script's own configuration, and the best beside it of every budget, in full.

    Scores of different budgets, or of different folds, can't be compared. With folds, whoever does
    best beside the script's own on the folds that both have is tried on the others, too.
    """
    own = searched.own
    best = best_of_budgets(without(finished, own), searched.plan.folds)
    if not best_of_budgets(finished):
        return []
    wanted = [own, *(one.values for one in best)]
    if searched.plan.folds and (rival := best_rival(finished, own)) is not None:
        wanted.append(rival)
    logger.info("Finals: the script's own, and the best beside it of every budget, in full")
    finals = FinalsProposer(searched.plan, wanted, finished)
    return _stage(searched, folder, workers, "finals", finals, sys.maxsize,
                  most_minutes=float("inf"))  # fmt: skip
