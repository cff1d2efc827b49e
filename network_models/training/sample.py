"""A sample as a network takes it, many to be laid out, and what explanations ask of a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dataset_models.active_regions import RegionBox
from dataset_models.own_grid import OwnGrid
from network_models.training.data import ProblemData
from network_models.training.targets import Target
from tools.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

__all__ = ["Explained", "ExplainedSamples", "Lot", "Sample", "synthetic_note"]


@dataclass(frozen=True)
class Sample:
    """One sample as a network takes it.

    Attributes
    ----------
    inputs : dict of (1, ...) float32
    label : str
        What it is: a time, a number or a file.
    channels : tuple
        Names of the image's last axis.
    unit : str
        Of the image's values.
    wcs : dict
        FITS keywords of the image's coordinates; empty where there are none.
    source : str
        Where it is from, with the word "synthetic" if it is.
    earlier_wcs : tuple of dict
        The same of earlier frames, the oldest first.
    grids : tuple of OwnGrid
        Of the files that the newest frame was resampled from.
    regions : tuple of RegionBox
        Active regions, where they are known.
    warning : str
        What is wrong with the sample; empty where nothing is.
    """

    inputs: dict[str, np.ndarray]
    label: str
    channels: tuple
    unit: str
    wcs: dict = field(default_factory=dict)
    source: str = ""
    earlier_wcs: tuple[dict, ...] = ()
    grids: tuple[OwnGrid, ...] = ()
    regions: tuple[RegionBox, ...] = ()
    warning: str = ""

    @property
    def synthetic_note(self) -> str:
        """What titles add where the sample is synthetic."""
        return synthetic_note(self.source)

    def observed(self, image: str) -> np.ndarray | None:
        """Which channels of an input were observed, (frame, 1, 1, channel) bool, if known."""
        present = self.inputs.get(f"{image}_present")
        return None if present is None else present[0][:, None, None, :] > 0

    def with_coordinates(self, maps: np.ndarray) -> list[tuple[np.ndarray, dict]]:
        """Return maps (frame, ...), the newest first, with the keywords of their coordinates."""
        known = [self.wcs, *reversed(self.earlier_wcs)]
        known += [{}] * (len(maps) - len(known))
        return list(zip(maps[::-1], known, strict=True))


@dataclass(frozen=True)
class Lot:
    """Samples to be laid out.

    Attributes
    ----------
    dataset : object with ``read``, ``rows_at_once`` and ``fingerprint``
    rows : (sample,) int
    source : str
        Where they are from, with the word "synthetic" if they are.
    describe : callable
        Gives the metadata, lists by their names, among them ``class`` and ``sample``.
    colour_means : str
        What ``class`` is.
    thumbnails : callable
        Gives small pictures (sample, side, side, 3) uint8, or None.
    """

    dataset: Any
    rows: np.ndarray
    source: str
    describe: Callable[[], dict[str, list]]
    colour_means: str
    thumbnails: Callable[[], np.ndarray | None]


def synthetic_note(source: str) -> str:
    """Return what titles add where samples are synthetic."""
    if "synthetic" not in source:
        return ""
    return " (synthetic Sun)" if "virtual Sun" in source else " (synthetic)"


class Explained(Protocol):
    """A network to be explained, as ``reopen.open_network`` gives it."""

    @property
    def network(self) -> keras.Model:
        """The network."""
        ...

    @property
    def path(self) -> Path:
        """Of its file."""
        ...

    @property
    def targets(self) -> dict[str, Target]:
        """The named scalars of its output."""
        ...

    @property
    def image(self) -> str:
        """Name of the input that maps are made of."""
        ...

    @property
    def run(self) -> RunFolder | None:
        """The run that it belongs to."""
        ...

    @property
    def described(self) -> str:
        """What it is, for sentences."""
        ...

    @property
    def data(self) -> ProblemData:
        """The data of its run."""
        ...

    def data_entry(self, name: str, default: object) -> Any:
        """Return what its run's config.json says of the data."""
        ...


class ExplainedSamples(Protocol):
    """What explanations ask of a problem; ``samples.SampleSource`` answers for any dataset."""

    network_file: str
    along_series: str  # what the steps of a series are, for the axis of its map

    def recognises(self, network: keras.Model) -> bool:
        """Whether a network that belongs to no run is one of this problem."""
        ...

    def explained(self, network: keras.Model) -> keras.Model:
        """Return the network that is explained, on the weights of the one that was trained."""
        ...

    def as_explained(self, data: ProblemData) -> ProblemData:
        """Return the data as the explained network takes them."""
        ...

    def own_sample(self, opened: Explained, name: str) -> Sample:
        """Return a sample of a run's own data."""
        ...

    def of_row(self, opened: Explained, data: ProblemData, row: int) -> Sample:
        """Return a row of the data as a sample."""
        ...

    def of_files(
        self,
        opened: Explained,
        files: Sequence[str],
        stack: ExitStack,
        *,
        time: str = "",
        flares: str = "",
    ) -> Sample:
        """Return a sample of files, of a folder or of a store."""
        ...

    def own_lot(self, opened: Explained, target: Target, *, which: str, at_most: int) -> Lot:
        """Return samples of a run's own data, to be laid out."""
        ...

    def array_lot(self, opened: Explained, folder: str, target: Target, *, at_most: int) -> Lot:
        """Return the .npy arrays of a folder as samples to be laid out."""
        ...

    def files_lot(
        self,
        opened: Explained,
        folder: str,
        stack: ExitStack,
        target: Target,
        *,
        at_most: int,
        flares: str = "",
    ) -> Lot:
        """Return the images of a folder, or of a store, as samples to be laid out."""
        ...
