"""What an embedding is made of: a run's own samples, a folder of images, a folder of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.splits import Split
from network_models.differentiation.gradients import as_given
from network_models.xray_flux_forecast.run_data import bins_of_run, reopen_run
from science.opening import OpenedNetwork, Target
from science.samples import array_sample, files_dataset, require_dataset
from science.scene_samples import is_scene_network, scene_run
from tools.physics.flare_class import class_name
from tools.plotting.embedding import thumbnails_of

__all__ = ["Samples", "open_samples"]

_MOST_KINDS = 9


@dataclass(frozen=True)
class Samples:
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

    dataset: SolarData | ArrayFolder
    rows: np.ndarray
    source: str
    describe: Callable[[], dict[str, list]]
    colour_means: str
    thumbnails: Callable[[], np.ndarray | None]


def open_samples(
    opened: OpenedNetwork,
    dataset: str,
    target: Target,
    stack: ExitStack,
    *,
    which: str,
    at_most: int,
    flares: str = "",
) -> Samples:
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
        require_dataset(dataset, opened.run)
        dataset = ""
    if not dataset:
        if opened.run is None:
            raise ValueError(
                f"{opened.path} belongs to no run, so its data are not known: name a folder of "
                ".npy arrays after it"
            )
        if is_scene_network(opened):
            scenes, groups = scene_run(opened)
            return _of_scenes(opened, scenes, _spread(_rows(groups, which), at_most), groups)
        reopened = reopen_run(str(opened.run.path))
        groups = reopened.split
        rows = _spread(_rows(groups, which), at_most)
        return _of_flux(opened, reopened.data.dataset, rows, target, groups, labelled=True)
    if not Path(dataset).is_dir():
        raise FileNotFoundError(
            f"no such dataset: {dataset}. Expected the run's .py, a store, or a folder of images "
            "or .npy arrays"
        )
    if any(Path(dataset).glob("*.npy")):
        folder = ArrayFolder(Path(dataset), opened)
        return _of_arrays(opened, folder, _spread(np.arange(len(folder)), at_most), target)
    if opened.run is None:
        raise ValueError(
            f"{dataset} holds no .npy arrays, and {opened.path} belongs to no run that says how "
            "images become its input"
        )
    images = files_dataset(opened, [dataset], stack, flares)[0]
    rows = _spread(np.arange(len(images.times)), at_most)
    return _of_flux(opened, images, rows, target, None, labelled=bool(flares))


class ArrayFolder:
    """The .npy arrays of a folder, one sample each, in the order of their names."""

    def __init__(self, folder: Path, opened: OpenedNetwork):
        self.paths, self._opened = sorted(folder.glob("*.npy")), opened
        self.source = f"arrays in {folder.name}"
        self.rows_at_once = 16

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Give inputs by their names, (batch, ...)."""
        samples = [array_sample(self._opened, self.paths[k]).inputs for k in rows]
        return {name: np.concatenate([s[name] for s in samples]) for name in samples[0]}

    def fingerprint(self) -> str:
        """Give a hash of names, sizes and times of change."""
        digest = hashlib.sha256()
        for path in self.paths:
            state = path.stat()
            digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]


