"""The flare finder against light curves that are drawn by hand."""

import numpy as np

from dataset_models.GOES.flare_finder import find_flares, record_of_minutes
from dataset_models.GOES.flare_record import NEVER_KNOWN


def light_curve(*flares, n=400, background=1e-7):
    """Sum of flares (start, rise in minutes, peak flux, decay time in minutes)."""
    t, flux = np.arange(n, dtype=float), np.full(n, background)
    for start, rise, peak, decay in flares:
        ramp = np.clip((t - start) / rise, 0, 1)
        flux += peak * ramp * np.exp(-np.maximum(t - start - rise, 0) / decay)
    return flux


def test_peak_and_half_decay_of_one_flare():
    flux = light_curve((100, 10, 1e-5, 20))
    found = find_flares(flux)
    assert found.peak.tolist() == [110]
    assert 98 <= found.start[0] <= 101  # first of four rising minutes
    # the end: peak and start level halved, 20 ln 2 = 13.9 minutes after the peak
    assert 123 <= found.end[0] <= 125
    assert found.peak_flux[0] == flux[110]


def test_two_flares_are_told_apart_after_half_decay():
    found = find_flares(light_curve((50, 5, 1e-5, 10), (120, 5, 4e-5, 10)))
    assert found.peak.tolist() == [55, 125]


def test_a_slow_rise_below_forty_percent_is_no_flare():
    t = np.arange(400)
    assert len(find_flares(1e-7 * 1.05 ** np.minimum(t, 100)).peak) == 0


def test_a_gap_ends_a_flare_and_hides_none():
    flux = light_curve((50, 10, 1e-5, 30), (200, 10, 1e-5, 30))
    flux[65:80] = np.nan
    assert find_flares(flux).peak.tolist() == [60, 210]


def test_short_and_empty_curves_hold_no_flare():
    for n in (0, 3, 4):
        assert len(find_flares(np.full(n, 1e-7)).peak) == 0


def test_record_knows_a_minute_when_it_is_over():
    minute = np.datetime64("2014-01-01T00:00:00") + 60 * np.arange(400).astype("timedelta64[s]")
    flux = light_curve((100, 10, 1e-5, 20))
    record = record_of_minutes(minute, flux, class_scale="true", source="test")
    assert str(record.peak_time[0]) == "2014-01-01T01:50:00"
    assert record.flux_time[0] == minute[0] + np.timedelta64(60, "s")
    assert record.label_kind == "flux series"
    # over when half way from peak to start level: 20 ln 2 = 13.9 minutes after the peak
    assert str(record.known_time[0]) == "2014-01-01T02:05:00"


def test_a_flare_is_known_when_it_is_over_or_after_the_gap_that_cut_it_off():
    minute = np.datetime64("2014-01-01T00:00:00") + 60 * np.arange(400).astype("timedelta64[s]")
    flux = light_curve((100, 10, 1e-5, 20))
    flux[115:130] = np.nan
    found = find_flares(flux)
    assert (found.peak[0], found.known[0]) == (110, 130)
    cut = record_of_minutes(minute[:104], flux[:104], class_scale="true", source="test")
    assert cut.peak_time[0] < cut.end < cut.known_time[0] == NEVER_KNOWN


def test_a_record_reaches_from_the_first_to_the_last_good_sample():
    minute = np.datetime64("2014-01-01T00:00:00") + 60 * np.arange(400).astype("timedelta64[s]")
    flux = np.full(400, 1e-7)
    flux[:50] = flux[300:] = np.nan
    record = record_of_minutes(minute, flux, class_scale="true", source="test")
    assert (record.start, record.end) == (minute[50], minute[300])
