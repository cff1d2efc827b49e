"""The virtual light curve, its simulated limit, and the wall between the two kinds of label."""

import numpy as np
import pytest

from benchmarks.virtual_sun_checks import brier_agreement
from dataset_models.GOES.flare_record import FLARE_PEAKS, FLUX_SERIES
from dataset_models.GOES.targets import window_flux
from dataset_models.virtual_sun.flux_series import (
    QUIET_SUN_FLUX,
    simulated_exceedances,
    virtual_flux,
    virtual_flux_record,
)
from dataset_models.virtual_sun.limit import ForecastLimit
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START, hour_of_time, virtual_flare_record

HOUR = np.timedelta64(3600, "s")
DAY_WINDOW = {"delay": 0 * HOUR, "catch": 24 * HOUR}


@pytest.fixture(scope="module")
def virtual():
    return simulate_record(FlareProcessParameters(), years=4, seed=21)


@pytest.fixture(scope="module")
def flux_record(virtual):
    return virtual_flux_record(virtual)


def test_the_curve_holds_every_visible_flare_at_its_peak(virtual, flux_record):
    flares = virtual.visible_flares()
    minute = flares.hour * 60 + flares.minute
    assert (flux_record.flux[minute - 1] >= flares.peak_flux).all()
    assert flux_record.flux.min() >= QUIET_SUN_FLUX


def test_any_part_of_the_curve_equals_the_whole(virtual, flux_record):
    part = virtual_flux(virtual, 5000, 48)
    np.testing.assert_allclose(part, flux_record.flux[5000 * 60 : 5048 * 60], rtol=1e-12)


def test_flares_are_found_again_by_the_rule_for_real_light_curves(virtual, flux_record):
    large = virtual.visible_flares()
    large = large.where(large.peak_flux > 1e-5)
    truth = VIRTUAL_START + (large.hour * 60 + large.minute) * np.timedelta64(60, "s")
    found = flux_record.peak_time[flux_record.peak_flux > 1e-5] + np.timedelta64(60, "s")
    distance = np.abs(truth[:, None] - found).min(axis=1)
    # some large flares hide in the decay of a larger one
    assert (distance <= np.timedelta64(120, "s")).mean() > 0.9


def test_labels_from_the_curve_are_above_those_from_peaks(virtual, flux_record):
    times = VIRTUAL_START + np.arange(100, 20_000, 97) * HOUR
    peaks = window_flux(virtual_flare_record(virtual), times, **DAY_WINDOW)
    curve = window_flux(flux_record, times, **DAY_WINDOW)
    assert (curve > peaks).all()  # the background is never nothing


def test_the_simulated_limit_is_calibrated(virtual, flux_record):
    hours = np.arange(1000, virtual.n_hours - 30, 50)
    levels = np.array([1e-6, 1e-5])
    p = simulated_exceedances(
        virtual, hours, fluxes=levels, delay_h=0, catch_h=24, n_futures=100, seed=3
    )
    flux = window_flux(flux_record, VIRTUAL_START + hours * HOUR, **DAY_WINDOW)
    for k, level in enumerate(levels):
        came = flux >= level
        error = (p[:, k] - came).mean()
        # windows 50 h apart are nearly independent; 5 standard errors
        assert abs(error) < 5 * np.sqrt((p[:, k] * (1 - p[:, k])).mean() / len(hours))
        brier, expected = ((p[:, k] - came) ** 2).mean(), (p[:, k] * (1 - p[:, k])).mean()
        assert brier == pytest.approx(expected * (1 + 1 / 100), rel=0.25)


def test_simulated_limits_are_reproducible(virtual):
    given = {"fluxes": np.array([1e-6]), "delay_h": 2, "catch_h": 6, "n_futures": 20, "seed": 5}
    first = simulated_exceedances(virtual, np.array([900, 901]), **given)
    again = simulated_exceedances(virtual, np.array([901]), **given)
    assert first[1] == again[0]


def test_limits_of_one_kind_refuse_labels_of_the_other(virtual, flux_record):
    times = VIRTUAL_START + np.array([500]) * HOUR
    wanted = {"fluxes": np.array([1e-6]), "delay_h": 0, "catch_h": 24}
    exact = ForecastLimit(virtual, FLARE_PEAKS)
    simulated = ForecastLimit(virtual, FLUX_SERIES, n_futures=10)
    assert (exact.name, simulated.name) == ("exact", "simulated")
    with pytest.raises(ValueError, match="must not be mixed"):
        exact.exceedances(flux_record, times, **wanted)
    with pytest.raises(ValueError, match="must not be mixed"):
        simulated.exceedances(virtual_flare_record(virtual), times, **wanted)
    assert exact.exceedances(virtual_flare_record(virtual), times, **wanted).shape == (1, 1)
    assert simulated.exceedances(flux_record, times, **wanted).shape == (1, 1)


def test_the_list_holds_the_visible_flares_on_a_calendar_of_its_own(virtual):
    record = virtual_flare_record(virtual)
    assert len(record.peak_time) == len(virtual.visible_flares().hour)
    assert record.start == VIRTUAL_START > np.datetime64("2100-01-01")
    assert "synthetic" in record.source
    assert hour_of_time(np.array([VIRTUAL_START + 5 * HOUR])).tolist() == [5]
    with pytest.raises(ValueError, match="full hours"):
        hour_of_time(np.array([VIRTUAL_START + np.timedelta64(60, "s")]))


def test_expected_and_realised_brier_agree_over_fifty_years():
    # 50 virtual years of the demo's Sun at 12 h: realised minus expected Brier score of the exact
    # probability has mean 0, so its block-bootstrap interval must hold 0 (19 times out of 20: of
    # 80 other seeds 3 intervals for C1 and 4 for M1 missed it)
    assert all(event["agree"] for event in brier_agreement(50, seed=1).values())
