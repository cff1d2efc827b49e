"""The exact probability beside simulation: time for 200 issue times and four classes.

The simulation draws as many futures as a standard error of 0.01 at p = 0.5 takes (2,500).
"""

from __future__ import annotations

import json

import numpy as np

from benchmarks.timing import side_by_side
from dataset_models.virtual_sun.exact_probability import exact_probabilities
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_futures, simulate_record
from tools.score_card import EVENTS


def main() -> None:
    """Print one JSON line."""
    virtual = simulate_record(FlareProcessParameters(), years=11, seed=1)
    hours = np.linspace(100, virtual.n_hours - 100, 200).astype(int)
    states, generator = virtual.states_at(hours), np.random.default_rng(0)

    def exact() -> None:
        thresholds = np.array(list(EVENTS.values()))
        exact_probabilities(
            virtual.rates, states, hours, thresholds=thresholds, delay_h=0, catch_h=24
        )

    def simulation() -> None:
        for row, hour in enumerate(hours):
            simulate_futures(
                virtual.rates,
                states.of_sun(row),
                hour=int(hour),
                n_hours=24,
                n_futures=2500,
                generator=generator,
            )

    figures = side_by_side({"exact": exact, "simulation": simulation}, rounds=3)
    print(json.dumps({"200 issue times": figures}))


if __name__ == "__main__":
    main()
