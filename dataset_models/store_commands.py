"""The commands of image stores: ``store.py build`` and ``store.py inspect``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

import numpy as np

from dataset_models.store import ImageSource, ImageStore, build_store
from tools.channels import CALIBRATION, CALIBRATIONS, channel_name, channel_unit
from tools.command_line import make_parser
from tools.long_work.processes import usable_processes

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Build a store, or tell what one holds; give the exit status."""
    parser = make_parser("Build image stores, and tell what they hold.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="write images into a store, or go on")
    build.add_argument("store")
    build.add_argument(
        "--data", default="", help="folder of FITS or .dat files; else the virtual Sun"
    )
    build.add_argument("--hmi", action="store_true", help="take HMI's channels, too")
    build.add_argument(
        "--degradation-corrected",
        action="store_true",
        help="the FITS files were corrected for AIA's loss of throughput before",
    )
    build.add_argument(
        "--calibration",
        choices=CALIBRATIONS,
        default=CALIBRATION,
        help="version of AIA's calibration by which FITS files are corrected",
    )
    build.add_argument("--workers", type=int, default=usable_processes(), help="processes")
    build.add_argument("--size", type=int, default=128, help="pixels along a side")
    build.add_argument("--years", type=float, default=0.1, help="length of the record")
    build.add_argument("--seed", type=int, default=1, help="of the virtual Sun")
    build.add_argument("--cadence-h", type=int, default=12, help="hours between images")
    inspect = commands.add_parser("inspect", help="say what a store holds")
    inspect.add_argument("store")
    inspect.add_argument("--verify", action="store_true", help="read all, compare hashes")
    inspect.add_argument("--contact-sheet", default="", metavar="PNG", help="draw one image")
    arguments = parser.parse_args(argv)
    return _build(arguments) if arguments.command == "build" else _inspect(arguments)


def _build(arguments: argparse.Namespace) -> int:
    if arguments.workers < 1:
        raise ValueError(f"--workers takes 1 or more processes, got {arguments.workers}")
    if not arguments.data and (arguments.hmi or arguments.degradation_corrected):
        raise ValueError("--hmi and --degradation-corrected are for FITS files: give --data")
    is_idle = not arguments.data or arguments.degradation_corrected
    if arguments.calibration != CALIBRATION and is_idle:
        raise ValueError(
            "--calibration corrects FITS files: give --data, without --degradation-corrected"
        )
    if arguments.data:
        from dataset_models.SDO.sources import folder_source

        source = folder_source(
            arguments.data,
            arguments.size,
            with_hmi=arguments.hmi,
            degradation_corrected=arguments.degradation_corrected,
            calibration=arguments.calibration,
        )
    else:
        source = _virtual_source(arguments)
    logger.info("%d images: %s", len(source), source.describe()["source"])
    store = build_store(arguments.store, source, workers=arguments.workers)
    _show_summary(store)
    print(f"{store.path}: {len(store)} images, fingerprint {store.fingerprint()}")
    return 0


def _show_summary(store: ImageStore) -> None:
    summary = store.summary()
    for line in summary.lines() if summary else ():
        print(line)


def _virtual_source(arguments: argparse.Namespace) -> ImageSource:
    from dataset_models.virtual_sun.images import VirtualImages
    from dataset_models.virtual_sun.parameters import FlareProcessParameters
    from dataset_models.virtual_sun.process import simulate_record
    from dataset_models.virtual_sun.record import VIRTUAL_START

    if arguments.cadence_h < 1:
        raise ValueError(f"--cadence-h takes 1 or more hours, got {arguments.cadence_h}")
    record = simulate_record(FlareProcessParameters(), years=arguments.years, seed=arguments.seed)
    hours = np.arange(0, record.n_hours, arguments.cadence_h)
    times = VIRTUAL_START + hours * np.timedelta64(3600, "s")
    return VirtualImages(record, times, arguments.size)


def _inspect(arguments: argparse.Namespace) -> int:
    store = ImageStore(arguments.store)
    steps = np.diff(store.times) / np.timedelta64(3600, "s")
    usual = float(np.median(steps)) if len(steps) else 0.0
    size = sum(f.stat().st_size for f in store.path.rglob("*") if f.is_file())
    print(f"{store.path}: {store.manifest['source']['source']}")
    print(f"  {len(store)} images, {store.times[0]} to {store.times[-1]}, every {usual:g} h")
    print(f"  gaps longer than that: {int((steps > 1.5 * usual).sum())}")
    print(f"  marked as bad: {int(store.is_bad.sum())}")
    print(f"  {store.size} x {store.size} pixels")
    if store.manifest["source"].get("calibration"):
        print(f"  calibration: {store.manifest['source']['calibration']}")
    print(f"  {size / len(store) / 1e6:.3f} MB per image, fingerprint {store.fingerprint()}")
    sample = np.unique(np.linspace(0, len(store) - 1, 32).astype(int))
    images = store.read(sample)
    print(f"  statistics of {len(sample)} images:")
    for k, channel in enumerate(store.channels):
        values = images[:, k][np.isfinite(images[:, k])]
        missing = int((~np.isfinite(images[:, k])).all(axis=(1, 2)).sum())
        text = f"mean {values.mean():.3g}, spread {values.std():.3g}" if len(values) else "no value"
        print(f"    {channel_name(channel)}: {text} {channel_unit(channel)}, missing in {missing}")
    if arguments.contact_sheet:
        from tools.plotting.style import save_figure
        from tools.plotting.sun import plot_channels

        title = f"{store.manifest['source']['source']}, {store.times[sample[-1]]}"
        axes = plot_channels(images[-1], store.channels, title=title)
        save_figure(axes[0].figure, arguments.contact_sheet)
        print(f"  contact sheet: {arguments.contact_sheet}")
    _show_summary(store)
    problems = store.verify() if arguments.verify else []
    for problem in problems:
        print(f"  {problem}")
    if arguments.verify and not problems:
        print("  every chunk is what was written")
    return 1 if problems else 0
