"""Who says what to try next: SMAC 2.4.1, or chance.

A search is resumed by going through its journal once more: the proposer is asked and told again,
and draws again what it drew. SMAC's own files, which a kill can halve, are not used. Trials travel
as plain values, never as SMAC's configurations: those change under pickling.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections import deque
from pathlib import Path
from typing import Protocol, Self

from ConfigSpace import ConfigurationSpace

from network_models.smac.search_space import plain_values
from network_models.smac.trials import Trial, TrialResult

__all__ = ["FinalsProposer", "Proposer", "RandomProposer", "SMACProposer", "SearchPlan"]

logger = logging.getLogger(__name__)

_N_FIRST = 9  # drawn before a model is asked, as many as Hyperband's first round has


class Proposer(Protocol):
    """Proposes trials and learns from what came of them; used in ``with``."""

    def propose(self) -> Trial | None:
        """Give the next trial, None if there is nothing left to try."""

    def drawn(self) -> list[dict]:
        """Give the values that were drawn since this was asked last."""

    def repeat(self, drawn: list[dict]) -> None:
        """Draw these values next, as a journal says."""

    def learn(self, trial: Trial, result: TrialResult) -> None:
        """Take a result in."""


class SearchPlan:
    """How trials are spent.

    Parameters
    ----------
    mode : {"budgets", "folds", "blackbox"}
        Hyperband over budgets, racing over cross-validation folds, or every trial in full.
    smallest, largest : float
        Budgets, in passes.
    folds : int
    seed : int
    crash_cost : float
    """

    def __init__(
        self,
        mode: str,
        *,
        smallest: float,
        largest: float,
        folds: int,
        seed: int,
        crash_cost: float,
    ):
        self.mode, self.smallest, self.largest = mode, smallest, largest
        self.folds = folds if mode == "folds" else 0
        self.seed, self.crash_cost = seed, crash_cost


class SMACProposer:
    """SMAC's optimizer by its ask-and-tell interface.

    The configuration of the training script's own defaults is tried first.
    """

    def __init__(self, space: ConfigurationSpace, plan: SearchPlan):
        self._plan, self._asked = plan, []
        self._folder = tempfile.TemporaryDirectory(prefix="smac-")
        self._space = space
        try:
            self._smac, self._selector, self._ends = _facade(space, plan, self._folder.name)
        except BaseException:
            self._folder.cleanup()
            raise

    def propose(self) -> Trial | None:
        """Ask SMAC."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of means over nothing, in SMAC's statistics
            try:
                info = self._smac.ask()
            except self._ends:
                logger.warning("SMAC: nothing is left to try after %d trials", len(self._asked))
                return None
        self._asked.append(info)
        budget = self._plan.largest if info.budget is None else round(float(info.budget), 6)
        fold = None if info.instance is None else int(info.instance)
        values = plain_values(info.config)
        return Trial(len(self._asked) - 1, values, budget, fold, self._plan.seed)

    def drawn(self) -> list[dict]:
        """Give what SMAC drew."""
        drawn, self._selector.drawn = self._selector.drawn, []
        return drawn

    def repeat(self, drawn: list[dict]) -> None:
        """Let SMAC draw these next."""
        self._selector.repeat(self._space, drawn)

    def learn(self, trial: Trial, result: TrialResult) -> None:
        """Tell SMAC; failures have the finite cost that its model can learn from."""
        from smac.runhistory import StatusType, TrialValue

        status = {
            "success": StatusType.SUCCESS,
            "timeout": StatusType.TIMEOUT,
            "memory": StatusType.MEMORYOUT,
        }.get(result.status, StatusType.CRASHED)
        value = TrialValue(
            cost=min(result.cost, self._plan.crash_cost),  # nothing is worse than a failure
            time=result.seconds,
            status=status,
            starttime=result.started,
            endtime=result.ended,
        )
        self._smac.tell(self._asked[trial.number], value, save=False)

    def __enter__(self) -> SMACProposer:
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()  # SMAC's own scratch


