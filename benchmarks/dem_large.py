"""Basis pursuit of a map as large as AIA's, in a process of its own, tile by tile.

python benchmarks/dem_large.py DN.npy [--averaged 64] [--response VERSION] [--jobs 2]

DN.npy holds (pixel, 6) float32, DN s-1 pix-1. Prints one JSON line: the time, with a cold graph of
bases in every tile, and the memory of this process with all its results.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from science.dem.inversion_map import TILE_PIXELS

__all__ = ["time_large_map"]


def time_large_map(side: int, arguments: argparse.Namespace) -> dict:
    """Make maps at both noise levels and time their inversion.

    Parameters
    ----------
    side : int
        Pixels.
    arguments : argparse.Namespace
        ``response`` and ``jobs``.
    """
    from benchmarks.dem_accuracy import LEVELS
    from benchmarks.dem_speed import draw_large_map

    out = {"pixels along a side": side}
    for level, n_averaged in LEVELS.items():
        with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
            path = Path(folder) / "dn.npy"
            np.save(path, draw_large_map(side, n_averaged, version=arguments.response, seed=71)[0])
            command = [sys.executable, __file__, str(path), "--averaged", str(n_averaged)]
            command += ["--response", arguments.response, "--jobs", str(arguments.jobs)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        out[level] = json.loads(done.stdout.strip().splitlines()[-1])
    return out


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dn", help=".npy of (pixel, 6) float32, DN s-1 pix-1")
    parser.add_argument("--averaged", type=int, default=64, help="pixels averaged")
    parser.add_argument("--response", default="v10_evenorm_chiantifix")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    print(json.dumps(_time(np.load(arguments.dn, mmap_mode="r"), arguments)))


def _time(dn: np.ndarray, arguments: argparse.Namespace) -> dict:
    from tools.emission_measure.families import LOG_T_EDGES
    from tools.emission_measure.inversion import invert
    from tools.emission_measure.noise import aia_noise
    from tools.emission_measure.response import RESPONSE_CHANNELS, bin_response

    response = bin_response(LOG_T_EDGES, version=arguments.response)

    def solve(part: slice):
        sigma = aia_noise(dn[part], RESPONSE_CHANNELS, pixels_averaged=arguments.averaged)
        return invert(dn[part], sigma, response, LOG_T_EDGES, n_jobs=arguments.jobs)

    solve(slice(0, 64))  # compiled
    em = np.empty((len(dn), response.shape[1]), np.float32)
    chi2, status = np.empty(len(dn), np.float32), np.empty(len(dn), np.uint8)
    start = time.perf_counter()
    for first in range(0, len(dn), TILE_PIXELS):
        part = slice(first, first + TILE_PIXELS)
        found = solve(part)
        em[part], chi2[part], status[part] = found.em, found.chi2, found.status
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "pixels/s": len(dn) / seconds,
        "largest memory, MiB": _peak_mib(),
        "solved": float(np.mean(status == 0)),
    }


def _peak_mib() -> float:
    """Give the largest memory of this program; getrusage counts the parent's before it began."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
