"""Inversions by demregpy, in its own environment; run by ``benchmarks/dem.py``.

python benchmarks/peer_demregpy.py GIVEN.npz MADE.npz

The weights ``dem_norm0`` must be given: without them demregpy 0.6.2 stops under NumPy 2 ("SVD did
not converge"). Ones are what its default is meant to be. It takes all cores by itself.
"""

from __future__ import annotations

import numpy as np
from demregpy import dn2dem

from benchmarks.peer_solutions import answer


def _solve(given: dict) -> tuple[np.ndarray, np.ndarray]:
    dn = given["dn"]
    if "floor" in given:  # in sigma; data of which an odd number is not positive give zeros
        dn = np.maximum(dn, given["floor"] * given["sigma"])
    edges = given["log_temperature_edges"]
    kelvin = 10.0**edges
    ones = np.ones((len(dn), len(edges) - 1))
    dem, error, *_ = dn2dem(
        dn,
        given["sigma"],
        given["response"].T,
        (edges[:-1] + edges[1:]) / 2,
        kelvin,
        dem_norm0=ones,
    )
    return dem * np.diff(kelvin), error * np.diff(kelvin)  # per K to per bin


def main() -> None:
    """Solve, with a floor under the data where one is given."""
    answer(_solve)


if __name__ == "__main__":
    main()
