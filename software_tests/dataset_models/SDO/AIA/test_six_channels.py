"""Six channels of one time: their errors, tiles, grids, and how a folder is put together."""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.SDO.AIA.channel_alignment import corner_offset, resampled
from dataset_models.SDO.AIA.six_channel_series import (
    ImageTimes,
    nearest_time,
    six_channel_times,
    virtual_time,
)
from dataset_models.SDO.AIA.six_channels import read_six_arrays, read_six_images
from dataset_models.SDO.sources import StoreImages
from dataset_models.solar_data import DataIntegrityError
from dataset_models.store import build_store
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from software_tests.dataset_models.SDO.AIA.six_files import SIDE, TIME, write_six
from tools.channels import CAMERA, aia_degradation
from tools.emission_measure.response import RESPONSE_CHANNELS

GRID = {"CRPIX1": 32.5, "CRPIX2": 32.5, "CRVAL1": 100.0, "CRVAL2": -50.0}
GRID |= {"CDELT1": 0.6, "CDELT2": 0.6, "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}
GRID |= {"CUNIT1": "arcsec", "CUNIT2": "arcsec"}


def smooth(x, y):
    """Give a smooth image at places in arcsec."""
    return 100 + 50 * np.sin(x / 5) * np.cos(y / 7)


def places(wcs, angle=0.0):
    """Give each pixel's place from the FITS standard's own equations, without projection."""
    column, row = np.meshgrid(np.arange(1, 65), np.arange(1, 65))
    u = wcs["CDELT1"] * (column - wcs["CRPIX1"])
    v = wcs["CDELT2"] * (row - wcs["CRPIX2"])
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return wcs["CRVAL1"] + c * u - s * v, wcs["CRVAL2"] + s * u + c * v


@pytest.mark.parametrize(
    "change",
    [
        {"CRPIX1": 35.2, "CRPIX2": 31.7},
        {"CRVAL1": 101.4},
        {"CDELT1": 0.59, "CDELT2": 0.59},
        {"CROTA2": 3.0},
        {
            "CROTA2": 3.0,
            "CRPIX2": 30.0,
            "CDELT1": 0.61,
            "CDELT2": 0.61,
        },
    ],
)
def test_an_image_is_brought_onto_another_grid(change):
    wcs = GRID | change
    data = smooth(*places(wcs, change.get("CROTA2", 0.0)))
    data[20, 30] = np.nan
    moved = resampled(data, wcs, (64, 64), GRID, "171.fits")
    expected = smooth(*places(GRID))
    known = np.isfinite(moved)
    assert known[10:-10, 10:-10].sum() >= 44 * 44 - 9
    known[14:27, 22:38] = False  # splines ring about what had no value, and at the edge
    known &= np.pad(np.ones((52, 52), bool), 6)
    # cubic splines of a wave of 50 pixels; the projection bends by less than that
    np.testing.assert_allclose(moved[known], expected[known], atol=0.02)


def test_other_fields_are_not_brought_onto_one_grid():
    data = np.ones((64, 64))
    for change, moved in (({"CRVAL1": 140.0}, "moved by 67"), ({"CDELT1": 1.2, "CDELT2": 1.2}, "")):
        with pytest.raises(DataIntegrityError, match=f"would be {moved}"):
            resampled(data, GRID | change, (64, 64), GRID, "171.fits")
    assert corner_offset((64, 64), GRID, GRID | {"CRVAL1": 103.0}) == pytest.approx(5, abs=1e-3)


def test_files_that_point_elsewhere_are_coregistered_on_request(tmp_path):
    paths, _, rates = write_six(tmp_path)
    with fits.open(paths[2], mode="update") as hdus:  # 171 A, moved by one row and two columns
        hdus[0].data[:] = np.roll(hdus[0].data, (1, 2), axis=(0, 1))
        hdus[0].header["CRPIX1"] += 2
        hdus[0].header["CRPIX2"] += 1
        hdus[0].data[9, 12] = 16383.0
    with pytest.raises(DataIntegrityError, match="points elsewhere .* or give --coregister"):
        read_six_images(paths)
    six = read_six_images(paths, is_coregistered=True)
    inside = six.dn[2:-3, 2:-3, 2]
    expected = rates[2:-3, 2:-3, 2].copy()
    assert six.saturated[8, 10].tolist() == [False, False, True, False, False, False]
    assert six.saturated.sum() == 1
    near = np.zeros((SIDE, SIDE), bool)
    near[6:11, 8:13] = True
    near = near[2:-3, 2:-3]
    # whole pixels: splines give the pixel itself
    np.testing.assert_allclose(inside[~near], expected[~near], rtol=1e-3, atol=1e-2)


def test_errors_follow_exposure_throughput_and_averaging(tmp_path):
    paths, *_ = write_six(tmp_path)
    six = read_six_images(paths)
    left = np.array(
        [aia_degradation(c, np.array([TIME], "datetime64[s]"))[0] for c in RESPONSE_CHANNELS]
    )
    cameras = [CAMERA[c] for c in RESPONSE_CHANNELS]
    seconds = np.array([c.exposure_s for c in cameras])
    counts = np.maximum(six.dn.astype(float), 0) * seconds * left
    variance = counts * [c.dn_per_photon for c in cameras] + 1.15**2 + 1 / 12
    np.testing.assert_allclose(six.sigma, np.sqrt(variance) / seconds / left, rtol=1e-5)
    dn, sigma, _ = six.tile(slice(3, 7))
    np.testing.assert_array_equal(dn, six.dn[3:7])
    np.testing.assert_array_equal(sigma, six.sigma[3:7])
    # corrected before: the same noise, although nothing is divided by now
    for path, share in zip(paths, left, strict=True):
        with fits.open(path, mode="update") as hdus:
            hdus[0].data[:] = hdus[0].data / share
    before = read_six_images(paths, degradation="before")
    np.testing.assert_allclose(before.sigma, six.sigma, rtol=1e-4)
    np.save(tmp_path / "a.npy", np.moveaxis(six.dn, -1, 0))
    whole, averaged = (read_six_arrays(tmp_path / "a.npy", pixels_averaged=n) for n in (1, 64))
    np.testing.assert_allclose(averaged.sigma, whole.sigma / 8, rtol=1e-5)


@pytest.mark.parametrize("damage", ["cut", "text", "objects", "axes", "empty", "npz"])
def test_damaged_arrays_are_refused(tmp_path, damage):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((6, 8, 8), np.float32))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "text":
        path.write_text("no array")
    elif damage == "objects":
        # a pickle on purpose: reading it must be refused
        np.save(path, np.array([[[{}]]] * 6, object), allow_pickle=True)
    elif damage == "axes":
        np.save(path, np.ones((8, 8, 6)))
    elif damage == "empty":
        np.save(path, np.ones((6, 0, 8)))
    else:
        with open(path, "wb") as file:
            np.savez(file, a=np.ones((6, 8, 8)))
    with pytest.raises(DataIntegrityError, match="a.npy"):
        read_six_arrays(path)
    with pytest.raises(FileNotFoundError):
        read_six_arrays(tmp_path / "b.npy")


