"""Any instrument's temperature response as a plain table: read, checked, averaged over bins.

A table is a CSV file. Lines that begin with ``#`` come first and say what it is::

    # instrument: Hinode/EIS
    # unit: erg cm3 s-1 sr-1
    # date: 2026-11-22
    # degradation: none
    log10 T,Fe VIII 185.21,Fe XII 195.12,Fe XV 284.16
    5.50,1.2e-26,...

The heading names the channels or lines, any number of them; the first column is log10 of the
temperature in K. ``date`` is the day on which the table was made. ``degradation`` is ``none`` where
the response is that of the new instrument, or the time whose loss of throughput it contains.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np

from tools.channels import aia_degradation
from tools.csv_files import read_csv_rows
from tools.emission_measure.response import (
    RESPONSE_CHANNELS,
    aia_response,
)
from tools.emission_measure.response_columns import channel_names, number_table

__all__ = ["AIA", "ResponseTable", "aia_table", "read_response_table"]

AIA = "SDO/AIA"
# what a brightness may be measured in; a response is that times cm5
_BRIGHTNESS_UNITS = (
    "DN s-1 pix-1",
    "DN s-1",
    "photon s-1 pix-1",
    "electron s-1 pix-1",
    "erg cm-2 s-1 sr-1",
)
_NEEDED = ("instrument", "unit", "date")
_LARGEST_STEP_DEX = 0.01  # between the points of a bin's mean
_FEWEST_POINTS = 10
_LEAST_PEAK, _LARGEST_PEAK = 1e-36, 1e-16  # AIA's lie between 1e-27 and 1e-24
_NOTHING = 1e-300  # stands for 0 in the logarithm
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?")


@dataclass(frozen=True)
class ResponseTable:
    """What plasma of single temperatures gives in the channels, or lines, of an instrument.

    Attributes
    ----------
    instrument : str
        Such as ``SDO/AIA``.
    unit : str
        Of the response: a brightness times cm5.
    channels : tuple of str
    log_temperature : (temperature,) float64
        log10 of K, increasing.
    response : (channel, temperature) float64
        Not negative.
    name : str
        What messages call it: the file, or the version.
    date : str
        Day on which the table was made.
    degraded_to : str
        The time whose loss of throughput the response contains; empty for the new instrument.
    version : str
        One of ``RESPONSE_VERSIONS`` where these are AIA's own six responses as they stand.
    """

    instrument: str
    unit: str
    channels: tuple[str, ...]
    log_temperature: np.ndarray
    response: np.ndarray
    name: str
    date: str
    degraded_to: str = ""
    version: str = ""

    @property
    def brightness_unit(self) -> str:
        """The unit of the data that this response belongs to."""
        return _brightness_unit(self.unit)

    def at(self, log_temperature: np.ndarray) -> np.ndarray:
        """Return the response, interpolated in its logarithm, (channel, temperature).

        Raises
        ------
        ValueError
            If a temperature lies outside the table.
        """
        log_temperature = np.asarray(log_temperature, float)
        low, high = self.log_temperature[[0, -1]]
        if log_temperature.min() < low - 1e-9 or log_temperature.max() > high + 1e-9:
            raise ValueError(
                f"{self.name} knows the response from log T {low:g} to {high:g}, asked for "
                f"{log_temperature.min():g} to {log_temperature.max():g}; choose bins inside"
            )
        logs = np.log(np.maximum(self.response, _NOTHING))
        found = np.exp([np.interp(log_temperature, self.log_temperature, row) for row in logs])
        return np.where(found > 1e10 * _NOTHING, found, 0.0)

    def in_bins(self, log_temperature_edges: np.ndarray) -> np.ndarray:
        """Return the response to emission measure spread evenly in log T over bins.

        Means over points of at most 0.01 dex, ten or more in a bin, as ``bin_response``. With bins
        of 0.1 dex the truth itself then misses its own data by 1 to 2 % of each channel, since it
        is not even within a bin; above a signal-to-noise ratio of 50 that is more than the noise.
        Bins of 0.02 dex have no such error.

        Parameters
        ----------
        log_temperature_edges : (bin + 1,) float
            Increasing log10 of K.

        Returns
        -------
        (channel, bin) float64
        """
        edges = np.asarray(log_temperature_edges, float)
        widths = np.diff(edges)
        n = max(_FEWEST_POINTS, int(np.ceil(widths.max() / _LARGEST_STEP_DEX - 1e-9)))
        points = edges[:-1, None] + widths[:, None] * (np.arange(n) + 0.5) / n
        return self.at(points.ravel()).reshape(len(self.channels), -1, n).mean(axis=2)

    def for_data(
        self, instrument: str, channels: Sequence[object], *, is_corrected: bool, unit: str
    ) -> ResponseTable:
        """Return the table with the channels of some data, in their order, or refuse it.

        Parameters
        ----------
        instrument : str
            That took the data.
        channels : sequence
            Of the data.
        is_corrected : bool
            Whether the data were corrected for the loss of throughput.
        unit : str
            Of the data.

        Raises
        ------
        ValueError
            If the table is another instrument's, lacks a channel, has another unit, or if the loss
            of throughput is corrected for twice, or, for AIA, not at all.
        """
        if not _same_instrument(self.instrument, instrument):
            raise ValueError(
                f"{self.name} is the response of {self.instrument}, the data are of {instrument}; "
                "give the response of the instrument that took them"
            )
        if not u.Unit(_spelled(unit)).is_equivalent(_spelled(self.brightness_unit)):
            raise ValueError(
                f"{self.name} is in {self.unit}, for data in {self.brightness_unit}; these are in "
                f"{unit}"
            )
        lacking = [str(c) for c in channels if str(c) not in self.channels]
        if lacking:
            raise ValueError(
                f"{self.name} has the channels {', '.join(self.channels)}; the data need "
                f"{', '.join(lacking)}, too"
            )
        if is_corrected and self.degraded_to:
            raise ValueError(
                f"{self.name} contains the loss of throughput until {self.degraded_to}, and the "
                "data were corrected for it, too: correct the data or scale the response, never "
                "both"
            )
        if not is_corrected and not self.degraded_to and _same_instrument(instrument, AIA):
            raise ValueError(
                f"{self.name} is the response of the new instrument, and the data were not "
                "corrected for the loss of throughput: correct the data or scale the response"
            )
        rows = [self.channels.index(str(c)) for c in channels]
        chosen = tuple(self.channels[k] for k in rows)
        version = self.version if chosen == self.channels else ""
        return dataclasses.replace(
            self, channels=chosen, response=self.response[rows], version=version
        )

    def degraded(self, time: str | np.datetime64) -> ResponseTable:
        """Return AIA's response with the loss of throughput until a time, for data not corrected.

        Raises
        ------
        ValueError
            If the response contains it already, is of another instrument, or the calibration
            doesn't reach that time.
        """
        if self.degraded_to:
            raise ValueError(
                f"{self.name} contains the loss of throughput until {self.degraded_to} already"
            )
        if not _same_instrument(self.instrument, AIA):
            raise ValueError(
                f"{self.name}: the loss of throughput is known for {AIA} only, not for "
                f"{self.instrument}; give a table that contains it (# degradation: TIME)"
            )
        left = [aia_degradation(int(c), np.array([time], "datetime64[s]")) for c in self.channels]
        scaled = self.response * np.array(left)
        return dataclasses.replace(self, response=scaled, degraded_to=str(time), version="")


def aia_table(version: str = "v10_evenorm_chiantifix") -> ResponseTable:
    """Return one of AIA's own responses (``RESPONSE_VERSIONS``) as a table."""
    grid = np.round(np.arange(80, 161) * 0.05, 2)
    return ResponseTable(
        instrument=AIA,
        unit="DN cm5 s-1 pix-1",
        channels=tuple(map(str, RESPONSE_CHANNELS)),
        log_temperature=grid,
        response=aia_response(grid, version=version),
        name=f"AIA's response {version}",
        date="2026-11-21",
        version=version,
    )


