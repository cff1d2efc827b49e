"""Samples of flare history: what happened in the last four weeks, and the peak flux to come."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dataset_models.GOES.alteration import altered_after
from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.GOES.side_columns import SideColumns
from dataset_models.GOES.targets import window_flux, window_peak
from dataset_models.solar_data import (
    INPUT,
    SIDE,
    TARGET,
    ArrayInfo,
    SampleTable,
    SolarData,
    hash_rows,
)
from tools.random_streams import random_stream

__all__ = ["FlareHistory", "HistoryWindow", "PeakFluxSamples"]

_HOUR = np.timedelta64(3600, "s")
_FEWEST_FLARE_HOURS = 5  # histories with fewer hours of flares are alike without being copies


@dataclass(frozen=True)
class HistoryWindow:
    """What a sample spans: hours of history, delay and catch of the label in hours, cadence."""

    history_h: int = 672
    delay_h: int = 0
    catch_h: int = 24
    cadence_h: int = 6
    floor_flux: float = 1e-7

    def __post_init__(self):
        for name in ("history_h", "catch_h", "cadence_h"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 hour, got {getattr(self, name)}")
        if self.delay_h < 0:
            raise ValueError(f"delay_h must be 0 or more, got {self.delay_h}")
        if not self.floor_flux > 0:
            raise ValueError(f"floor_flux must be positive, in W m-2, got {self.floor_flux}")


class PeakFluxSamples(SolarData):
    """Issue times with the peak flux to come: what samples of history and of images share.

    Arrays
    ------
    side : (column,) float32
        Side columns, where some were given: the newest values at or before the issue time.
    log10_peak_flux : () float32
        log10 of the largest 1-8 A flux in ``(t + delay, t + delay + catch]``, W m-2, not below
        the floor.

    Parameters
    ----------
    record : FlareRecord
    window : HistoryWindow
    side : SideColumns, optional
    times : (sample,) datetime64[s], optional
        Issue times; by default every ``cadence_h`` hours wherever the record reaches.
    need_label : bool
        Leave out samples whose label is not defined. False when forecasting.
    """

    def __init__(
        self,
        record: FlareRecord,
        window: HistoryWindow,
        *,
        side: SideColumns | None = None,
        times: np.ndarray | None = None,
        need_label: bool = True,
    ):
        self.record, self.window, self.side = record, window, side
        span = window.history_h * _HOUR
        if times is None:
            first = record.start.astype("datetime64[h]").astype("datetime64[s]") + span
            first += _HOUR if first - span < record.start else np.timedelta64(0, "s")
            times = np.arange(first, record.end, window.cadence_h * _HOUR)
        self.times = np.asarray(times, "datetime64[s]")
        delay, catch = window.delay_h * _HOUR, window.catch_h * _HOUR
        self.window_flux = window_flux(record, self.times, delay=delay, catch=catch)
        defined = np.isfinite(self.window_flux)
        self.n_undefined = int((~defined).sum())
        if need_label:
            self.times, self.window_flux = self.times[defined], self.window_flux[defined]
            if len(self.times) == 0:
                raise ValueError(
                    f"{record.source}: no forecast can be made and checked: the record reaches "
                    f"from {record.start} to {record.end}, but a sample needs {window.history_h} h "
                    f"of history and {window.delay_h + window.catch_h} h after it"
                )

    @cached_property
    def table(self) -> SampleTable:
        """One row per issue time; full-disc samples have no group but their time."""
        w, n = self.window, len(self.times)
        return SampleTable(
            time=self.times,
            input_start=self.times - w.history_h * _HOUR,
            input_end=self.times,
            label_start=self.times + w.delay_h * _HOUR,
            label_end=self.times + (w.delay_h + w.catch_h) * _HOUR,
            group=np.full(n, ""),
            quality=self._without_side_values().astype(int),
            content_hash=self._content_hashes(),
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the history's channels."""
        names = ("largest peak flux", "flares of C1 or more", "observed share")
        return names if self.record.flux is None else (*names, "mean flux")

    @property
    def flux_arrays(self) -> dict[str, ArrayInfo]:
        """What every sample has: the side columns, if any, and the target."""
        arrays = {}
        if self.side is not None:
            arrays["side"] = ArrayInfo(("column",), (len(self.side.names),), "as given", SIDE)
        return arrays | {"log10_peak_flux": ArrayInfo((), (), "log10(W m-2)", TARGET)}

    @property
    def history_info(self) -> ArrayInfo:
        """What the flare history of a sample is."""
        shape = (self.window.history_h, len(self.channels))
        return ArrayInfo(("hour", "channel"), shape, "W m-2, 1, 1", INPUT)

    def describe_history(self) -> str:
        """Describe in a sentence what the flare history of a sample is."""
        w = self.window
        return (
            f"{w.history_h} h of hourly history before the issue time t, one sample every "
            f"{w.cadence_h} h"
        )

    def read_fluxes(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read side columns and targets by their rows in the table."""
        out = {} if self.side is None else {"side": self.side.at(self.times[indices])}
        return out | {"log10_peak_flux": self.log10_peak_flux[indices].astype(np.float32)}

    def altered_after_issue(self, index: int, seed: int) -> FlareHistory:
        """Return one sample's history and target from a record that differs in all that came later.

        What the audit compares: the history must be the same, the target need not.
        """
        time, w = self.times[index], self.window
        altered = altered_after(
            self.record,
            time,
            np.random.default_rng([seed, index]),
            before=w.history_h * _HOUR,
            after=(w.delay_h + w.catch_h) * _HOUR,
        )
        return FlareHistory(
            altered, self.window, side=self.side, times=self.times[[index]], need_label=False
        )

    @abstractmethod
    def describe_sample(self) -> str:
        """Describe in a sentence what a sample is."""

    @abstractmethod
    def _content_hashes(self) -> np.ndarray:
        """Hash the content of each sample's input, (sample,) uint64."""

    @property
    def log10_peak_flux(self) -> np.ndarray:
        """Targets of all samples, (sample,) float64; NaN where not defined."""
        return np.log10(np.maximum(self.window_flux, self.window.floor_flux))

    def shuffle_labels(self, sets: Sequence[np.ndarray], seed: int) -> None:
        """Exchange the labels within each set of rows: what is learned then means nothing.

        For control runs, whose maps show what a network sees that has learned nothing.
        """
        generator, flux = random_stream(seed, "shuffled labels"), self.window_flux.copy()
        for rows in sets:
            flux[rows] = flux[generator.permutation(rows)]
        self.window_flux = flux

    def past_peak(self, hours: int) -> np.ndarray:
        """Return the largest flux that was known of the last ``hours``, W m-2, 0 if there is none.

        Of a light curve the largest flux, of a list the largest flare: the same quantity as the
        label, one window earlier.
        """
        record, span = self.record, hours * _HOUR
        known = record.known_time, record.peak_flux
        values = known if record.flux is None else (record.flux_time, record.flux)
        zero = np.timedelta64(0, "s")
        return window_peak(*values, self.times - span, delay=zero, catch=span)

    def past_count(self, hours: int, flux: float) -> np.ndarray:
        """Return the number of flares of at least ``flux`` known of the last ``hours``."""
        time = self.record.known_time[self.record.peak_flux >= flux]
        first = np.searchsorted(time, self.times - hours * _HOUR, side="right")
        return np.searchsorted(time, self.times, side="right") - first

    def provenance(self) -> dict:
        """Return where the record is from and what was repaired."""
        record = self.record
        return {
            "source": record.source,
            "start": str(record.start),
            "end": str(record.end),
            "flares": len(record.peak_time),
            "class_scale": record.class_scale,
            "label_kind": record.label_kind,
            "satellites": list(record.satellites),
            "gaps": len(record.gaps),
            "undefined_labels": self.n_undefined,
            "repairs": record.faults,
            "side_columns": [] if self.side is None else list(self.side.names),
            "sample": self.describe_sample(),
        }

    def fingerprint(self) -> str:
        """Return a hash of the record and of the samples made from it."""
        digest = hashlib.sha256(super().fingerprint().encode())
        columns = [self.record.peak_time, self.record.peak_flux, self.window_flux]
        if self.side is not None:
            digest.update("\n".join(self.side.names).encode())
            columns += [self.side.time, self.side.values]
        for column in columns:
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:16]

    def _without_side_values(self) -> np.ndarray:
        """Say for which samples no side columns are known."""
        if self.side is None:
            return np.zeros(len(self.times), bool)
        return np.isnan(self.side.at(self.times)).any(axis=1)

    def histories(self, indices: np.ndarray) -> np.ndarray:
        """Return (batch, hour, channel); hour j ends ``history_h - 1 - j`` hours before t."""
        n = self.window.history_h
        out = np.empty((len(indices), n, len(self.channels)), np.float32)
        seconds = self.times[indices].astype(np.int64)
        for phase in np.unique(seconds % 3600):
            chosen = np.flatnonzero(seconds % 3600 == phase)
            first, hourly = self._hourly(int(phase))
            row = seconds[chosen] // 3600 - n - first
            out[chosen] = hourly[row[:, None] + np.arange(n)]
        return out

    def _hourly(self, phase: int) -> tuple[int, np.ndarray]:
        """Return all hours that begin ``phase`` s after the hour: first hour, (hour, channel).

        An hour holds what happened after its start, up to and including its end.
        """
        if phase not in self._hourly_of_phase:
            self._hourly_of_phase[phase] = self._make_hourly(phase)
        return self._hourly_of_phase[phase]

    @cached_property
    def _hourly_of_phase(self) -> dict[int, tuple[int, np.ndarray]]:
        return {}

    def _make_hourly(self, phase: int) -> tuple[int, np.ndarray]:
        record, n = self.record, self.window.history_h
        first = int(self.times.min().astype(np.int64) // 3600) - n
        count = int(self.times.max().astype(np.int64) // 3600) - first

        def hour_of(time: np.ndarray) -> np.ndarray:
            return (time.astype("datetime64[s]").astype(np.int64) - phase - 1) // 3600 - first

        hourly = np.zeros((count, len(self.channels)), np.float32)
        hour = hour_of(record.known_time)
        inside = (hour >= 0) & (hour < count)
        hour, flux = hour[inside], record.peak_flux[inside]
        np.maximum.at(hourly[:, 0], hour, flux.astype(np.float32))
        np.add.at(hourly[:, 1], hour[flux >= 1e-6], 1)
        start = (first * 3600 + phase) + 3600 * np.arange(count)
        hourly[:, 2] = _observed_share(record, start)
        if record.flux is not None:
            hour = hour_of(record.flux_time)
            inside = (hour >= 0) & (hour < count)
            total = np.bincount(hour[inside], record.flux[inside], minlength=count)
            number = np.bincount(hour[inside], minlength=count)
            hourly[:, 3] = np.divide(total, number, out=np.zeros(count), where=number > 0)
        return first, hourly


class FlareHistory(PeakFluxSamples):
    """Hourly flare history as input, log10 of the coming peak flux as target.

    Arrays
    ------
    flare_history : (hour, channel) float32
        The newest hour last. Channels: largest peak flux of the flares that became known in the
        hour (W m-2, 0 where none did: a list's flares at their peak, a light curve's when they
        are over), number of flares of at least C1, share of the hour that was observed, and, for
        records with a light curve, the mean 1-8 A flux (W m-2).
    side, log10_peak_flux
        As in ``PeakFluxSamples``, which takes the same parameters.
    """

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """What ``read`` gives."""
        return {"flare_history": self.history_info} | self.flux_arrays

    @property
    def rows_at_once(self) -> int:
        """Samples that can be read at once without thinking of memory."""
        return 4096

    def describe_sample(self) -> str:
        """Describe in a sentence what a sample is."""
        return self.describe_history()

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read samples by their rows in the table."""
        indices = np.asarray(indices)
        return {"flare_history": self.histories(indices)} | self.read_fluxes(indices)

    def read_altered(self, index: int, seed: int) -> dict[str, np.ndarray]:
        """Read one sample from a record that differs in all that came after its issue time."""
        return self.altered_after_issue(index, seed).read(np.array([0]))

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Return log10 of the hourly peak fluxes above A1; NaN where hardly anything happened."""
        flux = self.histories(np.asarray(indices))[..., 0]
        out = np.log10(np.maximum(flux, 1e-8) / 1e-8)
        out[(flux > 0).sum(axis=1) < _FEWEST_FLARE_HOURS] = np.nan
        return out

    def _content_hashes(self) -> np.ndarray:
        chunks = np.array_split(np.arange(len(self.times)), max(len(self.times) // 2048, 1))
        return np.concatenate([hash_rows(self.histories(chunk)) for chunk in chunks])


def _observed_share(record: FlareRecord, hour_start: np.ndarray) -> np.ndarray:
    """Return the share of each hour (start in s) that lies in the record and in no gap."""

    def overlap(start: np.datetime64, end: np.datetime64) -> np.ndarray:
        first, last = (int(t.astype("datetime64[s]").astype(np.int64)) for t in (start, end))
        return np.clip(np.minimum(hour_start + 3600, last) - np.maximum(hour_start, first), 0, None)

    seconds = overlap(record.start, record.end)
    for gap_start, gap_end in record.gaps:
        seconds = seconds - overlap(gap_start, gap_end)
    return np.clip(seconds, 0, 3600) / 3600
