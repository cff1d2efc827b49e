"""Samples to be laid out in the plane: what they are, how they are described and pictured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dataset_models.solar_data import TARGET, ArrayInfo, SolarData
from dataset_models.splits import Split
from network_models.training.sample import Explained, Lot, Sample
from network_models.training.targets import PROBABILITY, Target


class Describes(Protocol):
    """What a problem says of its rows and outputs: ``samples.SampleSource`` does."""

    kinds: str

    def kinds_of(self, output: np.ndarray) -> list[str]:
        """Return what each output is called, where ``kinds`` says what that is."""
        ...

    def label_of(self, dataset: Any, row: int) -> str:
        """Return what a row is called."""
        ...

    def of_files(self, opened: Explained, files: Sequence[str], stack: ExitStack) -> Sample:
        """Return a sample of files."""
        ...


__all__ = [
    "ArrayFolder",
    "Described",
    "PixelRows",
    "describe_rows",
    "pictures_of",
]

_MOST_KINDS = 9
_SIDE = 32  # pixels of a picture


class PixelRows:
    """Single pixels of a dataset's images as samples, for networks that answer for each pixel.

    Parameters
    ----------
    dataset : SolarData
    image : str
        Name of the array (..., channel) whose places are taken apart; other inputs that have the
        same places are, too.
    rows : (image,) int
    at_most : int
        Pixels, the same number of each image, evenly spread.
    """

    rows_at_once = 4096

    def __init__(self, dataset: SolarData, image: str, rows: np.ndarray, at_most: int):
        self._dataset, self._image = dataset, image
        places = dataset.arrays[image].shape[:-1]
        n = int(np.prod(places))
        each = int(np.clip(at_most // max(len(rows), 1), 1, n))
        chosen = np.unique(np.linspace(0, n - 1, each).round().astype(int))
        self.rows, self._places = np.repeat(rows, len(chosen)), np.tile(chosen, len(rows))
        values = [_pixels_of(dataset, places, int(row), chosen) for row in rows]
        self._values = {name: np.concatenate([v[name] for v in values]) for name in values[0]}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """What ``read`` gives: images of one pixel."""
        return {
            name: ArrayInfo(info.axes, self._values[name].shape[1:], info.unit, info.role)
            for name, info in self._dataset.arrays.items()
        }

    def names(self, *roles: str) -> list[str]:
        """Return the names of the arrays with these roles."""
        return self._dataset.names(*roles)

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read pixels as images of one pixel, (batch, 1, 1, channel)."""
        return {name: values[indices] for name, values in self._values.items()}

    def label(self, row: int) -> str:
        """Return which pixel of which image a row is."""
        places = self._dataset.arrays[self._image].shape[:-1]
        place = np.unravel_index(self._places[row], places)
        return f"image {self.rows[row]}, pixel ({', '.join(str(p) for p in place)})"

    def provenance(self) -> dict:
        """Return where the images are from."""
        return self._dataset.provenance()

    def fingerprint(self) -> str:
        """Return a hash of the images and of which pixels are taken."""
        digest = hashlib.sha256(self._dataset.fingerprint().encode())
        digest.update(np.ascontiguousarray([self.rows, self._places], np.int64).tobytes())
        return digest.hexdigest()[:16]


