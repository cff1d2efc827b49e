"""What all explanations begin with: their arguments, and the sample that these name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset_models.active_regions import listed_boxes
from network_models.training.reopen import OpenedNetwork
from network_models.training.sample import Sample

__all__ = ["add_arguments", "open_sample", "show_targets"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every explanation is asked for."""
    parser.add_argument(
        "model", metavar="MODEL", help="run folder, packaged/NAME, or .keras, .hdf5 file"
    )
    parser.add_argument(
        "where",
        nargs="*",
        metavar="[DATASET] IMAGE",
        help="a sample of the run's own data (a time such as 2014-01-11T08:00, a number, or "
        "'first'); or STORE@TIME, FITS or .dat files, an .npy array; before it a dataset's .py or "
        "a data folder",
    )
    parser.add_argument("--target", default="", help="scalar of the output; the first by default")
    parser.add_argument("--list-targets", action="store_true", help="show them and leave")
    parser.add_argument("--flares", default="", help="flare list, for runs that use the history")
    parser.add_argument(
        "--regions", default="", help="NOAA's Solar Region Summary of the day: boxes on the figure"
    )
    parser.add_argument("--output", default="", help="folder for what is made")


def show_targets(opened: OpenedNetwork) -> None:
    """Print the targets of a network with their units."""
    for target in opened.targets.values():
        print(f"{target.name} [{target.unit}]")


def open_sample(
    opened: OpenedNetwork,
    where: Sequence[str],
    stack: ExitStack,
    *,
    flares: str = "",
    regions: str = "",
) -> Sample:
    """Find the sample that a command names.

    Parameters
    ----------
    where : sequence of str
        [DATASET] IMAGE.
    stack : ExitStack
        Holds what has to last as long as the sample.
    flares : str
        Flare list, for runs that use the history.
    regions : str
        NOAA's Solar Region Summary of the image's day, for boxes around active regions.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such sample, or the network can't take it.
    """
    sample = _named_sample(opened, list(where), stack, flares)
    if not regions:
        return sample
    if "DATE-OBS" not in sample.wcs:
        raise ValueError(f"{sample.label} has no time and place on the Sun; leave --regions out")
    time = np.datetime64(sample.wcs["DATE-OBS"], "s")
    boxes = listed_boxes(regions, time, float(sample.wcs.get("CRLT_OBS", 0.0)))
    return replace(sample, regions=tuple(boxes))


def _named_sample(opened: OpenedNetwork, where: list[str], stack: ExitStack, flares: str) -> Sample:
    if not where:
        raise ValueError("no IMAGE: give a sample of the run's own data, STORE@TIME, or files")
    if where[0].endswith(".py"):
        opened, where = opened.of_dataset(where[0]), where[1:]
        if not where:
            raise ValueError("no IMAGE after the dataset")
    source = opened.samples
    if len(where) == 2 and Path(where[0]).is_dir() and not Path(where[1]).exists():
        return source.of_files(opened, where[:1], stack, time=where[1], flares=flares)
    if len(where) == 2 and Path(where[0]).is_dir():
        where = where[1:]  # a folder of data before the file itself
    if len(where) == 1 and not Path(where[0]).exists():
        if "@" in where[0]:
            store, time = where[0].rsplit("@", 1)
            return source.of_files(opened, [store], stack, time=time, flares=flares)
        if not where[0].endswith(".npy") and opened.run is not None:
            return source.own_sample(opened, where[0])
    return source.of_files(opened, where, stack, flares=flares)
