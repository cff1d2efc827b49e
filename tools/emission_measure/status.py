"""What became of a pixel's inversion; every pixel has one of these."""

from __future__ import annotations

__all__ = [
    "INFEASIBLE",
    "LACKS_CHANNEL",
    "NOT_FITTED",
    "NO_DATA",
    "NO_SIGNAL",
    "OK",
    "STATUS_TEXT",
    "UNLIKE_TRAINING",
    "UNSOLVED",
]

OK, NOT_FITTED, INFEASIBLE, UNSOLVED, UNLIKE_TRAINING = 0, 1, 2, 3, 4
NO_SIGNAL, NO_DATA, LACKS_CHANNEL = 10, 11, 12

STATUS_TEXT = {
    OK: "solved",
    NOT_FITTED: "solved, but the data are not fitted as well as was asked",
    INFEASIBLE: "no emission measure fits the data within the widest tolerance",
    UNSOLVED: "the solver did not arrive",
    UNLIKE_TRAINING: "unlike what the network learned from: don't rely on it",
    NO_SIGNAL: "no channel is positive",
    NO_DATA: "no channel was observed",
    LACKS_CHANNEL: "a channel is lacking that the method can't do without",
}
