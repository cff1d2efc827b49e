"""Flare catalogues: the GOES event list and FlareNet's list of measured peaks, with known faults.

What is repaired is counted in the record's ``faults``; nothing is repaired in silence. A row that
can't be read is left out and named; it never costs the catalogue.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import astropy.units as u
import numpy as np

from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.reading_summary import ReadingSummary
from tools.csv_files import read_csv_rows
from tools.physics.flare_class import OPERATIONAL, TRUE, class_to_flux, rescale_flux
from tools.times import parse_time

__all__ = ["read_flare_list"]

logger = logging.getLogger(__name__)

_W_M2 = u.W / u.m**2
_LARGEST_FLUX = 1e-2  # W m-2, X100; the largest flare since 1975 was about X45
_TRUE_FROM, _FIRST_TRUE_SATELLITE = datetime(2020, 1, 1), 16
_EVENT_LIST = ["Flare Class", "Start Time", "Peak Time", "End Time", "Active Region Number"]
_MEASURED_LIST = ["Year", "Month", "Day", "Hour Start", "Minute Start", "Hour End", "Minute End"]
_LONGEST_FLARE_H = 20  # an end or peak further from the start is a misprint, not a long flare
_SAME_FLARE_FLUX_RATIO = 1.1  # twins of one flare differ by rounding of the class only


def read_flare_list(path: str | Path, *, class_scale: str = OPERATIONAL) -> FlareRecord:
    """Read a flare catalogue.

    Known columns: ``Flare Class, Start Time, Peak Time, End Time, Active Region Number`` (the GOES
    event list), or ``Year, Month, Day, Hour Start, ..., Peak Flux`` (FlareNet's list; its two pairs
    of peak columns bear the same names: the first is the event list's peak, the second the
    measured one, which is used). Further columns of an event list are ignored, but for
    ``Satellite``, which says on which scale a class stands. Without it the date does: NOAA's
    operational lists are of GOES-1 to -15 until the end of 2019 and carry the factor 0.7; later
    ones are of GOES-16 and newer, on the true scale.

    Faults and what becomes of them:

    - a peak time that can't be read (``//``): the flare is put at its end, the first time at which
      it was certainly over;
    - an end or peak before the start: the flare passed midnight, a day is added; if the peak then
      still lies outside start and end it counts as unreadable;
    - repeated rows, and twins (same peak minute, fluxes within 10 %, one without a region): one is
      kept, with its region;
    - a class without a number: the lower limit of its letter;
    - region numbers of before June 2002 with a leading 1 (NOAA counted to 9999 and then went on
      with 10000): the 1 is taken off.

    Parameters
    ----------
    path : str or Path
        A CSV file.
    class_scale : {"operational", "true"}
        Scale of the fluxes to be returned; flares on the other one are converted.

    Returns
    -------
    FlareRecord
        From the first to the last day with a flare.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the columns are unknown, the list is empty, or no row can be read.
    """
    path = Path(path)
    rows = read_csv_rows(path, "flare list", by_line=True)
    header, body = [name.strip() for name in rows[0][1]] if rows else [], rows[1:]
    if header[: len(_EVENT_LIST)] == _EVENT_LIST:
        parse, name = _parse_event, "GOES event list"
    elif header[: len(_MEASURED_LIST)] == _MEASURED_LIST:
        parse, name = _parse_measured, "FlareNet list of measured peaks"
    else:
        raise ValueError(
            f"{path.name}: expected the columns {', '.join(_EVENT_LIST)} or "
            f"{', '.join(_MEASURED_LIST)}, ..., got {', '.join(header) or 'an empty file'}"
        )
    if not body:
        raise ValueError(f"{path.name}: the flare list is empty")
    faults: Counter[str] = Counter()
    flares, left_out, scales = [], [], Counter()
    for number, row in body:
        tried = Counter(faults)
        try:
            flare, scale = parse(row, header, tried)
        except (ValueError, IndexError, OverflowError, TypeError) as error:
            left_out.append(f"{path.name}, line {number}: {error}")
            continue
        faults = tried
        scales[scale] += 1
        flares.append((flare[0], _on_scale(flare[1], scale, class_scale), flare[2]))
    if not flares:
        raise ValueError(f"{path.name}: no row can be read:\n  " + "\n  ".join(left_out[:20]))
    if left_out:
        faults["rows left out"] = len(left_out)
    converted = sum(n for scale, n in scales.items() if scale != class_scale)
    mended = [f"{fault}: {count}" for fault, count in faults.items() if fault != "rows left out"]
    if converted:
        sentence = f"classes converted to the {class_scale} scale"
        faults[sentence] = converted
        mended.append(f"{sentence}: {converted}")
    if len(scales) > 1:
        logger.warning(
            "%s mixes flares on the operational scale (until 2019, %d) and on the true one (%d); "
            "all are converted to the %s scale",
            path.name,
            scales[OPERATIONAL],
            scales[TRUE],
            class_scale,
        )
    flares = _without_repeats(sorted(flares), faults)
    peak_time = np.array([f[0] for f in flares], "datetime64[s]")
    return FlareRecord(
        peak_time=peak_time,
        peak_flux=np.array([f[1] for f in flares]),
        region=np.array([f[2] for f in flares]),
        start=peak_time[0].astype("datetime64[D]").astype("datetime64[s]"),
        end=(peak_time[-1].astype("datetime64[D]") + np.timedelta64(1, "D")).astype(
            "datetime64[s]"
        ),
        class_scale=class_scale,
        source=f"{name} ({path.name})",
        faults=dict(faults),
        summary=ReadingSummary(len(body), tuple(left_out), tuple(mended)),
    )


def _on_scale(flux: float, from_scale: str, to_scale: str) -> float:
    if from_scale == to_scale:
        return flux
    return float(rescale_flux(flux * _W_M2, from_scale=from_scale, to_scale=to_scale).value)


def _parse_event(
    row: list[str], header: list[str], faults: Counter
) -> tuple[tuple[datetime, float, int], str]:
    """Return (peak, flux, region) of a row of the GOES event list, and the scale of its class."""
    if len(row) != len(header):
        raise ValueError(f"expected {len(header)} columns, got {len(row)}")
    cells = {key: cell.strip() for key, cell in zip(header, row, strict=True)}
    name, start_text, peak_text, end_text, region_text = (cells[key] for key in _EVENT_LIST)
    start, end = _time(start_text), _time(end_text)
    try:
        peak = _time(peak_text)
    except ValueError:
        peak = None
    peak = _mend_times(start, peak, end, faults)
    if len(name) == 1:
        faults["classes without a number taken as their letter's lower limit"] += 1
    flux = class_to_flux(name, class_scale=OPERATIONAL, flux_scale=OPERATIONAL).value
    if not 0 < flux <= _LARGEST_FLUX:
        raise ValueError(f"expected a class above 0 such as C1.0, and up to X100, got {name!r}")
    region = int(float(region_text or 0))
    if start < datetime(2002, 6, 1) and 17000 < region < 20000:
        region -= 10000
        faults["region numbers freed of a leading 1"] += 1
    return (peak, float(flux), region), _scale_of(start, cells.get("Satellite", ""))


def _scale_of(start: datetime, satellite: str) -> str:
    """Return the scale that NOAA's operational class of a flare stands on."""
    number = re.search(r"(?<!\d)(\d{1,2})(?:\.0*)?\s*(?:\(.*\))?$", satellite.strip())
    if number:
        return TRUE if int(number[1]) >= _FIRST_TRUE_SATELLITE else OPERATIONAL
    return TRUE if start >= _TRUE_FROM else OPERATIONAL


