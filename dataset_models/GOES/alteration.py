"""Records in which the future is other than it was, for the audit of causality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataset_models.GOES.flare_finder import record_of_minutes
from dataset_models.GOES.flare_record import FlareRecord

__all__ = ["altered_after"]

_MINUTE = np.timedelta64(60, "s")
_MARGIN = np.timedelta64(2 * 86400, "s")  # no flare lasts longer


def altered_after(
    record: FlareRecord,
    time: np.datetime64,
    generator: np.random.Generator,
    *,
    before: np.timedelta64,
    after: np.timedelta64,
) -> FlareRecord:
    """Give a copy in which everything after ``time`` is other than it was.

    In a list, later flares are replaced by three an hour with fluxes from B1 to X10. In a light
    curve, later minutes are replaced by noise of that range and all flares are found again, so
    that one which was still rising at ``time`` becomes another; the copy reaches from ``before``
    and two days more before ``time`` to ``after`` behind it.
    """
    gaps = record.gaps[record.gaps[:, 0] < time]
    if record.flux is None:
        known = record.known_time <= time
        n = int((record.end - time) / (20 * _MINUTE))
        later = time + np.arange(1, n + 1) * (20 * _MINUTE)
        return replace(
            record,
            peak_time=np.r_[record.peak_time[known], later],
            peak_flux=np.r_[record.peak_flux[known], 10 ** generator.uniform(-7, -3, n)],
            region=np.r_[record.region[known], np.zeros(n, record.region.dtype)],
            known_time=np.r_[record.known_time[known], later],
            gaps=gaps,
        )
    cut = (time - before - _MARGIN - record.start) // _MINUTE
    first = record.start + max(cut, 0) * _MINUTE
    minute = np.arange(first, min(record.end, time + after), _MINUTE)
    flux = np.full(len(minute), np.nan)
    index = (record.flux_time - _MINUTE - first) // _MINUTE
    inside = (index >= 0) & (index < len(minute))
    flux[index[inside]] = record.flux[inside]
    later = minute + _MINUTE > time
    flux[later] = 10 ** generator.uniform(-7, -3, later.sum())
    return record_of_minutes(
        minute, flux, gaps=gaps, class_scale=record.class_scale, source=record.source
    )
