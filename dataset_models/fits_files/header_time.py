"""Reads the time of an observation from a header, in the spellings of SDO, JSOC and SolarSoft."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tools.times import parse_time

__all__ = ["TIME_KEYS", "observation_time"]

_CLOCKS = {"DATE-OBS": "TIME-OBS", "DATE_OBS": "TIME_OBS"}
_DAY_KEYS = ("DATE-OBS", "DATE_OBS", "DATE-BEG", "T_OBS", "T_REC")
TIME_KEYS = (*_DAY_KEYS, *_CLOCKS.values())
_SYSTEMS = ("UTC", "UT", "GMT", "TAI", "TT")


def observation_time(cards: Mapping) -> np.datetime64:
    """Return the start of an exposure, datetime64[ms] in UTC.

    The first of DATE-OBS, DATE_OBS, DATE-BEG, T_OBS and T_REC that can be read counts. A day alone
    needs TIME-OBS: the image would count as known hours before it was taken.

    Raises
    ------
    KeyError
        If the header has no time.
    ValueError
        If none can be read.
    """
    words = str(cards.get("TIMESYS", "")).upper().split()  # XRT has "UTC (TBR)"
    system = words[0] if words else "UTC"
    if system not in _SYSTEMS:
        raise ValueError(f"times in {system}; known are {', '.join(_SYSTEMS)}")
    scale = system if system in ("TAI", "TT") else "UTC"
    problem: Exception = KeyError("DATE-OBS")
    for key in _DAY_KEYS:
        text = str(cards.get(key, "")).strip()
        if not text:
            continue
        if ":" not in text and _CLOCKS.get(key) in cards:
            text = f"{text}T{str(cards[_CLOCKS[key]]).strip()}"
        try:
            return parse_time(text, what=key, scale=scale, needs_clock=True)
        except ValueError as error:
            problem = problem if isinstance(problem, ValueError) else error
    raise problem
