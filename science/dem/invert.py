"""Invert six AIA channels to the emission measure of every pixel.

    python science/dem/invert.py FILES... [--method METHOD] [--output OUT.fits]

FILES are six FITS files of one time and pointing, one of each of 94, 131, 171, 193, 211 and 335
angstrom, in any order; or one .npy array (6, y, x) in DN s-1 pix-1, which gives an .npy array (bin,
y, x) in cm-5, too. Writes a FITS file with the emission measure, its errors, chi2, a status for
every pixel, and the channels that it gives; and figures beside it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

logger = logging.getLogger(__name__)

_TILE_PIXELS = 1 << 19
_NEWS_S = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Invert and give the exit status."""
    with quiet_start():
        from tools.emission_measure.inversion import METHODS
        from tools.emission_measure.response import RESPONSE_VERSIONS

    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILES", help="six FITS files, or one .npy")
    parser.add_argument("--method", default="basis-pursuit", choices=METHODS)
    parser.add_argument("--response", default="v10_evenorm_chiantifix", choices=RESPONSE_VERSIONS)
    parser.add_argument("--lowest", type=float, default=5.45, help="log T of the first edge")
    parser.add_argument("--highest", type=float, default=7.25, help="log T of the last edge")
    parser.add_argument("--step", type=float, default=0.1, help="width of a bin, dex")
    parser.add_argument("--spread", type=float, default=60.0, help="seconds between the files")
    parser.add_argument(
        "--degradation-corrected",
        action="store_true",
        help="the files were corrected for AIA's loss of throughput before",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="threads")
    parser.add_argument("--output", default="emission_measure.fits", help="FITS file to write")
    arguments = parser.parse_args(argv)
    edges = _edges(arguments)
    if arguments.jobs < 1:
        raise ValueError("--jobs must be 1 or more")
    from dataset_models.SDO.AIA.six_channels import read_six_arrays, read_six_images

    if len(arguments.files) == 1 and arguments.files[0].endswith(".npy"):
        given = read_six_arrays(arguments.files[0])
    else:
        given = read_six_images(
            arguments.files,
            largest_spread_s=arguments.spread,
            degradation_corrected=arguments.degradation_corrected,
        )
    _invert(given, edges, arguments)
    return 0


def _edges(arguments: argparse.Namespace) -> np.ndarray:
    """Give the edges of the bins."""
    low, high, step = arguments.lowest, arguments.highest, arguments.step
    if not (4.0 <= low < high <= 9.0 and 0.02 <= step <= 0.5):
        raise ValueError(
            "expected 4 <= --lowest < --highest <= 9 (log10 of K) and a --step of 0.02 to 0.5"
        )
    n = round((high - low) / step)
    if n < 4 or abs(n * step - (high - low)) > 1e-6:
        raise ValueError(f"{high - low:g} dex are no whole number (4 or more) of bins of {step:g}")
    if n > 30:
        raise ValueError(f"{n} bins are more than six channels can tell apart; at most 30")
    return low + step * np.arange(n + 1)


def _invert(given, edges: np.ndarray, arguments: argparse.Namespace) -> None:
    """Invert tile by tile into the file, then draw."""
    from science.dem.cube import open_cube
    from tools.emission_measure.inversion import invert
    from tools.emission_measure.response import bin_response
    from tools.emission_measure.status import STATUS_TEXT

    response = bin_response(edges, version=arguments.response)
    height, width = given.dn.shape[:2]
    rows = max(_TILE_PIXELS // width, 1)
    output = Path(arguments.output)
    header = {
        "METHOD": arguments.method,
        "RESPONSE": arguments.response,
        "QUANTITY": "emission measure in each bin of log10 T (not per K)",
        "DATE-OBS": given.time or "unknown",
    }
    counts = np.zeros(256, int)
    start = shown = time.monotonic()
    with open_cube(output, (height, width), edges, wcs=given.wcs, header=header) as arrays:
        for first in range(0, height, rows):
            part = slice(first, min(first + rows, height))
            found = invert(
                given.dn[part],
                given.sigma[part],
                response,
                edges,
                method=arguments.method,
                n_jobs=arguments.jobs,
                saturated=given.saturated[part],
            )
            arrays["em"][:, part] = np.moveaxis(found.em, -1, 0)
            arrays["error"][:, part] = np.moveaxis(found.error, -1, 0)
            arrays["chi2"][part], arrays["status"][part] = found.chi2, found.status
            arrays["model"][:, part] = np.moveaxis(found.model, -1, 0)
            arrays["observed"][:, part] = np.moveaxis(given.dn[part], -1, 0)
            counts += np.bincount(found.status.ravel(), minlength=256)
            now = time.monotonic()
            if now - shown > _NEWS_S and part.stop < height:
                shown = now
                left = (now - start) / part.stop * (height - part.stop)
                logger.info("  %d of %d rows; %.0f s left", part.stop, height, left)
        seconds = time.monotonic() - start
        _draw(arrays, edges, output, arguments)
        if not given.wcs:
            _write_array(output.with_suffix(".npy"), arrays["em"])
    n = height * width
    print(f"{n} pixels in {seconds:.1f} s ({n / max(seconds, 1e-9):,.0f} pixels/s)")
    for code in np.flatnonzero(counts):
        print(f"  {100 * counts[code] / n:5.1f} % {STATUS_TEXT[int(code)]}")
    print(f"Emission measure: {output}")


def _draw(arrays: dict, edges: np.ndarray, output: Path, arguments: argparse.Namespace) -> None:
    """Write the figures, of every few pixels of a large map."""
    from tools.emission_measure.response import RESPONSE_CHANNELS
    from tools.plotting.dem import plot_bins, plot_channels, plot_mean_curve
    from tools.plotting.style import save_figure

    every = max(arrays["chi2"].shape[0] // 512, 1)
    em, model, observed = (
        np.array(arrays[name][:, ::every, ::every], float) for name in ("em", "model", "observed")
    )
    solved = np.array(arrays["status"][::every, ::every]) <= 1
    title = f"{output.name}, {arguments.method}, response {arguments.response}"
    stem = output.with_suffix("")
    save_figure(plot_bins(em, edges, title=title), Path(f"{stem}_bins.png"))
    figure = plot_channels(observed, model, RESPONSE_CHANNELS, title=title)
    save_figure(figure, Path(f"{stem}_channels.png"))
    if solved.any():
        curve = plot_mean_curve({arguments.method: em[:, solved].mean(axis=1)}, edges)
        save_figure(curve, Path(f"{stem}_mean.png"))


def _write_array(path: Path, em: np.ndarray) -> None:
    """Write the (bin, y, x) array in one step."""
    import io

    from tools.atomic_files import write_bytes

    buffer = io.BytesIO()
    np.save(buffer, np.asarray(em, np.float32))
    write_bytes(path, buffer.getbuffer())


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
