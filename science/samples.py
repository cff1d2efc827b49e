"""One sample that a network takes: of the run's own data, of files, of an array."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.SDO.sources import image_source
from dataset_models.solar_data import INPUT, SolarData
from network_models.xray_flux_forecast.image_forecast import image_samples
from network_models.xray_flux_forecast.run_data import reopen_run
from science.active_regions import RegionBox, listed_boxes, virtual_boxes
from science.opening import OpenedNetwork
from science.own_grid import OwnGrid, own_grids, resample
from tools.channels import channel_unit
from tools.run_folder import RunFolder

__all__ = [
    "OpenedSample",
    "array_sample",
    "files_dataset",
    "open_sample",
    "require_dataset",
    "sample_of",
]

_ANY_PIXEL = 1 - 1e-9  # share of missing pixels at which a channel is still there
# the virtual Earth: in the plane of the Sun's equator, where the radius is 960 arcsec
_VIRTUAL_OBSERVER = {"RSUN_OBS": 960.0, "HGLN_OBS": 0.0, "HGLT_OBS": 0.0, "CRLT_OBS": 0.0}
_VIRTUAL_OBSERVER |= {"DSUN_OBS": round(6.957e8 / float(np.sin(np.radians(960 / 3600))))}  # m


@dataclass(frozen=True)
class OpenedSample:
    """One sample as a network takes it.

    Attributes
    ----------
    inputs : dict of (1, ...) float32
    label : str
        What it is: a time or a file.
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

    def observed(self, image: str) -> np.ndarray | None:
        """Say which channels of an input were observed, (frame, 1, 1, channel) bool, if known."""
        present = self.inputs.get(f"{image}_present")
        return None if present is None else present[0][:, None, None, :] > 0

    def with_coordinates(self, maps: np.ndarray) -> list[tuple[np.ndarray, dict]]:
        """Give maps (frame, ...), the newest first, with the keywords of their coordinates."""
        known = [self.wcs, *reversed(self.earlier_wcs)]
        known += [{}] * (len(maps) - len(known))
        return list(zip(maps[::-1], known, strict=True))


def open_sample(
    opened: OpenedNetwork,
    where: list[str],
    stack: ExitStack,
    *,
    flares: str = "",
    regions: str = "",
) -> OpenedSample:
    """Find the sample that a command names.

    Parameters
    ----------
    where : list of str
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
    sample = _open_sample(opened, where, stack, flares)
    if not regions:
        return sample
    if "DATE-OBS" not in sample.wcs:
        raise ValueError(f"{sample.label} has no time and place on the Sun; leave --regions out")
    time = np.datetime64(sample.wcs["DATE-OBS"], "s")
    boxes = listed_boxes(regions, time, float(sample.wcs.get("CRLT_OBS", 0.0)))
    return replace(sample, regions=tuple(boxes))


def _open_sample(
    opened: OpenedNetwork, where: list[str], stack: ExitStack, flares: str
) -> OpenedSample:
    from science.scene_samples import is_scene_network, scene_sample  # it gives OpenedSample

    dataset, image = _dataset_and_image(where, opened.run)
    if is_scene_network(opened):
        if len(image) != 1:
            raise ValueError(f"expected one frame, got {len(image)}: {', '.join(image)}")
        return scene_sample(opened, image[0])
    if len(image) == 1 and image[0].endswith(".npy"):
        return array_sample(opened, Path(image[0]))
    if opened.run is None:
        raise ValueError(
            f"{opened.path} belongs to no run, so nothing says what its input is; give IMAGE as "
            f".npy with the shape {_shape(opened.network, opened.image)}"
        )
    if len(image) == 1 and "@" in image[0] and not Path(image[0]).exists():
        dataset, time = image[0].rsplit("@", 1)
        return _of_files(opened, [dataset], stack, flares, time)
    if dataset and len(image) == 1 and not Path(image[0]).exists():
        return _of_files(opened, [dataset], stack, flares, image[0])
    if len(image) == 1 and not Path(image[0]).exists():
        data = reopen_run(str(opened.run.path)).data
        sample = _of_dataset(data.dataset, image[0])
        if data.limit is None or "DATE-OBS" not in sample.wcs:
            return sample
        time = np.datetime64(sample.wcs["DATE-OBS"], "s")
        return replace(sample, regions=tuple(virtual_boxes(data.limit.virtual, time)))
    return _of_files(opened, image, stack, flares)


def _shape(network, name: str) -> tuple:
    return next(tuple(t.shape)[1:] for t in network.inputs if t.name == name)


def _dataset_and_image(where: list[str], run: RunFolder | None) -> tuple[str, list[str]]:
    """Tell the data folder, if one is named, from the image; a dataset's .py must be the run's."""
    if not where:
        raise ValueError("no IMAGE: give a time of the run's own data, STORE@TIME, or files")
    if where[0].endswith(".py"):
        require_dataset(where[0], run)
        if len(where) == 1:
            raise ValueError(f"no IMAGE after the dataset {where[0]}")
        return "", where[1:]
    if len(where) == 2 and Path(where[0]).is_dir():
        return where[0], where[1:]
    return "", where


def require_dataset(path: str, run: RunFolder | None) -> None:
    """Raise if a dataset's .py is not the one that a run was trained on.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another one.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such dataset: {path}")
    if run is None:
        raise ValueError(f"without a run, {path} does not say which sample is meant; leave it out")
    own = "SDO/AIA/fdl_1.py" if "store" in run.config["data"] else "GOES/flare_history.py"
    expected = Path(__file__).parents[1] / "dataset_models" / own
    if Path(path).resolve() != expected.resolve():
        raise ValueError(f"this run was trained on dataset_models/{own}, not on {path}")


