"""The flare process does what docs/virtual_sun.md says."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from dataset_models.virtual_sun.parameters import FlareProcessParameters, FlareRates
from dataset_models.virtual_sun.process import simulate_record

PAGE = Path(__file__).parents[3] / "docs" / "virtual_sun.md"


@pytest.fixture(scope="module")
def record():
    return simulate_record(FlareProcessParameters(), years=4, seed=8)


def test_parameters_equal_the_frozen_table_of_the_docs():
    rows = re.findall(r"^\| (\w+) \| ([0-9.e-]+) \|", PAGE.read_text(), flags=re.MULTILINE)
    table = {name: float(value) for name, value in rows}
    parameters = FlareProcessParameters()
    assert table == {f.name: getattr(parameters, f.name) for f in fields(parameters)}


def test_same_seed_gives_the_same_record_and_another_seed_another(record):
    again = simulate_record(FlareProcessParameters(), years=4, seed=8)
    np.testing.assert_array_equal(record.flares.peak_flux, again.flares.peak_flux)
    np.testing.assert_array_equal(record.path_is_primed, again.path_is_primed)
    other = simulate_record(FlareProcessParameters(), years=4, seed=9)
    assert len(other.flares.hour) != len(record.flares.hour)


def test_a_record_without_years_is_refused():
    with pytest.raises(ValueError, match="positive number of years"):
        simulate_record(FlareProcessParameters(), years=0, seed=1)


def test_regions_turn_one_cell_an_hour_and_are_visible_for_half_a_rotation():
    rates = FlareRates(FlareProcessParameters())
    cells = np.arange(655)
    assert rates.is_in_front(cells).sum() == 327  # 327.5 of 655 cells lie within 90 degrees
    assert rates.longitude_deg(327) == 0
    np.testing.assert_allclose(np.diff(rates.longitude_deg(cells)), 360 / 655)


def test_visible_flares_are_those_within_ninety_degrees(record):
    visible = record.visible_flares()
    longitude = record.rates.longitude_deg(record.longitude_cell(visible.region, visible.hour))
    assert (np.abs(longitude) < 90).all()
    share = len(visible.hour) / len(record.flares.hour)
    assert 0.4 < share < 0.6  # longitudes are uniform; few large regions make it uneven


def test_births_follow_the_stated_rate():
    p = FlareProcessParameters()
    record = simulate_record(p, years=11, seed=2)
    expected = FlareRates(p).births_per_hour(np.arange(record.n_hours)).sum()
    born = ((record.first_hour > 0) & (record.first_hour <= record.n_hours)).sum()
    assert abs(born - expected) < 4 * np.sqrt(expected)  # Poisson


def test_peak_fluxes_follow_the_truncated_power_law(record):
    # largest deviation between drawn and stated exceedance, within 4 binomial standard errors
    rates, size_class = record.rates, 9
    draws = rates.draw_peak_flux(np.full(50_000, size_class), np.random.default_rng(4))
    flux = np.logspace(-6, -4, 9)
    stated = rates.exceedance(flux)[:, size_class]
    seen = (draws[:, None] >= flux).mean(axis=0)
    error = np.sqrt(np.maximum(stated * (1 - stated), 1e-9) / len(draws))
    assert (np.abs(seen - stated) < 4 * error + 1e-12).all()
    assert draws.min() >= 1e-6
    assert draws.max() <= rates.largest_peak_flux[size_class]


def test_exceedance_is_one_at_the_smallest_flux_and_zero_at_the_cut_off():
    rates = FlareRates(FlareProcessParameters())
    np.testing.assert_allclose(rates.exceedance([1e-7, 1e-6]), 1)
    assert rates.exceedance(1e-2).max() == 0


def test_states_at_lists_each_living_region_once(record):
    hours = np.array([0, 500, record.n_hours - 1])
    states = record.states_at(hours)
    for index, hour in enumerate(hours):
        chosen = states.of_sun(index)
        assert len(np.unique(chosen.identity)) == len(chosen.identity) > 0
        np.testing.assert_array_equal(chosen.age_h, hour - record.first_hour[chosen.identity])
    assert states.age_h.min() >= 0
