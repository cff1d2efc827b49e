"""Forecast the coming peak X-ray flux with a finished run, from new data.

    python network_models/xray_flux_forecast/forecast.py RUN FILES...

RUN is a run folder. For a run on flare history FILES are one flare list (CSV), or GOES X-ray files
or folders of them; for a run on images one image store, one folder, or FITS or raw .dat files, and
--flares gives the history if the run uses it. One line per issue time: class probabilities, median
and 68 % interval of the peak flux, and a flag where the input is unlike anything in training.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

if TYPE_CHECKING:
    from dataset_models.GOES.flare_record import FlareRecord
    from tools.run_folder import RunFolder

__all__ = ["main"]

_HOUR = np.timedelta64(3600, "s")


def main(argv: Sequence[str] | None = None) -> int:
    """Forecast and print; give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder made by a training script")
    parser.add_argument("files", nargs="+", help="flare list, X-ray files, images or folders")
    parser.add_argument(
        "--flares", default="", help="flare list or X-ray files, for runs on images and history"
    )
    parser.add_argument(
        "--degradation-corrected",
        action="store_true",
        help="the FITS files were corrected for AIA's loss of throughput before",
    )
    parser.add_argument(
        "--at",
        nargs="+",
        metavar="TIME",
        help="issue times, UTC; by default the data's end, or every image",
    )
    parser.add_argument(
        "--every", type=int, metavar="HOURS", help="forecast every so many hours through the data"
    )
    parser.add_argument("--side", default="", help="CSV with the run's side columns")
    parser.add_argument("--output", default="", metavar="CSV", help="also write a table")
    arguments = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return _forecast(arguments)


def _forecast(arguments: argparse.Namespace) -> int:
    from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow
    from dataset_models.GOES.side_columns import read_side_columns
    from network_models.xray_flux_forecast.forecast_data import read_record
    from tools.run_folder import RunFolder

    run = RunFolder(arguments.run)
    config = run.config
    options = config.get("options", {})
    names = ("history_h", "delay_h", "catch_h", "cadence_h", "floor_flux")
    lacking = [name for name in (*names, "gap_limit_s") if name not in options]
    if "bins" not in config or "data" not in config or lacking:
        raise ValueError(
            f"{run.path} is no finished flux forecast: its config.json names no flux bins or "
            f"lacks options ({', '.join(lacking) or 'none'})"
        )
    if arguments.output and not Path(arguments.output).absolute().parent.is_dir():
        raise ValueError(f"the folder of --output {arguments.output} does not exist")
    if arguments.output and Path(arguments.output).is_dir():
        raise ValueError(f"--output {arguments.output} is a folder; name a file")
    if "store" in config["data"]:
        return _forecast_images(arguments, run)
    if arguments.flares:
        raise ValueError("this run uses no images; give the flare list or X-ray files as FILES")
    window = HistoryWindow(**{name: options[name] for name in names})
    record = read_record(
        arguments.files,
        class_scale=config["data"]["class_scale"],
        gap_limit_s=options["gap_limit_s"],
    )
    record = _of_kind(record, config["data"]["label_kind"])
    side = read_side_columns(arguments.side) if arguments.side else None
    wanted = tuple(config["data"]["side_columns"])
    if wanted != (side.names if side else ()):
        raise ValueError(
            f"this run needs the side columns {', '.join(wanted) or '(none)'}, got "
            f"{', '.join(side.names) if side else '(none)'}; give them with --side"
        )
    times = _issue_times(arguments, record.start, record.end)
    if side is not None and (times < side.time[0]).any():
        raise ValueError(
            f"the side columns begin at {side.time[0]}, so nothing can be forecast at "
            f"{times.min()}; give later times with --at"
        )
    dataset = FlareHistory(record, window, side=side, times=times, need_label=False)

    with quiet_start():
        from dataset_models.streaming import Batches
        from network_models.files.safe_loading import load_network
        from network_models.training.fitting import predict
        from network_models.xray_flux_forecast.history_network import novelty_features
        from network_models.xray_flux_forecast.novelty import Novelty

    rows = np.arange(len(times))
    output = predict(
        load_network(run.best_network), Batches(dataset, rows, batch_size=dataset.rows_at_once)
    )
    with np.load(run / "performance/novelty.npz", allow_pickle=False) as saved:
        novelty = Novelty.from_arrays(dict(saved))
    observed = dataset.read(rows)["flare_history"][:, :, 2]
    flags = novelty.reasons(novelty_features(dataset, rows), observed)
    _show(arguments, run, times, output, flags)
    return 0


