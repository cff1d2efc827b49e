"""Inversions by EMToolKit, in its own environment; run by ``benchmarks/dem.py``.

python benchmarks/peer_emtoolkit.py GIVEN.npz MADE.npz
"""

from __future__ import annotations

import numpy as np
from EMToolKit.algorithms.simple_reg_dem import simple_reg_dem

from benchmarks.peer_solutions import answer, bins_of_nodes


def _solve(given: dict) -> np.ndarray:
    edges = given["log_temperature_edges"]
    middles = (edges[:-1] + edges[1:]) / 2
    seconds = np.ones(given["dn"].shape[1])  # data and response are per second already
    with np.errstate(all="ignore"):
        per_dex, _ = simple_reg_dem(
            given["dn"][:, None], given["sigma"][:, None], seconds, middles, given["response"].T
        )
    return bins_of_nodes(per_dex[:, 0], middles[1] - middles[0])


def main() -> None:
    """Solve by its port of Plowman & Caspi's method, on one core."""
    answer(_solve)


if __name__ == "__main__":
    main()
