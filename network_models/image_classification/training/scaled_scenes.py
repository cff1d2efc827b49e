"""Scenes that went through a network's scaling once, so that no training step does it again.

The scaling holds nothing that is learnt, and turning an image changes none of its percentiles and
moments: what the convolutions see is the same, in each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property

import keras
import numpy as np

from dataset_models.solar_data import ArrayInfo, SampleTable, SolarData
from network_models.differentiation.contrast_scaling import without_scaling
from network_models.layers.scenes import SceneScaling

__all__ = ["ScaledScenes", "can_be_scaled_before", "scaled_before"]

_KEPT_BYTES = 1 << 30
_AT_ONCE = 64


class ScaledScenes(SolarData):
    """A dataset whose array ``image`` holds what a network's scaling makes of it.

    Parameters
    ----------
    dataset : SolarData
        With the array ``image`` (y, x, channel). All of it is read at the first call of ``read``
        and kept.
    scaling : keras.Model
        ``{"image": (batch, y, x, channel)}`` to (batch, y, x, view).
    """

    def __init__(self, dataset: SolarData, scaling: keras.Model):
        self.dataset, self.scaling = dataset, scaling
        self.rows_at_once = dataset.rows_at_once

    @property
    def table(self) -> SampleTable:
        """The table of the dataset."""
        return self.dataset.table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """The arrays of the dataset, with views for channels."""
        image = self.dataset.arrays["image"]
        shape = (*image.shape[:2], self.scaling.output_shape[-1])
        return {**self.dataset.arrays, "image": replace(image, shape=shape, unit="")}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the dataset gives, scaled."""
        return {name: values[np.asarray(indices, int)] for name, values in self._all.items()}

    def provenance(self) -> dict:
        """Describe what the dataset says."""
        return self.dataset.provenance()

    def thumbnails(self, indices: np.ndarray) -> np.ndarray | None:
        """Return the dataset's."""
        return self.dataset.thumbnails(indices)

    @cached_property
    def _all(self) -> dict[str, np.ndarray]:
        n = len(self.table)
        out = {k: np.empty((n, *info.shape), np.float32) for k, info in self.arrays.items()}
        for first in range(0, n, _AT_ONCE):
            rows = np.arange(first, min(first + _AT_ONCE, n))
            values = self.dataset.read(rows)
            values["image"] = self.scaling({"image": values["image"]}, training=False)
            for name, array in values.items():
                out[name][rows] = array
        return out


def can_be_scaled_before(dataset: SolarData, network: keras.Model) -> bool:
    """Return whether a network begins with a scaling of two views whose scenes fit in 1 GiB."""
    if len(network.layers) < 2 or not isinstance(network.layers[1], SceneScaling):
        return False
    pixels = len(dataset.table) * int(np.prod(dataset.arrays["image"].shape))
    return 2 * 4 * pixels <= _KEPT_BYTES


def scaled_before(
    dataset: SolarData, build: Callable[[], keras.Model]
) -> tuple[SolarData, Callable[[], keras.Model], Callable[[keras.Model], keras.Model] | None]:
    """Take the scaling out of the training, where that is possible.

    Parameters
    ----------
    dataset : SolarData
    build : callable
        Makes the whole network.

    Returns
    -------
    dataset : SolarData
        To be trained on.
    build : callable
        Makes the network to be trained.
    as_saved : callable or None
        Gives the whole network on the weights of the trained one, as ``train`` takes it.
    """
    network = build()
    if not can_be_scaled_before(dataset, network):
        return dataset, build, None
    whole = []

    def build_rest() -> keras.Model:
        whole[:] = [build()]
        return without_scaling(whole[0])[1]

    return ScaledScenes(dataset, without_scaling(network)[0]), build_rest, lambda _: whole[0]
