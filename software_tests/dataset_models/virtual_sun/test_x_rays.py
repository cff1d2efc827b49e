"""X-ray fluxes of the virtual plasma: those of the labels, and those of what the images show."""

from dataclasses import replace

import numpy as np
import pytest

from dataset_models.GOES.side_columns import CURRENT_FLUX, current_flux
from dataset_models.virtual_sun.corona import SUN_RADIUS_CM, VirtualCorona
from dataset_models.virtual_sun.flux_series import virtual_flux_record
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.plasma import LOG_T_EDGES, flare_emission_measure, goes_gain
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record
from dataset_models.virtual_sun.x_rays import VirtualXRays
from tools.physics.goes_response import goes_flux

HOUR = np.timedelta64(3600, "s")


@pytest.fixture(scope="module")
def virtual():
    return simulate_record(FlareProcessParameters(), years=3.0, seed=4)


@pytest.fixture(scope="module")
def x_rays(virtual):
    return VirtualXRays(virtual)


def largest_flare(virtual):
    flares = virtual.visible_flares()
    after = flares.hour > 48
    return flares.where(after & (flares.peak_flux == flares.peak_flux[after].max()))


def test_a_flare_reaches_the_flux_of_its_label_on_its_scale(virtual, x_rays):
    flare = largest_flare(virtual)
    hour, minute, peak = int(flare.hour[0]), int(flare.minute[0]), float(flare.peak_flux[0])
    series = x_rays.series(hour - 24, 48, scaling="operational")
    before = x_rays.fluxes(hour)[0] * 0.7
    at_peak = series.long_flux[24 * 60 + minute]
    assert peak * 0.97 < at_peak < peak * 1.1 + before
    true = x_rays.series(hour - 24, 48)
    good = true.long_is_good
    np.testing.assert_allclose(series.long_flux[good], true.long_flux[good] * 0.7)
    np.testing.assert_allclose(series.short_flux[good], true.short_flux[good] * 0.85)


def test_the_images_plasma_gives_the_same_flux(virtual, x_rays):
    """Summed over the image, the emission measure gives the flux of what the image shows."""
    hour = 9000
    corona = VirtualCorona(virtual, 256)
    per_bin = (
        corona.emission_measure(hour).sum(axis=(1, 2)) * (SUN_RADIUS_CM / corona.radius_pixels) ** 2
    )
    centres = (LOG_T_EDGES[:-1] + LOG_T_EDGES[1:]) / 2
    from_image = goes_flux(centres) @ per_bin
    np.testing.assert_allclose(from_image, x_rays.fluxes(hour), rtol=0.25)


def test_emission_measure_of_a_flare_is_that_of_its_flux():
    volume = flare_emission_measure(1e-5)
    assert 1e47 < volume < 1e50
    assert volume * goes_gain()[7, 0] == pytest.approx(1e-5)


def test_a_series_is_the_same_wherever_it_begins(x_rays):
    long, part = x_rays.series(500, 96), x_rays.series(530, 20)
    inside = slice(30 * 60, 50 * 60)
    np.testing.assert_allclose(long.long_flux[inside], part.long_flux, rtol=1e-12)
    np.testing.assert_array_equal(long.long_is_good[inside], part.long_is_good)
    assert part.time[0] == VIRTUAL_START + 530 * HOUR


def test_gaps_and_spikes_are_marked(x_rays):
    series = x_rays.series(0, 24 * 120)
    missing = np.isnan(series.long_flux)
    assert 0.001 < missing.mean() < 0.02
    spikes = ~series.long_is_good & ~missing
    assert 10 < spikes.sum() < 100
    assert np.nanmedian(series.long_flux[spikes]) > 2e-6
    assert not series.long_is_good[missing].any()
    hours = np.arange(0, 24 * 120)
    np.testing.assert_array_equal(x_rays.is_observed(hours), ~missing[::60])


def test_the_current_flux_is_a_side_column_without_the_gaps(virtual, x_rays):
    hours = np.arange(700, 700 + 24 * 200, 3)
    times = VIRTUAL_START + hours * HOUR
    column = x_rays.current_flux(times)
    assert column.names == (CURRENT_FLUX,)
    assert len(column.time) == x_rays.is_observed(hours).sum() < len(hours)
    expected = np.log10(x_rays.fluxes(int(hours[0]))[0] * 0.7)
    assert column.values[0, 0] == pytest.approx(expected, abs=1e-5)


def test_a_record_with_a_light_curve_gives_its_newest_minute(virtual):
    short = simulate_record(FlareProcessParameters(), years=0.02, seed=4)
    record = virtual_flux_record(short)
    time = record.flux_time[1000] + np.timedelta64(30, "s")
    value = current_flux(record).at(np.array([time]))[0, 0]
    assert value == pytest.approx(np.log10(record.flux[1000]), abs=1e-5)
    with pytest.raises(ValueError, match="needs X-ray files"):
        current_flux(virtual_flare_record(virtual))


def test_what_an_hour_shows_does_not_depend_on_what_comes_after(virtual, x_rays):
    flares = virtual.visible_flares()
    soon = np.flatnonzero((flares.minute < 8) & (flares.hour > 1000) & (flares.peak_flux > 3e-6))
    assert len(soon) > 3
    for k in soon[:10]:
        hour = int(flares.hour[k])  # the flare peaks some minutes after this hour
        known = replace(virtual, flares=virtual.flares.where(virtual.flares.hour < hour))
        cut = VirtualXRays(known)
        np.testing.assert_array_equal(cut.fluxes(hour), x_rays.fluxes(hour))
