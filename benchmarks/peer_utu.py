"""Inversions by utu, in its own environment; run by ``benchmarks/dem.py``.

NUMBA_NUM_THREADS=2 python benchmarks/peer_utu.py GIVEN.npz MADE.npz
"""

from __future__ import annotations

import astropy.units as u
import named_arrays as na
import numpy as np
import utu

from benchmarks.peer_solutions import answer, bins_of_nodes

_DATA, _RESPONSE = u.DN / u.s, u.DN * u.cm**5 / u.s


def _solve(given: dict) -> np.ndarray:
    edges = given["log_temperature_edges"]
    middles = (edges[:-1] + edges[1:]) / 2
    response = na.FunctionArray(
        inputs=na.ScalarArray(10.0**middles * u.K, axes="temperature"),
        outputs=na.ScalarArray(given["response"] * _RESPONSE, axes=("channel", "temperature")),
    )
    per_dex, _ = utu.dem.plowman(
        intensity=na.ScalarArray(given["dn"] * _DATA, axes=("pixel", "channel")),
        uncertainty=na.ScalarArray(given["sigma"] * _DATA, axes=("pixel", "channel")),
        response=response,
        axis_channel="channel",
        axis_temperature="temperature",
    )
    values = per_dex.outputs.ndarray_aligned(("pixel", "temperature")).to_value(u.cm**-5)
    return bins_of_nodes(values, middles[1] - middles[0])


def main() -> None:
    """Solve by its compiled version of Plowman & Caspi's method."""
    answer(_solve)


if __name__ == "__main__":
    main()