class _WithoutModel:
    """What a proposer that learns nothing has of ``Proposer``; a journal's values come first."""

    def __init__(self, plan: SearchPlan):
        self._plan, self._count = plan, 0
        self._drawn: list[dict] = []
        self._repeated: deque[dict] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def drawn(self) -> list[dict]:
        """Give what was drawn."""
        drawn, self._drawn = self._drawn, []
        return drawn

    def repeat(self, drawn: list[dict]) -> None:
        """Draw these next."""
        self._repeated.extend(drawn)

    def learn(self, trial: Trial, result: TrialResult) -> None:
        """Learn nothing."""

    def _in_full(self, values: dict, fold: int | None) -> Trial:
        self._count += 1
        return Trial(self._count - 1, values, self._plan.largest, fold, self._plan.seed)


class RandomProposer(_WithoutModel):
    """Configurations drawn at random, each tried in full; the script's defaults come first, too."""

    def __init__(self, space: ConfigurationSpace, plan: SearchPlan):
        super().__init__(plan)
        self._space, self._values = space, {}
        self._space.seed(plan.seed + 1)

    def propose(self) -> Trial:
        """Draw the next; with folds, each configuration is tried on all of them."""
        folds = self._plan.folds
        if not folds or self._count % folds == 0:
            self._values = self._new()
            self._drawn.append(self._values)
        return self._in_full(self._values, self._count % folds if folds else None)

    def _new(self) -> dict:
        if self._count == 0:
            values = plain_values(self._space.get_default_configuration())
        else:
            values = plain_values(self._space.sample_configuration())
        return self._repeated.popleft() if self._repeated else values


class FinalsProposer(_WithoutModel):
    """Tries configurations in full: the largest budget, and all folds, where that is missing.

    Parameters
    ----------
    plan : SearchPlan
    configurations : list of dict
    finished : list of (Trial, TrialResult)
        What is not to be tried again.
    """

    def __init__(
        self,
        plan: SearchPlan,
        configurations: list[dict],
        finished: list[tuple[Trial, TrialResult]],
    ):
        super().__init__(plan)
        tried = [(t.values, t.fold) for t, _ in finished if t.budget == plan.largest]
        folds = range(plan.folds) if plan.folds else [None]
        wanted = [(values, fold) for values in configurations for fold in folds]
        self._left: list[tuple[dict, int | None]] = []
        for pair in wanted:
            if pair not in tried and pair not in self._left:
                self._left.append(pair)

    def propose(self) -> Trial | None:
        """Give what a journal has, then what is left."""
        if self._repeated:
            again = self._repeated.popleft()
            values, fold = again["values"], again["fold"]
            self._left = [pair for pair in self._left if pair != (values, fold)]
        elif self._left:
            values, fold = self._left.pop(0)
        else:
            return None
        self._drawn.append({"values": values, "fold": fold})
        return self._in_full(values, fold)


def _facade(space: ConfigurationSpace, plan: SearchPlan, folder: str) -> tuple:
    """Make SMAC's optimizer for a plan; give what draws for it, and what it raises at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies' own
        from smac import (
            AlgorithmConfigurationFacade,
            HyperparameterOptimizationFacade,
            MultiFidelityFacade,
            Scenario,
        )
        from smac.main.exceptions import ConfigurationSpaceExhaustedException

        from network_models.smac.drawing import DefaultFirst, RecordedSelector
    logging.getLogger("smac").setLevel(logging.ERROR)
    folds = [str(k) for k in range(plan.folds)]
    facade, options = {
        "budgets": (
            MultiFidelityFacade,  # Hyperband, a third goes on
            {"min_budget": plan.smallest, "max_budget": plan.largest},
        ),
        "folds": (
            AlgorithmConfigurationFacade,
            {"instances": folds, "instance_features": {k: [float(k)] for k in folds}},
        ),
        "blackbox": (HyperparameterOptimizationFacade, {}),
    }[plan.mode]
    scenario = Scenario(
        space,
        name="search",
        output_directory=Path(folder),
        seed=plan.seed,
        deterministic=True,
        n_trials=1_000_000,  # the search itself decides when to stop
        crash_cost=plan.crash_cost,
        **options,
    )
    design = DefaultFirst(scenario, n_configs=_N_FIRST, max_ratio=1.0)
    selector = RecordedSelector(scenario)
    made = facade(
        scenario,
        None,
        initial_design=design,
        config_selector=selector,
        logging_level=False,
        overwrite=True,
    )
    return made, selector, (StopIteration, ConfigurationSpaceExhaustedException)
