"""A whole search: open the data once, SMAC's trials, random search's, retraining, report."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ConfigSpace import ConfigurationSpace

from network_models.search_problem import SearchProblem
from network_models.smac.outcome import best_configuration, total_budget, write_tables
from network_models.smac.proposers import Proposer, RandomProposer, SearchPlan, SMACProposer
from network_models.smac.search_config import SearchConfig, usable_workers
from network_models.smac.stage import Stage
from network_models.smac.trial_worker import Limits
from network_models.smac.trials import Trial, TrialResult
from network_models.smac.workers import Workers, dask_workers, local_workers
from tools.atomic_files import write_json
from tools.journal import Journal

__all__ = ["Found", "Searched", "open_workers", "run_stages"]

logger = logging.getLogger(__name__)

_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Searched:
    """What is searched, and how.

    Attributes
    ----------
    problem : SearchProblem
    base : dataclass
        The training script's options that all trials share; values around which is searched.
    space : ConfigurationSpace
    config : SearchConfig
    """

    problem: SearchProblem
    base: object
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
            crash_cost=self.problem.crash_cost,
        )

    @property
    def share(self) -> float:
        """Of the training set that trials see."""
        return self.config.training_share or self.problem.training_share

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
    smac, chance : list of (Trial, TrialResult)
    data : dict
        What the data are: source, sizes of the sets, fingerprint.
    """

    smac: list[tuple[Trial, TrialResult]]
    chance: list[tuple[Trial, TrialResult]]
    data: dict


@contextlib.contextmanager
def open_workers(config: SearchConfig) -> Iterator[Workers]:
    """Give the workers that a search asks for."""
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
    write_json(folder / "data.json", data)
    sets = ", ".join(f"{n:,} {name}" for name, n in data["sets"].items())
    logger.info("Data: %s; samples: %s; trials see %g of training", data["source"], sets,
                searched.share)  # fmt: skip
    config, plan = searched.config, searched.plan
    smac = _stage(searched, folder, workers, "trials", SMACProposer(searched.space, plan),
                  config.trials)  # fmt: skip
    if plan.folds:
        smac = smac + _rechecked(searched, folder, workers, smac)
    if not config.random_search:
        return Found(smac, [], data)
    n = max(int(total_budget(smac) // plan.largest), plan.folds or 1)
    if plan.folds:
        n -= n % plan.folds
    logger.info("Random search at equal cost: %d trials of %g passes", n, plan.largest)
    chance = _stage(searched, folder, workers, "random", RandomProposer(searched.space, plan), n,
                    most_minutes=float("inf"))  # fmt: skip
    return Found(smac, chance, data)


def open_data(searched: Searched, workers: Workers) -> dict:
    """Let one worker open the data, which may have to be made first; give what they are.

    Raises
    ------
    ValueError
        If it can't, or there is no worker.
    """
    start = time.monotonic()
    while not workers.n_slots():
        if time.monotonic() - start > _PATIENCE_S:
            raise ValueError(
                f"the scheduler has no worker, and none came in {_PATIENCE_S:.0f} s: start some by "
                "'dask worker ADDRESS --nthreads 1'"
            )
        time.sleep(0.2)
    promise = workers.submit(searched.opening(), f"open-{time.time_ns()}")
    while not promise.done():
        time.sleep(0.05)
    answer = promise.result()
    if answer["status"] != "success":
        raise ValueError(f"the data can't be opened: {answer['reason']}")
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
            crash_cost=searched.problem.crash_cost,
            request=searched.request,
            told=_table_writer(folder, name, list(searched.space)),
        )
        finished = stage.run(workers)
    write_tables(folder, name, finished, list(searched.space))
    return finished


def _table_writer(folder: Path, name: str, names: Sequence[str]) -> Callable:
    return lambda finished: write_tables(folder, name, finished, names)


class _Missing:
    """Proposes the folds that the best configuration was not tried on."""

    def __init__(self, searched: Searched, finished: list[tuple[Trial, TrialResult]]):
        plan, best = searched.plan, best_configuration(finished, searched.plan.folds)
        tried = {t.fold for t, r in finished if best and t.values == best.values and r.is_success}
        self.left = [
            Trial(k, best.values, plan.largest, fold, plan.seed)
            for k, fold in enumerate(sorted(set(range(plan.folds)) - tried if best else ()))
        ]

    def __enter__(self) -> _Missing:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def propose(self) -> Trial | None:
        return self.left.pop(0) if self.left else None

    def drawn(self) -> list[dict]:
        return []

    def repeat(self, drawn: list[dict]) -> None:
        pass

    def learn(self, trial: Trial, result: TrialResult) -> None:
        pass


def _rechecked(
    searched: Searched, folder: Path, workers: Workers, finished: list[tuple[Trial, TrialResult]]
) -> list[tuple[Trial, TrialResult]]:
    """Try the best configuration on the folds that racing spared it."""
    missing = _Missing(searched, finished)
    if not missing.left:
        return []
    logger.info("The best configuration is tried on %d more folds", len(missing.left))
    return _stage(searched, folder, workers, "recheck", missing, len(missing.left),
                  most_minutes=float("inf"))  # fmt: skip
