"""A record of flares: what a catalogue, an X-ray light curve or the virtual Sun have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dataset_models.reading_summary import ReadingSummary
from tools.physics.flare_class import SCALES

__all__ = ["FLARE_PEAKS", "FLUX_SERIES", "NEVER_KNOWN", "FlareRecord"]

FLARE_PEAKS, FLUX_SERIES = "flare peaks", "flux series"
NEVER_KNOWN = np.datetime64("9999-12-31T00:00:00", "s")  # of a flare that the record cuts off


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
    known_time : (flare,) datetime64[s], UTC
        When the flare and its peak flux were known: its peak in a list (which gives minutes), its
        end in a light curve. A history may hold a flare from then on only.
    flux_time, flux : (sample,) datetime64[s] and float64 W m-2, or None
        One-minute averages of the 1-8 A flux, where the record comes from a light curve.
    summary : ReadingSummary, optional
        What became of the files, or of a list's rows.
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
    known_time: np.ndarray | None = None
    flux_time: np.ndarray | None = None
    flux: np.ndarray | None = None
    summary: ReadingSummary | None = None

    def __post_init__(self):
        if self.known_time is None:
            object.__setattr__(self, "known_time", self.peak_time)
        if self.class_scale not in SCALES:
            raise ValueError(f"{self.source}: unknown class scale {self.class_scale!r}")
        columns = (self.peak_time, self.peak_flux, self.region, self.known_time)
        if len({len(column) for column in columns}) > 1:
            raise ValueError(f"{self.source}: peak times, fluxes and regions differ in number")
        for time in (self.peak_time, self.known_time):
            if (time[1:] < time[:-1]).any():
                raise ValueError(f"{self.source}: flares must be sorted by peak time")
        if (self.known_time < self.peak_time).any():
            raise ValueError(f"{self.source}: a flare can't be known before its peak")
        if not (np.isfinite(self.peak_flux).all() and (self.peak_flux > 0).all()):
            raise ValueError(f"{self.source}: every peak flux must be positive and finite")
        if not self.start < self.end:
            raise ValueError(f"{self.source}: the record must end after it starts")

    @property
    def label_kind(self) -> str:
        """Say what a label taken from this record is: listed flare peaks, or the flux itself."""
        return FLARE_PEAKS if self.flux is None else FLUX_SERIES
