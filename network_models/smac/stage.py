"""A stage of a search: trials are proposed, run, and written down, until it is enough.

The journal is the search: a trial is written when it is asked for and when its result is there,
each with one fsync. After a kill the journal is gone through again; what was running is run again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field

from network_models.smac.proposers import Proposer
from network_models.smac.trials import STATUSES, Trial, TrialResult
from network_models.smac.workers import PATIENCE_S, WORKER_COMMAND, Promise, Workers
from tools.long_work.journal import Journal

__all__ = ["Stage"]

logger = logging.getLogger(__name__)

_LOOK_S = 0.05
_FIRST_FAILURES = 5  # so many failures and no success: it will not get better


@dataclass
class Stage:
    """Trials of one proposer.

    Attributes
    ----------
    name : str
        For what is printed.
    proposer : Proposer
    journal : Journal
    most_trials : int
        No trial is asked for beyond this number.
    most_seconds : float
        Of running; none is asked for after it, those that run are finished.
    crash_cost : float
        Cost of a failure.
    request : callable
        Makes the request of ``trial_process`` for a trial.
    told : callable
        Called after every result with all finished trials.
    may_fail : bool
        Whether to go on where nothing succeeds.
    """

    name: str
    proposer: Proposer
    journal: Journal
    most_trials: int
    most_seconds: float
    crash_cost: float
    request: Callable[[Trial], dict]
    told: Callable[[list[tuple[Trial, TrialResult]]], None]
    may_fail: bool = False
    finished: list[tuple[Trial, TrialResult]] = field(default_factory=list)
    is_exhausted: bool = False
    _asked: dict[int, Trial] = field(default_factory=dict)

    def run(self, workers: Workers) -> list[tuple[Trial, TrialResult]]:
        """Go through the journal, finish what was running, and go on.

        Raises
        ------
        ValueError
            If the journal is of another search, all first trials failed, or no worker is there.
        """
        waiting = self._replay()
        self._require_success()
        before = self.finished[-1][1].elapsed_s if self.finished else 0.0
        start = time.monotonic()
        pending: dict[int, Promise] = {}
        alone_since = None
        while True:
            elapsed = before + time.monotonic() - start
            slots = workers.n_slots()
            while len(pending) < slots and (trial := self._next(waiting, elapsed)) is not None:
                pending[trial.number] = workers.submit(
                    self.request(trial), f"{self.name}-{trial.number}-{time.time_ns()}"
                )
            if slots:
                alone_since = None
                if not pending:
                    return self.finished
            else:
                alone_since = alone_since or time.monotonic()
                if time.monotonic() - alone_since > PATIENCE_S:
                    raise ValueError(
                        f"no worker for {PATIENCE_S:.0f} s: start some by '{WORKER_COMMAND}' and "
                        "give the same command again; what is finished is kept"
                    )
            ready = [number for number, promise in pending.items() if promise.done()]
            for number in ready:
                elapsed = before + time.monotonic() - start
                self._take(number, pending.pop(number), elapsed, waiting)
            if not ready:
                time.sleep(_LOOK_S)

    def _next(self, waiting: list[Trial], elapsed: float) -> Trial | None:
        """Return the next trial: one that was running before a kill, or a new one."""
        if waiting:
            return waiting.pop(0)
        is_enough = len(self._asked) >= self.most_trials or elapsed > self.most_seconds
        if is_enough or self.is_exhausted:
            return None
        trial = self.proposer.propose()
        if trial is None:
            self.is_exhausted = True
        else:
            self._asked[trial.number] = trial
            self.journal.append([{"asked": trial.to_dict(), "drawn": self.proposer.drawn()}])
        return trial

    def _replay(self) -> list[Trial]:
        """Ask and tell again what the journal holds; give the trials without a result."""
        for _, record in self.journal.entries():
            if "asked" in record:
                self.proposer.repeat(record["drawn"])
                trial = self.proposer.propose()
                self.proposer.drawn()
                if trial is None or trial.to_dict() != record["asked"]:
                    raise ValueError(
                        f"{self.journal.path} can't be gone on with: its trial "
                        f"{record['asked']['number']} is not what the search would ask for now. "
                        "Were SMAC or the suite changed? Give another --output to begin again"
                    )
                self._asked[trial.number] = trial
            elif record["told"] not in self._asked:
                raise ValueError(
                    f"{self.journal.path} is damaged: it has the result of trial {record['told']}, "
                    "but not the trial. Give another --output to begin again"
                )
            else:
                trial, result = self._asked[record["told"]], TrialResult(**record["result"])
                self.proposer.learn(trial, result)
                self.finished.append((trial, result))
        done = {trial.number for trial, _ in self.finished}
        waiting = [trial for number, trial in self._asked.items() if number not in done]
        if self._asked:
            again = f", {len(waiting)} that were running are run again" if waiting else ""
            logger.info("%s: %d finished trials%s", self.name, len(done), again)
        return waiting

    def _take(self, number: int, promise: Promise, elapsed: float, waiting: list[Trial]) -> None:
        """Write a result down and learn from it."""
        trial, now = self._asked[number], time.time()
        try:
            answer = promise.result()
        except CancelledError:  # its scheduler is gone, or forgot it: nobody knows what came of it
            waiting.append(trial)
            return
        except Exception as error:  # its workers were lost again and again
            answer = {"status": "crash", "reason": f"its worker was lost ({type(error).__name__})"}
        is_success = answer["status"] == "success"
        known = ("status", "reason", "cost", "started", "ended", "error")
        result = TrialResult(
            status=answer["status"],
            cost=answer["cost"] if is_success else self.crash_cost,
            reason=answer.get("reason", ""),
            started=answer.get("started", now),
            ended=answer.get("ended", now),
            elapsed_s=round(elapsed, 2),
            facts={k: v for k, v in answer.items() if k not in known},
        )
        self.journal.append([{"told": number, "result": result.to_dict()}])
        self.proposer.learn(trial, result)
        self.finished.append((trial, result))
        best = min((r.cost for _, r in self.finished if r.is_success), default=float("nan"))
        logger.info(
            "  %s %d: budget %g, %s%s, %.0f s; best of any budget %.4f",
            self.name,
            number,
            trial.budget,
            f"{result.cost:.4f}" if is_success else f"{result.status} ({result.reason})",
            "" if trial.fold is None else f", fold {trial.fold}",
            result.seconds,
            best,
        )
        self.told(self.finished)
        self._require_success()

    def _require_success(self) -> None:
        """Stop a search in which nothing works.

        Raises
        ------
        ValueError
            If there are some trials and no success among them.
        """
        if (
            self.may_fail
            or len(self.finished) < _FIRST_FAILURES
            or any(r.is_success for _, r in self.finished)
        ):
            return
        counts = Counter(result.status for _, result in self.finished)
        what = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
        raise ValueError(
            f"the first {len(self.finished)} trials all failed ({what}). The last: "
            f"{self.finished[-1][1].reason or 'no reason given'}. Widen the limit that was hit "
            "(--trial-minutes, --memory-mib, --max-parameters) or mend the training, and begin "
            "again with another --output"
        )
