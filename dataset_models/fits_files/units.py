"""Reads what a header says of its values' unit: counts of an exposure, or counts per second."""

from __future__ import annotations

import re
from collections.abc import Mapping

import astropy.units as u

__all__ = ["is_per_second", "says_normalised"]

_COUNTS = re.compile(r"data numbers?|counts?|dns?\b|dn(?=/)|cts?\b|adu")
_NORMALISED = re.compile(
    r"(exposure|exptime|exp time)[^\n]{0,40}normali[sz]|normali[sz][^\n]{0,60}"
    r"(exposure|exptime|per second|1\.0+ ?s)",
    flags=re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(not|no|without|never|flat)\b|n't|normali[sz]\w*\s*[=:]\s*(0|f|no|off)\b",
    flags=re.IGNORECASE,
)


def is_per_second(cards: Mapping) -> bool | None:
    """Return whether values were divided by the exposure time; None if the header has no unit.

    BUNIT counts, and PIXLUNIT, which AIA's early files have instead.

    Raises
    ------
    ValueError
        If a unit can't be read, is neither DN nor DN / s (also per pixel), or two contradict.
    """
    said = {}
    for key in ("BUNIT", "PIXLUNIT"):
        text = str(cards.get(key, "")).strip()
        if text:
            said[key] = (text, _of_text(text))
    answers = {answer for _, answer in said.values()}
    if len(answers) > 1 and not said["BUNIT"][1]:
        texts = " and ".join(f"{key} {text!r}" for key, (text, _) in said.items())
        raise ValueError(f"its units contradict each other: {texts}")
    # who divides a map by its exposure writes BUNIT and leaves the older card as it was
    return said["BUNIT"][1] if "BUNIT" in said else (answers.pop() if answers else None)


def says_normalised(cards: Mapping) -> bool:
    """Return whether the header's HISTORY says that values were divided by the exposure time."""
    lines = str(cards.get("HISTORY", "")).splitlines()
    return any(_NORMALISED.search(line) and not _DENIED.search(line) for line in lines)


def _of_text(text: str) -> bool:
    plain = _COUNTS.sub("ct", text.lower())
    plain = re.sub(r"\b(sec|secs|seconds?)\b", "s", plain)
    plain = re.sub(r"\b(pixels?|pixel|px)\b", "pix", plain)
    plain = re.sub(r"/\s*(\w+)\s*/\s*(\w+)$", r"/ (\1 \2)", plain)
    try:
        unit = u.Unit(plain)
    except ValueError:
        raise ValueError(f"the unit {text!r} can't be read") from None
    for power, answer in ((0, False), (-1, True)):
        if any(unit == base * u.s**power for base in (u.ct, u.ct / u.pix)):
            return answer
    if unit == u.s**-1:  # of a map without a unit, divided by its exposure
        return True
    raise ValueError(f"expected DN or DN / s, got {text!r}")
