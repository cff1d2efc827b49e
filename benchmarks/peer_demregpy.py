"""Inversions by demregpy, in its own environment; run by ``benchmarks/dem.py``.

python benchmarks/peer_demregpy.py GIVEN.npz MADE.npz

The weights ``dem_norm0`` must be given: without them demregpy 0.6.2 stops under NumPy 2 ("SVD did
not converge"). Ones are what its default is meant to be. It takes all cores by itself.
"""

from __future__ import annotations

import numpy as np
from demregpy import dn2dem

from benchmarks.peer_solutions import answer

_FLOOR = 0.05  # sigma: with an odd number of channels that are not positive it gives zeros


def _solve(given: dict, dn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    """Solve as it is, and with a floor under the data."""
    answer(
        lambda _: {
            "demregpy": lambda given: _solve(given, given["dn"]),
            f"demregpy, data at least {_FLOOR} sigma": lambda given: _solve(
                given, np.maximum(given["dn"], _FLOOR * given["sigma"])
            ),
        }
    )


if __name__ == "__main__":
    main()
