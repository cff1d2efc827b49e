"""A record of flares: what a catalogue, an X-ray light curve or the virtual Sun have in common."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tools.physics.flare_class import SCALES

__all__ = ["FLARE_PEAKS", "FLUX_SERIES", "FlareRecord"]

FLARE_PEAKS, FLUX_SERIES = "flare peaks", "flux series"


@dataclass(frozen=True)
class FlareRecord:
    """Flares of a span of time, sorted by peak time.

    Attributes
    ----------
    peak_time : (flare,) datetime64[s], UTC
    peak_flux : (flare,) float64, W m-2, GOES 1-8 A on ``class_scale``
    region : (flare,) int
        Active region number, 0 where none was assigned.
    start, end : datetime64[s], UTC
        The span in which flares would have been listed.
    class_scale : {"operational", "true"}
    source : str
        Where the record is from, in words.
    gaps : (gap, 2) datetime64[s]
        Starts and ends of times without observations.
    faults : dict
        What was repaired or left out when the record was read, with counts.
    satellites : tuple of str
    flux_time, flux : (sample,) datetime64[s] and float64 W m-2, or None
        One-minute averages of the 1-8 A flux, where the record comes from a light curve.
    """

    peak_time: np.ndarray
    peak_flux: np.ndarray
    region: np.ndarray
    start: np.datetime64
    end: np.datetime64
    class_scale: str
    source: str
    gaps: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), "datetime64[s]"))
    faults: dict = field(default_factory=dict)
    satellites: tuple[str, ...] = ()
    flux_time: np.ndarray | None = None
    flux: np.ndarray | None = None

    def __post_init__(self):
        if self.class_scale not in SCALES:
            raise ValueError(f"{self.source}: unknown class scale {self.class_scale!r}")
        if not (len(self.peak_time) == len(self.peak_flux) == len(self.region)):
            raise ValueError(f"{self.source}: peak times, fluxes and regions differ in number")
        if (self.peak_time[1:] < self.peak_time[:-1]).any():
            raise ValueError(f"{self.source}: flares must be sorted by peak time")
        if not (np.isfinite(self.peak_flux).all() and (self.peak_flux > 0).all()):
            raise ValueError(f"{self.source}: every peak flux must be positive and finite")
        if not self.start < self.end:
            raise ValueError(f"{self.source}: the record must end after it starts")

    @property
    def label_kind(self) -> str:
        """Say what a label taken from this record is: listed flare peaks, or the flux itself."""
        return FLARE_PEAKS if self.flux is None else FLUX_SERIES

    def altered_after(self, time: np.datetime64, generator: np.random.Generator) -> FlareRecord:
        """Give a copy in which everything after ``time`` is other than it was, for the audit.

        Later flares are replaced by three an hour with fluxes from B1 to X10, later fluxes by
        noise; what lies at or before ``time`` is untouched.
        """
        before = self.peak_time <= time
        n = int((self.end - time) / np.timedelta64(1200, "s"))
        later = time + np.arange(1, n + 1) * np.timedelta64(1200, "s")
        altered = replace(
            self,
            peak_time=np.r_[self.peak_time[before], later],
            peak_flux=np.r_[self.peak_flux[before], 10 ** generator.uniform(-7, -3, n)],
            region=np.r_[self.region[before], np.zeros(n, self.region.dtype)],
            gaps=self.gaps[self.gaps[:, 0] < time],
        )
        if self.flux is None:
            return altered
        flux = np.where(
            self.flux_time <= time, self.flux, 10 ** generator.uniform(-7, -3, len(self.flux))
        )
        return replace(altered, flux=flux)
