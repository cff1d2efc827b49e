"""Lines that say how far a long work has come and how many seconds are left."""

from __future__ import annotations

import logging
import time
from typing import TextIO

__all__ = ["Progress", "duration", "time_left"]

logger = logging.getLogger(__name__)

_MOST_S = 10.0  # between two lines
_TERMINAL_S = 0.5  # on a terminal, where one line is written over


class Progress:
    """Tell now and then how many of ``n`` are done; the last one is not told.

    Parameters
    ----------
    n : int
    what : str
        What is counted, in the plural: "images".
    stream : text stream, optional
        Write there instead of to the log, over one line where it is a terminal.
    """

    def __init__(self, n: int, what: str, *, stream: TextIO | None = None):
        self.n, self.what, self._stream = n, what, stream
        self._is_terminal = stream is not None and stream.isatty()
        self._begun = self._shown = time.monotonic()
        self._is_open = False

    def done(self, n: int, *, new: int | None = None, note: str = "") -> None:
        """Tell how far the work is, if the last line is old.

        Parameters
        ----------
        n : int
            How many are done.
        new : int, optional
            How many of them this process did, where an earlier one did the rest.
        note : str
            What else there is to say: "3 failed".
        """
        now = time.monotonic()
        if now - self._shown < (_TERMINAL_S if self._is_terminal else _MOST_S) or n >= self.n:
            return
        self._shown = now
        pace_s = (now - self._begun) / max(n if new is None else new, 1)
        note = f", {note}" if note else ""
        self._tell(f"{n} of {self.n} {self.what}{note}; {time_left(pace_s * (self.n - n))}")

    def close(self) -> None:
        """End a line that stands open on a terminal."""
        if self._is_open:
            print(file=self._stream)
            self._is_open = False

    def _tell(self, text: str) -> None:
        if self._stream is None:
            logger.info("  %s", text)
        elif self._is_terminal:
            print(f"\r\x1b[K{text}", end="", file=self._stream, flush=True)
            self._is_open = True
        else:
            print(text, file=self._stream, flush=True)


def time_left(seconds: float) -> str:
    """Write how long something still takes: ``12 s left``."""
    return f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """Write a time as ``12 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