def _pixels_of(
    dataset: SolarData, places: tuple[int, ...], row: int, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    arrays, out = dataset.read(np.array([row])), {}
    for name, values in arrays.items():
        if values.shape[1 : 1 + len(places)] != places:  # of the whole image
            out[name] = np.repeat(values[:1], len(chosen), axis=0)
            continue
        flat = values[0].reshape(-1, *values.shape[1 + len(places) :])[chosen]
        out[name] = flat.reshape(len(chosen), *(1 for _ in places), *flat.shape[1:])
    return out


class ArrayFolder:
    """The .npy arrays of a folder, one sample each, in the order of their names."""

    rows_at_once = 16

    def __init__(self, folder: Path, opened: Explained, source: Describes):
        self.paths, self._opened, self._source = sorted(folder.glob("*.npy")), opened, source
        self.source = f"arrays in {folder.name}"

    def __len__(self) -> int:
        return len(self.paths)

    def sample(self, row: int):
        """Return one array as a sample."""
        return self._source.of_files(self._opened, [str(self.paths[row])], ExitStack())

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read inputs by their names, (batch, ...)."""
        samples = [self.sample(int(k)).inputs for k in indices]
        shapes = {s[self._opened.image].shape for s in samples}
        if len(shapes) > 1:
            listed = ", ".join(str(s[1:]) for s in sorted(shapes))
            raise ValueError(f"{self.source}: expected arrays of one shape, got {listed}")
        return {name: np.concatenate([s[name] for s in samples]) for name in samples[0]}

    def fingerprint(self) -> str:
        """Return a hash of names, sizes and times of change."""
        digest = hashlib.sha256()
        for path in self.paths:
            state = path.stat()
            digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]

    def lot(self, target: Target, at_most: int) -> Lot:
        """Return the arrays as samples to be laid out."""
        rows = np.arange(len(self))[:: -(-len(self) // at_most)]
        opened = self._opened

        def describe() -> dict[str, list]:
            output = outputs_of(opened, self, rows)
            values = target_values(target, output)
            kinds = kinds_of(self._source, opened, output, values)
            names = [self.paths[k].name for k in rows]
            return {"class": kinds, "sample": names, target.name: [f"{v:.4g}" for v in values]}

        def thumbnails() -> np.ndarray | None:
            first = self.sample(int(rows[0]))
            if first.inputs[opened.image].ndim < 4:
                return None
            return pictures_of(self, rows, opened.image, first.channels)

        meaning = kinds_mean(self._source, opened, target)
        return Lot(self, rows, self.source, describe, meaning, thumbnails)


@dataclass(frozen=True)
class Described:
    """How rows are described: their metadata when it is asked for, and what ``class`` is."""

    metadata: Callable[[], dict[str, list]]
    colour_means: str


def outputs_of(opened: Explained, dataset: Any, rows: np.ndarray) -> np.ndarray:
    """Return what a network says of rows, (sample, ...)."""
    from network_models.differentiation.gradients import as_given

    names = {t.name for t in opened.network.inputs}
    parts = np.array_split(rows, max(-(-len(rows) // dataset.rows_at_once), 1))
    out = []
    for part in parts:
        arrays = {k: v for k, v in dataset.read(part).items() if k in names}
        out.append(opened.network.predict_on_batch(as_given(opened.network, arrays)))
    return np.concatenate(out)


def target_values(target: Target, output: np.ndarray) -> np.ndarray:
    """Return a target of outputs (sample, ...), (sample,)."""
    return np.asarray(target.head(np.asarray(output, np.float32)))


def kinds_mean(source: Describes, opened: Explained, target: Target) -> str:
    """Return what ``kinds_of`` names."""
    if source.kinds:
        return source.kinds
    if _names_largest(opened):
        return "largest output"
    return f"third of the samples by {target.name}"


def kinds_of(
    source: Describes, opened: Explained, output: np.ndarray, values: np.ndarray
) -> list[str]:
    """Name outputs: as the problem does, by the largest of a few, or by a third of the target."""
    if source.kinds:
        return source.kinds_of(output)
    if _names_largest(opened):
        names = class_names(opened) or [f"output {k}" for k in range(output.shape[1])]
        return [names[k] for k in output.argmax(axis=1)]
    thirds = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values)
    return [("low", "middle", "high")[k] for k in thirds]


def _names_largest(opened: Explained) -> bool:
    """Whether a network has a few outputs, of which the largest names the sample."""
    shape = opened.network.outputs[0].shape
    return len(shape) == 2 and 2 <= (shape[-1] or 0) <= _MOST_KINDS


def class_names(opened: Explained) -> list[str]:
    """Return the names of a classifier's outputs; none where targets are no single classes."""
    targets = list(opened.targets.values())
    n = opened.network.outputs[0].shape[-1]
    is_classes = (
        len(opened.network.outputs[0].shape) == 2
        and n is not None
        and len(targets) == n > 1
        and all(
            t.kind == PROBABILITY and t.weights == tuple(float(j == k) for j in range(n))
            for k, t in enumerate(targets)
        )
    )
    return [t.name.removeprefix("P(").removesuffix(")") for t in targets] if is_classes else []


def describe_rows(
    source: Describes,
    opened: Explained,
    dataset: Any,
    rows: np.ndarray,
    target: Target,
    split: Split | None,
) -> Described:
    """Return how rows are described: by their true class, by what the network says, or in thirds.

    Truths that are classes are told beside the answers; single numbers beside the target.
    """
    classes = class_names(opened)
    label = next(iter(dataset.names(TARGET)), "")

    def truths() -> np.ndarray:
        parts = np.array_split(rows, max(-(-len(rows) // dataset.rows_at_once), 1))
        return np.concatenate([dataset.read(part)[label] for part in parts])

    def metadata() -> dict[str, list]:
        output = outputs_of(opened, dataset, rows)
        values = target_values(target, output)
        out: dict[str, list] = {}
        if classes:
            true = truths()
            true = true.argmax(axis=1) if true.ndim == 2 else true.astype(int)
            out["class"] = [classes[k] for k in true]
            out["sample"] = _labels(source, dataset, rows)
            out["answer"] = [classes[k] for k in output.argmax(axis=1)]
            out["probability of the answer"] = [f"{p:.3f}" for p in output.max(axis=1)]
        else:
            out["class"] = kinds_of(source, opened, output, values)
            out["sample"] = _labels(source, dataset, rows)
            out[target.name] = [f"{v:.4g}" for v in values]
            if label and len(dataset.arrays[label].shape) == 0:
                out[f"true {label}"] = [f"{v:.4g}" for v in truths()]
        if hasattr(dataset, "table") and any(dataset.table.group):
            out["observation"] = [str(g) for g in dataset.table.group[rows]]
        own = dataset.rows[rows] if isinstance(dataset, PixelRows) else rows
        if split is not None:
            sets = {int(r): name for name, members in split.sets.items() for r in members}
            out["group"] = [sets.get(int(r), "purged") for r in own]
        return out

    return Described(metadata, "true class" if classes else kinds_mean(source, opened, target))


def _labels(source: Describes, dataset: Any, rows: np.ndarray) -> list[str]:
    if isinstance(dataset, PixelRows):
        return [dataset.label(int(k)) for k in rows]
    return [source.label_of(dataset, int(k)) for k in rows]


def pictures_of(dataset: Any, rows: np.ndarray, image: str, channels: tuple) -> np.ndarray | None:
    """Return small pictures (sample, side, side, 3) uint8 of images, north up.

    None for what is no image: vectors, curves, single pixels.
    """
    from tools.plotting.embedding import thumbnails_of

    first = dataset.read(rows[:1])[image]
    if first.ndim < 4 or min(first.shape[-3:-1]) < 4:
        return None
    parts = np.array_split(rows, max(-(-len(rows) // min(dataset.rows_at_once, 256)), 1))
    images = (newest_frame(dataset.read(part)[image]) for part in parts)
    if first.shape[-1] == 1:
        small = np.concatenate([_grey(one[..., 0]) for one in images])
        return np.repeat(small[..., None], 3, axis=-1)
    return thumbnails_of(images, channels)


def newest_frame(images: np.ndarray) -> np.ndarray:
    """Return the newest frame of images (batch, frame, y, x, channel) or (batch, y, x, channel)."""
    return images[:, -1] if images.ndim == 5 else images


def _grey(images: np.ndarray) -> np.ndarray:
    """Return every n-th pixel of images (image, y, x) as grey levels, some 32 a side, north up."""
    step = max(images.shape[1] // _SIDE, 1)
    small = images[:, ::step, ::step][:, ::-1]
    low, high = np.percentile(small, [1, 99], axis=(1, 2), keepdims=True)
    share = (small - low) / np.maximum(high - low, 1e-30)
    return (255 * np.clip(share, 0, 1)).astype(np.uint8)
