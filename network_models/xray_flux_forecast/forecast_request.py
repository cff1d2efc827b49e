"""What a forecast is asked for: which run, on which data, at which times; and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.GOES.flare_record import FLUX_SERIES, FlareRecord
from dataset_models.GOES.side_columns import (
    CURRENT_FLUX,
    SideColumns,
    current_flux,
    read_side_columns,
)
from network_models.xray_flux_forecast.forecast_data import read_record
from tools.options import from_plain
from tools.run_folder import RunFolder
from tools.times import parse_times

__all__ = ["ForecastRequest", "Forecasts", "request_of", "require_side_columns", "window_of_run"]

_HOUR = np.timedelta64(3600, "s")
_NEEDED = ("history_h", "delay_h", "catch_h", "cadence_h", "floor_flux", "gap_limit_s")


@dataclass(frozen=True)
class ForecastRequest:
    """A run and the data that it shall forecast from.

    Attributes
    ----------
    run : RunFolder
    images : tuple
        One store, one folder, or files or sunpy Maps; empty for a run on flare history.
    record : FlareRecord or None
        Flares or X-ray flux, as the run's history needs them.
    side : SideColumns or None
    times : (sample,) datetime64[s] or None
        Issue times; None stands for one for each image.
    degradation_corrected : bool
        Whether FITS files were corrected for AIA's loss of throughput before.
    """

    run: RunFolder
    images: tuple = ()
    record: FlareRecord | None = None
    side: SideColumns | None = None
    times: np.ndarray | None = None
    degradation_corrected: bool = False

    @property
    def is_of_images(self) -> bool:
        """Whether the run takes images."""
        return "store" in self.run.config["data"]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of a run.

    Attributes
    ----------
    times : (sample,) datetime64[s], UTC
        Issue times; those of images are the first full minutes at which the images were known.
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
    problems: list[str] = field(default_factory=list)


def window_of_run(run: RunFolder) -> HistoryWindow:
    """Return what a run's samples span."""
    return from_plain(HistoryWindow, run.config["options"])


def require_side_columns(run: RunFolder, side: SideColumns | None) -> None:
    """Raise a ValueError unless the side columns are those that a run was trained with."""
    wanted, given = tuple(run.config["data"]["side_columns"]), side.names if side else ()
    if wanted != given:
        raise ValueError(
            f"this run needs the side columns {', '.join(wanted) or '(none)'}, got "
            f"{', '.join(given) or '(none)'}; give them with --side"
        )


def request_of(
    run: RunFolder,
    files: Sequence[object],
    *,
    flares: str = "",
    side: str = "",
    at: Sequence[str] = (),
    every_h: int | None = None,
    degradation_corrected: bool = False,
) -> ForecastRequest:
    """Read what a forecast is asked for; wrong input is refused before keras is imported.

    Parameters
    ----------
    run : RunFolder
    files : sequence
        Flare list or X-ray files for a run on history; images for a run on images.
    flares : str
        Flare list or X-ray files, for runs on images that use them.
    side : str
        CSV with side columns.
    at : sequence of str
        Issue times, UTC.
    every_h : int, optional
        Hours between issue times through the data, for runs on history.
    degradation_corrected : bool
        As in ``ForecastRequest``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run is no finished forecast, or takes other data.
    """
    config = run.config
    options, data = config.get("options", {}), config.get("data")
    lacking = [name for name in _NEEDED if name not in options]
    if "bins" not in config or not isinstance(data, dict) or lacking:
        raise ValueError(
            f"{run.path} is no finished flux forecast: its config.json names no flux bins or "
            f"lacks options ({', '.join(lacking) or 'none'})"
        )
    columns = read_side_columns(side) if side else None
    times = _given_times(at) if at else None
    scale = {"class_scale": data["class_scale"], "gap_limit_s": options["gap_limit_s"]}
    if "store" in data:
        if every_h is not None:
            raise ValueError("--every is for runs on flare history; images have their own times")
        record = read_record([flares], **scale) if flares else None
        if columns is None and tuple(data["side_columns"]) == (CURRENT_FLUX,):
            if record is None:
                raise ValueError("this run uses the current flux: give X-ray files with --flares")
            columns = current_flux(record)
        record = None if record is None else _of_kind(record, data["label_kind"])
        return ForecastRequest(run, tuple(files), record, columns, times, degradation_corrected)
    if flares:
        raise ValueError("this run uses no images; give the flare list or X-ray files as FILES")
    record = _of_kind(read_record(list(files), **scale), data["label_kind"])
    require_side_columns(run, columns)
    if times is None:
        times = _regular_times(record, every_h) if every_h else np.array([record.end])
    if columns is not None and (times < columns.time[0]).any():
        raise ValueError(
            f"the side columns begin at {columns.time[0]}, so nothing can be forecast at "
            f"{times.min()}; give later times with --at"
        )
    return ForecastRequest(run, (), record, columns, times)


def _of_kind(record: FlareRecord, label_kind: str) -> FlareRecord:
    """Return the record as the run's history needs it: with its light curve, or without."""
    if label_kind != FLUX_SERIES:
        return replace(record, flux_time=None, flux=None)
    if record.flux is None:
        raise ValueError(
            "this run was trained on X-ray light curves and needs one; a flare list holds no "
            "flux between the flares"
        )
    return record


def _regular_times(record: FlareRecord, every_h: int) -> np.ndarray:
    """Return issue times at full hours through a record."""
    first = record.start.astype("datetime64[h]").astype("datetime64[s]") + _HOUR
    return np.arange(first, record.end + np.timedelta64(1, "s"), every_h * _HOUR)


def _given_times(given: Sequence[str]) -> np.ndarray:
    """Read the times of ``--at``."""
    return parse_times(list(given), what="--at takes times").astype("datetime64[s]")
