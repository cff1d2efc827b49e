"""Arrays in memory as a dataset: the shortest way from numbers of one's own to a training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from dataset_models.solar_data import INPUT, TARGET, ArrayInfo, SampleTable, SolarData, hash_rows

__all__ = ["ArrayData"]

_DAY = np.timedelta64(86400, "s")
_AXES = {4: ("frame", "y", "x", "channel"), 3: ("y", "x", "channel"), 2: ("step", "channel")}
_AXES |= {1: ("column",), 0: ()}


class ArrayData(SolarData):
    """Named arrays of the same length: inputs, and one target.

    Parameters
    ----------
    arrays : mapping of (sample, ...) float
        What ``read`` gives, by name. Arrays of images have the channel last.
    target : str
        Which of them is to be predicted; all others are inputs.
    units : mapping of str, optional
        Unit of each array in astropy's spelling; ``1`` where none is given.
    times : (sample,) datetime64, optional
        Issue times in UTC; days from 2010-05-01 on if not given, which only keep the order.
    groups : (sample,) str, optional
        What must not be shared between sets, such as the number of an active region.
    source : str
        Where the numbers are from; say "synthetic" if they are.
    channels : tuple, optional
        Names of the last axis of the main input.

    Raises
    ------
    ValueError
        If arrays differ in length, hold values that are not finite, or the target is none of them.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        target: str,
        *,
        units: Mapping[str, str] | None = None,
        times: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        source: str,
        channels: tuple = (),
    ):
        self._arrays = {name: np.asarray(values, np.float32) for name, values in arrays.items()}
        lengths = {name: len(values) for name, values in self._arrays.items()}
        if target not in self._arrays or len(self._arrays) < 2:
            raise ValueError(
                f"expected one or more inputs and the target {target!r}, got {', '.join(arrays)}"
            )
        if len(set(lengths.values())) != 1:
            raise ValueError(f"arrays have one row for each sample; their lengths are {lengths}")
        for name, values in self._arrays.items():
            if not np.isfinite(values).all():
                raise ValueError(f"the array {name!r} holds values that are not finite")
        self._target, self._units, self._source = target, dict(units or {}), source
        self._channels = tuple(channels)
        n = lengths[target]
        if times is None:
            times = np.datetime64("2010-05-01T00:00:00", "s") + np.arange(n) * _DAY
        time = np.asarray(times, "datetime64[s]")
        group = np.full(n, "") if groups is None else np.asarray(groups).astype(str)
        inputs = [values for name, values in self._arrays.items() if name != target]
        hashes = hash_rows(*inputs)
        quality = np.zeros(n, int)
        self._table = SampleTable(time, time, time, time, time, group, quality, hashes)

    @property
    def table(self) -> SampleTable:
        """One row per sample."""
        return self._table

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """What each array is."""
        return {
            name: ArrayInfo(
                _AXES.get(values.ndim - 1, tuple(f"axis {k}" for k in range(values.ndim - 1))),
                values.shape[1:],
                self._units.get(name, "1"),
                TARGET if name == self._target else INPUT,
            )
            for name, values in self._arrays.items()
        }

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read samples by their rows."""
        rows = np.asarray(indices)
        return {name: values[rows] for name, values in self._arrays.items()}

    def provenance(self) -> dict:
        """Return where the numbers are from."""
        named = {"channels": list(self._channels)} if self._channels else {}
        return {"source": self._source, "synthetic": "synthetic" in self._source, **named}

    def fingerprint(self) -> str:
        """Return a hash of the table and of the target."""
        digest = hashlib.sha256(super().fingerprint().encode())
        digest.update(np.ascontiguousarray(self._arrays[self._target]).tobytes())
        return digest.hexdigest()[:16]
