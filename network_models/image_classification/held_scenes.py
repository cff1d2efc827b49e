"""Samples of a dataset drawn once, by several processes, and held in memory for training."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from dataset_models.solar_data import ArrayInfo, SampleTable, SolarData
from dataset_models.store_workers import follow_parent, usable_processes

__all__ = ["HeldScenes"]

_AT_ONCE = 64


class HeldScenes(SolarData):
    """A dataset whose arrays are read at once and kept: for small images that are slow to make.

    Parameters
    ----------
    dataset : SolarData
        Sent to every process.
    n_classes : int, optional
        Of the labels' columns so many are kept; samples of others are marked as bad, so that they
        are in no set.
    workers : int, optional
        Processes; all processors by default.
    """

    def __init__(
        self, dataset: SolarData, *, n_classes: int | None = None, workers: int | None = None
    ):
        self.dataset = dataset
        self.rows_at_once = getattr(dataset, "rows_at_once", _AT_ONCE)
        parts = np.array_split(np.arange(len(dataset.table)), -(-len(dataset.table) // _AT_ONCE))
        workers = usable_processes() if workers is None else workers
        if workers <= 1 or len(parts) <= 1:
            read = [dataset.read(rows) for rows in parts]
        else:
            with ProcessPoolExecutor(
                workers, multiprocessing.get_context("spawn"), initializer=follow_parent
            ) as pool:
                read = list(pool.map(dataset.read, parts))
        self._arrays = {name: np.concatenate([r[name] for r in read]) for name in dataset.arrays}
        self._infos, self._table = dict(dataset.arrays), dataset.table
        if n_classes is not None and n_classes < self._infos["label"].shape[0]:
            kept = self._arrays["label"][:, :n_classes]
            quality = np.where(kept.sum(axis=1) > 0, self._table.quality, 1).astype(np.int8)
            self._arrays["label"] = kept
            self._infos["label"] = replace(self._infos["label"], shape=(n_classes,))
            self._table = replace(self._table, quality=quality)

    @property
    def table(self) -> SampleTable:
        """The table of the dataset, with the samples that are left out marked as bad."""
        return self._table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """The arrays of the dataset."""
        return self._infos

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Give what is held."""
        return {name: values[indices] for name, values in self._arrays.items()}

    def provenance(self) -> dict:
        """Say what the dataset says."""
        return self.dataset.provenance()

    def thumbnails(self, indices: np.ndarray) -> np.ndarray | None:
        """Give the dataset's."""
        return self.dataset.thumbnails(indices)
