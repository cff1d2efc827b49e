"""The closed form is held to the process: by enumeration, by brute force and over long records."""

import itertools

import numpy as np
import pytest

from benchmarks.virtual_sun_checks import THRESHOLDS, deviations, frozen_states
from dataset_models.virtual_sun.exact_probability import exact_probabilities
from dataset_models.virtual_sun.parameters import FlareProcessParameters, FlareRates
from dataset_models.virtual_sun.process import RegionStates, simulate_futures, simulate_record

RATES = FlareRates(FlareProcessParameters())


def one_region(size_class, is_primed, *, age_h, cell):
    as_array = [np.array([v]) for v in (0, -1, size_class, age_h, cell, bool(is_primed))]
    return RegionStates(*as_array)


def test_frozen_states_agree_with_simulated_futures():
    # 20 states x 4 thresholds x 20,000 futures; |z| < 4 fails by chance once in 200 runs
    exact, z = deviations(20_000, seed=11)
    assert len(exact) == 20
    assert exact[:, 0].min() < 0.011
    assert exact[:, 0].max() > 0.989
    assert np.nanmax(np.abs(z)) < 4
    limb = [
        np.abs(np.abs(RATES.longitude_deg(states.longitude_cell)) - 90).min() < 7
        for _, states in frozen_states()
    ]
    assert sum(limb) >= 10


@pytest.mark.parametrize(("delay_h", "catch_h"), [(0, 3), (1, 2)])
@pytest.mark.parametrize("cell", [327, 490, 163])  # centre; last cell in front (west); last behind
def test_one_region_equals_an_enumeration_of_its_histories(cell, delay_h, catch_h):
    # Independent of the recursion: sum over all flare, death and state histories of three hours.
    size, age, threshold = 12, 30, 1e-5
    p = FlareProcessParameters(births_per_hour_minimum=0.0, births_per_hour_maximum=0.0)
    rates = FlareRates(p)
    share = rates.exceedance(threshold)[0, size]
    total = 0.0
    for history in itertools.product(range(3), range(2), range(2), repeat=3):
        probability, primed, alive, event = 1.0, 1, True, False
        for hour in range(3):
            flare, dies, switches = history[3 * hour : 3 * hour + 3]
            if not alive:  # a dead region has one history only
                probability *= flare == dies == switches == 0
                continue
            e = rates.flare[age + hour, size, primed]
            probability *= {0: 1 - e, 1: e * (1 - share), 2: e * share}[flare]
            visible = abs((cell + hour) % 655 - 327) * 360 / 655 < 90
            event |= flare == 2 and visible and hour >= delay_h
            death = rates.death[age + hour, size]
            probability *= death if dies else 1 - death
            if primed:
                change = p.discharge_probability if flare else rates.calming
            else:
                change = rates.priming[age + hour, size]
            probability *= change if switches else 1 - change
            primed, alive = primed ^ switches, not dies
        total += probability * event
    states = one_region(size, True, age_h=age, cell=cell)
    exact = exact_probabilities(
        rates, states, [0], thresholds=threshold, delay_h=delay_h, catch_h=catch_h
    )
    np.testing.assert_allclose(exact, [[total]], rtol=1e-12)  # rounding only


def test_births_alone_follow_the_poisson_law():
    # No region on the Sun: P = 1 - exp(-sum beta G); brute force draws the births one by one.
    empty = np.zeros(0, int)
    states = RegionStates(empty, empty, empty, empty, empty, empty > 0)
    p = FlareProcessParameters(births_per_hour_minimum=3.0, births_per_hour_maximum=3.0)
    rates = FlareRates(p)
    exact = exact_probabilities(rates, states, [5], thresholds=1e-6, delay_h=6, catch_h=18)[0, 0]
    futures = simulate_futures(
        rates,
        states,
        hour=5,
        n_hours=24,
        n_futures=20_000,
        generator=np.random.default_rng(3),
    )
    flares = futures.flares.where(futures.is_visible & (futures.flares.hour >= 6))
    seen = len(np.unique(futures.future[flares.region])) / 20_000
    assert 0.05 < exact < 0.95
    assert abs(seen - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)


def test_a_region_behind_the_limb_for_the_whole_window_gives_no_event():
    hidden = one_region(15, True, age_h=100, cell=495)  # turns further away
    p = FlareProcessParameters(births_per_hour_minimum=0.0, births_per_hour_maximum=0.0)
    exact = exact_probabilities(
        FlareRates(p), hidden, [0], thresholds=THRESHOLDS, delay_h=0, catch_h=24
    )
    assert (exact == 0).all()


def test_probability_falls_with_the_threshold_and_grows_with_the_window():
    record = simulate_record(FlareProcessParameters(), years=1, seed=3)
    hours = np.arange(0, record.n_hours, 101)
    states = record.states_at(hours)

    def exact(catch_h):
        return exact_probabilities(
            record.rates, states, hours, thresholds=THRESHOLDS, delay_h=0, catch_h=catch_h
        )

    day, two_days = exact(24), exact(48)
    assert (np.diff(day, axis=1) <= 0).all()
    assert (two_days >= day).all()


def test_windows_in_parts_of_an_hour_are_refused():
    states = one_region(3, False, age_h=1, cell=300)
    with pytest.raises(ValueError, match="whole hours"):
        exact_probabilities(RATES, states, [0], thresholds=1e-6, delay_h=0.5, catch_h=24)
