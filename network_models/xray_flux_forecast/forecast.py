"""Forecast the coming peak X-ray flux with a finished run, from new data.

    python network_models/xray_flux_forecast/forecast.py RUN FILES...

RUN is a run folder. For a run on flare history FILES are one flare list (CSV), or GOES X-ray files
or folders of them; for a run on images one image store, one folder, or FITS or raw .dat files, and
--flares gives the history if the run uses it. One line per issue time: class probabilities, median
and 68 % interval of the peak flux, and a flag where the input is unlike anything in training.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from network_models.xray_flux_forecast.forecast_request import Forecasts, request_of
from tools.command_line import config_from, config_parser, quiet_start, run_script
from tools.options import Options, option
from tools.run_folder import RunFolder

__all__ = ["main"]


@dataclass(frozen=True)
class ForecastOptions(Options):
    """Options of the command."""

    flares: str = option("", "flare list or X-ray files, for runs on images and history")
    degradation_corrected: bool = option(
        False, "the FITS files were corrected for AIA's loss of throughput before"
    )
    at: tuple[str, ...] = option((), "issue times, UTC; by default the data's end, or every image")
    every: int | None = option(None, "forecast every so many hours through the data", least=1)
    side: str = option("", "CSV with the run's side columns")
    output: str = option("", "CSV file to write, too")

    def __post_init__(self):
        super().__post_init__()
        if self.at and self.every:
            raise ValueError("give --at or --every, not both")
        if self.output and not Path(self.output).absolute().parent.is_dir():
            raise ValueError(f"the folder of --output {self.output} does not exist")
        if self.output and Path(self.output).is_dir():
            raise ValueError(f"--output {self.output} is a folder; name a file")


def main(argv: Sequence[str] | None = None) -> int:
    """Forecast and print; return the exit status."""
    parser = config_parser(ForecastOptions, __doc__.splitlines()[0])
    parser.add_argument("run", help="run folder made by a training script")
    parser.add_argument("files", nargs="+", help="flare list, X-ray files, images or folders")
    arguments = parser.parse_args(argv)
    options = config_from(ForecastOptions, arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    run = RunFolder(arguments.run)
    request = request_of(
        run,
        arguments.files,
        flares=options.flares,
        side=options.side,
        at=options.at,
        every_h=options.every,
        degradation_corrected=options.degradation_corrected,
    )
    with quiet_start():
        from network_models.xray_flux_forecast.history_forecast import forecast_history
        from network_models.xray_flux_forecast.image_forecast import forecast_images
    found = forecast_images(request) if request.is_of_images else forecast_history(request)
    for problem in found.problems:
        print(f"left out: {problem}")
    if run.config["data"].get("image_synthetic"):
        print("This network was trained on the virtual Sun (synthetic).")
    _show(run, found, options.output)
    return 0


def _show(run: RunFolder, found: Forecasts, output: str) -> None:
    """Print one line per forecast, and write the table that was asked for."""
    from network_models.xray_flux_forecast.flux_forecast import bins_of_run, write_forecasts

    bins = bins_of_run(run)
    for line in _lines(bins, found, run.config["data"]["class_scale"]):
        print(line)
    if output:
        flagged = {"unlike_training": np.array(found.flags)}
        write_forecasts(output, found.times, bins, found.output, more=flagged)
        print(f"Table: {Path(output)}")


def _lines(bins, found: Forecasts, class_scale: str) -> list[str]:
    """Write one line per forecast below a heading."""
    from network_models.xray_flux_forecast.flux_forecast import class_probabilities
    from tools.physics.flare_class import class_name

    def name(log10_flux: float) -> str:
        if log10_flux <= bins.floor + 1e-9:
            return f"<{class_name(10**bins.floor)}"
        return class_name(10**log10_flux)

    chances = class_probabilities(bins, found.output)
    low, middle, high = (bins.quantile(found.output, level) for level in (0.16, 0.5, 0.84))
    heading = "issued (UTC)      " + "".join(f"P({e})  " for e in chances)
    lines = [heading + f"median  68 % interval (classes on the {class_scale} scale)"]
    for k, (time, flag) in enumerate(zip(found.times, found.flags, strict=True)):
        chance = "".join(f"{p[k]:7.4f}  " for p in chances.values())
        text = f"{str(time)[:16].replace('T', ' ')}  {chance}"
        text += f"{name(middle[k]):<6}  {name(low[k])} .. {name(high[k])}"
        lines.append(text + (f"  UNLIKE TRAINING: {flag}" if flag else ""))
    return lines


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
