"""The worst misses of a forecast, and what the record tells of their cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.GOES.flare_history import PeakFluxSamples
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.record import hour_of_time
from tools.physics.flare_class import CLASS_LETTERS, class_name

__all__ = ["Miss", "worst_misses"]

_DAY = np.timedelta64(86400, "s")


@dataclass(frozen=True)
class Miss:
    """One miss: issue time, what was forecast and what came, and the cause in words.

    ``row`` is the sample's row in the dataset. ``place`` is where the region of the largest flare
    stood at the issue time, in solar radii to the west and north; None if unknown or not in view.
    """

    row: int
    place: tuple[float, float] | None
    time: str
    median: str
    observed: str
    surprise: float
    cause: str


def worst_misses(
    dataset: PeakFluxSamples,
    rows: np.ndarray,
    median: np.ndarray,
    surprise: np.ndarray,
    *,
    virtual: VirtualRecord | None,
    n: int = 12,
) -> list[Miss]:
    """Return the samples with the largest log score, at most one in two days.

    Parameters
    ----------
    rows : (sample,) int
        Test rows of the dataset.
    median : (sample,) float
        Median forecast, log10 W m-2.
    surprise : (sample,) float
        Log score of each forecast in nats.
    virtual : VirtualRecord, optional
        Where the Sun is virtual, the cause is read off its hidden state.
    """
    chosen: list[int] = []
    for k in np.argsort(-surprise, kind="stable"):
        time = dataset.times[rows[k]]
        if all(np.abs(time - dataset.times[rows[other]]) >= 2 * _DAY for other in chosen):
            chosen.append(int(k))
        if len(chosen) == n:
            break
    return [
        Miss(
            row=int(rows[k]),
            place=_place(dataset, int(rows[k]), virtual),
            time=str(dataset.times[rows[k]])[:16],
            median=_class_of(median[k], dataset.window.floor_flux),
            observed=_class_of(dataset.log10_peak_flux[rows[k]], dataset.window.floor_flux),
            surprise=float(surprise[k]),
            cause=_cause(dataset, int(rows[k]), virtual),
        )
        for k in chosen
    ]


def _cause(dataset: PeakFluxSamples, row: int, virtual: VirtualRecord | None) -> str:
    """Return where the largest flare of the window came from, or what did not come."""
    record = dataset.record
    largest = _largest_flare(dataset, row)
    if largest is None:
        return "false alarm: nothing came, " + _quiet_cause(dataset, row, virtual)
    region = int(record.region[largest])
    when = _hours(record.peak_time[largest] - dataset.times[row])
    name = f"region {region}" if region else "a flare without a region number"
    text = f"{_class_of(np.log10(record.peak_flux[largest]), 1e-8)} of {name} {when} later; "
    if virtual is not None and region:
        return text + _virtual_cause(virtual, region - 1, dataset.times[row])
    earlier = record.peak_time[: np.searchsorted(record.peak_time, dataset.times[row], "right")]
    if not region:
        return text + "its history can't be told (far side, limb, or not assigned)"
    same = record.region[: len(earlier)] == region
    if not same.any():
        return text + "the region had no listed flare before: new, or just over the limb"
    largest_before = np.log10(record.peak_flux[: len(earlier)][same].max())
    last = _hours(dataset.times[row] - earlier[same].max())
    return text + (
        f"it had flared {same.sum()} times, {_class_of(largest_before, 1e-8)} at most, last "
        f"{last} before"
    )


def _largest_flare(dataset: PeakFluxSamples, row: int) -> int | None:
    """Return the index of the largest flare in a sample's label window, None without any."""
    record, w = dataset.record, dataset.window
    start = dataset.times[row] + np.timedelta64(w.delay_h, "h")
    end = start + np.timedelta64(w.catch_h, "h")
    inside = np.flatnonzero((record.peak_time > start) & (record.peak_time <= end))
    return int(inside[np.argmax(record.peak_flux[inside])]) if len(inside) else None


def _place(
    dataset: PeakFluxSamples, row: int, virtual: VirtualRecord | None
) -> tuple[float, float] | None:
    """Return where the region of the largest flare stood at the issue time, if it was in view."""
    largest = _largest_flare(dataset, row)
    if virtual is None or largest is None:
        return None
    region = int(dataset.record.region[largest]) - 1
    states = virtual.states_at(hour_of_time(dataset.times[[row]]))
    mine = states.identity == region
    if not mine.any() or not virtual.rates.is_in_front(states.longitude_cell[mine])[0]:
        return None
    longitude = np.radians(virtual.rates.longitude_deg(states.longitude_cell[mine])[0])
    latitude = np.radians(virtual.latitude_deg[region])
    return float(np.cos(latitude) * np.sin(longitude)), float(np.sin(latitude))


def _quiet_cause(dataset: PeakFluxSamples, row: int, virtual: VirtualRecord | None) -> str:
    past = dataset.past_count(24, CLASS_LETTERS["C"])[row]
    text = f"{past} flares of C1 or more in the 24 h before"
    if virtual is None:
        return text
    states = virtual.states_at(hour_of_time(dataset.times[[row]]))
    visible = virtual.rates.is_in_front(states.longitude_cell)
    return text + f"; {int((states.is_primed & visible).sum())} primed regions in view"


def _virtual_cause(virtual: VirtualRecord, region: int, time: np.datetime64) -> str:
    """Read the cause off the hidden state of the virtual Sun."""
    hour = int(hour_of_time(np.array([time]))[0])
    age_h = hour - int(virtual.first_hour[region])
    if age_h < 0:
        return f"the region was born {-age_h} h after the forecast"
    states = virtual.states_at(np.array([hour]))
    mine = states.identity == region
    longitude = float(virtual.rates.longitude_deg(states.longitude_cell[mine])[0])
    place = f"at longitude {longitude:+.0f} deg"
    if abs(longitude) >= 90:
        return f"the region was still behind the east limb ({place})"
    state = "primed" if states.is_primed[mine][0] else "quiet"
    return f"the region was {state}, {age_h} h old, {place}"


def _class_of(log10_flux: float, floor_flux: float) -> str:
    if log10_flux <= np.log10(floor_flux) + 1e-9:
        return "below " + class_name(floor_flux)
    return class_name(10.0**log10_flux)


def _hours(step: np.timedelta64) -> str:
    return f"{step / np.timedelta64(3600, 's'):.1f} h"