def _spread(rows: np.ndarray, at_most: int) -> np.ndarray:
    return rows[:: -(-len(rows) // at_most)]


def _rows(split, which: str) -> np.ndarray:
    if which == "all":
        return np.sort(np.concatenate([split.training, split.validation, split.test]))
    rows = getattr(split, which)
    if len(rows) == 0:
        raise ValueError(f"the run's {which} set is empty; give another --set")
    return rows


def _of_flux(
    opened: OpenedNetwork,
    dataset: SolarData,
    rows: np.ndarray,
    target: Target,
    split: Split | None,
    *,
    labelled: bool,
) -> Samples:
    """Give samples of a flux forecast: time, peak to come, forecast, error, set."""
    from dataset_models.streaming import Batches
    from network_models.training.fitting import predict

    def describe() -> dict[str, list]:
        output = predict(opened.network, Batches(dataset, rows, batch_size=dataset.rows_at_once))
        forecast = np.asarray(target.head(np.asarray(output)))
        observed = dataset.log10_peak_flux[rows] if labelled else np.full(len(rows), np.nan)
        median = bins_of_run(opened.run).quantile(output, 0.5)
        group = np.full(len(dataset.times), "new" if split is None else "purged", object)
        if split is not None:
            for name in ("training", "validation", "test"):
                group[getattr(split, name)] = name
        classes = [class_name(10.0**v) if np.isfinite(v) else "unknown" for v in observed]
        return {
            "class": [c[0] if c != "unknown" else c for c in classes],
            "sample": [str(t) for t in dataset.times[rows]],
            "peak": classes,
            "observed log10 flux": [f"{v:.2f}" for v in observed],
            f"forecast {target.name}": [f"{v:.3f}" for v in forecast],
            "error of the median (dex)": [
                f"{m - v:.2f}" for m, v in zip(median, observed, strict=True)
            ],
            "group": list(group[rows]),
        }

    def thumbnails() -> np.ndarray | None:
        if not isinstance(dataset, FDL1):
            return None
        parts = np.array_split(rows, -(-len(rows) // 64))
        images = (dataset.newest_images(part) for part in parts)
        return thumbnails_of(images, dataset.store.channels)

    is_images = isinstance(dataset, FDL1)
    source = dataset.store.manifest["source"]["source"] if is_images else dataset.record.source
    meaning = "class of the coming peak flux, as observed"
    return Samples(dataset, rows, source, describe, meaning, thumbnails)


def _of_scenes(
    opened: OpenedNetwork, dataset: SolarData, rows: np.ndarray, split: Split
) -> Samples:
    """Give samples of a classifier of scenes: truth, answer, observation, set."""
    parts = np.array_split(rows, -(-len(rows) // dataset.rows_at_once))

    def describe() -> dict[str, list]:
        truth, given = [], []
        for part in parts:
            arrays = dataset.read(part)
            truth.append(arrays["label"].argmax(axis=1))
            given.append(opened.network.predict_on_batch({opened.image: arrays["image"]}))
        answer = np.concatenate(given)
        group = np.full(len(dataset.table), "", object)
        for name, members in split.sets.items():
            group[members] = name
        return {
            "class": [OUTPUTS[k] for k in np.concatenate(truth)],
            "sample": [f"scene {k}" for k in rows],
            "answer": [OUTPUTS[k] for k in answer.argmax(axis=1)],
            "probability of the answer": [f"{p:.3f}" for p in answer.max(axis=1)],
            "observation": list(dataset.table.group[rows]),
            "group": list(group[rows]),
        }

    def thumbnails() -> np.ndarray:
        small = np.concatenate([_grey(dataset.read(part)["image"][..., 0]) for part in parts])
        return np.repeat(small[..., None], 3, axis=-1)

    source = dataset.provenance()["source"]
    return Samples(dataset, rows, source, describe, "true class of the scene", thumbnails)


def _grey(images: np.ndarray) -> np.ndarray:
    """Give every n-th pixel of images (image, y, x) as grey levels, some 32 a side, north up."""
    step = max(images.shape[1] // 32, 1)
    small = images[:, ::step, ::step][:, ::-1]
    low, high = np.percentile(small, [1, 99], axis=(1, 2), keepdims=True)
    share = (small - low) / np.maximum(high - low, 1e-30)
    return (255 * np.clip(share, 0, 1)).astype(np.uint8)


def _of_arrays(
    opened: OpenedNetwork, folder: ArrayFolder, rows: np.ndarray, target: Target
) -> Samples:
    """Give samples of arrays: what the network says of them."""

    def describe() -> dict[str, list]:
        parts = np.array_split(rows, -(-len(rows) // folder.rows_at_once))
        given = (as_given(opened.network, folder.read(part)) for part in parts)
        output = np.concatenate([opened.network.predict_on_batch(one) for one in given])
        values = np.asarray(target.head(output))
        if output.ndim == 2 and 2 <= output.shape[1] <= _MOST_KINDS:
            kinds = [f"output {k}" for k in output.argmax(axis=1)]
        else:
            thirds = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values)
            kinds = [("low", "middle", "high")[k] for k in thirds]
        names = [folder.paths[k].name for k in rows]
        told = [f"{v:.4g}" for v in values]
        return {"class": kinds, "sample": names, target.name: told}

    def thumbnails() -> np.ndarray | None:
        first = array_sample(opened, folder.paths[int(rows[0])])
        if first.inputs[opened.image].ndim < 4:
            return None
        parts = np.array_split(rows, -(-len(rows) // folder.rows_at_once))
        images = (_newest(folder.read(part)[opened.image]) for part in parts)
        return thumbnails_of(images, first.channels)

    outputs = opened.network.outputs[0].shape
    several = len(outputs) == 2 and 2 <= outputs[1] <= _MOST_KINDS
    meaning = "largest output" if several else f"third of the samples by {target.name}"
    return Samples(folder, rows, folder.source, describe, meaning, thumbnails)


def _newest(images: np.ndarray) -> np.ndarray:
    return images[:, -1] if images.ndim == 5 else images
