"""Samples of flux forecasts: times of a run's record and images, stores, FITS and .dat files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset_models.active_regions import virtual_boxes
from dataset_models.own_grid import own_grids
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.SDO.sources import image_source
from dataset_models.solar_data import SolarData
from dataset_models.splits import Split
from network_models.training.data import ProblemData
from network_models.training.lots import outputs_of, pictures_of, target_values
from network_models.training.sample import Explained, Lot, Sample
from network_models.training.samples import SampleSource, nearest_row, shape_of, unit_of
from network_models.xray_flux_forecast.flux_forecast import bins_of_run
from network_models.xray_flux_forecast.forecast_request import ForecastRequest
from network_models.xray_flux_forecast.image_forecast import image_samples
from tools.channels import AIA_CHANNELS
from tools.physics.flare_class import class_name

if TYPE_CHECKING:
    from network_models.training.targets import Target

__all__ = ["FluxSamples", "files_dataset"]

_ANY_PIXEL = 1 - 1e-9  # share of missing pixels at which a channel is still there
# the virtual Earth: in the plane of the Sun's equator, where the radius is 960 arcsec
_VIRTUAL_OBSERVER = {"RSUN_OBS": 960.0, "HGLN_OBS": 0.0, "HGLT_OBS": 0.0, "CRLT_OBS": 0.0}
_VIRTUAL_OBSERVER |= {"DSUN_OBS": round(6.957e8 / float(np.sin(np.radians(960 / 3600))))}  # m
_HISTORY_CHANNELS = ("largest flux", "flares", "observed", "mean flux")


class FluxSamples(SampleSource):
    """Samples of forecasts, of images and of flare history."""

    along_series = "hours before the issue time"

    def row_of(self, dataset: SolarData, name: str) -> int:
        """Return the row of a time; ``first`` is the first one."""
        return 0 if name == "first" else nearest_row(name, dataset.times)

    def label_of(self, dataset: SolarData, row: int) -> str:
        """Return the issue time."""
        return str(dataset.times[row])

    def of_row(self, opened: Explained, data: ProblemData, row: int) -> Sample:
        """Return a row with its coordinates and, on the virtual Sun, its active regions."""
        sample = _sample_of(data.dataset, row, [t.name for t in opened.network.inputs])
        if data.more is None or "DATE-OBS" not in sample.wcs:
            return sample
        time = np.datetime64(sample.wcs["DATE-OBS"], "s")
        return replace(sample, regions=tuple(virtual_boxes(data.more.virtual, time)))

    def of_files(
        self,
        opened: Explained,
        files: Sequence[str],
        stack: ExitStack,
        *,
        time: str = "",
        flares: str = "",
    ) -> Sample:
        """Return a sample of images in files, a folder or a store, or of an .npy array."""
        if len(files) == 1 and files[0].endswith(".npy"):
            return super().of_files(opened, files, stack)
        if opened.run is None:
            return _of_foreign_network(opened, files, time)
        dataset, problems = files_dataset(opened, files, stack, flares)
        if len(dataset.times) > 1 and not time:
            raise ValueError(
                f"there are {len(dataset.times)} images, from {dataset.times[0]} to "
                f"{dataset.times[-1]}; name the time of one after the folder"
            )
        for problem in problems:
            print(f"left out: {problem}")
        names = [t.name for t in opened.network.inputs]
        row = self.row_of(dataset, time or "first")
        sample, warning = _sample_of(dataset, row, names), ""
        if not sample.inputs["aia_present"].any():
            dataset.largest_missing_share = _ANY_PIXEL  # a cutout: what there is, is taken
            sample = _sample_of(dataset, row, names)
            if not sample.inputs["aia_present"].any():
                raise ValueError(f"{sample.label}: no channel holds a value within the field")
            warning = (
                f"{sample.label} covers a part of the field only. The rest is filled with the mean "
                "of what is there, which the network never saw in training: read the map with care."
            )
            print(warning)
        data = opened.run.config["data"]
        source = image_source(files, data["size"], tuple(data["channels"]))
        (index,) = np.flatnonzero(source.times == np.datetime64(sample.wcs["DATE-OBS"], "s"))
        return replace(sample, grids=tuple(own_grids(source, int(index))), warning=warning)

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
        """Return the images of a folder or store as samples to be laid out."""
        if opened.run is None:
            return super().files_lot(opened, folder, stack, target, at_most=at_most)
        images = files_dataset(opened, [folder], stack, flares)[0]
        rows = np.arange(len(images.times))
        rows = rows[:: -(-len(rows) // at_most)]
        return _lot_of(opened, images, rows, target, None, labelled=bool(flares))

    def lot(
        self,
        opened: Explained,
        dataset: SolarData,
        rows: np.ndarray,
        target: Target,
        split: Split | None,
        source: str,
    ) -> Lot:
        """Return samples with the class of the coming peak flux, forecast and error."""
        return _lot_of(opened, dataset, rows, target, split, labelled=True)


def _sample_of(dataset: SolarData, row: int, names: list[str]) -> Sample:
    """Return a row of images or histories as a sample."""
    arrays = dataset.read(np.array([row]))
    inputs = {name: arrays[name] for name in names}
    label = str(dataset.times[row])
    if not isinstance(dataset, FDL1):  # a history's columns are logarithms, counts and shares
        return Sample(inputs, label, _HISTORY_CHANNELS, "1", {}, dataset.record.source)
    channels, said = dataset.store.channels, dataset.store.manifest["source"]
    observer = _VIRTUAL_OBSERVER if said.get("synthetic") else {}
    frames = dataset.store_rows(np.array([row]))[0]
    *earlier, wcs = [dataset.store.wcs(int(frame)) | observer for frame in frames]
    return Sample(inputs, label, channels, unit_of(channels), wcs, said["source"], tuple(earlier))


def files_dataset(
    opened: Explained, files: Sequence[str], stack: ExitStack, flares: str = ""
) -> tuple[FDL1, list[str]]:
    """Return images in files, a folder or a store as samples of a run, and what was left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are none, or the run takes other data.
    """
    from network_models.xray_flux_forecast.forecast_data import read_record

    run = opened.run
    data, options = run.config["data"], run.config["options"]
    if "store" not in data:
        raise ValueError("this run uses no images; give a time of its own data")
    record = None
    if flares:
        record = read_record(
            [flares], class_scale=data["class_scale"], gap_limit_s=options["gap_limit_s"]
        )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliolens-")))
    return image_samples(ForecastRequest(run, tuple(files), record), folder)


def _of_foreign_network(opened: Explained, files: Sequence[str], time: str) -> Sample:
    """Return images for a network that brings no run: eight AIA channels of its own size.

    Raises
    ------
    ValueError
        If the network takes something else.
    """
    shape = shape_of(opened.network, opened.image)
    frame = shape[1:] if len(shape) == 4 and shape[0] in (None, 1) else shape
    n = len(AIA_CHANNELS)
    fits = len(frame) == 3 and frame[-1] == n and frame[0] == frame[1] and frame[0] is not None
    if not fits or len(opened.network.inputs) > 1:
        takes = ", ".join(f"{t.name} {tuple(t.shape)[1:]}" for t in opened.network.inputs)
        raise ValueError(
            f"{opened.path.name} takes {takes}; from files of AIA a network without a run can be "
            f"given square images of {n} channels, (y, x, {n}), and nothing else"
        )
    source = image_source(list(files), frame[0], AIA_CHANNELS)
    if len(source) > 1 and not time:
        raise ValueError(
            f"there are {len(source)} images, from {source.times[0]} to {source.times[-1]}; name "
            "the time of one after the folder"
        )
    row = nearest_row(time, source.times) if time and time != "first" else 0
    image = np.moveaxis(source.image(row), 0, -1)
    if not np.isfinite(image).any():
        raise ValueError(f"{source.times[row]}: no channel holds a value within the field")
    for k, channel in enumerate(AIA_CHANNELS):
        seen = np.isfinite(image[..., k])
        if not seen.all():
            print(f"{channel} A: {int((~seen).sum())} pixels without a value are set to the mean")
            image[~seen, k] = image[seen, k].mean() if seen.any() else 0
    given = image.astype(np.float32).reshape(1, *(1 for _ in shape[: len(shape) - 3]), *image.shape)
    print(
        "This network belongs to no run, so nothing says what scaling it was trained with; it is "
        "given brightness in DN s-1 pix-1, corrected for exposure and degradation."
    )
    return Sample(
        {opened.image: given},
        str(source.times[row]),
        AIA_CHANNELS,
        unit_of(AIA_CHANNELS),
        {},
        source.describe()["source"],
        grids=tuple(own_grids(source, row)),
    )


def _lot_of(
    opened: Explained,
    dataset: SolarData,
    rows: np.ndarray,
    target: Target,
    split: Split | None,
    *,
    labelled: bool,
) -> Lot:
    """Return samples of a forecast: time, peak to come, forecast, error, set."""

    def describe() -> dict[str, list]:
        output = outputs_of(opened, dataset, rows)
        forecast = target_values(target, output)
        observed = dataset.log10_peak_flux[rows] if labelled else np.full(len(rows), np.nan)
        median = bins_of_run(opened.run).quantile(output, 0.5)
        group = np.full(len(dataset.times), "new" if split is None else "purged", object)
        if split is not None:
            for name, members in split.sets.items():
                group[members] = name
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
        return pictures_of(dataset, rows, "aia", dataset.store.channels)

    is_images = isinstance(dataset, FDL1)
    source = dataset.store.manifest["source"]["source"] if is_images else dataset.record.source
    meaning = "class of the coming peak flux, as observed"
    return Lot(dataset, rows, source, describe, meaning, thumbnails)
