"""Merges X-ray light curves of several files and satellites, minute by minute.

The satellite with the most good time is the primary; a tie goes to the newer one. A minute is the
primary's where its good samples cover half of it or more; else that of the next satellite that
does, else of the one that covers most. Files of one satellite are merged in the same way, ranked by
their good time. Each channel is merged by itself. File names and the order of files decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dataset_models.GOES.xrs import XRSSeries, in_order

__all__ = ["join_xrs"]

_MINUTE_S = 60.0
_CHANNELS = ("long", "short")


def join_xrs(series: list[XRSSeries]) -> XRSSeries:
    """Merge light curves.

    Returns
    -------
    XRSSeries
        ``satellite`` names the primary first; ``repairs`` says how many samples were left out.

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
    merged = {
        name: _merged([_samples(one) for one in sorted(files, key=_file_rank)])
        for name, files in satellites.items()
    }
    names = sorted(merged, key=lambda name: (-merged[name].good_time(), -_number(name), name))
    kept = _merged([merged[name] for name in names])
    repairs = [repair for one in series for repair in one.repairs]
    if len(names) > 1:
        repairs.append(f"primary satellite {names[0]}, others fill its gaps")
    joined = in_order(replace(series[0], repairs=(), **kept.columns()))
    n_out = sum(len(s.time) for s in series) - len(joined.time)
    if n_out:
        repairs.append(f"{n_out} samples within the good time of another file left out")
    return replace(
        joined,
        satellite=", ".join(names),
        source=", ".join(s.source for s in series),
        repairs=tuple(dict.fromkeys(repairs)),
    )


@dataclass(frozen=True)
class _Samples:
    """Samples of one source in order of time, each with the time that it stands for (s)."""

    time: np.ndarray
    flux: dict[str, np.ndarray]
    good: dict[str, np.ndarray]
    length_s: np.ndarray

    @property
    def minute(self) -> np.ndarray:
        """Number of each sample's minute."""
        return self.time.astype("datetime64[m]").astype(np.int64)

    def good_time(self) -> float:
        """Return the time with a good 1-8 A flux, s: at most a minute a minute."""
        good = self.good["long"]
        _, group = np.unique(self.minute[good], return_inverse=True)
        seconds = np.bincount(group, self.length_s[good])
        return float(np.minimum(seconds, _MINUTE_S).sum())

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns of an ``XRSSeries``."""
        columns = {"time": self.time}
        for name in _CHANNELS:
            columns |= {f"{name}_flux": self.flux[name], f"{name}_is_good": self.good[name]}
        return columns


def _samples(series: XRSSeries) -> _Samples:
    return _Samples(
        series.time,
        {name: getattr(series, f"{name}_flux") for name in _CHANNELS},
        {name: getattr(series, f"{name}_is_good") for name in _CHANNELS},
        np.full(len(series.time), _length_s(series.time)),
    )


def _length_s(time: np.ndarray) -> float:
    """Return how long a sample lasts: the usual short step, of gaps nothing; a minute at most."""
    steps = np.diff(time) / np.timedelta64(1, "s")
    return min(float(np.quantile(steps, 0.1)), _MINUTE_S) if len(steps) else _MINUTE_S


def _file_rank(series: XRSSeries) -> tuple:
    """Return the order of one satellite's files: most good time, finest step, then content."""
    samples = _samples(series)
    content = [samples.time, *samples.flux.values(), *samples.good.values()]
    return (
        -samples.good_time(),
        _length_s(series.time),
        tuple(np.ascontiguousarray(column).tobytes() for column in content),
    )


def _number(satellite: str) -> int:
    number = satellite.split("-")[-1]
    return int(number) if number.isdigit() else 0


def _merged(ranked: Sequence[_Samples]) -> _Samples:
    """Return the samples, each minute of a channel from one source, the first ones first."""
    source = np.concatenate([np.full(len(s.time), k) for k, s in enumerate(ranked)])
    time = np.concatenate([s.time for s in ranked])
    minute = np.concatenate([s.minute for s in ranked])
    length = np.concatenate([s.length_s for s in ranked])
    flux, good, used = {}, {}, np.zeros(len(time), bool)
    for name in _CHANNELS:
        own = np.concatenate([s.good[name] for s in ranked])
        chosen = _chosen(minute, source, length * own)
        used |= chosen
        good[name] = own & chosen
        flux[name] = np.where(chosen, np.concatenate([s.flux[name] for s in ranked]), np.nan)
    order = np.flatnonzero(used)
    order = order[np.lexsort((source[order], time[order]))]
    return _Samples(
        time[order],
        {name: column[order] for name, column in flux.items()},
        {name: column[order] for name, column in good.items()},
        length[order],
    )


def _chosen(minute: np.ndarray, source: np.ndarray, good_s: np.ndarray) -> np.ndarray:
    """Return which samples are of the source that their minute is given to, (sample,) bool."""
    n_sources = int(source.max()) + 1
    pairs, group = np.unique(minute * n_sources + source, return_inverse=True)
    covered = np.round(np.bincount(group, good_s), 3)
    at, rank = np.divmod(pairs, n_sources)
    is_half = covered >= _MINUTE_S / 2
    # of those that cover half of the minute the first one, else the one that covers most
    order = np.lexsort((rank, np.where(is_half, -_MINUTE_S, -covered), ~is_half, at))
    is_first = np.append(True, np.diff(at[order]) > 0)
    wins = np.zeros(len(pairs), bool)
    wins[order[is_first]] = True
    return wins[group]