def test_a_folder_is_put_together_by_times(tmp_path):
    for k, time in enumerate(("2014-01-11T08:00:01", "2014-01-11T08:00:13", "2014-01-11T09:00:00")):
        write_six(tmp_path, time=time, prefix=f"{k}_", changes={335: {"DATE-OBS": time + ".500"}})
    (tmp_path / "2_131.fits").unlink()
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE")
    times = six_channel_times([tmp_path], largest_spread_s=60.0)
    assert len(times.times) == 3
    assert times.item(1).read().time == "2014-01-11T08:00:13.000"
    assert len(times.item(1).read().names) == 6
    with pytest.raises(DataIntegrityError, match="lacking: 131"):
        times.item(2).read()
    assert len(times.problems) == 1
    assert "broken.fits" in times.problems[0]
    assert times.item(0).identity() != times.item(1).identity()
    before = times.item(0).identity()
    (tmp_path / "0_94.fits").write_bytes((tmp_path / "1_94.fits").read_bytes())
    assert times.item(0).identity() != before
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        six_channel_times([tmp_path / "none"], largest_spread_s=60.0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataIntegrityError, match="no FITS file of these channels"):
        six_channel_times([tmp_path / "empty"], largest_spread_s=60.0)


def test_a_time_is_found_or_the_nearest_is_named():
    times = np.array(["2014-01-11T08:00", "2014-01-11T09:00"], "datetime64[s]")
    assert nearest_time(times, "2014-01-11T09:00:30Z", 60.0) == 1
    assert nearest_time(times[:1], "", 60.0) == 0
    with pytest.raises(ValueError, match="there are 2 times"):
        nearest_time(times, "", 60.0)
    with pytest.raises(ValueError, match="nearest of 2 times.* is that of 2014-01-11T08:00:00"):
        nearest_time(times, "2014-01-11T08:20", 60.0)
    with pytest.raises(ValueError, match="expected a time such as"):
        nearest_time(times, "noon", 60.0)
    with pytest.raises(ValueError, match="known from 2101-01-01T00:00:00 to 2101-01-01T23:00:00"):
        virtual_time("2102-01-01", 24)
    with pytest.raises(ValueError, match="full hours"):
        virtual_time("2101-01-01T00:30", 24)


