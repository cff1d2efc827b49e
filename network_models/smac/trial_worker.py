"""A trial under limits: a child process trains, and is killed when its time or memory is over.

The child stays for the next trial, so that TensorFlow is imported once and not for every trial; a
new one is started where it was killed or broke.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Limits", "TrialWorker", "rest_in_this_process", "run_in_this_process"]

_LOOK_S = 0.2
_LAST_LINES = 3  # of what a broken child printed
_GROWTH_MIB = 800.0  # TensorFlow keeps some of what each network needed; then a new child is due
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Limits:
    """What one trial may use.

    Attributes
    ----------
    seconds : float
        From when its data are open.
    memory_mib : float
        Resident memory of its process, MiB.
    threads : int
        Of the backend.
    """

    seconds: float
    memory_mib: float
    threads: int


class TrialWorker:
    """Runs one trial after the other in a child process of its own."""

    def __init__(self):
        self._child: subprocess.Popen | None = None
        self._lock = threading.Lock()  # a worker with several threads still trains one at a time

    def run(self, request: dict, limits: Limits) -> dict:
        """Give the child's answer, with ``status`` and the wall times of the trial.

        Parameters
        ----------
        request : dict
            For ``trial_process``.
        limits : Limits

        Returns
        -------
        dict
            ``status``: success, timeout, memory, too large, diverged or crash; ``reason`` where it
            is no success; ``started`` and ``ended`` (s since 1970); what the trial gave.
        """
        with self._lock:
            came = time.time()
            try:
                answer = self._asked(request, limits)
            except BaseException:
                self.close()
                raise
        answer = {"started": came, **answer, "ended": time.time(), "host": os.uname().nodename}
        answer["process"] = os.getpid()
        return answer

    def is_idle(self) -> bool:
        """Say whether no trial runs."""
        return not self._lock.locked()

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._answers, self._printed):
                pipe.close()
            self._child = None

    def _asked(self, request: dict, limits: Limits) -> dict:
        if self._child is None or self._child.poll() is not None or self._limits != limits:
            self.close()
            self._start(limits)
        place = self._printed.seek(0, os.SEEK_END)
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            return self._broken(place)
        started, facts = None, {}
        while True:
            line = self._line()
            if line == b"":
                return self._broken(place) | facts
            if line is not None:
                answer = json.loads(line)
                used = _memory_mib(self._child.pid)
                if set(answer) == {"started"}:
                    started, facts = answer["started"], answer
                    self._first_mib = self._first_mib or used
                    continue
                if used > limits.memory_mib:
                    return facts | self._too_much(used, limits)
                if used > (self._first_mib or used) + _GROWTH_MIB:
                    self.close()
                return facts | answer | _status(answer)
            if started is not None and time.time() - started > limits.seconds:
                self.close()
                reason = f"longer than {limits.seconds:g} s"
                return facts | {"status": "timeout", "reason": reason}
            used = _memory_mib(self._child.pid)
            if used > limits.memory_mib:
                return facts | self._too_much(used, limits)

    def _too_much(self, used: float, limits: Limits) -> dict:
        """End a child that holds too much memory."""
        self.close()
        reason = f"{used:,.0f} MiB of memory, more than {limits.memory_mib:,.0f}"
        return {"status": "memory", "reason": reason}

    def _line(self) -> bytes | None:
        """Give the next line of the child, None if there is none yet, b"" if it has ended."""
        if b"\n" not in self._buffer and select.select([self._answers], [], [], _LOOK_S)[0]:
            read = self._answers.read1()
            if not read:
                return b""
            self._buffer += read
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        return line

    def _start(self, limits: Limits) -> None:
        reading, writing = os.pipe()
        threads = str(limits.threads)
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        environment = os.environ | dict.fromkeys(names, threads)
        paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        descriptor, name = tempfile.mkstemp()
        self._printed = os.fdopen(descriptor, "rb")
        with open(name, "ab") as printed:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "network_models.smac.trial_process", str(writing)],
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
                pass_fds=[writing],
                env=environment,
                text=True,
                start_new_session=True,  # Ctrl-C is the driver's to handle
            )
        os.unlink(name)
        os.close(writing)
        self._answers, self._buffer = os.fdopen(reading, "rb"), b""
        self._limits, self._first_mib = limits, 0.0

    def _broken(self, place: int) -> dict:
        """Say how a child ended that gave no answer."""
        code = self._child.wait()
        self._printed.seek(place)
        lines = self._printed.read().decode(errors="replace").strip().splitlines()
        what = f"signal {-code}" if code < 0 else f"status {code}"
        last = "; ".join(line.strip()[:300] for line in lines[-_LAST_LINES:])
        self.close()
        return {"status": "crash", "reason": f"its process ended with {what}: {last}".rstrip(": ")}


def _status(answer: dict) -> dict:
    """Give the status of an answer."""
    names = {"TooLarge": "too large", "FloatingPointError": "diverged", "MemoryError": "memory"}
    names["ResourceExhaustedError"] = "memory"
    if "error" not in answer:
        if math.isfinite(answer.get("cost", 0.0)):
            return {"status": "success"}
        return {"status": "diverged", "reason": f"its score is {answer.pop('cost')}"}
    reason = f"{answer['error']}: {answer['reason']}"
    return {"status": names.get(answer["error"], "crash"), "reason": reason}


def _memory_mib(process: int) -> float:
    try:
        return psutil.Process(process).memory_info().rss / 2**20
    except psutil.Error:
        return 0.0


_HERE: TrialWorker | None = None


def rest_in_this_process() -> None:
    """End this process' child unless it is at work, so that an idle worker holds no memory."""
    if _HERE is not None and _HERE.is_idle():
        _HERE.close()


def run_in_this_process(request: dict, limits: dict) -> dict:
    """Run a trial with this process' own child: what a dask worker is sent."""
    global _HERE
    if _HERE is None:
        _HERE = TrialWorker()
    return _HERE.run(request, Limits(**limits))
