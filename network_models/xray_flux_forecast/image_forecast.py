"""Forecasts of a finished run on images: from files to distributions and flags."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.GOES.side_columns import SideColumns
from dataset_models.SDO.AIA.fdl_1 import FDL1, ImageFrames, known_minutes
from dataset_models.SDO.sources import StoreImages, image_source
from dataset_models.store import ImageSource, ImageStore, build_store
from dataset_models.streaming import Batches
from network_models.files.safe_loading import load_network
from network_models.training.fitting import predict
from network_models.xray_flux_forecast.fdl1.aia_network import image_features
from network_models.xray_flux_forecast.novelty import Novelty
from tools.channels import channel_name
from tools.run_folder import RunFolder

__all__ = ["ImageForecasts", "forecast_images", "image_samples"]

_HOUR = np.timedelta64(3600, "s")


@dataclass(frozen=True)
class ImageForecasts:
    """Forecasts from images.

    Attributes
    ----------
    times : (sample,) datetime64[s], UTC
        Issue times: the first full minutes at which the images were known.
    output : (sample, bin) float32
        Probabilities of the run's flux bins.
    flags : list of str
        Why a sample is unlike training; empty where it is not.
    problems : list of str
        Files that were left out, and why.
    """

    times: np.ndarray
    output: np.ndarray
    flags: list[str]
    problems: list[str]


def forecast_images(
    run: RunFolder,
    images: Sequence[object],
    *,
    record: FlareRecord | None = None,
    side: SideColumns | None = None,
    times: np.ndarray | None = None,
    degradation_corrected: bool = False,
) -> ImageForecasts:
    """Forecast from images with a finished run.

    Parameters
    ----------
    run, images, record, side, times, degradation_corrected
        As for ``image_samples``.

    Raises
    ------
    FileNotFoundError, ValueError
        If images, record or side columns are not what the run needs.
    """
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        dataset, problems = image_samples(
            run,
            images,
            Path(folder),
            record=record,
            side=side,
            times=times,
            degradation_corrected=degradation_corrected,
        )
        rows, blind = _usable(dataset, problems)
        if len(rows) == 0:
            listed = "\n  ".join(problems[-20:])
            raise ValueError(f"nothing can be forecast:\n  {listed}")
        output = predict(
            load_network(run.best_network), Batches(dataset, rows, batch_size=dataset.rows_at_once)
        )
        flags = _flags(run, dataset, rows, blind)
        return ImageForecasts(dataset.times[rows], output, flags, problems)


def image_samples(
    run: RunFolder,
    images: Sequence[object],
    folder: Path,
    *,
    record: FlareRecord | None = None,
    side: SideColumns | None = None,
    times: np.ndarray | None = None,
    degradation_corrected: bool = False,
) -> tuple[FDL1, list[str]]:
    """Give images as the samples that a finished run takes, and what was left out.

    Parameters
    ----------
    run : RunFolder
    images : sequence
        One store, one folder, or any number of FITS files, raw .dat files or sunpy Maps.
    folder : Path
        Where a store of them may be made; it must last as long as the samples are read.
    record : FlareRecord, optional
        Flares or X-ray flux, for runs that use the history.
    side : SideColumns, optional
        For runs that use side columns.
    times : (sample,) datetime64[s], optional
        Issue times; by default one for each image.

    Raises
    ------
    FileNotFoundError, ValueError
        If images, record or side columns are not what the run needs.
    """
    data, options = run.config["data"], run.config["options"]
    if data["with_history"] and record is None:
        raise ValueError("this run uses the flare history, too: give it with --flares")
    wanted = tuple(data["side_columns"])
    if wanted != (side.names if side is not None else ()):
        raise ValueError(
            f"this run needs the side columns {', '.join(wanted) or '(none)'}, got "
            f"{', '.join(side.names) if side else '(none)'}"
        )
    names = ("history_h", "delay_h", "catch_h", "cadence_h", "floor_flux")
    window = HistoryWindow(**{name: options[name] for name in names})
    frames = ImageFrames(options["frames"], options["frame_step_h"])
    source = image_source(
        images,
        data["size"],
        tuple(data["channels"]),
        degradation_corrected=degradation_corrected,
    )
    store = _store_of(source, folder)
    problems = list(source.problems)
    if store.is_bad.all():
        listed = "\n  ".join(problems[:20]) or "all are flagged as bad"
        raise ValueError(f"no image is good:\n  {listed}")
    known = times if times is not None else known_minutes(store.times[~store.is_bad])
    dataset = FDL1(
        store,
        record or _empty_record(known, window),
        window,
        frames,
        with_history=data["with_history"],
        side=side,
        times=known,
        need_label=False,
    )
    problems += [
        f"{time}: not all of the {frames.frames} image(s) that this run needs are there"
        for time in np.setdiff1d(known, dataset.times)
    ]
    return dataset, problems


def _store_of(source: ImageSource, folder: Path) -> ImageStore:
    """Give a store of a source's images; a store of the right kind is used as it is."""
    if isinstance(source, StoreImages):
        store = source.store
        if store.size == source.size and store.channels == source.channels:
            return store
    return build_store(folder / "store", source)


def _usable(dataset: FDL1, problems: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Give the rows that can be forecast, and which channels are missing in them.

    Rows without side columns or without any channel are added to the problems.
    """
    rows, missing = [], []
    for row, time in enumerate(dataset.times):
        lacks = dataset.read(np.array([row]))["aia_present"][0].min(axis=0) == 0
        if dataset.table.quality[row]:
            problems.append(f"{time}: the side columns are not known at that time, or too old")
        elif lacks.all():
            problems.append(f"{time}: no channel covers the disc")
        else:
            rows.append(row)
            missing.append(lacks)
    return np.array(rows, int), np.array(missing, bool)


def _empty_record(times: np.ndarray, window: HistoryWindow) -> FlareRecord:
    """Make a record without flares around some times, for runs that use none."""
    none = np.array([], "datetime64[s]")
    return FlareRecord(
        peak_time=none,
        peak_flux=np.array([]),
        region=np.array([], int),
        start=times.min() - (window.history_h + 1) * _HOUR,
        end=times.max() + _HOUR,
        class_scale="operational",
        source="none",
        satellites=(),
    )


def _flags(run: RunFolder, dataset: FDL1, rows: np.ndarray, blind: np.ndarray) -> list[str]:
    """Say why samples are unlike training: by their numbers, and by what is missing.

    ``blind`` (sample, channel) says which channels are missing.
    """
    with np.load(run / "performance/novelty.npz", allow_pickle=False) as saved:
        novelty = Novelty.from_arrays(dict(saved))
    observed = np.ones((len(rows), 24))
    if dataset.with_history:
        observed = dataset.histories(rows)[:, :, 2]
    reasons = novelty.reasons(image_features(dataset, rows), observed)
    out = []
    for lacks, reason in zip(blind, reasons, strict=True):
        missing = [channel_name(c) for c, b in zip(dataset.store.channels, lacks, strict=True) if b]
        lacks = f"without {', '.join(missing)}" if missing else ""
        out.append("; ".join(text for text in (lacks, reason) if text))
    return out
