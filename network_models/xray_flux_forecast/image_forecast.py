"""Forecasts of a finished run on images: from files to distributions and flags."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.SDO.AIA.fdl_1 import FDL1, ImageFrames, known_minutes
from dataset_models.SDO.sources import StoreImages, image_source
from dataset_models.store import ImageSource, ImageStore, build_store
from dataset_models.streaming import Batches
from network_models.files.safe_loading import load_network
from network_models.training.fitting import predict
from network_models.xray_flux_forecast.fdl1.aia_network import image_features
from network_models.xray_flux_forecast.forecast_request import (
    ForecastRequest,
    Forecasts,
    require_side_columns,
    window_of_run,
)
from network_models.xray_flux_forecast.novelty import novelty_of_run
from tools.channels import CALIBRATION, channel_name
from tools.options import from_plain
from tools.run_folder import RunFolder

__all__ = ["forecast_images", "image_samples"]

logger = logging.getLogger(__name__)

_HOUR = np.timedelta64(3600, "s")


def forecast_images(request: ForecastRequest) -> Forecasts:
    """Forecast from images with a finished run.

    Raises
    ------
    FileNotFoundError, ValueError
        If images, record or side columns are not what the run needs.
    """
    run = request.run
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        dataset, problems = image_samples(request, Path(folder))
        rows, blind = _usable(dataset, problems)
        if len(rows) == 0:
            listed = "\n  ".join(problems[-20:])
            raise ValueError(f"nothing can be forecast:\n  {listed}")
        output = predict(
            load_network(run.best_network), Batches(dataset, rows, batch_size=dataset.rows_at_once)
        )
        flags = _flags(run, dataset, rows, blind)
        return Forecasts(dataset.times[rows], output, flags, problems)


def image_samples(request: ForecastRequest, folder: Path) -> tuple[FDL1, list[str]]:
    """Return images as the samples that a finished run takes, and what was left out.

    Parameters
    ----------
    request : ForecastRequest
    folder : Path
        Where a store of them may be made; it must last as long as the samples are read.

    Raises
    ------
    FileNotFoundError, ValueError
        If images, record or side columns are not what the run needs.
    """
    run, record, side = request.run, request.record, request.side
    data, options = run.config["data"], run.config["options"]
    if data["with_history"] and record is None:
        raise ValueError("this run uses the flare history, too: give it with --flares")
    require_side_columns(run, side)
    window, frames = window_of_run(run), from_plain(ImageFrames, options)
    source = image_source(
        request.images,
        data["size"],
        tuple(data["channels"]),
        degradation_corrected=request.degradation_corrected,
        calibration=_calibration_of(data),
    )
    store = _store_of(source, folder)
    problems = list(source.problems)
    summary = source.summary()
    if summary is not None:
        logger.info("%s", summary.lines()[0])
    if store.is_bad.all():
        listed = "\n  ".join(problems[:20]) or "all are flagged as bad"
        raise ValueError(f"no image is good:\n  {listed}")
    known = request.times
    if known is None:
        known = known_minutes(store.times[~store.is_bad])
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


def _calibration_of(data: dict) -> str:
    """Return the version of AIA's calibration that corrects images for a run.

    A run that learned from real images needs those of its own version; before it was recorded, it
    was 8. For the virtual Sun's images the version says how its camera ages, nothing else.
    """
    if data.get("image_synthetic"):
        return CALIBRATION
    return data.get("image_calibration_version") or "v8"


def _store_of(source: ImageSource, folder: Path) -> ImageStore:
    """Return a store of a source's images; a store of the right kind is used as it is."""
    if isinstance(source, StoreImages):
        store = source.store
        if store.size == source.size and store.channels == source.channels:
            return store
    return build_store(folder / "store", source)


def _usable(dataset: FDL1, problems: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that can be forecast, and which channels are missing in them.

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
    observed = np.ones((len(rows), 24))
    if dataset.with_history:
        observed = dataset.histories(rows)[:, :, 2]
    reasons = novelty_of_run(run).reasons(image_features(dataset, rows), observed)
    out = []
    for lacks, reason in zip(blind, reasons, strict=True):
        missing = [channel_name(c) for c, b in zip(dataset.store.channels, lacks, strict=True) if b]
        lacks = f"without {', '.join(missing)}" if missing else ""
        out.append("; ".join(text for text in (lacks, reason) if text))
    return out
