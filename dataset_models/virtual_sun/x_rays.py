"""GOES X-ray fluxes of the virtual Sun's plasma: the same blobs that the images show.

The quiet corona and the plasma of regions in view, above the limb, too, are weighed with GOES-15's
response. Flares count as in the labels: those of regions in front, at the flux of their class;
coronal holes are not taken off the quiet disc. Gaps and flagged samples come as in real files, at
times that depend on the record alone.
"""

from __future__ import annotations

import numpy as np

from dataset_models.GOES.side_columns import SideColumns, flux_column
from dataset_models.GOES.xrs import XRSSeries
from dataset_models.virtual_sun.corona import (
    QUIET_LEVEL,
    SUN_RADIUS_CM,
    is_in_view,
    quiet_column_area,
)
from dataset_models.virtual_sun.flux_series import flare_profile
from dataset_models.virtual_sun.plasma import (
    KINDS,
    goes_gain,
    quiet_emission_measure,
)
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.record import VIRTUAL_START, hour_of_time
from dataset_models.virtual_sun.visible_regions import VisibleRegions
from tools.physics.flare_class import SCALING_FACTORS, TRUE
from tools.random_streams import random_stream

__all__ = ["VirtualXRays"]

_FLARE = KINDS.index("flare")
# declared choices of this model
_GAPS_PER_DAY, _GAP_MINUTES = 0.1, 90.0
_SPIKE_SHARE, _SPIKE_FLUX = 2e-4, 3e-6  # W m-2
_NOISE_SHARE, _NOISE_FLUX = 0.005, 5e-10  # of the flux; W m-2
_DAY_MINUTES = 1440


class VirtualXRays:
    """What GOES would measure of a virtual record.

    Parameters
    ----------
    record : VirtualRecord
    """

    def __init__(self, record: VirtualRecord):
        self.record, self._regions = record, VisibleRegions(record)

    def fluxes(self, hour: int) -> np.ndarray:
        """Give both fluxes at a full hour without noise, (2,): 1-8 A and 0.5-4 A, true W m-2.

        As in the images of that hour, a flare counts from its peak on: what the hour shows must not
        depend on what comes after it, or the exact forecast would not be the best possible one.
        """
        out = (self._quiet() + self._steady(hour))[:, None]
        self._add_flares(out, hour, rising=False)
        return out[:, 0]

    def is_observed(self, hours: np.ndarray) -> np.ndarray:
        """Say for each full hour whether it lies in no gap, (hour,) bool."""
        minutes = np.asarray(hours) * 60
        gaps = {day: self._gap(int(day)) for day in np.unique(minutes // _DAY_MINUTES)}
        inside = [
            gaps[m // _DAY_MINUTES][0] <= m % _DAY_MINUTES < gaps[m // _DAY_MINUTES][1]
            for m in minutes
        ]
        return ~np.array(inside, bool)

    def current_flux(self, times: np.ndarray) -> SideColumns:
        """Give the 1-8 A flux at full hours as a side column; those in gaps are left out."""
        hours = hour_of_time(times)
        seen = self.is_observed(hours)
        fluxes = np.array([self.fluxes(int(h))[0] for h in hours[seen]])
        return flux_column(np.asarray(times)[seen], fluxes * SCALING_FACTORS["long"])

    def series(self, first_hour: int, n_hours: int, *, scaling: str = TRUE) -> XRSSeries:
        """Give the light curve minute by minute, with noise, gaps and flagged spikes.

        Parameters
        ----------
        scaling : {"operational", "true"}
        """
        hours = np.arange(first_hour, first_hour + n_hours + 1)
        steady = np.array([self._steady(int(h)) for h in hours])
        minute = np.arange(n_hours * 60)
        fluxes = np.stack([np.interp(minute / 60, np.arange(n_hours + 1), c) for c in steady.T])
        fluxes += self._quiet()[:, None]
        self._add_flares(fluxes, first_hour, rising=True)
        absolute = first_hour * 60 + minute
        day = absolute // _DAY_MINUTES
        observed, is_spike = np.ones(len(minute), bool), np.zeros(len(minute), bool)
        noise = np.empty(fluxes.shape)
        for d in np.unique(day):  # a pure function of the day, wherever a series begins
            here, within = day == d, absolute[day == d] % _DAY_MINUTES
            start, stop = self._gap(int(d))
            observed[here] = (within < start) | (within >= stop)
            generator = random_stream(self.record.seed, "virtual sun", "x-ray noise", int(d))
            noise[:, here] = generator.standard_normal((2, _DAY_MINUTES))[:, within]
            is_spike[here] = (generator.random(_DAY_MINUTES) < _SPIKE_SHARE)[within]
        fluxes += noise * (_NOISE_SHARE * fluxes + _NOISE_FLUX) + _SPIKE_FLUX * is_spike
        fluxes = np.where(observed, np.maximum(fluxes, 1e-10), np.nan)
        good = observed & ~is_spike
        time = VIRTUAL_START + absolute * np.timedelta64(60, "s")
        return XRSSeries(
            time=time.astype("datetime64[ms]"),
            long_flux=fluxes[0],
            short_flux=fluxes[1],
            long_is_good=good,
            short_is_good=good.copy(),
            satellite="virtual",
            scaling=TRUE,
            cadence_s=60.0,
            time_is="start of record",
            source=f"virtual Sun (synthetic), seed {self.record.seed}",
        ).on_scale(scaling)

    def _steady(self, hour: int) -> np.ndarray:
        """Give what all plasma in view but that of flares adds."""
        out = np.zeros(2)
        for x, y, z, _, amount, layer in self._regions.blobs(hour):
            plasma = (layer < len(KINDS)) & (layer != _FLARE) & is_in_view(x, y, z)
            out += amount[plasma] @ goes_gain()[layer[plasma]]
        return out

    @staticmethod
    def _quiet() -> np.ndarray:
        """Give what the quiet disc adds."""
        area = quiet_column_area() * SUN_RADIUS_CM**2
        return QUIET_LEVEL * quiet_emission_measure() * area * goes_gain()[KINDS.index("quiet")]

    def _add_flares(self, fluxes: np.ndarray, first_hour: int, *, rising: bool) -> None:
        """Add the flares that labels count, in place; before their peak only if ``rising``."""
        flares = self.record.visible_flares()
        n = fluxes.shape[1]
        ratio = goes_gain()[_FLARE] / goes_gain()[_FLARE, 0]
        minute = (flares.hour - first_hour) * 60 + flares.minute
        for k in np.flatnonzero((minute > -_DAY_MINUTES) & (minute < n + 60)):
            offset = np.arange(n) - minute[k]
            near = np.flatnonzero((offset >= (-20 if rising else 0)) & (offset < _DAY_MINUTES))
            peak = np.full(len(near), flares.peak_flux[k])
            true_flux = peak / SCALING_FACTORS["long"] * flare_profile(offset[near], peak)
            fluxes[:, near] += ratio[:, None] * true_flux

    def _gap(self, day: int) -> tuple[int, int]:
        """Give the first minute of a day's gap and the first after it; equal without one."""
        generator = random_stream(self.record.seed, "virtual sun", "x-ray gap", day)
        if generator.random() >= _GAPS_PER_DAY:
            return 0, 0
        start = int(generator.integers(_DAY_MINUTES))
        return start, min(start + 1 + int(generator.exponential(_GAP_MINUTES)), _DAY_MINUTES)
