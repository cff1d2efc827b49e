"""Parts of docs/figures.md on the corona's temperature."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.dem_tables import dem_tables
from benchmarks.figure_text import listed, markdown
from benchmarks.running import ROOT, run
from tools.atomic_files import write_bytes
from tools.report.report import Table

__all__ = [
    "corona",
    "deepem",
    "distillation",
    "emission_measure",
    "emission_networks",
    "intervals",
]

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
    """Train our networks anew; what ships is not touched."""
    sizes = [_trained(_TRAIN, ("--size", size), folder) for size in ("accurate", "fast")]
    return [line for lines in sizes for line in lines]


def deepem(folder: Path, _: argparse.Namespace) -> list[str]:
    """Train DeepEM anew by its own recipe; what ships is not touched."""
    return _trained(_DEEPEM, ("--teacher", "basis-pursuit"), folder)


def _trained(script: str, options: tuple[str, ...], folder: Path) -> list[str]:
    outcome = run(script, *options, "--output", str(folder / "runs"))
    command = f"python {script} {' '.join(options)}"
    return [f"`{command}`: {outcome.cost}.\n", f"```\n{_without_paths(outcome.text)}\n```\n"]


def distillation(_: Path, __: argparse.Namespace) -> list[str]:
    """Try imitating solvers beside simulated pixels."""
    outcome = run("benchmarks/distillation.py")
    held_out = outcome.json.pop("held out")
    lines = [
        f"`python benchmarks/distillation.py`: {outcome.seconds:.0f} s; "
        + ", ".join(f"{key}: {value}" for key, value in outcome.json.items())
        + ".\n"
    ]
    for place, arms in held_out.items():
        rows = [[arm, *(", ".join(map(str, v)) for v in own.values())] for arm, own in arms.items()]
        lines.append(
            markdown(Table(f"Medians of {place}, one for each seed", ["", "L1", "W1, dex"], rows))
        )
    return lines


def intervals(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Train without random curves, and try finer factors of the intervals."""
    lines, trained, options = [], arguments.smooth, ("--rough-share", "0")
    if not trained:
        lines = _trained(_TRAIN, options, folder)
        (path,) = (folder / "runs").iterdir()
        trained = str(path)
    outcome = run("benchmarks/interval_trials.py", "--run", trained)
    lines.append(
        f"`python benchmarks/interval_trials.py --run RUN`, a run of `python {_TRAIN} "
        f"{' '.join(options)}`: {outcome.seconds:.0f} s.\n"
    )
    return [*lines, listed(outcome.json)]


def _without_paths(text: str) -> str:
    """Leave out the lines that say where files are."""
    return "\n".join(line for line in text.strip().splitlines() if "/" not in line.split(":")[-1])
