"""Scenes that are turned and mirrored anew in every epoch: no class has an upper side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dataset_models.solar_data import ArrayInfo, SampleTable, SolarData
from dataset_models.splits import Split
from dataset_models.streaming import Batches
from tools.random_streams import random_stream

__all__ = ["TurnedBatches", "TurnedScenes"]

_WAYS = 8  # four quarter turns, each also mirrored


class TurnedBatches(Batches):
    """Batches whose images are turned by quarters and mirrored, by seed, epoch and place."""

    def set_epoch(self, epoch: int) -> None:
        """Take the order and the turns of this epoch."""
        super().set_epoch(epoch)
        generator = random_stream(self.seed, "turns of scenes", epoch)
        self._ways = generator.integers(_WAYS, size=len(self._order))

    def __getitem__(self, batch: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        inputs, target = super().__getitem__(batch)
        ways = self._ways[batch * self.batch_size : (batch + 1) * self.batch_size]
        turned = np.empty_like(inputs["image"])
        for k, (image, way) in enumerate(zip(inputs["image"], ways, strict=True)):
            image = np.rot90(image, way % 4)
            turned[k] = image[:, ::-1] if way >= 4 else image
        return inputs | {"image": turned}, target


class TurnedScenes(SolarData):
    """A dataset of square scenes that turns the images of its training batches, and only these.

    Parameters
    ----------
    dataset : SolarData
        With the arrays ``image`` (side, side, channel) and ``label``.

    Raises
    ------
    ValueError
        If the images are not square.
    """

    def __init__(self, dataset: SolarData):
        high, wide = dataset.arrays["image"].shape[:2]
        if high != wide:
            raise ValueError(f"only square images can be turned, got {high} x {wide} pixels")
        self.dataset, self.rows_at_once = dataset, dataset.rows_at_once

    @property
    def table(self) -> SampleTable:
        """The table of the dataset."""
        return self.dataset.table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """The arrays of the dataset."""
        return self.dataset.arrays

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the dataset gives, not turned."""
        return self.dataset.read(indices)

    def provenance(self) -> dict:
        """Describe what the dataset says."""
        return self.dataset.provenance()

    def thumbnails(self, indices: np.ndarray) -> np.ndarray | None:
        """Return the dataset's."""
        return self.dataset.thumbnails(indices)

    def training_batches(self, split: Split, *, batch_size: int, seed: int) -> Batches:
        """Stream the training set, turned."""
        return TurnedBatches(self, split.training, batch_size=batch_size, seed=seed)
