"""From ``--data`` to samples: the virtual Sun, a flare list, X-ray files or a folder of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dataset_models.fits_files.opening import FITS_ENDINGS
from dataset_models.GOES.flare_finder import record_of_series
from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow, PeakFluxSamples
from dataset_models.GOES.flare_list import read_flare_list
from dataset_models.GOES.flare_record import FLARE_PEAKS, FLUX_SERIES, FlareRecord
from dataset_models.GOES.side_columns import read_side_columns
from dataset_models.GOES.xrs import read_xrs
from dataset_models.GOES.xrs_merge import join_xrs
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.splits import Split, by_years, chronological
from dataset_models.virtual_sun.flux_series import virtual_flux_record
from dataset_models.virtual_sun.limit import ForecastLimit
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import virtual_flare_record
from tools.times import parse_time

__all__ = [
    "DataOptions",
    "ForecastData",
    "default_split",
    "open_data",
    "open_record",
    "read_record",
]

logger = logging.getLogger(__name__)

_XRS_ENDINGS = (*FITS_ENDINGS, ".nc", ".nc4")
_TEST_SHARE = 0.4
_VALIDATION_EVERY = 4  # years
_FEWEST_YEARS = 6  # of records that are split by years


@dataclass(frozen=True)
class ForecastData:
    """Samples and, where the Sun is virtual, the limit of what can be forecast."""

    dataset: PeakFluxSamples
    limit: ForecastLimit | None


@dataclass(frozen=True)
class DataOptions:
    """Which data a training command names.

    Attributes
    ----------
    data : str
        Empty for the virtual Sun; else a flare list (CSV), X-ray Sensor file, or folder of them.
    side : str
        CSV with side columns, or empty.
    class_scale : {"operational", "true"}
        Scale on which X-ray files and flare lists are read.
    gap_limit_s : float
        Longest gap in X-ray samples that is no gap, in seconds.
    virtual_years, virtual_seed
        Length and seed of the virtual Sun.
    virtual_label : {"peaks", "flux"}
        What virtual labels are taken from.
    """

    data: str = ""
    side: str = ""
    class_scale: str = "operational"
    gap_limit_s: float = 300.0
    virtual_years: float = 55.0
    virtual_seed: int = 1
    virtual_label: str = "peaks"


def open_data(options: DataOptions, window: HistoryWindow) -> ForecastData:
    """Make the dataset that a training command names, with its limit where the Sun is virtual."""
    side = read_side_columns(options.side) if options.side else None
    record, limit = open_record(options)
    return ForecastData(FlareHistory(record, window, side=side), limit)


def open_record(options: DataOptions) -> tuple[FlareRecord, ForecastLimit | None]:
    """Return the record that a training command names, with its limit where the Sun is virtual."""
    if options.data:
        record = read_record(
            [options.data], class_scale=options.class_scale, gap_limit_s=options.gap_limit_s
        )
        return record, None
    virtual = simulate_record(
        FlareProcessParameters(), years=options.virtual_years, seed=options.virtual_seed
    )
    if options.virtual_label == "flux":
        record, kind = virtual_flux_record(virtual), FLUX_SERIES
    else:
        record, kind = virtual_flare_record(virtual), FLARE_PEAKS
    return record, ForecastLimit(virtual, kind)


def read_record(paths: list[str], *, class_scale: str, gap_limit_s: float = 300.0) -> FlareRecord:
    """Read one flare list, or any number of X-ray Sensor files and folders, as one record.

    An X-ray file that can't be read costs itself: it is left out and named in the record's
    ``summary``, as long as others can be read.

    Raises
    ------
    FileNotFoundError
        If a path does not exist or a folder holds no X-ray file.
    ValueError
        If lists and X-ray files are mixed, or no file can be read.
    """
    files, hidden = [], []
    for path in paths:
        found, left_out = _files(Path(path))
        files += found
        hidden += left_out
    files = list(dict.fromkeys(files))
    lists = [file for file in files if file.suffix.lower() == ".csv"]
    if lists and len(files) > 1:
        raise ValueError(
            f"expected one flare list, or X-ray files; got {len(files)} files with "
            f"{lists[0].name} among them; give the list, or the X-ray files, alone"
        )
    if lists:
        record = read_flare_list(lists[0], class_scale=class_scale)
        _report(record.summary, "rows")
        return record
    series, problems = [], []
    for file in files:
        try:
            series.append(read_xrs(file, scaling=class_scale))
        except (DataIntegrityError, OSError) as error:
            if len(files) == 1:
                raise
            problems.append(str(error))
    if not series:
        listed = "\n  ".join(problems[:20])
        raise DataIntegrityError(f"no X-ray file can be read:\n  {listed}")
    mended = [f"{s.source}: {repair}" for s in series for repair in s.repairs]
    summary = ReadingSummary(len(files) + len(hidden), (*problems, *hidden), tuple(mended))
    _report(summary, "X-ray files")
    record = record_of_series(join_xrs(series), gap_limit_s=gap_limit_s)
    faults = record.faults | ({"files left out": len(summary.left_out)} if problems else {})
    return replace(record, summary=summary, faults=faults)


def _report(summary: ReadingSummary | None, what: str) -> None:
    """Log the summary: as a warning where something was left out."""
    if summary is not None:
        level = logging.WARNING if summary.left_out else logging.INFO
        for line in summary.lines(what=what):
            logger.log(level, "%s", line)


def default_split(
    dataset: PeakFluxSamples, *, test_from: str = "", validation_years: tuple[int, ...] = ()
) -> Split:
    """Split a record: the last part for testing, every fourth year before it for validation.

    Without ``test_from`` the test set begins with the first calendar year after 60 % of the
    record. Records shorter than six years are split at 45 and 60 % of their length instead.

    Raises
    ------
    ValueError
        If a date can't be read or a set would be empty.
    """
    table = dataset.table
    start, end = _span(dataset)
    length = end - start
    if not test_from and length < np.timedelta64(_FEWEST_YEARS * 365, "D"):
        _refuse_years(validation_years, f"a record shorter than {_FEWEST_YEARS} years")
        border = start + (length * (1 - _TEST_SHARE)).astype("timedelta64[s]")
        return chronological(
            table,
            validation_from=start + (length * 0.45).astype("timedelta64[s]"),
            test_from=border,
        )
    border = _first_test_year(start, end)
    if test_from:
        border = parse_time(test_from, what="--test-from").astype("datetime64[s]")
    if border <= start or border >= end:
        raise ValueError(
            f"the test set must begin within the record, {start} to {end}, not at {border}"
        )
    years = np.arange(*(_year(t) for t in (start, border)))
    last = np.unique(table.time[table.time >= border].astype("datetime64[Y]")).astype(int) + 1970
    whole_years = str(border)[4:] == "-01-01T00:00:00"
    if whole_years and not validation_years:
        validation_years = tuple(years[1:][_VALIDATION_EVERY - 1 :: _VALIDATION_EVERY].tolist())
    if whole_years and validation_years:
        unknown = sorted(set(validation_years) - set(years.tolist()))
        if unknown:
            raise ValueError(
                f"expected validation years before the test set, {years[0]} to {years[-1]}; got "
                f"{', '.join(map(str, unknown))}"
            )
        return by_years(table, validation_years=list(validation_years), test_years=last.tolist())
    _refuse_years(validation_years, f"a test set that begins at {border}, within a year")
    quarter = ((border - start) / 4).astype("timedelta64[s]")
    return chronological(table, validation_from=border - quarter, test_from=border)


def _refuse_years(validation_years: tuple[int, ...], why: str) -> None:
    if validation_years:
        raise ValueError(f"--validation-years can't be used with {why}; leave it out")


def _files(path: Path) -> tuple[list[Path], list[str]]:
    """Return the X-ray files that a path names, and a sentence for each hidden one."""
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise FileNotFoundError(
            f"no such file or folder: {path}. Expected a flare list (.csv), a GOES X-ray file "
            f"({', '.join(_XRS_ENDINGS)}) or a folder of X-ray files"
        )
    found = sorted(f for f in path.rglob("*") if f.name.lower().endswith(_XRS_ENDINGS))
    hidden = [f for f in found if any(p.startswith(".") for p in f.relative_to(path).parts)]
    used = [f for f in found if f not in set(hidden) and not f.is_dir()]
    if not used:
        raise FileNotFoundError(
            f"{path} holds no GOES X-ray file ({', '.join('*' + e for e in _XRS_ENDINGS)})"
        )
    return used, [f"{f.name}: a hidden file" for f in hidden]


def _span(dataset: PeakFluxSamples) -> tuple[np.datetime64, np.datetime64]:
    """Return the part of the record that samples are made from; images may cover less of it."""
    record, window = dataset.record, dataset.window
    start = dataset.times[0] - np.timedelta64(window.history_h, "h")
    end = dataset.times[-1] + np.timedelta64(window.delay_h + window.catch_h, "h")
    slack = np.timedelta64(2, "D")  # samples need not fall on the record's very ends
    return (
        record.start if start - record.start <= slack else start,
        record.end if record.end - end <= slack else end,
    )


def _first_test_year(start: np.datetime64, end: np.datetime64) -> np.datetime64:
    """Return the first year that begins after 60 % of a span, two days more or less."""
    border = start + ((end - start) * (1 - _TEST_SHARE)).astype("timedelta64[s]")
    year = (border - np.timedelta64(2, "D")).astype("datetime64[Y]") + np.timedelta64(1, "Y")
    return year.astype("datetime64[s]")


def _year(time: np.datetime64) -> int:
    return int(time.astype("datetime64[Y]").astype(int)) + 1970
