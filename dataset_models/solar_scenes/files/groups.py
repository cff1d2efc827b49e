"""Which frames show the same scene, and so must not be shared between training and test."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np

__all__ = ["LONGEST_GAP_H", "NEAREST_ARCSEC", "observation_groups"]

NEAREST_ARCSEC, LONGEST_GAP_H = 60.0, 48.0
_CELL = NEAREST_ARCSEC / np.sqrt(2)  # two places in one cell are never farther apart


def observation_groups(
    instrument: Sequence[str],
    time_s: np.ndarray,
    centre: np.ndarray,
    region: np.ndarray,
) -> np.ndarray:
    """Join frames of one instrument, less than 48 h apart, of one region or within 60 arcsec.

    Joined frames join their partners, too: a region followed over the disc is one group.

    Parameters
    ----------
    instrument : sequence of str
    time_s : (frame,) float
        Seconds, NaN where unknown.
    centre : (frame, 2) float, arcsec
        Helioprojective, NaN where unknown.
    region : (frame,) int
        NOAA's number, 0 where unknown.

    Returns
    -------
    (frame,) int
        The first frame, in order of time, of the group; -1 where the time is unknown, or both
        centre and region are.
    """
    time_s, centre, region = (
        np.asarray(time_s, float),
        np.asarray(centre, float),
        np.asarray(region),
    )
    has_place = np.isfinite(centre).all(axis=1)
    usable = np.isfinite(time_s) & (has_place | (region > 0))
    parent = np.arange(len(time_s))
    same_region: dict[tuple, int] = {}
    cells: dict[tuple, deque[int]] = defaultdict(deque)
    order = np.flatnonzero(usable)[np.argsort(time_s[usable], kind="stable")]
    for k in order:
        if region[k] > 0:
            key = (instrument[k], int(region[k]))
            last = same_region.get(key)
            if last is not None and time_s[k] - time_s[last] < 3600 * LONGEST_GAP_H:
                _join(parent, last, k)
            same_region[key] = k
        if has_place[k]:
            column, row = np.floor(centre[k] / _CELL).astype(int)
            for cell in _around(instrument[k], column, row):
                if cell in cells:
                    _join_near(parent, cells[cell], k, time_s, centre)
            cells[instrument[k], column, row].append(k)
    # roots are named by the first frame in time
    first: dict[int, int] = {}
    out = np.full(len(time_s), -1)
    for k in order:
        out[k] = first.setdefault(_root(parent, k), k)
    return out


def _around(instrument: str, column: int, row: int) -> list[tuple]:
    return [(instrument, column + i, row + j) for i in range(-2, 3) for j in range(-2, 3)]


def _join_near(
    parent: np.ndarray, earlier: deque[int], k: int, time_s: np.ndarray, centre: np.ndarray
) -> None:
    """Join a frame with one of a cell; all of a cell within 48 h are one group already."""
    while earlier and not time_s[k] - time_s[earlier[0]] < 3600 * LONGEST_GAP_H:
        earlier.popleft()
    if not earlier or _root(parent, earlier[-1]) == _root(parent, k):
        return
    for other in reversed(earlier):
        if np.hypot(*(centre[k] - centre[other])) <= NEAREST_ARCSEC:
            _join(parent, other, k)
            return


def _root(parent: np.ndarray, k: int) -> int:
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return int(k)


def _join(parent: np.ndarray, a: int, b: int) -> None:
    parent[_root(parent, b)] = _root(parent, a)