def _time(text: str, times: np.ndarray) -> int:
    """Give the row of a time."""
    if text == "first":
        return 0
    try:
        time = np.datetime64(text.strip().removesuffix("Z"), "s")
    except ValueError:
        raise FileNotFoundError(
            f"{text!r} is no file and no time; expected one like {times[0]}"
        ) from None
    if np.isnat(time):
        raise ValueError(f"{text!r} is no time; expected one like {times[0]}")
    row = int(np.argmin(np.abs(times - time)))
    if abs(times[row] - time) > np.timedelta64(1800, "s"):
        raise ValueError(
            f"there is no sample within half an hour of {time}; the next one is of {times[row]}, "
            f"all lie from {times[0]} to {times[-1]}"
        )
    return row


def _of_dataset(dataset: SolarData, time: str) -> OpenedSample:
    """Give one of a dataset's samples by its time."""
    return sample_of(dataset, _time(time, dataset.times))


def sample_of(dataset: SolarData, row: int) -> OpenedSample:
    """Give a row of a dataset as a sample."""
    arrays = dataset.read(np.array([row]))
    names = dataset.names(INPUT, "side")
    wcs, earlier, channels = {}, [], ("largest flux", "flares", "observed", "mean flux")
    source = dataset.record.source
    unit = "1"  # a history's columns are logarithms, counts and shares
    if isinstance(dataset, FDL1):
        channels = dataset.store.channels
        unit = _unit(channels)
        source = dataset.store.manifest["source"]["source"]
        is_virtual = dataset.store.manifest["source"].get("synthetic")
        observer = _VIRTUAL_OBSERVER if is_virtual else {}
        frames = dataset.store_rows(np.array([row]))[0]
        *earlier, wcs = [dataset.store.wcs(int(frame)) | observer for frame in frames]
    return OpenedSample(
        {name: arrays[name] for name in names},
        str(dataset.times[row]),
        channels,
        unit,
        wcs,
        source,
        tuple(earlier),
    )


def files_dataset(
    opened: OpenedNetwork, files: list[str], stack: ExitStack, flares: str = ""
) -> tuple[FDL1, list[str]]:
    """Give images in files, a folder or a store as the samples of a run, and what was left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are none, or the run takes other data.
    """
    from network_models.xray_flux_forecast.forecast_data import read_record

    data, options = opened.run.config["data"], opened.run.config["options"]
    if "store" not in data:
        raise ValueError("this run uses no images; give a time of its own data")
    record = None
    if flares:
        record = read_record(
            [flares], class_scale=data["class_scale"], gap_limit_s=options["gap_limit_s"]
        )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliolens-")))
    return image_samples(opened.run, files, folder, record=record)


def _of_files(
    opened: OpenedNetwork, files: list[str], stack: ExitStack, flares: str, time: str = ""
) -> OpenedSample:
    """Give a sample of images in files, a folder or a store."""
    dataset, problems = files_dataset(opened, files, stack, flares)
    if len(dataset.times) > 1 and not time:
        raise ValueError(
            f"there are {len(dataset.times)} images, from {dataset.times[0]} to "
            f"{dataset.times[-1]}; name the time of one after the folder"
        )
    for problem in problems:
        print(f"left out: {problem}")
    sample = _of_dataset(dataset, time or "first")
    warning = ""
    if not sample.inputs["aia_present"].any():
        dataset.largest_missing_share = _ANY_PIXEL  # a cutout: what there is, is taken
        sample = _of_dataset(dataset, time or "first")
        if not sample.inputs["aia_present"].any():
            raise ValueError(f"{sample.label}: no channel holds a value within the field")
        warning = (
            f"{sample.label} covers a part of the field only. The rest is filled with the mean of "
            "what is there, which the network never saw in training: read the map with care."
        )
        print(warning)
    data = opened.run.config["data"]
    source = image_source(files, data["size"], tuple(data["channels"]))
    (index,) = np.flatnonzero(source.times == np.datetime64(sample.wcs["DATE-OBS"], "s"))
    return replace(sample, grids=tuple(own_grids(source, int(index))), warning=warning)


def _unit(channels: tuple) -> str:
    """Give the unit of the channels, or say that each has its own."""
    units = {channel_unit(channel) for channel in channels}
    return units.pop() if len(units) == 1 else "the channel's unit"


def array_sample(opened: OpenedNetwork, path: Path) -> OpenedSample:
    """Give an array as a sample; what else the network takes is said to be there.

    An array with other y and x than the network's is resampled.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such array, or the network can't take it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path.name} can't be read as .npy: {error}") from error
    expected = _shape(opened.network, opened.image)
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
    grids = []
    if has_places:
        wanted = [w or n for w, n in zip(expected[-3:-1], given.shape[-3:-1], strict=True)]
        given, grids = resample(given, tuple(wanted), path.name)
    others = [t for t in opened.network.inputs if t.name != opened.image]
    unknown = [t.name for t in others if not t.name.endswith("_present")]
    if unknown:
        raise ValueError(
            f"the network also takes {', '.join(unknown)}, which an .npy array doesn't hold; give "
            "a time of the run's own data, or files"
        )
    inputs = {opened.image: given[None]}
    inputs |= {t.name: np.ones((1, *t.shape[1:]), np.float32) for t in others}
    data = opened.run.config["data"] if opened.run else {}
    n_channels = given.shape[-1]
    channels = tuple(data.get("channels", (f"channel {k}" for k in range(n_channels))))
    unit = _unit(channels) if "channels" in data else "1"
    return OpenedSample(
        inputs, path.name, channels, unit, {}, f"array {path.name}", grids=tuple(grids)
    )
