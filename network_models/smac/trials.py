"""What a trial is: a configuration, how far it is trained, on which fold, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

__all__ = ["STATUSES", "Trial", "TrialResult", "finished_trials"]

STATUSES = ("success", "timeout", "memory", "too large", "diverged", "crash")


@dataclass(frozen=True)
class Trial:
    """What one trial trains.

    Attributes
    ----------
    number : int
        In the order in which they were asked for.
    values : dict
        The options that are searched; inactive ones are left out.
    budget : float
        Passes through the part of the training set that trials see.
    fold : int or None
        Which split, where folds are searched over.
    seed : int
    """

    number: int
    values: dict
    budget: float
    fold: int | None
    seed: int

    def to_dict(self) -> dict:
        """Give JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial.

    Attributes
    ----------
    status : str
        One of ``STATUSES``.
    cost : float
        Validation score, or the finite cost of a failure.
    reason : str
        Why it failed; empty for a success.
    started, ended : float
        Seconds since 1970.
    elapsed_s : float
        Of the search when the result came, without the time in which it stood still.
    facts : dict
        What else is known of it: parameters, training loss, process.
    """

    status: str
    cost: float
    reason: str
    started: float
    ended: float
    elapsed_s: float
    facts: dict

    @property
    def is_success(self) -> bool:
        """Whether there is a score."""
        return self.status == "success"

    @property
    def seconds(self) -> float:
        """Wall time of the trial."""
        return self.ended - self.started

    def to_dict(self) -> dict:
        """Give JSON types."""
        return asdict(self)


def finished_trials(records: Iterable[dict]) -> list[tuple[Trial, TrialResult]]:
    """Give the finished trials of a journal in the order in which they finished.

    Parameters
    ----------
    records : iterable of dict
        ``{"asked": trial, "drawn": values}`` and ``{"told": number, "result": result}``.
    """
    asked, found = {}, []
    for record in records:
        if "asked" in record:
            trial = Trial(**record["asked"])
            asked[trial.number] = trial
        else:
            found.append((asked[record["told"]], TrialResult(**record["result"])))
    return found
