"""Images of the virtual Sun: geometry, plasma and camera, each against a value known beforehand."""

import dataclasses

import numpy as np
import pytest

from dataset_models.virtual_sun import visible_regions
from dataset_models.virtual_sun.corona import FIELD_ARCSEC, SUN_RADIUS_ARCSEC, VirtualCorona
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.plasma import (
    KINDS,
    LOG_T_EDGES,
    channel_gain,
    kind_profiles,
    quiet_emission_measure,
)
from dataset_models.virtual_sun.process import Flares, simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START
from dataset_models.virtual_sun.region_look import LAYERS
from tools.channels import AIA_CHANNELS, CAMERA
from tools.emission_measure.response import RESPONSE_CHANNELS, bin_response
from tools.physics.goes_response import goes_flux

HOUR = np.timedelta64(3600, "s")


@pytest.fixture(scope="module")
def record():
    return simulate_record(FlareProcessParameters(), years=0.1, seed=4)


def one_region(record, *, longitude_deg, latitude_deg, primed=False, age_h=60, flares=None):
    """Give a record with one region of size 1 to 2 at a place, at hour 0."""
    rates = record.rates
    cell = int(np.argmin(np.abs(rates.longitude_deg(np.arange(655)) - longitude_deg)))
    none = np.zeros(0, int)
    return dataclasses.replace(
        record,
        first_hour=np.array([-age_h]),
        size_class=np.array([10]),
        birth_cell=np.array([(cell - age_h) % 655]),
        latitude_deg=np.array([float(latitude_deg)]),
        flares=flares or Flares(none, none, none, np.zeros(0)),
        path_hour=np.arange(200),
        path_region=np.zeros(200, int),
        path_is_primed=np.full(200, primed),
    )


@pytest.fixture(autouse=True)
def _no_simple_regions(request, monkeypatch):
    """Leave the bright but harmless regions out, but for the tests of whole images."""
    if "Camera" not in str(request.node.nodeid):
        monkeypatch.setattr(visible_regions, "_SIMPLE_PER_BIRTH", 0.0)


def no_region(record):
    empty = np.zeros(0, int)
    return dataclasses.replace(
        record,
        flares=Flares(empty, empty, empty, np.zeros(0)),
        path_hour=empty,
        path_region=empty,
        path_is_primed=np.zeros(0, bool),
    )


def region_only(record, hour=0, size=256, **options):
    """Give the layers that a region adds to the quiet Sun."""
    quiet = VirtualCorona(no_region(record), size).layers(hour)
    return VirtualCorona(one_region(record, **options), size).layers(hour) - quiet


def centre_of(image):
    """Give the centre of light (x to the west, y to the north) in solar radii."""
    n = len(image)
    axis = (np.arange(n) - (n - 1) / 2) / (SUN_RADIUS_ARCSEC / FIELD_ARCSEC * n)
    return (image.sum(axis=0) @ axis) / image.sum(), (image.sum(axis=1) @ axis) / image.sum()


class TestPlasma:
    """Kinds, their temperatures and their brightness."""

    def test_profiles_are_shares(self):
        np.testing.assert_allclose(kind_profiles().sum(axis=1), 1)
        centres = (LOG_T_EDGES[:-1] + LOG_T_EDGES[1:]) / 2
        mean = dict(zip(KINDS, kind_profiles() @ centres, strict=True))
        assert mean["hole"] < mean["quiet"] < mean["diffuse"] < mean["core"] < mean["hot core"]
        assert mean["hot core"] < mean["precursor"] < mean["flare"]

    def test_the_quiet_suns_emission_measure_by_hand(self):
        # DEM(T) T ln 10 dlogT at log T 6.0: 10^20.522 10^6 2.3026 0.1 = 7.66e25 cm-5 in one bin
        share = kind_profiles()[KINDS.index("quiet")]
        bins = share * quiet_emission_measure()
        at_6 = np.argmin(np.abs(LOG_T_EDGES - 5.95))
        assert bins[at_6] == pytest.approx(7.66e25, rel=0.04)  # the DEM bends within the bin

    def test_images_are_the_response_to_the_emission_measure_of_every_pixel(self, record):
        corona = VirtualCorona(record, 48)
        hour = 400
        seen = np.tensordot(bin_response(LOG_T_EDGES), corona.emission_measure(hour), axes=1)
        images = corona.images(hour)
        for k, channel in enumerate(RESPONSE_CHANNELS):
            np.testing.assert_allclose(images[AIA_CHANNELS.index(channel)], seen[k], rtol=1e-9)
        assert (channel_gain()[:, AIA_CHANNELS.index(304)] == 0).all()


