"""One strict parser for every time that a person or a header writes, and the axis it counts on.

Accepted are ISO 8601 (``2014-01-11T08:00:30.5Z``, with a blank or ``_`` for the T, ``/`` or ``.``
for the dashes as in JSOC's ``2011.02.15_02:00:00_TAI``), compact forms (``20111008``,
``20111008_111533``), and SolarSoft's (`` 8-Oct-2011 11:15:33.10``). A text that could mean several
things is refused: a bare year or month, a number of seconds, ``now``.

Times become ``datetime64[ms]`` in UTC, days of 86,400 s. A leap second has no place of its own
there and counts as the second after it, as in POSIX: 23:59:60.62 is 00:00:00.620 of the next day.
"""

from __future__ import annotations

import re

import numpy as np

__all__ = ["parse_time", "parse_times"]

_MS = "datetime64[ms]"
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d*)?))?"
_ISO_CLOCK = r"(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d*)?))?)?"
_SHORT_CLOCK = r"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d(?:\.\d*)?)?"
_SCALE = r"\s*_?(?P<scale>Z|UTC?|GMT|TAI|TT|[+-]00:?00)?"
_ISO = r"(?P<year>\d{4})(?P<dash>[-/.])(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_COMPACT = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
_SOLARSOFT = r"(?P<day>\d\d?)-(?P<name>" + "|".join(_MONTHS) + r")-(?P<year>\d{4}|\d\d)"
_FORMS = tuple(
    re.compile(rf"{date}(?:{between}{clock}{_SCALE})?")
    for date, between, clock in (
        (_ISO, r"(?:T|_|\s+)", _ISO_CLOCK),
        (_COMPACT, r"(?:T|_|\s+)", _SHORT_CLOCK),
        (_COMPACT, r"(?:T|_|\s+)", _CLOCK),
        (_SOLARSOFT, r"(?:T|_|,?\s+)", _CLOCK),
    )
)
_FIRST_YEAR = 1600  # of telescopic observations of the Sun
_CENTURY_FROM = 50  # SolarSoft's two-digit years: 50 to 99 are of the 20th century


def parse_time(
    text: str, *, what: str = "", scale: str = "UTC", needs_clock: bool = False
) -> np.datetime64:
    """Return the time that a text states, datetime64[ms] in UTC.

    Parameters
    ----------
    text : str
        See the module. A day alone is its midnight.
    what : str
        What errors call it, such as ``--time`` or ``DATE-OBS``; nothing by default.
    scale : {"UTC", "TAI", "TT"}
        Of texts that don't state their own.
    needs_clock : bool
        Whether a day alone is refused: an observation would count as known before it was made.

    Raises
    ------
    ValueError
        If the text is no time, is ambiguous, or no calendar has that day.
    """
    prefix = f"{what}: " if what else ""
    given = str(text).strip().upper()
    match = next((m for m in (form.fullmatch(given) for form in _FORMS) if m), None)
    if match is None:
        raise ValueError(
            f"{prefix}expected a time such as 2014-01-11T08:00 (UTC), got {str(text)!r}"
        )
    part = match.groupdict()
    if part["hour"] is None and needs_clock:
        raise ValueError(f"{prefix}{str(text)!r} is a day without a time of day")
    year = int(part["year"])
    if len(part["year"]) == 4 and year < _FIRST_YEAR:
        raise ValueError(f"{prefix}{str(text)!r} is no time that exists (the year {year})")
    if len(part["year"]) == 2:
        year += 1900 if year >= _CENTURY_FROM else 2000
    month = part.get("month") or _MONTHS.index(part["name"]) + 1
    stated = part["scale"] or scale.upper()
    scale = stated if stated in ("TAI", "TT") else "UTC"
    try:
        day = np.datetime64(f"{year:04d}-{int(month):02d}-{int(part['day']):02d}", "D")
        return _at(day, part, scale)
    except ValueError as error:
        raise ValueError(f"{prefix}{str(text)!r} is no time that exists ({error})") from None


def parse_times(texts: list[str], *, what: str = "") -> np.ndarray:
    """Return several times, (time,) datetime64[ms]; raises as ``parse_time``."""
    return np.array([parse_time(text, what=what) for text in texts], _MS)


def _at(day: np.datetime64, part: dict, scale: str) -> np.datetime64:
    """Return a time of a day; check the clock, and leap seconds by the table of those that were."""
    if part["hour"] is None:
        return day.astype(_MS)
    hour, minute = int(part["hour"]), int(part["minute"] or 0)
    second = float(part["second"] or 0)
    if hour > 23 or minute > 59 or second >= 61:
        raise ValueError("no clock shows that")
    if second >= 60 and not (scale == "UTC" and (hour, minute) == (23, 59) and _has_leap(day)):
        raise ValueError("no leap second was inserted there")
    ms = (hour * 3600 + minute * 60) * 1000 + round(second * 1000)
    time = day.astype(_MS) + np.timedelta64(ms, "ms")
    if scale == "UTC":
        return time
    from astropy.time import Time

    utc = Time(str(time), format="isot", scale=scale.lower()).utc.isot
    return parse_time(utc)


def _has_leap(day: np.datetime64) -> bool:
    """Return whether a leap second ended a day, by the table that astropy carries."""
    import erfa

    year, month = (int(n) for n in str(day + np.timedelta64(1, "D")).split("-")[:2])
    is_last = str(day + np.timedelta64(1, "D")).endswith("-01")
    table = erfa.leap_seconds.get()
    return is_last and bool(((table["year"] == year) & (table["month"] == month)).any())
