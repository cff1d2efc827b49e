"""Run a script of the suite, and say what it gave and cost."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Outcome", "run"]

ROOT = Path(__file__).parents[1]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a command gave: its output, wall time and the memory of its largest process."""

    text: str
    seconds: float
    peak_mib: float

    @property
    def json(self) -> dict:
        """The JSON object in the last line."""
        return json.loads(self.text.strip().splitlines()[-1])

    @property
    def cost(self) -> str:
        """Wall time and memory in words."""
        return f"{self.seconds:.0f} s, {self.peak_mib:.0f} MiB"


def run(*arguments: str, **environment: str) -> Outcome:
    """Run a Python script of the suite.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    logger.info("%s", shlex.join(arguments))
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, *arguments],
            {**os.environ, **environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
        )
        _, status, usage = os.wait4(process, 0)
        output.seek(0)
        text = output.read().decode()
    if status != 0:
        raise RuntimeError(f"{shlex.join(arguments)} failed:\n{text[-3000:]}")
    return Outcome(text, time.monotonic() - start, usage.ru_maxrss / 1024)
