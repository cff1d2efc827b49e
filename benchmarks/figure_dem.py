"""Parts of docs/figures.md on the corona's temperature."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.dem_tables import dem_tables
from benchmarks.running import ROOT, run
from tools.atomic_files import write_bytes

__all__ = ["corona", "emission_measure", "emission_networks"]

_TRAIN = "network_models/dem_regression/train.py"
_DEEPEM = "network_models/dem_regression/deepem/train.py"
_CORONA = ("--virtual-sun", "1", "--time", "2101-01-25T00:00", "--size", "256")


def emission_measure(_: Path, arguments: argparse.Namespace) -> list[str]:
    """Hold all inversions to simulated maps, and time them beside each other."""
    more = ["--deepem", arguments.deepem] if arguments.deepem else []
    outcome = run("benchmarks/dem.py", "--large", "4096", *more)
    command = f"`python benchmarks/dem.py --large 4096{' --deepem RUN' if more else ''}`"
    return [f"{command}: {outcome.seconds:.0f} s.\n", *dem_tables(outcome.json)]


def corona(folder: Path, _: argparse.Namespace) -> list[str]:
    """Invert an image of the virtual Sun by the network and by basis pursuit; keep a picture."""
    lines = []
    for method in ("network", "basis-pursuit"):
        options = (*_CORONA, "--method", method)
        outcome = run("science/dem/invert.py", *options, "--output", str(folder / f"{method}.fits"))
        command = f"python science/dem/invert.py {' '.join(options)}"
        lines += [f"`{command}`: {outcome.cost}.\n", f"```\n{_without_paths(outcome.text)}\n```\n"]
    picture = folder / "network_bins.png"
    write_bytes(ROOT / "docs/pictures/emission_measure.png", picture.read_bytes())
    return lines


def emission_networks(folder: Path, _: argparse.Namespace) -> list[str]:
    """Train our networks and DeepEM anew; what ships is not touched."""
    lines = []
    for script, options in (
        (_TRAIN, ("--size", "accurate")),
        (_TRAIN, ("--size", "fast")),
        (_DEEPEM, ("--teacher", "basis-pursuit")),
    ):
        outcome = run(script, *options, "--output", str(folder / "runs"))
        lines += [f"`python {script} {' '.join(options)}`: {outcome.cost}.\n"]
        lines += [f"```\n{_without_paths(outcome.text)}\n```\n"]
    return lines


def _without_paths(text: str) -> str:
    """Leave out the lines that say where files are."""
    return "\n".join(line for line in text.strip().splitlines() if "/" not in line.split(":")[-1])