def read_response_table(path: str | Path) -> ResponseTable:
    """Read and check a response table (see the module's text for its form).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such table: the sentence says which line, what was expected, and what is there.
    """
    path = Path(path)
    said: dict[str, str] = {}
    heading: list[str] = []
    rows = []
    for number, cells in read_csv_rows(path, "response table"):
        if cells[0].lstrip().startswith("#"):
            key, colon, value = ",".join(cells).lstrip("# \t").partition(":")
            if colon:
                said.setdefault(key.strip().lower(), value.strip())
        elif not heading:
            heading = [cell.strip() for cell in cells]
        else:
            rows.append((number, cells))
    lacking = [key for key in _NEEDED if not said.get(key)]
    if lacking:
        raise ValueError(
            f"{path.name}: lacks {', '.join(f'# {key}: ...' for key in lacking)} above its "
            "heading; a response without them can't be told from another instrument's"
        )
    for key in ("date", "degradation"):
        text = said.get(key, "none")
        is_date = _DATE.fullmatch(text) is not None and _exists(text)
        if not is_date and (key == "date" or text != "none"):
            raise ValueError(
                f"{path.name}: '# {key}: {text}' is no date such as 2014-01-11"
                + (" and not none" if key == "degradation" else "")
            )
    try:
        _brightness_unit(said["unit"])
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    channels = channel_names(heading, path.name)
    values = number_table(rows, len(heading), path.name)
    grid, response = values[:, 0], values[:, 1:].T
    _check(grid, response, rows, channels, path.name)
    degraded = said.get("degradation", "none")
    return ResponseTable(
        instrument=said["instrument"],
        unit=said["unit"],
        channels=channels,
        log_temperature=grid,
        response=response,
        name=path.name,
        date=said["date"],
        degraded_to="" if degraded == "none" else degraded,
    )


