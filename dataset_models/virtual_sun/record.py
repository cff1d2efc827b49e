"""The virtual Sun seen as a flare list: what GOES would have listed, on a calendar of its own."""

from __future__ import annotations

import numpy as np

from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.virtual_sun.process import VirtualRecord
from tools.physics.flare_class import OPERATIONAL

__all__ = ["VIRTUAL_START", "hour_of_time", "virtual_flare_record"]

VIRTUAL_START = np.datetime64("2101-01-01T00:00:00")  # far from every real observation


def virtual_flare_record(virtual: VirtualRecord) -> FlareRecord:
    """Give the visible flares of the virtual Sun as a record; regions count from 1."""
    flares = virtual.visible_flares()
    seconds = flares.hour * 3600 + flares.minute * 60
    order = np.argsort(seconds, kind="stable")
    return FlareRecord(
        peak_time=VIRTUAL_START + seconds[order].astype("timedelta64[s]"),
        peak_flux=flares.peak_flux[order],
        region=flares.region[order] + 1,
        start=VIRTUAL_START,
        end=VIRTUAL_START + np.timedelta64(virtual.n_hours * 3600, "s"),
        class_scale=OPERATIONAL,
        source=f"virtual Sun (synthetic), seed {virtual.seed}, {virtual.n_hours / 8766:.0f} years",
        satellites=("virtual",),
    )


def hour_of_time(times: np.ndarray) -> np.ndarray:
    """Give the hour since the virtual Sun's start of each time.

    Raises
    ------
    ValueError
        If a time is not on a full hour.
    """
    seconds = (np.asarray(times, "datetime64[s]") - VIRTUAL_START).astype(np.int64)
    if (seconds % 3600).any():
        raise ValueError("the virtual Sun's state is known at full hours only")
    return seconds // 3600
