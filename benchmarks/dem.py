"""Inversions of simulated maps (synthetic): accuracy in and out of prior, and speed, beside peers.

python benchmarks/dem.py [--network accurate fast] [--deepem RUN] [--large 4096] [--smoke]

Maps of eight families at two noise levels, whose truth is known, and plasma of single temperatures.
The suite's solvers and networks stand beside demregpy, EMToolKit, utu and DeepEM's network where
``make peers`` has installed them, and beside SciPy's HiGHS, which solves the same linear programmes
as basis pursuit. All are given the same response. Slow peers get a part of the pixels, the same
part on which networks are compared with all others, by intervals over blocks of the map.
"""

from __future__ import annotations

import argparse
import json
import logging
import os

from benchmarks.dem_accuracy import LEVELS, accuracy, draw_pixels
from benchmarks.dem_large import time_large_map
from benchmarks.dem_speed import speeds
from benchmarks.dem_ways import collect_ways
from tools.emission_measure.response import RESPONSE_VERSIONS

_SMOKE = {"side": 16, "size": 48, "checked": 20, "slow": 64, "rounds": 2, "share": 0.125}


def main() -> None:
    """Print one JSON line."""
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(json.dumps(compare(arguments)))


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read and check the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--response", default="v10_evenorm_chiantifix", choices=RESPONSE_VERSIONS)
    parser.add_argument("--side", type=int, default=128, help="pixels of a map, for accuracy")
    parser.add_argument("--share", type=float, default=0.125, help="of these, for slow peers")
    parser.add_argument("--size", type=int, default=512, help="pixels of the map for speed")
    parser.add_argument("--slow", type=int, default=4096, help="pixels to time slow peers on")
    parser.add_argument("--checked", type=int, default=2000, help="pixels that HiGHS solves, too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=0, help="pixels of a large map, such as 4096")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="threads")
    parser.add_argument(
        "--network", nargs="*", default=["accurate", "fast"], help="sizes of the suite's network"
    )
    parser.add_argument("--deepem", default="", help="run of the seed's network by its own recipe")
    parser.add_argument("--deepem-weights", default="", help="its published weights, a .pth file")
    parser.add_argument("--peers", default=".peers", help="folder that `make peers` made")
    parser.add_argument("--smoke", action="store_true", help="sizes that only show that it runs")
    arguments = parser.parse_args(argv)
    if arguments.smoke:
        vars(arguments).update(_SMOKE)
    for name in ("side", "size", "slow", "checked", "rounds", "jobs"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    if arguments.side < 16:
        parser.error("--side must be 16 or more: intervals need blocks of 8 x 8 pixels")
    if not 0 < arguments.share <= 1:
        parser.error("--share is a part of the pixels, above 0 and at most 1")
    if arguments.checked < arguments.rounds:
        parser.error("--checked must be no less than --rounds: each round solves a part of them")
    return arguments


def compare(arguments: argparse.Namespace) -> dict:
    """Give all figures, rounded to three digits; ``accuracy`` and ``speeds`` say what they are."""
    ways = collect_ways(arguments)
    pixels = draw_pixels(arguments.side, version=arguments.response, share=arguments.share)
    figures = {
        "response": arguments.response,
        "threads": arguments.jobs,
        "pixels of a map": arguments.side**2,
        "pixels of a map for slow peers": int(pixels.part[: arguments.side**2].sum()),
        **accuracy(pixels, ways, version=arguments.response),
        "speed": {level: speeds(n, ways, arguments) for level, n in LEVELS.items()},
    }
    if arguments.large:
        figures["large map"] = time_large_map(arguments.large, arguments)
    return _rounded(figures)


def _rounded(value):
    """Give numbers of three digits, counts as they are, and None for what is not defined."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, str | bool | int):
        return value
    return float(f"{value:.3g}") if value == value else None


if __name__ == "__main__":
    main()
