"""No input knows more of a light curve than what was measured by its issue time."""

import numpy as np
import pytest

from dataset_models.GOES.alteration import altered_after
from dataset_models.GOES.flare_finder import record_of_minutes
from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow
from dataset_models.virtual_sun.flux_series import virtual_flux_record
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from network_models.xray_flux_forecast.baselines import four_features

HOUR, MINUTE = np.timedelta64(3600, "s"), np.timedelta64(60, "s")
T0 = np.datetime64("2015-01-01T00:00:00")
WINDOW = HistoryWindow(history_h=24)
ISSUE = T0 + 60 * HOUR


def record_until(flux, minutes):
    minute = T0 + 60 * np.arange(minutes).astype("timedelta64[s]")
    return record_of_minutes(minute, flux[:minutes], class_scale="true", source="test")


def flare_at(minute):
    flux = np.full(6 * 1440, 5e-7)
    flux[minute - 8 : minute + 1] = np.geomspace(5e-7, 1e-4, 9)
    flux[minute : minute + 60] = np.maximum(1e-4 * np.exp(-np.arange(60) / 10), 5e-7)
    return flux


def history(record):
    return FlareHistory(record, WINDOW, times=np.array([ISSUE]), need_label=False)


@pytest.mark.parametrize("minutes_after_issue", [-30, -7, -6, -1, 0, 1, 3, 8])
def test_the_history_is_the_same_whether_or_not_the_future_is_in_the_file(minutes_after_issue):
    # a flare whose peak minute begins at the issue time is measured after it; one that still
    # rises at the issue time has no peak yet
    flux = flare_at(60 * 60 + minutes_after_issue)
    whole, cut = (history(record_until(flux, n)) for n in (len(flux), 60 * 60))
    rows = np.array([0])
    np.testing.assert_array_equal(
        whole.read(rows)["flare_history"], cut.read(rows)["flare_history"]
    )
    np.testing.assert_array_equal(four_features(whole), four_features(cut))
    held = whole.read(rows)["flare_history"][0, :, 0].max()
    assert held == (np.float32(1e-4) if minutes_after_issue < -7 else 0)


def test_the_audit_sees_a_history_that_holds_flares_at_their_peak(generator):
    flux = flare_at(60 * 60 + 3)
    record = record_until(flux, len(flux))
    object.__setattr__(record, "known_time", record.peak_time - 5 * MINUTE)
    span = {"before": 24 * HOUR, "after": 24 * HOUR}
    altered = altered_after(record, ISSUE, generator, **span)
    first, second = (history(r).read(np.array([0]))["flare_history"] for r in (record, altered))
    assert not np.array_equal(first, second)


def test_virtual_light_curves_give_causal_inputs_wherever_they_are_cut():
    virtual = simulate_record(FlareProcessParameters(), years=0.5, seed=3)
    record = virtual_flux_record(virtual)
    dataset = FlareHistory(record, HistoryWindow(history_h=48, cadence_h=7))
    for row in range(0, len(dataset.table), 9):
        original, altered = dataset.read(np.array([row])), dataset.read_altered(row, seed=row)
        np.testing.assert_array_equal(original["flare_history"], altered["flare_history"])
        assert original["log10_peak_flux"] != altered["log10_peak_flux"]