def _parse_measured(
    row: list[str], header: list[str], faults: Counter
) -> tuple[tuple[datetime, float, int], str]:
    """Return (peak, flux, region) of a row of FlareNet's list, and the scale of its flux."""
    year, month, day, h0, m0, h1, m1, _, _, hp, mp = (int(cell) for cell in row[:11])
    start = datetime(year, month, day, h0, m0)
    peak, end = start.replace(hour=hp, minute=mp), start.replace(hour=h1, minute=m1)
    flux = float(row[11])
    if not 0 < flux <= _LARGEST_FLUX:
        raise ValueError(f"expected a positive peak flux in W m-2, up to 0.01, got {row[11]!r}")
    return (_mend_times(start, peak, end, faults), flux, 0), OPERATIONAL


def _mend_times(start: datetime, peak: datetime | None, end: datetime, faults: Counter) -> datetime:
    """Carry peak and end over midnight; give the peak, or the end if the peak is unreadable."""
    day, longest = timedelta(days=1), timedelta(hours=_LONGEST_FLARE_H)
    if end < start:
        end += day
        faults["end times carried over midnight"] += 1
    if end < start or end - start > longest:
        raise ValueError(
            f"the flare starts at {start:%Y-%m-%dT%H:%M} and ends at {end:%m-%dT%H:%M}"
        )
    if peak is not None and peak < start and peak + day <= end:
        peak += day
        faults["peak times carried over midnight"] += 1
    if peak is None:
        faults["unreadable peak times replaced by the end"] += 1
        return end
    if not start <= peak <= end:
        faults["peak times outside the flare replaced by the end"] += 1
        return end
    return peak


def _without_repeats(flares: list, faults: Counter) -> list:
    """Drop repeated rows and merge twins; ``flares`` is sorted by (peak, flux, region)."""
    kept: list = []
    for flare in flares:
        peak, flux, region = flare
        twin = next((k for k in kept[-3:] if k[0] == peak), None)
        if flare in kept[-3:]:
            faults["repeated flares dropped"] += 1
        elif (
            twin is not None
            and flux <= twin[1] * _SAME_FLARE_FLUX_RATIO
            and (twin[2] == region or 0 in (twin[2], region))
        ):
            faults["twins of one flare merged"] += 1
            kept[kept.index(twin)] = (peak, max(flux, twin[1]), max(region, twin[2]))
        else:
            kept.append(flare)
    return kept


def _time(text: str) -> datetime:
    """Read a time of the list, such as ``2011-06-07T06:41Z``."""
    return parse_time(text, what="the time", needs_clock=True).astype("datetime64[s]").item()