def _exists(date: str) -> bool:
    """Return whether a date that is well written is in the calendar."""
    try:
        return not np.isnat(np.datetime64(date.replace("Z", "").replace(" ", "T"), "s"))
    except ValueError:
        return False


def _check(
    grid: np.ndarray,
    response: np.ndarray,
    rows: list[tuple[int, list[str]]],
    channels: tuple[str, ...],
    name: str,
) -> None:
    """Raise where a table holds no response."""
    falls = np.flatnonzero(np.diff(grid) <= 0)
    if len(falls):
        number = rows[falls[0] + 1][0]
        raise ValueError(
            f"{name}, line {number}: log10 T must increase, {grid[falls[0]]:g} is followed by "
            f"{grid[falls[0] + 1]:g}"
        )
    if grid[0] < 3 or grid[-1] > 9.5:
        raise ValueError(
            f"{name}: its temperatures run from {grid[0]:g} to {grid[-1]:g}; expected log10 of K, "
            "3 to 9.5"
        )
    below = np.argwhere(response < 0)
    if len(below):
        channel, row = below[0]
        raise ValueError(
            f"{name}, line {rows[row][0]}: the response of {channels[channel]} is negative "
            f"({response[channel, row]:g})"
        )
    for channel, peak in zip(channels, response.max(axis=1), strict=True):
        if not _LEAST_PEAK < peak < _LARGEST_PEAK:
            raise ValueError(
                f"{name}: the response of {channel} is {peak:.1e} at most; per emission measure in "
                "cm-5 it lies about 1e-30 to 1e-20. Is it scaled, or its logarithm?"
            )


def _spelled(unit: str) -> str:
    """Return a unit as astropy reads it; DN are counts of a converter."""
    return re.sub(r"\bDN\b", "ct", unit)


def _brightness_unit(unit: str) -> str:
    """Return the brightness whose response has this unit."""
    try:
        given = u.Unit(_spelled(unit))
    except ValueError:
        given = None
    for brightness in _BRIGHTNESS_UNITS:
        expected = u.Unit(_spelled(brightness)) * u.cm**5
        if given is not None and (given / expected).is_unity():
            return brightness
    known = ", ".join(f"{brightness} cm5" for brightness in _BRIGHTNESS_UNITS)
    raise ValueError(f"the unit {unit!r} is none of a response to emission measure: {known}")


def _same_instrument(one: str, other: str) -> bool:
    """Return whether two names mean one instrument: SDO/AIA is AIA; Hinode/EIS is not XRT."""
    names = [re.findall(r"[a-z0-9]+", name.lower()) for name in (one, other)]
    return bool(names[0] and names[1]) and names[0][-1] == names[1][-1]
