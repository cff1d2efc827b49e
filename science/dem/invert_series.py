"""Invert six AIA channels at many times, and go on where an earlier call was stopped.

    python science/dem/invert_series.py FOLDER_OR_STORE... [--method METHOD] [--output FOLDER]
    python science/dem/invert_series.py FOLDER --coherent [--time-penalty PENALTY] [--coregister]

Takes an image store, or folders of FITS files, which are put together by their times. Each time
becomes a FITS file in the output folder, in one step; series.csv lists what became of every time,
with the reasons of those that failed, and series.png shows them. A time whose file is there, of the
same images, options and code, is not inverted again. The exit status is 1 if any time failed.

``--coherent`` inverts all times of a pixel together (``tools/emission_measure/coherent.py``) and
draws in_time.png: frame by frame compared with coherent in time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.command_line import config_from, config_parser, quiet_start, run_script


def main(argv: Sequence[str] | None = None) -> int:
    """Invert and give the exit status."""
    with quiet_start():
        from dataset_models.SDO.AIA.six_channel_series import six_channel_times
        from science.dem.coherent_series import invert_coherent_series
        from science.dem.plan import SeriesConfig
        from science.dem.series import invert_series

    parser = config_parser(SeriesConfig, __doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="one image store, or folders of FITS files")
    arguments = parser.parse_args(argv)
    config = config_from(SeriesConfig, arguments)
    times = six_channel_times(arguments.data, largest_spread_s=config.spread, **config.reading)
    print(f"{len(times.times)} times of {times.source}")
    if config.coherent:
        outcomes = invert_coherent_series(
            times, config, config.output, n_jobs=config.workers * config.jobs
        )
    else:
        outcomes = invert_series(
            times, config, config.output, workers=config.workers, n_jobs=config.jobs
        )
    failed = [o for o in outcomes if o.reason]
    new = sum(o.is_new for o in outcomes) - len(failed)
    before = len(outcomes) - new - len(failed)
    print(f"{new} times inverted, {before} were there, {len(failed)} failed")
    for outcome in failed:
        print(f"  {outcome.time}: {outcome.reason}")
    summary = times.summary()
    for line in summary.lines() if summary else ():
        print(line)
    print(f"Emission measures: {Path(config.output) / 'series.csv'}")
    return 1 if failed or times.problems else 0


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
