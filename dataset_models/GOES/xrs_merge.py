"""Merges X-ray light curves of several files and satellites, sample by sample.

The satellite with the most good time is the primary; a tie goes to the newer one. Where it has no
good sample, the satellite with the next most good time fills in, and so on; of one satellite, files
count in the same way. File names and the order of the files decide nothing else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataset_models.GOES.xrs import XRSSeries, in_order

__all__ = ["join_xrs"]

_COLUMNS = ("time", "long_flux", "short_flux", "long_is_good", "short_is_good")
_COVERED = 0.5  # share of a sample's time from which on another's good samples stand for it
_LONGER = 1.5  # times the cadence: averages among single samples


def join_xrs(series: list[XRSSeries]) -> XRSSeries:
    """Merge light curves.

    Returns
    -------
    XRSSeries
        ``satellite`` names the primary first; ``repairs`` says how many samples others fill in.

    Raises
    ------
    ValueError
        If there is none, or their scalings differ.
    """
    if not series:
        raise ValueError("no GOES XRS series to join")
    scalings = {s.scaling for s in series}
    if len(scalings) > 1:
        raise ValueError(
            "these files mix the operational and the true flux scale "
            f"({', '.join(sorted({s.satellite for s in series}))}); read them on one scale "
            "(scaling='true' or 'operational')"
        )
    if len(series) == 1:
        return series[0]
    satellites: dict[str, list[XRSSeries]] = {}
    for one in series:
        satellites.setdefault(one.satellite, []).append(one)
    of_one = [_merged(sorted(files, key=_rank)) for files in satellites.values()]
    ranked = sorted(of_one, key=_rank)
    merged = _merged(ranked)
    repairs = [repair for one in series for repair in one.repairs]
    if len(ranked) > 1:
        repairs.append(f"primary satellite {ranked[0].satellite}, others fill its gaps")
    n_out = sum(len(s.time) for s in series) - len(merged.time)
    if n_out:
        repairs.append(f"{n_out} samples within the good time of another file left out")
    return replace(
        merged,
        satellite=", ".join(s.satellite for s in ranked),
        source=", ".join(s.source for s in series),
        repairs=tuple(dict.fromkeys(repairs)),
    )


def _rank(series: XRSSeries) -> tuple:
    """Return the order: most good time, newest satellite, finest cadence, then content."""
    good = series.long_is_good
    number = series.satellite.split("-")[-1]
    return (
        -round(float(good.sum()) * _cadence(series)),
        -int(number) if number.isdigit() else 0,
        _cadence(series),
        series.time[0] if len(series.time) else 0,
        series.long_flux[good].tobytes(),
    )


def _merged(ranked: list[XRSSeries]) -> XRSSeries:
    """Fill the first series' gaps with the second's samples, theirs with the third's, ..."""
    merged = ranked[0]
    for other in ranked[1:]:
        merged = _filled(merged, other)
    return merged


def _filled(first: XRSSeries, other: XRSSeries) -> XRSSeries:
    step, own = _cadence(other), _cadence(first)
    start = first.time[0] if len(first.time) else other.time[0]
    seconds, own_seconds = ((s.time - start) / np.timedelta64(1, "s") for s in (other, first))
    good = first.long_is_good
    covered = _covered(own_seconds[good], own, seconds, step) / step
    used = covered < _COVERED
    used &= other.long_is_good | (_covered(own_seconds, own, seconds, step) / step < _COVERED)
    kept = np.ones(len(own_seconds), bool)
    if used.any():  # a sample that is not good makes way for a good one of its time
        near = _covered(np.sort(seconds[used & other.long_is_good]), step, own_seconds, own) / own
        kept &= good | (near < _COVERED)
    if step > _LONGER * own and used.any():  # no average is mixed with samples of its own minute
        inside = _covered(seconds[used], step, own_seconds, own) / own
        kept &= inside < _COVERED
    joined = {
        name: np.concatenate([getattr(first, name)[kept], getattr(other, name)[used]])
        for name in _COLUMNS
    }
    order = np.argsort(joined["time"], kind="stable")
    return in_order(
        replace(first, **{name: column[order] for name, column in joined.items()}, repairs=())
    )


def _covered(starts: np.ndarray, length: float, at: np.ndarray, span: float) -> np.ndarray:
    """Return the seconds of ``[at, at + span)`` that intervals of one length cover."""
    if len(starts) == 0:
        return np.zeros(len(at))
    ends = np.minimum(starts + length, np.append(starts[1:], np.inf))
    edges = np.column_stack([starts, ends]).ravel()
    total = np.cumsum(np.column_stack([np.zeros(len(starts)), ends - starts]).ravel())
    return np.interp(at + span, edges, total) - np.interp(at, edges, total)


def _cadence(series: XRSSeries) -> float:
    """Return the step between samples in seconds; a minute where there is one sample."""
    return series.cadence_s if np.isfinite(series.cadence_s) and series.cadence_s > 0 else 60.0
