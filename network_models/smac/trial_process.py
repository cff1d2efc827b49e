"""The process in which trials train: imports keras once, opens the data once, obeys on a pipe.

A search's driver never imports keras: TensorFlow's threads do not survive a fork, and a trial that
has to be killed, for its time or its memory, must not take the driver with it. Requests come as
lines of JSON on standard input, answers leave as lines of JSON on the descriptor that is named on
the command line; what libraries print goes to standard error.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import os
import sys
import time
import traceback
from typing import IO

from network_models.training.problem import Problem, open_problem
from tools.long_work.processes import end_with_parent
from tools.options import from_plain

__all__ = ["main"]


def main(descriptor: int) -> None:
    """Answer requests until standard input is closed or the parent is gone."""
    end_with_parent()
    answers = os.fdopen(descriptor, "w")
    opened = _Opened()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = opened.answer(request, answers)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # whatever a network does wrong is its trial's result
            answer = {"error": type(error).__name__, "reason": _sentence(error)}
            traceback.print_exc()
        _send(answers, answer)
        gc.collect()


class _Opened:
    """The problem whose data are open."""

    def __init__(self):
        self._key, self._task, self._config = None, None, None

    def answer(self, request: dict, answers: IO) -> dict:
        """Do what is asked; ``started`` is told once the data are open."""
        problem = open_problem(request["script"])
        self._open(problem, request["options"])
        if request["do"] == "open":
            return self._facts(request["folds"])
        _send(answers, {"started": time.time()})
        config = dataclasses.replace(self._config, **request.get("values", {}))
        if request["do"] == "judge":
            losses, events = self._task.test_losses(request["network"], config)
            return {"losses": losses.tolist(), "events": [str(e) for e in events]}
        fold = request["fold"]
        return self._task.run(
            config,
            epochs=request["epochs"],
            share=request["share"],
            fold=None if fold is None else tuple(fold),
            seed=request["seed"],
            max_parameters=request["max_parameters"],
        )

    def _open(self, problem: Problem, options: dict) -> None:
        key = json.dumps([problem.script, options], sort_keys=True)
        if key == self._key:
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        self._config = from_plain(problem.config, options)
        module, _, name = problem.search.task.partition(":")
        self._task = getattr(importlib.import_module(module), name)(problem, self._config)
        self._key = key

    def _facts(self, folds: int) -> dict:
        """Describe what the data are; the audit must pass for their split and for all folds."""
        dataset, split = self._task.dataset, self._task.split
        for one in (split, *(self._task.fold(k, folds) for k in range(folds))):
            self._task.audit(one)
        return {
            "fingerprint": dataset.fingerprint(),
            "source": str(dataset.provenance().get("source", "")),
            "sets": {name: len(rows) for name, rows in split.sets.items()},
            "scheme": split.scheme,
        }


def _sentence(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:500] if text else type(error).__name__


def _send(answers: IO, answer: dict) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
