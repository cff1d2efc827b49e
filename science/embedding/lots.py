"""Which samples an embedding is made of: a run's own, a folder of images, a folder of arrays."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from network_models.training.reopen import OpenedNetwork
from network_models.training.sample import Lot
from network_models.training.targets import Target

__all__ = ["open_lot"]


def open_lot(
    opened: OpenedNetwork,
    dataset: str,
    target: Target,
    stack: ExitStack,
    *,
    which: str,
    at_most: int,
    flares: str = "",
) -> Lot:
    """Find the samples that a command names.

    Parameters
    ----------
    dataset : str
        Empty or a dataset's .py for the run's own; else a store, a folder of images or of arrays.
    target : Target
        Told of each sample.
    stack : ExitStack
        Holds what has to last as long as the samples.
    which : {"training", "validation", "test", "all"}
        Set of the run's own data.
    at_most : int
        So many, evenly spread.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are none, or the network can't take them.
    """
    if dataset.endswith(".py"):
        opened, dataset = opened.of_dataset(dataset), ""
    source = opened.samples
    if not dataset:
        return source.own_lot(opened, target, which=which, at_most=at_most)
    if not Path(dataset).is_dir():
        raise FileNotFoundError(
            f"no such dataset: {dataset}. Expected the run's .py, a store, or a folder of images "
            "or .npy arrays"
        )
    if any(Path(dataset).glob("*.npy")):
        return source.array_lot(opened, dataset, target, at_most=at_most)
    return source.files_lot(opened, dataset, stack, target, at_most=at_most, flares=flares)
