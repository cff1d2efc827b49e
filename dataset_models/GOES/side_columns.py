"""Side columns: further numbers, known at stated times, that a forecast may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.GOES.flare_record import FlareRecord
from tools.csv_files import read_csv_table
from tools.times import parse_time

__all__ = ["SideColumns", "current_flux", "flux_column", "read_side_columns", "true_value"]


_CURRENT_FOR = np.timedelta64(1800, "s")
CURRENT_FLUX = "log10 of the current 1-8 A flux (W m-2)"


@dataclass(frozen=True)
class SideColumns:
    """Numbers by time.

    Attributes
    ----------
    time : (row,) datetime64[s], UTC, increasing
        When each row was known.
    values : (row, column) float32
    names : tuple of str
        One name per column, with its unit.
    largest_age : timedelta64, optional
        Older rows no longer count; by default every row counts until the next.
    """

    time: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    largest_age: np.timedelta64 | None = None

    def at(self, times: np.ndarray) -> np.ndarray:
        """Give the newest row at or before each time, (sample, column) float32.

        NaN where there is none yet, or the newest is too old.
        """
        row = np.searchsorted(self.time, times, side="right") - 1
        known = row >= 0
        row = np.maximum(row, 0)
        if self.largest_age is not None:
            known &= times - self.time[row] <= self.largest_age
        return np.where(known[:, None], self.values[row], np.float32("nan"))


def flux_column(time: np.ndarray, flux: np.ndarray) -> SideColumns:
    """Make a side column of 1-8 A fluxes (W m-2, not 0 or less) known at increasing times."""
    values = np.log10(np.asarray(flux, float))[:, None].astype(np.float32)
    return SideColumns(
        np.asarray(time, "datetime64[s]"), values, (CURRENT_FLUX,), largest_age=_CURRENT_FOR
    )


def current_flux(record: FlareRecord) -> SideColumns:
    """Give a record's light curve as a side column: the newest minute's 1-8 A flux.

    Raises
    ------
    ValueError
        If the record is a list of flares, which tells no flux between them.
    """
    if record.flux is None:
        raise ValueError(
            "the current flux needs X-ray files; a flare list holds no flux between the flares"
        )
    known = record.flux > 0
    return flux_column(record.flux_time[known], record.flux[known])


def true_value(times: np.ndarray, log10_peak_flux: np.ndarray) -> SideColumns:
    """Give the answer itself as a side column: for sanity checks only, which write no score."""
    known = np.isfinite(log10_peak_flux)
    values = np.asarray(log10_peak_flux, np.float32)[known][:, None]
    return SideColumns(np.asarray(times, "datetime64[s]")[known], values, ("the true value",))


def read_side_columns(path: str | Path) -> SideColumns:
    """Read a CSV file with a column ``time`` (ISO, UTC) and further numeric columns.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no column ``time``, no other column, an unsorted time or a value that is no
        finite number.
    """
    path = Path(path)
    header, rows = read_csv_table(path, "table of side columns")
    names = [name for name in header if name != "time"]
    if "time" not in header or not names:
        raise ValueError(
            f"{path.name}: expected a column 'time' and at least one other, got "
            f"{', '.join(header) or 'an empty file'}"
        )
    times, values = [], []
    for number, row in rows:
        try:
            times.append(parse_time(row["time"]).astype("datetime64[s]"))
            values.append([float(row[name]) for name in names])
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error
        if not np.isfinite(values[-1]).all():
            raise ValueError(
                f"{path.name}, line {number}: every side value must be a finite number; leave "
                "out the rows that are not known"
            )
    time = np.array(times, "datetime64[s]")
    if len(time) == 0 or np.isnat(time).any() or (time[1:] <= time[:-1]).any():
        raise ValueError(f"{path.name}: the times must increase from row to row, and not be empty")
    return SideColumns(time, np.array(values, np.float32), tuple(names))
