"""Hold the exact probability to the flare process, and the virtual Sun beside the real one.

python benchmarks/virtual_sun_checks.py [--flares FLARES.csv]
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset_models.GOES.flare_list import read_flare_list
from dataset_models.GOES.flare_record import FLARE_PEAKS, FlareRecord
from dataset_models.GOES.targets import window_flux
from dataset_models.virtual_sun.exact_probability import exact_probabilities
from dataset_models.virtual_sun.limit import ForecastLimit
from dataset_models.virtual_sun.parameters import FlareProcessParameters, FlareRates
from dataset_models.virtual_sun.process import RegionStates, simulate_futures, simulate_record
from dataset_models.virtual_sun.record import virtual_flare_record
from tools.bootstrap import BlockBootstrap, interval
from tools.score_card import EVENTS

STATES = Path(__file__).with_name("frozen_states.csv")
THRESHOLDS = np.array(list(EVENTS.values()))
_HOUR = np.timedelta64(3600, "s")
_FEWEST_EXPECTED = 20  # below it the binomial is not normal enough for a z


def frozen_states() -> Iterator[tuple[int, RegionStates]]:
    """Give (hour, states) of the 20 frozen Suns."""
    with open(STATES, newline="") as file:
        rows = np.array([[int(v) for v in row.values()] for row in csv.DictReader(file)])
    for state in np.unique(rows[:, 0]):
        _, hour, size_class, age_h, cell, primed = rows[rows[:, 0] == state].T
        empty = np.zeros(len(hour), int)
        yield int(hour[0]), RegionStates(empty, empty - 1, size_class, age_h, cell, primed > 0)


def deviations(n_futures: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate futures of the frozen states; give exact probabilities and z, (state, event)."""
    rates, generator = FlareRates(FlareProcessParameters()), np.random.default_rng(seed)
    exact, z = [], []
    for hour, states in frozen_states():
        p = exact_probabilities(
            rates, states, [hour], thresholds=THRESHOLDS, delay_h=0, catch_h=24
        )[0]
        futures = simulate_futures(
            rates, states, hour=hour, n_hours=24, n_futures=n_futures, generator=generator
        )
        peak, flares = np.zeros(n_futures), futures.flares.where(futures.is_visible)
        np.maximum.at(peak, futures.future[flares.region], flares.peak_flux)
        seen = (peak[:, None] >= THRESHOLDS).mean(axis=0)
        deviation = (seen - p) / np.sqrt(p * (1 - p) / n_futures)
        exact.append(p)
        z.append(np.where(p * n_futures > _FEWEST_EXPECTED, deviation, np.nan))
    return np.array(exact), np.array(z)


def brier_agreement(years: float, seed: int) -> dict:
    """Compare realised and expected Brier scores of the exact probability over virtual years."""
    virtual = simulate_record(FlareProcessParameters(), years=years, seed=seed)
    record = virtual_flare_record(virtual)
    times = np.arange(record.start + 24 * _HOUR, record.end - 24 * _HOUR, 12 * _HOUR)
    p = ForecastLimit(virtual, FLARE_PEAKS).exceedances(
        record, times, fluxes=THRESHOLDS[:2], delay_h=0, catch_h=24
    )
    flux = window_flux(record, times, delay=0 * _HOUR, catch=24 * _HOUR)
    bootstrap = BlockBootstrap(times, generator=np.random.default_rng(0))
    out = {}
    for k, event in enumerate(list(EVENTS)[:2]):
        came = flux >= THRESHOLDS[k]
        realised, expected = (p[:, k] - came) ** 2, p[:, k] * (1 - p[:, k])
        low, high = interval(bootstrap.mean(realised - expected))
        out[event] = {
            "expected": round(float(expected.mean()), 5),
            "realised": round(float(realised.mean()), 5),
            "difference interval": [round(low, 5), round(high, 5)],
            "agree": bool(low < 0 < high),
        }
    return out


def base_rates(record: FlareRecord, first: np.datetime64) -> dict[str, float]:
    """Give the share of 24 h windows with each event, every 12 h from ``first`` on."""
    times = np.arange(first, record.end - 24 * _HOUR, 12 * _HOUR)
    flux = window_flux(record, times, delay=0 * _HOUR, catch=24 * _HOUR)
    return {event: round(float((flux >= level).mean()), 4) for event, level in EVENTS.items()}


def main() -> None:
    """Run all checks and print them as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flares", default="", help="GOES event list for the real base rates")
    arguments = parser.parse_args()
    exact, z = deviations(20_000, seed=11)
    virtual = virtual_flare_record(simulate_record(FlareProcessParameters(), years=110, seed=5))
    figures = {
        "states": len(exact),
        "futures each": 20_000,
        "P(>=C1) from": round(float(exact[:, 0].min()), 4),
        "P(>=C1) to": round(float(exact[:, 0].max()), 4),
        "largest |z|": round(float(np.nanmax(np.abs(z))), 2),
        "Brier score over 50 virtual years": brier_agreement(50, seed=1),
        "base rates of 24 h, virtual Sun, 110 years": base_rates(virtual, virtual.start),
    }
    if arguments.flares:
        real = read_flare_list(arguments.flares)
        rates = base_rates(real, np.datetime64("2010-05-10T00:00:00"))
        figures["base rates of 24 h, real Sun, 2010-05-10 to 2018"] = rates
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