class TestGeometry:
    """Places on the disc."""

    def test_the_limb_is_round_and_in_the_middle(self, record):
        image = VirtualCorona(no_region(record), 301).images(0)[AIA_CHANNELS.index(1600)]
        radius = SUN_RADIUS_ARCSEC / FIELD_ARCSEC * 301
        area = (image > 20).sum()
        assert np.sqrt(area / np.pi) == pytest.approx(radius, rel=0.01)
        rows, columns = np.nonzero(image > 20)
        for pixels in (rows, columns):
            assert pixels.min() == 300 - pixels.max()
            assert np.ptp(pixels) + 1 == pytest.approx(2 * radius, abs=2)

    @pytest.mark.parametrize(
        ("longitude", "latitude"), [(0, 30), (0, -30), (40, 0), (-40, 15), (60, -20)]
    )
    def test_regions_stand_where_their_coordinates_say(self, record, longitude, latitude):
        layers = region_only(record, longitude_deg=longitude, latitude_deg=latitude)
        x, y = centre_of(layers[LAYERS.index("core")])
        lon, lat = np.radians([longitude, latitude])
        assert x == pytest.approx(np.cos(lat) * np.sin(lon), abs=0.03)  # west is to the right
        assert y == pytest.approx(np.sin(lat), abs=0.03)  # north is up

    def test_the_sun_turns_to_the_west_by_a_cell_an_hour(self, record):
        sun = {"longitude_deg": 0, "latitude_deg": 0}
        now, later = (
            centre_of(region_only(record, hour, **sun)[LAYERS.index("core")]) for hour in (0, 48)
        )
        assert later[0] - now[0] == pytest.approx(np.sin(np.radians(48 * 360 / 655)), abs=0.03)

    def test_what_is_behind_the_disc_is_hidden_and_loops_above_the_limb_are_not(self, record):
        far = region_only(record, longitude_deg=110, latitude_deg=10)
        assert far[LAYERS.index("core")].sum() == 0
        limb = region_only(record, longitude_deg=93, latitude_deg=10)
        shown = limb[LAYERS.index("fan")]
        assert shown.sum() > 0
        assert np.hypot(*centre_of(shown)) > 1
        centre = region_only(record, longitude_deg=0, latitude_deg=10)
        flat = LAYERS.index("chromosphere")  # nothing but its near edge, seen from the side
        assert limb[flat].sum() < 0.02 * centre[flat].sum()

    def test_the_amount_of_plasma_does_not_depend_on_the_image_size(self, record):
        place = {"longitude_deg": 10, "latitude_deg": 10}
        totals = []
        for size in (32, 64, 512):
            layers = region_only(record, size=size, **place)[: len(KINDS)]
            pixel_cm = FIELD_ARCSEC / size / SUN_RADIUS_ARCSEC * 6.957e10
            totals.append(layers.sum(axis=(1, 2)) * pixel_cm**2)
        np.testing.assert_allclose(totals[0], totals[2], rtol=0.03)
        np.testing.assert_allclose(totals[1], totals[2], rtol=0.03)


class TestRegionsAndFlares:
    """What the flare process shows."""

    def test_a_primed_region_is_hotter_at_its_own_place_only(self, record):
        place = {"longitude_deg": 20, "latitude_deg": 15}
        quiet = region_only(record, **place)
        primed = region_only(record, primed=True, **place)
        change = primed - quiet
        assert np.flatnonzero(np.abs(change).sum(axis=(1, 2))) == [LAYERS.index("precursor")]
        x, y = centre_of(change[LAYERS.index("precursor")])
        assert np.hypot(x - np.cos(0.262) * np.sin(0.349), y - np.sin(0.262)) < 0.03

    def test_a_flare_has_the_emission_measure_of_its_class(self, record):
        # M2 on the operational scale is 2e-5 / 0.7 W m-2 true; its plasma at log T 7.12
        flare = Flares(np.array([0]), np.array([4]), np.array([60]), np.array([2e-5]))
        place = {"longitude_deg": 0, "latitude_deg": 10, "flares": flare}
        layers = region_only(record, hour=5, size=512, **place)
        pixel_cm = FIELD_ARCSEC / 512 / SUN_RADIUS_ARCSEC * 6.957e10
        found = layers[LAYERS.index("flare")].sum() * pixel_cm**2
        assert found * goes_flux(np.array([7.12]))[0, 0] == pytest.approx(2e-5 / 0.7, rel=0.03)

    def test_a_flare_shows_in_131_first_and_cools(self, record):
        flare = Flares(np.array([0]), np.array([4]), np.array([60]), np.array([2e-5]))
        place = {"longitude_deg": 0, "latitude_deg": 10, "flares": flare}
        first, later = (region_only(record, hour, **place) for hour in (5, 8))
        hot, cool = LAYERS.index("flare"), LAYERS.index("arcade")
        assert first[hot].sum() > 100 * later[hot].sum()
        assert later[cool].sum() > 10 * first[cool].sum()

    def test_no_flare_is_seen_before_it_happens(self, record):
        flare = Flares(np.array([0]), np.array([5]), np.array([1]), np.array([2e-4]))
        place = {"longitude_deg": 0, "latitude_deg": 10}
        with_flare = region_only(record, hour=5, flares=flare, **place)
        np.testing.assert_array_equal(with_flare, region_only(record, hour=5, **place))


