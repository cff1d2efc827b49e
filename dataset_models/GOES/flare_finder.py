"""Flares in a GOES X-ray light curve, by the rule of NOAA's Space Weather Prediction Center.

An event begins with the first of four consecutive minutes of increasing 1-8 A flux of which the
last is at least 1.4 times the first. Its peak is the minute of the largest flux. It ends when the
flux has fallen half way from the peak to the flux at its beginning.

Source: NOAA SWPC, GOES X-ray flux user notes, "X-ray event" definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.GOES.flare_record import NEVER_KNOWN, FlareRecord
from dataset_models.GOES.xrs import XRSSeries

__all__ = ["FoundFlares", "find_flares", "record_of_minutes", "record_of_series"]

_RISE_MINUTES, _RISE_FACTOR = 4, 1.4


@dataclass(frozen=True)
class FoundFlares:
    """Flares found in a light curve: indices into its minutes, and peak fluxes in W m-2.

    ``known`` is the minute after which nothing that follows can change the flare any more: its end,
    or, where a gap cut it off, the first minute after the gap; the number of minutes where the
    light curve stops before that.
    """

    start: np.ndarray
    peak: np.ndarray
    end: np.ndarray
    known: np.ndarray
    peak_flux: np.ndarray


def find_flares(flux: np.ndarray) -> FoundFlares:
    """Find flares in one-minute averages.

    Parameters
    ----------
    flux : (minute,) float64, W m-2
        Equidistant one-minute averages; NaN where there is none. A gap ends a flare.

    Returns
    -------
    FoundFlares
    """
    flux = np.asarray(flux, float)
    measured = np.flatnonzero(np.isfinite(flux))
    found, end = [], -1
    for i in np.flatnonzero(_rises(flux)):
        if i <= end:
            continue
        peak = end = i + _RISE_MINUTES - 1
        known = len(flux)
        for j in range(peak, len(flux)):
            if not np.isfinite(flux[j]):
                later = np.searchsorted(measured, j)
                known = int(measured[later]) if later < len(measured) else len(flux)
                break
            end = j
            if flux[j] > flux[peak]:
                peak = j
            elif flux[j] <= (flux[peak] + flux[i]) / 2:
                known = j
                break
        found.append((i, peak, end, known))
    start, peak, end, known = np.array(found, int).reshape(-1, 4).T
    return FoundFlares(start, peak, end, known, flux[peak])


def record_of_series(series: XRSSeries, *, gap_limit_s: float = 300.0) -> FlareRecord:
    """Turn a light curve into a record: its flares, its one-minute fluxes and its gaps.

    Parameters
    ----------
    gap_limit_s : float
        Gaps in good 1-8 A samples up to this long, in seconds, are not counted as gaps.
    """
    minute, flux = series.minute_averages()
    gaps = series.gaps(gap_limit_s).astype("datetime64[s]")
    faults = {
        "1-8 A samples flagged or missing": int((~series.long_is_good).sum()),
        f"gaps longer than {gap_limit_s:.0f} s": len(gaps),
    }
    return record_of_minutes(
        minute,
        flux,
        gaps=gaps,
        class_scale=series.scaling,
        source=f"{series.satellite} XRS light curve ({series.source})",
        faults=faults | {repair: 1 for repair in series.repairs},
        satellites=tuple(series.satellite.split(", ")),
    )


def record_of_minutes(minute: np.ndarray, flux: np.ndarray, **fields) -> FlareRecord:
    """Turn one-minute averages into a record, with the flares found in them.

    A minute's flux is known when the minute is over, so ``flux_time`` is the end of each minute;
    ``peak_time`` is the start of the peak minute, as event lists give it, and ``known_time`` the
    end of the minute in which the flare was over. The record reaches from the first to the last
    minute with a flux.

    Parameters
    ----------
    minute : (minute,) datetime64[s]
        Start of each minute, equidistant.
    flux : (minute,) float64, W m-2
        NaN where there is none.
    **fields
        Further fields of the record.
    """
    flares, measured = find_flares(flux), np.isfinite(flux)
    one_minute = np.timedelta64(60, "s")
    flux_time = minute[measured] + one_minute
    over_at = np.append(minute + one_minute, NEVER_KNOWN)
    return FlareRecord(
        peak_time=minute[flares.peak],
        peak_flux=flares.peak_flux,
        region=np.zeros(len(flares.peak), int),
        start=flux_time[0] - one_minute,
        end=flux_time[-1],
        known_time=over_at[flares.known],
        flux_time=flux_time,
        flux=flux[measured],
        **fields,
    )


def _rises(flux: np.ndarray) -> np.ndarray:
    """Return at which minutes four minutes of increase by a factor of at least 1.4 begin.

    No flare begins at a flux that is not above 0: noise rises by any factor from there.
    """
    if len(flux) < _RISE_MINUTES:
        return np.zeros(0, bool)
    windows = np.lib.stride_tricks.sliding_window_view(flux, _RISE_MINUTES)
    increasing = (np.diff(windows, axis=1) > 0).all(axis=1)
    increasing &= windows[:, 0] > 0
    return increasing & (windows[:, -1] >= _RISE_FACTOR * windows[:, 0])
