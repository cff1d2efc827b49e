"""Groups files of several channels by the time at which they were taken.

Frames belong to one time if they lie near each other, whatever the first file is: one missing file
leaves one gap and shifts nothing. Channels are taken one after another in a cycle; where the cycle
is regular, each channel's usual delay within it is taken off first. Among all divisions of the
frames, in order of time, into groups in which no channel repeats, the one with the least sum of
spans counts; every further group costs half of the cadence (or the largest spread, where nothing
repeats).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

__all__ = ["group_by_time", "one_per_channel"]

_Frame = TypeVar("_Frame")
_REPEAT_S = 5.0  # frames of one channel so near each other are copies; AIA's cadence is 12 s
_REGULAR = 0.2  # of the cadence: how far a channel's frames may lie from its usual delay
_JITTER = 0.02  # of the cadence
_FEWEST_CYCLES = 3


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
        Rows of the frames of each group, in order of time. Frames of one channel within 5 s
        (copies) stay together.
    """
    if len(times) == 0:
        return []
    times = np.asarray(times, "datetime64[ms]")
    start = times.min().astype("datetime64[D]")
    seconds = (times - start) / np.timedelta64(1, "s")
    names = np.array([str(channel) for channel in channels])
    cadence = _cadence_s(seconds, names)
    aligned = seconds - _delays(seconds, names, cadence)
    order = np.lexsort((names, seconds, aligned))
    cost = min(largest_spread_s, cadence / 2)
    divided = _divided(aligned[order], seconds[order], names[order], cost, largest_spread_s)
    groups = [[int(order[k]) for k in rows] for rows in divided]
    groups = [sorted(rows, key=lambda k: (seconds[k], k)) for rows in groups]
    return sorted(groups, key=lambda rows: seconds[rows[0]])


def one_per_channel(
    frames: Sequence[_Frame], *, channel: Callable, is_good: Callable
) -> tuple[list[_Frame], list[_Frame]]:
    """Divide the frames of one time into the first good one of each channel, and all others.

    Where no frame of a channel is good, its first is kept.
    """
    kept: dict[Hashable, _Frame] = {}
    others = []
    for frame in frames:
        name = channel(frame)
        before = kept.setdefault(name, frame)
        if before is frame:
            continue
        if is_good(frame) and not is_good(before):
            kept[name], frame = frame, before
        others.append(frame)
    return list(kept.values()), others


def _cadence_s(seconds: np.ndarray, names: np.ndarray) -> float:
    """Return the usual step between frames of one channel, infinite where none repeats."""
    steps = [np.diff(np.unique(seconds[names == name])) for name in np.unique(names)]
    every = np.concatenate(steps)
    every = every[every > _REPEAT_S]
    if len(every) == 0:
        return np.inf
    usual = float(np.median(every))
    return round(usual) if abs(usual - round(usual)) < 0.01 * usual else usual


def _delays(seconds: np.ndarray, names: np.ndarray, cadence: float) -> np.ndarray:
    """Return each frame's channel's usual delay in the cycle, 0 where there is no regular cycle.

    A cycle begins after the longest pause between the channels; of pauses as long, after the one
    that holds a full multiple of the cadence since midnight.
    """
    none = np.zeros(len(seconds))
    if not np.isfinite(cadence) or np.ptp(seconds) < _FEWEST_CYCLES * cadence:
        return none
    usual = {}
    for name in np.unique(names):
        phase = seconds[names == name] / cadence
        middle = np.angle(np.exp(2j * np.pi * phase).mean()) / (2 * np.pi)
        away = (phase - middle + 0.5) % 1 - 0.5
        if np.quantile(np.abs(away), 0.9) > _REGULAR:
            return none
        usual[name] = (middle + _JITTER) % 1 - _JITTER
    phases = np.sort(np.array(list(usual.values())))
    pauses = np.diff(phases, append=phases[0] + 1)
    # the full multiple, 0, lies in the pause after the last phase
    last = pauses[-1] >= 0.9 * pauses.max() or len(phases) == 1
    first = phases[0] if last else phases[(int(np.argmax(pauses)) + 1) % len(phases)]
    return np.array([((usual[name] - first + 1e-9) % 1) * cadence for name in names])


def _divided(
    aligned: np.ndarray, seconds: np.ndarray, names: np.ndarray, cost: float, spread: float
) -> list[range]:
    """Find the cheapest division, by the costs of all shorter beginnings."""
    n = len(aligned)
    least, start = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    least[0] = 0.0
    for end in range(1, n + 1):
        seen: dict[str, float] = {}
        low = high = seconds[end - 1]
        for first in range(end - 1, -1, -1):
            low, high = min(low, seconds[first]), max(high, seconds[first])
            name = names[first]
            again = abs(seen.get(name, seconds[first]) - seconds[first]) > _REPEAT_S
            if high - low > spread or again:
                break
            seen.setdefault(name, seconds[first])
            total = least[first] + cost + aligned[end - 1] - aligned[first]
            if total <= least[end] + 1e-9:  # of equal costs, the longer last group
                least[end], start[end] = min(total, least[end]), first
    groups, end = [], n
    while end > 0:
        groups.append(range(start[end], end))
        end = int(start[end])
    return groups[::-1]
