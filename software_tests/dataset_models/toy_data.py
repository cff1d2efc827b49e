"""A small dataset for tests: full control over times, groups, content and leaks."""

import numpy as np

from dataset_models.solar_data import (
    INPUT,
    SIDE,
    TARGET,
    ArrayInfo,
    SampleTable,
    SolarData,
    hash_rows,
)

HOUR = np.timedelta64(3600, "s")
T0 = np.datetime64("2001-01-01T00:00:00")


class ToyData(SolarData):
    """Inputs are the last values of a series, the target is its next value.

    ``leak`` makes the input look ahead; ``side`` adds side columns; reads are counted.
    """

    def __init__(self, n=600, *, seed=0, leak=False, side=None, group=None, step_h=6, bad=()):
        generator = np.random.default_rng(seed)
        self.series = generator.normal(size=n + 60)
        self.n, self.leak, self.step_h = n, leak, step_h
        self.side = None if side is None else np.asarray(side, np.float32).reshape(n, -1)
        self.n_read = 0
        time = T0 + np.arange(n) * step_h * HOUR
        quality = np.zeros(n, int)
        quality[list(bad)] = 1
        self._table = SampleTable(
            time=time,
            input_start=time - 24 * HOUR,
            input_end=time,
            label_start=time,
            label_end=time + 24 * HOUR,
            group=np.full(n, "") if group is None else np.asarray(group),
            quality=quality,
            content_hash=hash_rows(self._inputs(self.series, np.arange(n))),
        )

    @property
    def table(self):
        return self._table

    @property
    def arrays(self):
        arrays = {"series": ArrayInfo(("step",), (8,), "1", INPUT)}
        if self.side is not None:
            arrays["side"] = ArrayInfo(("column",), self.side.shape[1:], "1", SIDE)
        arrays["target"] = ArrayInfo((), (), "1", TARGET)
        return arrays

    def _inputs(self, series, indices):
        start = 1 if self.leak else 0
        rows = [series[i + start : i + start + 8] for i in indices]
        return np.array(rows, np.float32)

    def _read(self, series, indices):
        out = {"series": self._inputs(series, indices)}
        if self.side is not None:
            out["side"] = self.side[indices]
        out["target"] = series[np.asarray(indices) + 8].astype(np.float32)
        return out

    def read(self, indices):
        self.n_read += len(indices)
        return self._read(self.series, np.asarray(indices))

    def read_altered(self, index, seed):
        series = self.series.copy()
        series[index + 8 :] = np.random.default_rng(seed).normal(size=len(series) - index - 8) + 9
        return self._read(series, np.array([index]))

    def thumbnails(self, indices):
        return self._inputs(self.series, np.asarray(indices))

    def provenance(self):
        return {"source": "toy"}