@pytest.fixture(scope="module")
def virtual_images():
    """Give three images of the virtual Sun."""
    record = simulate_record(FlareProcessParameters(), years=0.01, seed=1)
    hours = np.arange(0, 3) * np.timedelta64(24, "h")
    return VirtualImages(record, np.datetime64("2101-01-01T00:00:00") + hours, 32)


def test_a_store_and_the_virtual_sun_give_the_same_six_channels(tmp_path, virtual_images):
    store = build_store(tmp_path / "store", virtual_images)
    kept = six_channel_times([tmp_path / "store"], largest_spread_s=60.0)
    rendered = ImageTimes(virtual_images)
    one, other = kept.item(1).read(), rendered.read(1)
    assert one.is_synthetic
    assert other.is_synthetic
    assert one.pixels_averaged == 128**2
    assert one.time == "2101-01-02T00:00:00"
    # so many pixels are averaged that 16 bits round by a share of the noise
    assert np.sqrt(np.nanmean(((one.dn - other.dn) / other.sigma) ** 2)) < 0.3
    np.testing.assert_allclose(one.throughput, other.throughput)
    images = virtual_images.image(1)
    np.testing.assert_array_equal(other.dn[..., 2], images[2])
    np.testing.assert_array_equal(other.dn[..., 5], images[6])  # 335 A: 304 A lies between
    np.testing.assert_allclose(one.throughput[5], virtual_images.throughput(1)[6])
    assert one.wcs["CDELT1"] == pytest.approx(2457.6 / 32)
    assert {k: v for k, v in one.wcs.items() if k in other.wcs} == other.wcs
    with pytest.raises(ValueError, match="are for FITS files"):
        six_channel_times([store.path], largest_spread_s=60.0, is_coregistered=True)
    with pytest.raises(ValueError, match="lacks the channels 999"):
        ImageTimes(StoreImages(store, 32, (*RESPONSE_CHANNELS[:5], 999)))


def test_bad_images_and_those_without_values_are_refused(virtual_images):
    class Images(VirtualImages):
        def __init__(self):
            self.__dict__.update(virtual_images.__dict__)

        def is_bad(self, index):
            return index == 0

        def image(self, index):
            return np.full((8, 32, 32), np.nan, np.float32)

    times = ImageTimes(Images())
    with pytest.raises(DataIntegrityError, match="2101-01-01T00:00:00 is marked as bad"):
        times.read(0)
    with pytest.raises(DataIntegrityError, match="holds no value"):
        times.read(1)
