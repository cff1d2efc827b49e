"""Batches for Keras: a PyDataset over any SolarData, in an order set by seed and epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import keras
import numpy as np

from dataset_models.sample_table import INPUT, SIDE, TARGET, ArrayInfo
from tools.random_streams import random_stream

__all__ = ["Batches", "Streamed", "epoch_order"]

_HEAVY_BYTES = 1 << 20  # of a batch; from here on threads read ahead
_THREADS, _BATCHES_AHEAD = 2, 2


class Streamed(Protocol):
    """What can be streamed: every ``SolarData`` is."""

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """What each array that ``read`` gives is."""
        ...

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read samples, (batch, ...) each."""
        ...

    def names(self, *roles: str) -> list[str]:
        """Return the names of the arrays with these roles."""
        ...


def epoch_order(n: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return the order of n samples in one epoch, a pure function of seed and epoch."""
    return random_stream(seed, "batch order", epoch).permutation(n)


class Batches(keras.utils.PyDataset):
    """Stream samples as ``(inputs by name, target)``.

    Parameters
    ----------
    dataset : SolarData, or anything that reads as one does
        With exactly one target.
    indices : (sample,) int
        Rows of the dataset's table.
    batch_size : int
        The last batch may be smaller.
    seed : int, optional
        Shuffle each epoch by it; in the given order if None. ``fit`` must be called with
        ``shuffle=False``, since Keras would permute the batches once more.

    Batches of more than 1 MiB are read ahead by two threads. On JAX, Keras would read only when it
    is asked; TensorFlow's own reading ahead stalls in some epochs, which then last half as long
    again.
    """

    def __init__(
        self,
        dataset: Streamed,
        indices: np.ndarray,
        *,
        batch_size: int,
        seed: int | None = None,
    ):
        shapes = [info.shape for info in dataset.arrays.values()]
        heavy = 4 * batch_size * sum(int(np.prod(s)) for s in shapes) > _HEAVY_BYTES
        super().__init__(workers=_THREADS if heavy else 1, max_queue_size=_BATCHES_AHEAD)
        if batch_size < 1:
            raise ValueError(f"a batch holds at least 1 sample, got batch_size {batch_size}")
        if len(indices) == 0:
            raise ValueError("there are no samples to stream")
        self.dataset, self.indices = dataset, np.asarray(indices)
        self.batch_size, self.seed = batch_size, seed
        self._inputs, (self._target,) = dataset.names(INPUT, SIDE), dataset.names(TARGET)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Take the order of this epoch; called before the epoch's first batch is asked for."""
        if self.seed is None:
            self._order = self.indices
        else:
            order = epoch_order(len(self.indices), seed=self.seed, epoch=epoch)
            self._order = self.indices[order]

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        rows = self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
        arrays = self.dataset.read(rows)
        return {name: arrays[name] for name in self._inputs}, arrays[self._target]
