"""How a problem's samples are found, shown and described: all that explanations know of data.

``SampleSource`` serves every dataset that fulfils ``SolarData``; a problem whose samples also come
from files, or have coordinates, regions or names of their own, gives a class derived from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset_models.own_grid import OwnGrid, resample
from dataset_models.solar_data import SolarData
from dataset_models.splits import Split
from network_models.training.data import ProblemData
from network_models.training.lots import ArrayFolder, PixelRows, describe_rows, pictures_of
from network_models.training.sample import Explained, Lot, Sample
from network_models.training.targets import Target
from tools.channels import channel_unit
from tools.times import parse_time

if TYPE_CHECKING:
    import keras

__all__ = ["SampleSource", "array_sample", "nearest_row", "shape_of", "unit_of"]

_HALF_HOUR = np.timedelta64(1800, "s")


class SampleSource:
    """Samples of any ``SolarData``: of a run's own data by number or time, and of .npy arrays.

    Parameters
    ----------
    pixelwise : bool, optional
        Whether the network answers for each pixel alone: then embeddings are made of pixels. By
        default where it takes images of any size and gives maps of theirs.

    Attributes
    ----------
    network_file : str
        Name of the network in a run's folder that is explained.
    along_series : str
        What the steps of an input without an image axis are.
    kinds : str
        What ``kinds_of`` names, in words; empty where it names nothing.
    """

    network_file = "best_performing.keras"
    along_series = "place along the input"
    kinds = ""

    def __init__(self, *, pixelwise: bool | None = None):
        self._pixelwise = pixelwise

    def is_pixelwise(self, opened: Explained) -> bool:
        """Whether the network answers for each pixel alone."""
        if self._pixelwise is not None:
            return self._pixelwise
        shape, output = shape_of(opened.network, opened.image), opened.network.outputs[0].shape
        any_size = len(shape) == 3 and shape[:2] == (None, None)
        return any_size and len(output) == 4

    def recognises(self, network: keras.Model) -> bool:
        """Whether a network that belongs to no run is one of this problem."""
        return False

    def explained(self, network: keras.Model) -> keras.Model:
        """Return the network that is explained, on the weights of the one that was trained."""
        return network

    def own_sample(self, opened: Explained, name: str) -> Sample:
        """Return a sample of a run's own data.

        Parameters
        ----------
        opened : Explained
            With a run.
        name : str
            ``first``, a number from 0 on, or a time in UTC.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such sample.
        """
        data = self.as_explained(opened.data)
        return self.of_row(opened, data, self.row_of(data.dataset, name))

    def as_explained(self, data: ProblemData) -> ProblemData:
        """Return the data as the explained network takes them."""
        return data

    def row_of(self, dataset: SolarData, name: str) -> int:
        """Return the row of a sample that is named by a number or a time."""
        if name == "first" or name.removeprefix("-").isdigit():
            row = 0 if name == "first" else int(name)
            if not 0 <= row < len(dataset.table):
                raise ValueError(f"no sample {row}; there are {len(dataset.table)}, from 0 on")
            return row
        return nearest_row(name, dataset.table.time)

    def of_row(self, opened: Explained, data: ProblemData, row: int) -> Sample:
        """Return a row of the data as a sample."""
        dataset = data.dataset
        arrays, info = dataset.read(np.array([row])), dataset.arrays[opened.image]
        source = str(dataset.provenance().get("source", type(dataset).__name__))
        return Sample(
            {t.name: np.asarray(arrays[t.name], np.float32) for t in opened.network.inputs},
            self.label_of(dataset, row),
            self.channels_of(dataset, info.shape[-1] if info.shape else 1),
            info.unit,
            {},
            source,
        )

    def label_of(self, dataset: SolarData, row: int) -> str:
        """Return what a row is called."""
        return f"sample {row}"

    def channels_of(self, dataset: SolarData | PixelRows, n: int) -> tuple:
        """Return the names of the image's last axis."""
        named = tuple(dataset.provenance().get("channels", ()))
        return named if len(named) == n else tuple(f"channel {k}" for k in range(n))

    def of_files(
        self,
        opened: Explained,
        files: Sequence[str],
        stack: ExitStack,
        *,
        time: str = "",
        flares: str = "",
    ) -> Sample:
        """Return a sample of files, of a folder or of a store.

        Parameters
        ----------
        files : sequence of str
        stack : ExitStack
            Holds what has to last as long as the sample.
        time : str
            Which of several times.
        flares : str
            Flare list, for networks that use the history.

        Raises
        ------
        FileNotFoundError, ValueError
            If the network can't take them.
        """
        if len(files) == 1 and files[0].endswith(".npy"):
            return array_sample(opened, Path(files[0]))
        lacking = [name for name in files if not Path(name).exists()]
        if lacking:
            raise FileNotFoundError(f"no such file: {lacking[0]}")
        shape = shape_of(opened.network, opened.image)
        if opened.run is None:
            raise ValueError(
                f"{opened.path} belongs to no run, so nothing says what its input is; give IMAGE "
                f"as .npy with the shape {shape}"
            )
        raise ValueError(
            f"{opened.described} takes no files but one .npy array of the shape {shape}; got "
            f"{', '.join(files)}"
        )

    def own_lot(self, opened: Explained, target: Target, *, which: str, at_most: int) -> Lot:
        """Return samples of a run's own data, to be laid out.

        Parameters
        ----------
        target : Target
            Told of each sample.
        which : {"training", "validation", "test", "all"}
        at_most : int
            So many, evenly spread.
        """
        data = self.as_explained(opened.data)
        rows = _rows_of(data.split, which)
        dataset: SolarData | PixelRows = data.dataset
        if self.is_pixelwise(opened):
            dataset = PixelRows(data.dataset, opened.image, rows, at_most)
            rows = np.arange(len(dataset))
        rows = rows[:: -(-len(rows) // at_most)]
        source = str(data.dataset.provenance().get("source", ""))
        return self.lot(opened, dataset, rows, target, data.split, source)

    def lot(
        self,
        opened: Explained,
        dataset: SolarData | PixelRows,
        rows: np.ndarray,
        target: Target,
        split: Split | None,
        source: str,
    ) -> Lot:
        """Return rows of some data as samples to be laid out."""
        described = describe_rows(self, opened, dataset, rows, target, split)
        channels = self.channels_of(dataset, dataset.arrays[opened.image].shape[-1])
        return Lot(
            dataset,
            rows,
            source,
            described.metadata,
            described.colour_means,
            lambda: pictures_of(dataset, rows, opened.image, channels),
        )

    def kinds_of(self, output: np.ndarray) -> list[str]:
        """Return what each output (sample, ...) is called, where ``kinds`` says what that is."""
        raise NotImplementedError(f"{type(self).__name__} names no kinds")

    def array_lot(self, opened: Explained, folder: str, target: Target, *, at_most: int) -> Lot:
        """Return the .npy arrays of a folder as samples to be laid out."""
        return ArrayFolder(Path(folder), opened, self).lot(target, at_most)

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
        """Return the samples of a folder that holds no .npy arrays, or of a store.

        Raises
        ------
        FileNotFoundError, ValueError
            If the network can't take them.
        """
        raise ValueError(
            f"{folder} holds no .npy arrays, and {opened.described} takes nothing else"
        )


def _rows_of(split: Split, which: str) -> np.ndarray:
    if which == "all":
        return np.sort(np.concatenate([split.training, split.validation, split.test]))
    rows = split.sets[which]
    if len(rows) == 0:
        raise ValueError(f"the run's {which} set is empty; give another --set")
    return rows


def nearest_row(text: str, times: np.ndarray) -> int:
    """Return the row of a time, at most half an hour away.

    Raises
    ------
    FileNotFoundError
        If the text is no time.
    ValueError
        If there is no sample near it.
    """
    try:
        time = parse_time(text).astype("datetime64[s]")
    except ValueError:
        raise FileNotFoundError(
            f"{text!r} is no file and no time; expected one like {times[0]}"
        ) from None
    row = int(np.argmin(np.abs(times - time)))
    if abs(times[row] - time) > _HALF_HOUR:
        raise ValueError(
            f"there is no sample within half an hour of {time}; the next one is of {times[row]}, "
            f"all lie from {times[0]} to {times[-1]}"
        )
    return row


def shape_of(network: keras.Model, name: str) -> tuple:
    """Return the shape of an input without the batch axis."""
    return next(tuple(t.shape)[1:] for t in network.inputs if t.name == name)


def unit_of(channels: tuple) -> str:
    """Return the unit of some channels, or say that each has its own."""
    units = {channel_unit(channel) for channel in channels}
    return units.pop() if len(units) == 1 else "the channel's unit"


def read_numbers(path: Path) -> np.ndarray:
    """Read an .npy array of numbers.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path.name} can't be read as .npy: {error}") from error


def array_sample(
    opened: Explained,
    path: Path,
    *,
    fill: Callable[[str, np.ndarray], np.ndarray | None] | None = None,
) -> Sample:
    """Return an array as a sample; an array with other y and x than the network's is resampled.

    Parameters
    ----------
    opened : Explained
    path : Path
    fill : callable, optional
        ``fill(name, image)`` gives what another input (1, ...) is for the image (1, ...), or None.
        Inputs that say which channels are present are filled with ones.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such array, or the network can't take it.
    """
    array = read_numbers(path)
    expected = shape_of(opened.network, opened.image)
    given = array[None] if array.ndim == len(expected) - 1 else array  # one frame
    real = np.issubdtype(given.dtype, np.floating) or np.issubdtype(given.dtype, np.integer)
    has_places = len(expected) >= 3
    fits = given.ndim == len(expected) and all(
        wanted in (None, n) or (has_places and axis in (len(expected) - 3, len(expected) - 2))
        for axis, (wanted, n) in enumerate(zip(expected, given.shape, strict=True))
    )
    if not fits or not real or given.size == 0:
        size = "; y and x may be others" if has_places else ""
        raise ValueError(
            f"{path.name}: expected numbers with the shape {expected}{size}; got {array.shape} of "
            f"{array.dtype}"
        )
    given = given.astype(np.float32)
    if not np.isfinite(given).all():
        raise ValueError(f"{path.name} holds values that are not finite; fill them first")
    grids: list[OwnGrid] = []
    if has_places:
        height, width = (w or n for w, n in zip(expected[-3:-1], given.shape[-3:-1], strict=True))
        given, grids = resample(given, (height, width), path.name)
    inputs, unknown = {opened.image: given[None]}, []
    for tensor in opened.network.inputs:
        if tensor.name == opened.image:
            continue
        other = None if fill is None else fill(tensor.name, given[None])
        if other is None and tensor.name.endswith("_present"):
            other = np.ones((1, *tensor.shape[1:]), np.float32)
        if other is None:
            unknown.append(tensor.name)
        else:
            inputs[tensor.name] = other
    if unknown:
        raise ValueError(
            f"the network also takes {', '.join(unknown)}, which an .npy array doesn't hold; give "
            "a time of the run's own data, or files"
        )
    named = tuple(opened.data_entry("channels", ()))
    known = len(named) == given.shape[-1]
    channels = named if known else tuple(f"channel {k}" for k in range(given.shape[-1]))
    return Sample(
        inputs,
        path.name,
        channels,
        unit_of(channels) if known else "1",
        {},
        f"array {path.name}",
        grids=tuple(grids),
    )