def _forecast_images(arguments: argparse.Namespace, run: RunFolder) -> int:
    from dataset_models.GOES.side_columns import CURRENT_FLUX, current_flux, read_side_columns
    from network_models.xray_flux_forecast.forecast_data import read_record

    data, options = run.config["data"], run.config["options"]
    if arguments.every is not None:
        raise ValueError("--every is for runs on flare history; images have their own times")
    record = None
    if arguments.flares:
        record = read_record(
            [arguments.flares], class_scale=data["class_scale"], gap_limit_s=options["gap_limit_s"]
        )
    side = read_side_columns(arguments.side) if arguments.side else None
    if side is None and tuple(data["side_columns"]) == (CURRENT_FLUX,):
        if record is None:
            raise ValueError("this run uses the current flux: give X-ray files with --flares")
        side = current_flux(record)
    if record is not None:
        record = _of_kind(record, data["label_kind"])
    times = _given_times(arguments.at) if arguments.at else None

    with quiet_start():
        from network_models.xray_flux_forecast.image_forecast import forecast_images

    found = forecast_images(
        run,
        arguments.files,
        record=record,
        side=side,
        times=times,
        degradation_corrected=arguments.degradation_corrected,
    )
    for problem in found.problems:
        print(f"left out: {problem}")
    if data.get("image_synthetic"):
        print("This network was trained on the virtual Sun (synthetic).")
    _show(arguments, run, found.times, found.output, found.flags)
    return 0


def _of_kind(record: FlareRecord, label_kind: str) -> FlareRecord:
    """Give the record as the run's history needs it: with its light curve, or without."""
    from dataset_models.GOES.flare_record import FLUX_SERIES

    if label_kind != FLUX_SERIES:
        return replace(record, flux_time=None, flux=None)
    if record.flux is None:
        raise ValueError(
            "this run was trained on X-ray light curves and needs one; a flare list holds no "
            "flux between the flares"
        )
    return record


def _show(
    arguments: argparse.Namespace,
    run: RunFolder,
    times: np.ndarray,
    output: np.ndarray,
    flags: list[str],
) -> None:
    """Print one line per forecast, and write the table that was asked for."""
    from network_models.xray_flux_forecast.flux_forecast import bins_of_run, write_forecasts

    bins = bins_of_run(run)
    for line in _lines(times, bins, output, flags, run.config["data"]["class_scale"]):
        print(line)
    if arguments.output:
        flagged = {"unlike_training": np.array(flags)}
        write_forecasts(arguments.output, times, bins, output, more=flagged)
        print(f"Table: {Path(arguments.output)}")


def _issue_times(
    arguments: argparse.Namespace, start: np.datetime64, end: np.datetime64
) -> np.ndarray:
    """Give the times at which forecasts are issued."""
    if arguments.at and arguments.every:
        raise ValueError("give --at or --every, not both")
    if arguments.at:
        return _given_times(arguments.at)
    if arguments.every is not None:
        if arguments.every < 1:
            raise ValueError(f"--every takes 1 or more hours, got {arguments.every}")
        first = start.astype("datetime64[h]").astype("datetime64[s]") + _HOUR
        return np.arange(first, end + np.timedelta64(1, "s"), arguments.every * _HOUR)
    return np.array([end])


def _given_times(given: list[str]) -> np.ndarray:
    """Read the times of ``--at``."""
    for text in given:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d(:\d\d){0,2}Z?)?", text):
            raise ValueError(f"--at takes times in UTC such as 2017-09-06T12:00, got {text!r}")
    try:
        return np.array([np.datetime64(t.removesuffix("Z"), "s") for t in given])
    except ValueError as error:
        raise ValueError(f"--at takes times such as 2017-09-06T12:00 ({error})") from None


def _lines(times, bins, output, flags: list[str], class_scale: str) -> list[str]:
    """Write one line per forecast below a heading."""
    from network_models.xray_flux_forecast.flux_forecast import class_probabilities
    from tools.physics.flare_class import class_name

    def name(log10_flux: float) -> str:
        if log10_flux <= bins.floor + 1e-9:
            return f"<{class_name(10**bins.floor)}"
        return class_name(10**log10_flux)

    chances = class_probabilities(bins, output)
    low, middle, high = (bins.quantile(output, level) for level in (0.16, 0.5, 0.84))
    heading = "issued (UTC)      " + "".join(f"P({e})  " for e in chances)
    lines = [heading + f"median  68 % interval (classes on the {class_scale} scale)"]
    for k, time in enumerate(times):
        chance = "".join(f"{p[k]:7.4f}  " for p in chances.values())
        text = f"{str(time)[:16].replace('T', ' ')}  {chance}"
        text += f"{name(middle[k]):<6}  {name(low[k])} .. {name(high[k])}"
        lines.append(text + (f"  UNLIKE TRAINING: {flags[k]}" if flags[k] else ""))
    return lines


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
