"""Groups files of several channels by the time at which they were taken.

Frames belong to one time if they lie near each other, whatever the first file is: one missing file
leaves one gap and shifts nothing. Among all divisions of the frames, in order of time, into groups
in which no channel repeats, the one with the least sum of spans counts; every further group costs
half of the channels' cadence (or the largest spread, where nothing repeats).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

__all__ = ["group_by_time"]


def group_by_time(
    times: np.ndarray, channels: Sequence[Hashable], *, largest_spread_s: float
) -> list[list[int]]:
    """Divide frames into groups of one time.

    Parameters
    ----------
    times : (frame,) datetime64
    channels : sequence of (frame,)
    largest_spread_s : float
        Of the times in a group.

    Returns
    -------
    list of list of int
        Rows of the frames of each group, in order of time. Frames of one channel and the same time
        (copies) stay together.
    """
    if len(times) == 0:
        return []
    seconds = (np.asarray(times, "datetime64[ms]") - np.min(times)) / np.timedelta64(1, "s")
    names = np.array([str(channel) for channel in channels])
    order = np.lexsort((names, seconds))
    seconds, names = seconds[order], names[order]
    cost = min(largest_spread_s, _cadence_s(seconds, names) / 2)
    return [
        [int(order[k]) for k in rows] for rows in _divided(seconds, names, cost, largest_spread_s)
    ]


def _cadence_s(seconds: np.ndarray, names: np.ndarray) -> float:
    """Return the usual step between frames of one channel, infinite where none repeats."""
    steps = [np.diff(np.unique(seconds[names == name])) for name in np.unique(names)]
    every = np.concatenate(steps)
    return float(np.median(every)) if len(every) else np.inf


def _divided(seconds: np.ndarray, names: np.ndarray, cost: float, spread: float) -> list[range]:
    """Find the cheapest division, by the costs of all shorter beginnings."""
    n = len(seconds)
    least, start = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    least[0] = 0.0
    for end in range(1, n + 1):
        seen: dict[str, float] = {}
        for first in range(end - 1, -1, -1):
            span = seconds[end - 1] - seconds[first]
            name = names[first]
            if span > spread or seen.get(name, seconds[first]) != seconds[first]:
                break
            seen[name] = seconds[first]
            total = least[first] + cost + span
            if total <= least[end] + 1e-9:  # of equal costs, the longer last group
                least[end], start[end] = min(total, least[end]), first
    groups, end = [], n
    while end > 0:
        groups.append(range(start[end], end))
        end = int(start[end])
    return groups[::-1]
