"""What the peers' scripts for inversions share: read the pixels, solve, time, write.

Runs in the peers' environments, so it needs NumPy alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

__all__ = ["answer", "bins_of_nodes"]

_WARM_UP = 32  # pixels that are solved untimed first: compilers, imports


def answer(solve: Callable[[dict], np.ndarray | tuple[np.ndarray, np.ndarray]]) -> None:
    """Solve what lies in the first file on the command line into the second.

    Parameters
    ----------
    solve : function
        Takes a dictionary of ``dn`` and ``sigma`` (pixel, channel), DN s-1 pix-1; ``response``
        (channel, bin), DN cm5 s-1 pix-1; ``log_temperature_edges`` (bin + 1,); ``threads`` and
        options. Gives emission measure per bin, cm-5, (pixel, bin), or that and its error.
    """
    with np.load(sys.argv[1]) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    solve(dict(given, dn=given["dn"][:_WARM_UP], sigma=given["sigma"][:_WARM_UP]))
    start = time.perf_counter()
    found = solve(given)
    made = {"seconds": np.array(time.perf_counter() - start)}
    made |= dict(
        zip(("em", "error"), found if isinstance(found, tuple) else (found,), strict=False)
    )
    np.savez(sys.argv[2], **made)


def bins_of_nodes(per_dex: np.ndarray, step: float) -> np.ndarray:
    """Give the emission measure in bins about the nodes of an even grid.

    Parameters
    ----------
    per_dex : (pixel, bin) float
        At the middles of the bins, cm-5 dex-1, and linear between them; 0 outside the nodes.
    step : float
        Between the nodes, dex.

    Returns
    -------
    (pixel, bin) float64
        cm-5.
    """
    left, right = np.zeros_like(per_dex), np.zeros_like(per_dex)
    left[:, 1:] = 3 * per_dex[:, 1:] + per_dex[:, :-1]
    right[:, :-1] = 3 * per_dex[:, :-1] + per_dex[:, 1:]
    return (left + right) * step / 8