class TestCamera:
    """Photons, noise, degradation, missing frames."""

    def images(self, record, n=3, size=64):
        return VirtualImages(record, VIRTUAL_START + np.arange(n) * 24 * HOUR, size)

    def test_an_image_is_a_pure_function_of_its_time(self, record):
        whole, last = self.images(record), self.images(record)
        for k in range(3):
            first = whole.image(k)
        np.testing.assert_array_equal(first, last.image(2))
        assert not np.array_equal(first, last.image(1), equal_nan=True)

    def test_noise_is_that_of_photons_and_read_out(self, record):
        images = self.images(record, size=512)
        clean = images._blurred(images._corona.images(0))
        seen, left = images.image(0), images.throughput(0)
        n = images.pixels_averaged
        for k, channel in enumerate(AIA_CHANNELS):
            camera = CAMERA[channel]
            variance = clean[k] * camera.dn_per_photon / camera.exposure_s / n / left[k]
            variance += (camera.read_noise_dn / camera.exposure_s / left[k]) ** 2 / n
            deviation = (seen[k] - clean[k]) / np.sqrt(variance)
            spread = np.diff(np.percentile(deviation, [15.87, 84.13]))[0] / 2  # few are saturated
            assert spread == pytest.approx(1, abs=0.02), channel

    def test_degradation_is_corrected_and_leaves_more_noise(self, record):
        times = VIRTUAL_START + np.array([0, 6 * 8766]) * HOUR
        images = VirtualImages(simulate_record(record.rates.parameters, years=7, seed=4), times, 64)
        new, old = images.throughput(0), images.throughput(1)
        assert old[AIA_CHANNELS.index(304)] < 0.1 < 0.8 < new[AIA_CHANNELS.index(304)]
        k = AIA_CHANNELS.index(304)
        clean = images._blurred(images._corona.images(int(6 * 8766)))[k]
        assert np.nanmean(images.image(1)[k]) == pytest.approx(clean.mean(), rel=0.02)

    def test_an_overfull_pixel_spills_up_and_down_and_stops_at_the_limit(self, record):
        images = self.images(record, size=64)
        bright = np.zeros((64, 64))
        bright[30, 30] = 40000 / 2.9
        out = images._exposed(bright, 131, np.random.default_rng(0)) * 2.9
        assert out.max() == pytest.approx(16383)
        assert out[29, 30] > 5000 < out[31, 30]
        assert abs(out[30, 29]) < 10 > abs(out[30, 31])

    def test_some_frames_are_bad_and_some_channels_missing(self, record):
        times = VIRTUAL_START + np.arange(0, 870) * HOUR
        images = VirtualImages(record, times, 16)
        bad = np.array([images.is_bad(k) for k in range(870)])
        assert 0 < bad.sum() < 20
        missing = np.array([np.isnan(images.image(k)).all(axis=(1, 2)) for k in range(0, 870, 6)])
        assert 0 < missing.sum() < 30

    def test_means_are_near_the_real_suns(self):
        # SDOMLv2, 12-minute run, DN s-1: means of whole images
        real = dict(zip((94, 131, 171, 193, 211), (0.533, 3.23, 109.6, 117.4, 34.3), strict=True))
        real |= {304: 28.6, 335: 2.02, 1600: 35.8}
        record = simulate_record(FlareProcessParameters(), years=11, seed=1)
        corona = VirtualCorona(record, 64)
        hours = np.arange(500, record.n_hours, 1500)
        mean = np.mean([corona.images(int(h)).mean(axis=(1, 2)) for h in hours], axis=0)
        for channel, found in zip(AIA_CHANNELS, mean, strict=True):
            assert 0.5 < found / real[channel] < 2, (channel, found)


@pytest.mark.parametrize("size", [8, 5000])
def test_impossible_sizes_are_refused(record, size):
    with pytest.raises(ValueError, match="16 to 4096 pixels"):
        VirtualCorona(record, size)


def test_regions_add_up_to_what_the_image_has_above_the_quiet_sun(record):
    hour = int(record.path_hour[len(record.path_hour) // 2])
    corona = VirtualCorona(record, 64)
    parts = corona.region_images(hour)
    assert len(parts) >= 2
    quiet = VirtualCorona(record, 64)
    quiet._regions.regions = quiet._regions.blobs = lambda hour: []
    above = corona.images(hour) - quiet.images(hour)
    np.testing.assert_allclose(sum(parts.values()), above, rtol=1e-6, atol=1e-6 * above.max())


def test_a_region_taken_away_leaves_the_others_and_its_place_dark(record):
    images = VirtualImages(record, np.array([VIRTUAL_START + 500 * HOUR]), 64)
    parts = images.region_images(0)
    whole = images.image(0)
    name = max(parts, key=lambda key: parts[key][2].sum())
    less = whole - parts[name]
    y, x = np.unravel_index(parts[name][2].argmax(), (64, 64))
    assert less[2, y, x] < 0.5 * whole[2, y, x]
    far = np.hypot(*np.indices((64, 64)) - np.array([y, x])[:, None, None]) > 25
    np.testing.assert_allclose(less[2][far], whole[2][far], rtol=0.2)
