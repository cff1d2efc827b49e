"""Invert six AIA channels to the emission measure of every pixel.

    python science/dem/invert.py FILES... [--method METHOD] [--output OUT.fits]
    python science/dem/invert.py STORE_OR_FOLDER --time 2014-01-11T08:00
    python science/dem/invert.py --virtual-sun SEED --time 2101-01-03T00:00

FILES are six FITS files of one time and pointing, one of each of 94, 131, 171, 193, 211 and 335
angstrom, in any order; or one .npy array (6, y, x) in DN s-1 pix-1, which gives an .npy array (bin,
y, x) in cm-5, too; an .npy array of another instrument needs --response-table and --sigma. Writes a
FITS file with the emission measure, its errors, chi2, a status for every pixel, and the channels
that it gives; and figures beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.command_line import config_from, config_parser, quiet_start, run_script

if TYPE_CHECKING:
    from science.dem.plan import MapConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Invert and give the exit status."""
    with quiet_start():
        from science.dem.inversion_map import invert_map
        from science.dem.plan import MapConfig
        from tools.emission_measure.status import STATUS_TEXT

    parser = config_parser(MapConfig, __doc__.splitlines()[0])
    parser.add_argument(
        "files", nargs="*", metavar="FILES", help="six FITS files, one .npy, a store or a folder"
    )
    arguments = parser.parse_args(argv)
    config = config_from(MapConfig, arguments)
    given = _opened(arguments.files, config)
    output = Path(config.output)
    is_array = len(arguments.files) == 1 and arguments.files[0].endswith(".npy")
    _refuse_input(arguments.files, output)
    found = invert_map(given, config, output, n_jobs=config.jobs, with_array=is_array)
    speed = found.n_pixels / max(found.seconds, 1e-9)
    print(f"{found.n_pixels} pixels in {found.seconds:.1f} s ({speed:,.0f} pixels/s)")
    for code in found.counts.nonzero()[0]:
        share = 100 * found.counts[code] / found.n_pixels
        print(f"  {share:5.1f} % {STATUS_TEXT[int(code)]}")
    if found.lacking:
        print(f"  without any value: {', '.join(map(str, found.lacking))}; read it with care")
    print(f"Emission measure: {output}")
    return 0


def _refuse_input(files: list[str], output: Path) -> None:
    """Refuse to write over what is read."""
    written = {output.resolve(), output.with_suffix(".npy").resolve()}
    for name in files:
        if Path(name).resolve() in written:
            raise ValueError(f"--output {output} would write over {name}; give another name")


def _opened(files: list[str], config: MapConfig):
    """Return the data that were asked for."""
    from dataset_models.SDO.AIA.six_channels import read_six_images

    is_array = len(files) == 1 and files[0].endswith(".npy")
    _refuse_idle_options(files, config, is_array)
    if config.virtual_sun is not None:
        return _virtual(config)
    if is_array:
        return _array(files[0], config)
    if not config.time and not any(Path(path).is_dir() for path in files):
        return read_six_images(files, largest_spread_s=config.spread, **config.reading)
    from dataset_models.SDO.AIA.six_channel_series import nearest_time, six_channel_times

    times = six_channel_times(files, largest_spread_s=config.spread, **config.reading)
    summary = times.summary()
    for line in summary.lines() if summary else ():
        print(line, file=sys.stderr)
    return times.item(nearest_time(times.times, config.time, config.spread)).read()


def _array(path: str, config: MapConfig):
    """Return an array's data: AIA's with its camera's errors, or any with errors that are given."""
    from dataset_models.plain_arrays import read_plain_arrays
    from dataset_models.SDO.AIA.six_channels import SixChannels, read_six_arrays
    from tools.emission_measure.response_table import AIA

    table = config.table()
    is_aia = table.instrument.upper().endswith("AIA")
    if config.sigma:
        return read_plain_arrays(
            path,
            config.sigma,
            instrument=AIA if is_aia else table.instrument,
            channels=SixChannels.channels if is_aia else table.channels,
            unit=table.brightness_unit,
        )
    if not is_aia:
        raise ValueError(
            f"{config.response_table} is the response of {table.instrument}, whose noise is not "
            "known here: give its errors with --sigma FILE.npy, or leave --response-table out for "
            "AIA's channels"
        )
    return read_six_arrays(path, pixels_averaged=config.pixels_averaged)


def _virtual(config: MapConfig):
    """Return one image of the virtual Sun."""
    from dataset_models.SDO.AIA.six_channel_series import ImageTimes, virtual_time
    from dataset_models.virtual_sun.images import VirtualImages
    from dataset_models.virtual_sun.parameters import FlareProcessParameters
    from dataset_models.virtual_sun.process import simulate_record

    if config.virtual_sun < 0:
        raise ValueError(f"--virtual-sun takes a seed of 0 or more, got {config.virtual_sun}")
    record = simulate_record(
        FlareProcessParameters(), years=config.virtual_years, seed=config.virtual_sun
    )
    time = virtual_time(config.time, record.n_hours)
    return ImageTimes(VirtualImages(record, time, config.size)).read(0)


def _refuse_idle_options(files: list[str], config: MapConfig, is_array: bool) -> None:
    """Refuse what would be given in vain: it was meant for other input."""
    virtual = config.virtual_sun is not None
    if virtual == bool(files):
        raise ValueError(
            "expected FILES or --virtual-sun SEED"
            + (f", got both ({files[0]}, ...)" if virtual else ": give one of the two")
        )
    if not is_array and (config.sigma or config.pixels_averaged != 1):
        raise ValueError("--sigma and --pixels-averaged are for an .npy array")
    is_altered = config.degradation_corrected or config.coregister or config.degradation != "data"
    if (virtual or is_array) and is_altered:
        raise ValueError(
            f"{'the virtual Sun' if virtual else files[0]} is corrected for the loss of "
            "throughput and on one grid: --degradation, --degradation-corrected and --coregister "
            "are for FITS files"
        )
    if is_array and config.time:
        raise ValueError("--time is for a store, a folder or the virtual Sun")


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
