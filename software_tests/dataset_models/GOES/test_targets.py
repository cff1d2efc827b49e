"""Targets: the window is open at its start, closed at its end, and undefined in gaps."""

import numpy as np
import pytest

from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.GOES.targets import window_flux, window_maximum

T0 = np.datetime64("2012-01-01T00:00:00")
HOUR = np.timedelta64(3600, "s")


def record(hours, fluxes, *, gaps=(), series=None, end_h=100):
    extra = {}
    if series is not None:
        time = T0 + (np.arange(len(series)) + 1) * np.timedelta64(60, "s")
        extra = {"flux_time": time, "flux": np.asarray(series, float)}
    return FlareRecord(
        peak_time=T0 + (np.asarray(hours, float) * 3600).astype("timedelta64[s]"),
        peak_flux=np.asarray(fluxes, float),
        region=np.zeros(len(hours), int),
        start=T0,
        end=T0 + end_h * HOUR,
        class_scale="true",
        source="test",
        gaps=np.array([[T0 + a * HOUR, T0 + b * HOUR] for a, b in gaps], "datetime64[s]").reshape(
            -1, 2
        ),
        **extra,
    )


@pytest.mark.parametrize(
    ("peak_h", "inside"), [(10, False), (10 + 1 / 60, True), (34, True), (34 + 1 / 60, False)]
)
def test_borders_of_the_window(peak_h, inside):
    flux = window_flux(
        record([peak_h], [1e-5]), np.array([T0 + 8 * HOUR]), delay=2 * HOUR, catch=24 * HOUR
    )
    assert flux[0] == (1e-5 if inside else 0)


def test_the_largest_flux_of_each_window_by_brute_force(generator):
    hours = np.sort(generator.uniform(0, 100, 60))
    fluxes = 10 ** generator.uniform(-7, -4, 60)
    times = T0 + np.arange(0, 70, 3) * HOUR
    got = window_flux(record(hours, fluxes), times, delay=5 * HOUR, catch=24 * HOUR)
    for t, flux in zip(np.arange(0, 70, 3), got, strict=True):
        inside = (hours > t + 5) & (hours <= t + 29)
        assert flux == (fluxes[inside].max() if inside.any() else 0)


def test_windows_are_undefined_in_gaps_and_beyond_the_record():
    times = T0 + np.array([0, 20, 40, 70, 80]) * HOUR
    flux = window_flux(
        record([30, 45], [1e-5, 1e-6], gaps=[(50, 52)]), times, delay=0 * HOUR, catch=24 * HOUR
    )
    # 0-24 quiet, 20-44 the first flare, 40-64 touches the gap, 70-94 quiet, 80-104 past the end
    np.testing.assert_array_equal(flux, [0, 1e-5, np.nan, 0, np.nan])


def test_labels_from_a_light_curve_count_the_background():
    series = np.full(100 * 60, 3e-7)
    series[30 * 60 : 30 * 60 + 20] = 4e-6
    times = T0 + np.array([0, 20]) * HOUR
    flux = window_flux(record([], [], series=series), times, delay=0 * HOUR, catch=24 * HOUR)
    np.testing.assert_allclose(flux, [3e-7, 4e-6])


def test_empty_series_give_undefined_maxima():
    empty = np.array([], "datetime64[s]")
    got = window_maximum(empty, np.array([]), np.array([T0]), delay=0 * HOUR, catch=HOUR)
    assert np.isnan(got).all()


@pytest.mark.parametrize(("delay", "catch"), [(-1, 24), (0, 0)])
def test_impossible_windows_are_refused(delay, catch):
    with pytest.raises(ValueError, match="delay of 0 or more"):
        window_flux(record([], []), np.array([T0]), delay=delay * HOUR, catch=catch * HOUR)
