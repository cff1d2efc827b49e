"""AIA's FITS files: calibrated by the tables, north up, nothing scrambled, refused one by one."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.SDO.fits_folder import FITSFolder
from dataset_models.SDO.fits_image import FIELD_ARCSEC, average_onto_grid
from dataset_models.SDO.image_file import read_header, read_image
from dataset_models.solar_data import DataIntegrityError
from dataset_models.store import build_store
from tools.channels import AIA_CHANNELS, aia_degradation


def header(**changes):
    cards = {
        "TELESCOP": "SDO/AIA",
        "WAVELNTH": 171,
        "DATE-OBS": "2014-01-11T08:00:00.12",
        "EXPTIME": 2.0,
        "QUALITY": 0,
        "CTYPE1": "HPLN-TAN",
        "CTYPE2": "HPLT-TAN",
        "CUNIT1": "arcsec",
        "CUNIT2": "arcsec",
        "CRPIX1": 32.5,
        "CRPIX2": 32.5,
        "CRVAL1": 0.0,
        "CRVAL2": 0.0,
        "CDELT1": FIELD_ARCSEC / 64,
        "CDELT2": FIELD_ARCSEC / 64,
        "CROTA2": 0.0,
    }
    cards |= changes
    return fits.Header([(k, v) for k, v in cards.items() if v is not None])


def write(path, data=None, **changes):
    data = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) if data is None else data
    fits.PrimaryHDU(data, header(**changes)).writeto(path)
    return path


def test_brightness_is_counts_over_exposure_and_throughput(tmp_path):
    data = np.full((64, 64), 100.0, np.float32)
    found = read_image(write(tmp_path / "a.fits", data), 64)
    left = aia_degradation(171, np.array(["2014-01-11T08:00"], "datetime64[s]"))[0]
    # version 10, 329.8 days into the epoch: 2.46826 (1 - 0.000030 329.8) / 2.78926
    assert left == pytest.approx(0.8762, abs=1e-4)
    np.testing.assert_allclose(found.image, 100 / 2.0 / left, rtol=1e-6)
    assert found.throughput == pytest.approx(left)
    assert found.header.wcs["CRPIX1"] == 32.5
    for k, unit in enumerate(("DN / s", "DN/s", "DN / (pix s)", "ct / s")):
        per_second = read_image(write(tmp_path / f"{k}.fits", data, BUNIT=unit), 64)
        np.testing.assert_allclose(per_second.image, 100 / left, rtol=1e-6)
    for k, unit in enumerate(("DN", "DN / pixel", "counts / pixel")):
        counts = read_image(write(tmp_path / f"c{k}.fits", data, BUNIT=unit), 64)
        np.testing.assert_allclose(counts.image, found.image, rtol=1e-6)


@pytest.mark.parametrize("changes", [{"CROTA2": 33.0}, {"CDELT1": 38.7, "CDELT2": 38.7}])
def test_no_cell_stays_empty_where_the_image_has_pixels(tmp_path, changes):
    image = read_image(write(tmp_path / "a.fits", **changes), 64).image
    assert np.isfinite(image[16:48, 16:48]).all()


def test_no_image_counts_before_its_last_exposure_has_ended(tmp_path):
    write(tmp_path / "a.fits", WAVELNTH=171, **{"DATE-OBS": "2014-01-11T08:00:00.12"})
    write(tmp_path / "b.fits", WAVELNTH=94, EXPTIME=2.9, **{"DATE-OBS": "2014-01-11T08:00:59.9"})
    assert FITSFolder(tmp_path, 16).times.astype(str).tolist() == ["2014-01-11T08:01:03"]


def test_of_several_files_the_good_one_counts(tmp_path):
    write(tmp_path / "a.fits", QUALITY=4, **{"DATE-OBS": "2014-01-11T08:00:01"})
    write(tmp_path / "b.fits", **{"DATE-OBS": "2014-01-11T08:00:13"})
    source = FITSFolder(tmp_path, 16)
    assert len(source) == 1
    assert not source.is_bad(0)


def test_other_files_of_the_same_names_are_another_source(tmp_path):
    for folder, value in (("A", 1.0), ("B", 9.0)):
        (tmp_path / folder / "aia").mkdir(parents=True)
        write(tmp_path / folder / "aia/a.fits", np.full((64, 64), value, np.float32))
    first, second = (FITSFolder(tmp_path / f / "aia", 16).describe() for f in "AB")
    assert first != second


def test_one_bad_file_does_not_stop_a_folder(tmp_path):
    write(tmp_path / "good.fits")
    (tmp_path / "folder.fits").mkdir()
    (tmp_path / "dangling.fits").symlink_to(tmp_path / "nowhere")
    packed = bytearray(gzip.compress((tmp_path / "good.fits").read_bytes()))
    packed[60:200] = bytes(140)
    (tmp_path / "packed.fits.gz").write_bytes(packed)
    path = write(tmp_path / "card.fits", **{"DATE-OBS": "2014-01-11T09:00:00"})
    path.write_bytes(path.read_bytes().replace(b"EXPTIME =", b"EXPTIME =\x01\x02"[:9]))
    source = FITSFolder(tmp_path, 16)
    assert np.isfinite(source.image(0)).any()
    assert len(source.problems) >= 3


def test_every_pixel_stays_where_it_is(tmp_path, generator):
    data = generator.gamma(1, 100, (64, 64)).astype(np.float32)
    found = read_image(write(tmp_path / "a.fits", data), 64)
    np.testing.assert_allclose(found.image, data / 2.0 / found.throughput, rtol=1e-6)


def test_averaging_keeps_the_mean_and_leaves_out_what_is_not_a_number(tmp_path):
    data = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    data[0, 0] = np.nan
    data[10:14, 10:14] = np.nan
    image = read_image(write(tmp_path / "a.fits", data), 16).image * 2.0
    image *= aia_degradation(171, np.array(["2014-01-11"], "datetime64[s]"))[0]
    blocks = np.nanmean(data.reshape(16, 4, 16, 4), axis=(1, 3))
    np.testing.assert_allclose(image[1:], blocks[1:], rtol=1e-3)
    assert image[0, 0] == pytest.approx(np.nanmean(data[:4, :4]), rel=1e-3)
    whole = data.copy()
    whole[8:12, 8:12] = np.nan
    assert np.isnan(read_image(write(tmp_path / "b.fits", whole), 16).image[2, 2])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (40, 20)),
        ({"CRPIX1": 30.5, "CRPIX2": 35.5}, (42, 17)),  # the Sun's centre elsewhere on the chip
        ({"CRVAL1": 2 * FIELD_ARCSEC / 64}, (42, 20)),
        ({"CROTA2": 180.0}, (23, 43)),
        ({"CROTA2": 90.0}, (43, 40)),
        ({"CROTA2": None, "PC1_1": 0.0, "PC1_2": -1.0, "PC2_1": 1.0, "PC2_2": 0.0}, (43, 40)),
    ],
)
def test_a_star_is_put_where_its_coordinates_say(tmp_path, changes, expected):
    # by hand: pixel (40, 20) from 0 lies 8.5 pixels west and 11.5 south of the middle; turned
    # by 90 degrees against the clock it lies 11.5 west and 8.5 north
    data = np.zeros((64, 64), np.float32)
    data[20, 40] = 1e4
    image = read_image(write(tmp_path / "a.fits", data, **changes), 64).image
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    assert (column, row) == expected


def test_averaging_agrees_with_astropys_coordinates(generator):
    from astropy.wcs import WCS

    cards = header(CROTA2=33.0, CRPIX1=20.25, CRVAL2=100.0, **{"DATE-OBS": None})
    x, y = WCS(cards).all_pix2world(*np.meshgrid(np.arange(64), np.arange(64)), 0)
    x, y = ((v * 3600 + 648000) % 1296000 - 648000 for v in (x, y))
    data = generator.gamma(1, 100, (64, 64))
    found = average_onto_grid(data, dict(cards), 32)
    step = FIELD_ARCSEC / 32
    cell = np.floor((y + FIELD_ARCSEC / 2) / step) * 32 + np.floor((x + FIELD_ARCSEC / 2) / step)
    inside = (np.abs(x) < FIELD_ARCSEC / 2) & (np.abs(y) < FIELD_ARCSEC / 2)
    for index in (16 * 32 + 16, 8 * 32 + 20, 25 * 32 + 12):
        expected = data[inside & (cell == index)].mean()
        assert found.ravel()[index] == pytest.approx(expected)


def test_gzipped_and_compressed_files_read_the_same(tmp_path):
    plain = write(tmp_path / "a.fits")
    packed = tmp_path / "b.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    tiled = tmp_path / "c.fits"
    with fits.open(plain) as hdus:
        fits.CompImageHDU(hdus[0].data.astype(np.int16), hdus[0].header).writeto(tiled)
    images = [read_image(p, 32).image for p in (plain, packed, tiled)]
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_allclose(images[0], images[2], rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"TELESCOP": "SOHO", "INSTRUME": "EIT"},
            "expected an image of SDO/AIA or SDO/HMI, got one of SOHO",
        ),
        ({"WAVELNTH": 4500}, "expected a channel of 94, .* got 4500"),
        ({"EXPTIME": 0.0}, "exposure time is 0.0 s"),
        ({"EXPTIME": None}, "lacks .*EXPTIME"),
        ({"DATE-OBS": "yesterday"}, "its header lacks"),
        ({"CDELT1": None}, "lacks .*CDELT1"),
        ({"CUNIT1": "m"}, "not in arcsec"),
        ({"CUNIT1": "deg"}, "coarser than the"),
        ({"CTYPE1": "CRLN-CAR"}, "helioprojective, x first"),
        ({"CDELT1": 0.0}, "pixels of size 0"),
        ({"CDELT1": "wide"}, "lacks or garbles"),
        ({"CROTA2": "none"}, "lacks or garbles"),
        ({"DATE-OBS": "NaT"}, "got 'NaT'"),
        ({"EXPTIME": 1e9}, "exposure time is 1000000000.0 s"),
        ({"QUALITY": "good"}, "lacks or garbles"),
        ({"BUNIT": "erg"}, "expected DN or DN / s"),
        ({"BUNIT": "DN/sr"}, "expected DN or DN / s"),
        ({"CDELT1": 100.0, "CDELT2": 100.0}, "coarser than the"),
        ({"DATE-OBS": "2009-01-01T00:00:00"}, "calibration begins at"),
    ],
)
def test_what_is_no_aia_image_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_image(write(tmp_path / "a.fits", **changes), 64)


def test_what_a_calibration_says_nothing_of_is_refused_and_what_it_extrapolates_is_said(tmp_path):
    path = write(tmp_path / "a.fits", WAVELNTH=304, **{"DATE-OBS": "2022-06-01T00:00:00"})
    with pytest.raises(DataIntegrityError, match="too little to correct"):
        read_image(path, 64, calibration="v8")
    source = FITSFolder(tmp_path, 64)
    # 0.00569 / 0.10250 from 2018-06-18 on
    assert read_image(path, 64).throughput == pytest.approx(0.00569 / 0.10250, rel=1e-6)
    assert source.summary().lines()[1:] == [
        "  note: calibration version 10: 1 images are later than its issue; their loss of "
        "throughput is extrapolated"
    ]
    assert source.describe()["calibration_version"] == "v10"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, share):
    path = write(tmp_path / "a.fits")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataIntegrityError):
        read_image(path, 64)


def test_a_folder_is_sorted_by_header_and_read_item_by_item(tmp_path):
    folder = tmp_path / "aia"
    (folder / "deep").mkdir(parents=True)
    write(folder / "z.fits", WAVELNTH=171, **{"DATE-OBS": "2014-01-11T08:00:01"})
    write(folder / "a.fits", WAVELNTH=94, **{"DATE-OBS": "2014-01-11T08:00:08"})
    write(folder / "deep/b.fits", WAVELNTH=171, **{"DATE-OBS": "2014-01-11T07:00:00"})
    write(folder / "c.fits", WAVELNTH=193, QUALITY=1, **{"DATE-OBS": "2014-01-11T07:00:09"})
    write(folder / "twice.fits", WAVELNTH=171, **{"DATE-OBS": "2014-01-11T08:00:31"})
    write(folder / "eit.fits", TELESCOP="SOHO", INSTRUME="EIT")
    write(folder / "small.fits", np.ones((8, 8), np.float32), **{"DATE-OBS": "2014-01-11T09:00"})
    (folder / "cut.fits").write_bytes(b"SIMPLE  =                    T")
    (folder / "page.fits").write_text("<html>not found</html>")
    (folder / "notes.txt").write_text("no FITS file")
    source = FITSFolder(folder, 32)
    assert source.times.astype(str).tolist() == [
        "2014-01-11T07:00:11",
        "2014-01-11T08:00:10",
        "2014-01-11T09:00:02",
    ]
    assert not any(source.is_bad(k) for k in range(3))
    image = source.image(1)
    present = np.isfinite(image).any(axis=(1, 2))
    assert [c for c, p in zip(AIA_CHANNELS, present, strict=True) if p] == [94, 171]
    named = " ".join(source.problems)
    for name in ("eit.fits", "cut.fits", "page.fits"):
        assert name in named
    store = build_store(tmp_path / "store", source)
    assert len(store) == 3
    assert store.manifest["source"]["wcs_of_first_files"]["94"]["CRPIX1"] == 32.5


def test_a_folder_without_an_aia_image_lists_why(tmp_path):
    write(tmp_path / "eit.fits", TELESCOP="SOHO", INSTRUME="EIT")
    with pytest.raises(DataIntegrityError, match="eit.fits: expected an image of SDO/AIA"):
        FITSFolder(tmp_path, 32)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        FITSFolder(tmp_path / "none", 32)


def test_the_real_sun_from_sunpys_wheel():
    spec = importlib.util.find_spec("sunpy")
    path = Path(spec.submodule_search_locations[0]) / "data/test/aia_171_level1.fits"
    found = read_image(path, 64)
    assert (found.header.channel, str(found.header.time)) == (171, "2011-02-15T00:00:00.340")
    # version 10, epoch from 2011-01-27: 2.77160 / 2.78926 (1 - 0.000054 18.4)
    assert found.throughput == pytest.approx(2.77160 / 2.78926 * (1 - 0.000054 * 18.375), rel=1e-4)
    # version 8: 3.36139 / 3.46641 (1 - 0.00002 18.4)
    before = read_image(path, 64, calibration="v8").throughput
    assert before == pytest.approx(3.36139 / 3.46641 * (1 - 0.00002 * 18.375), rel=1e-4)
    x = (np.arange(64) - 31.5) * FIELD_ARCSEC / 64
    distance = np.hypot(*np.meshgrid(x, x)) / 971.8
    assert np.nanmean(found.image[distance < 1.1]) > 20 * np.nanmean(found.image[distance > 1.25])


def test_real_cutout_and_real_eit(shared):
    cutout = read_image(shared / "aia/aia_171_cutout.fits", 1024)
    assert cutout.header.exposure_s == pytest.approx(1.999605)
    rows, columns = np.nonzero(np.isfinite(cutout.image))
    # the region lies north of the middle; 705 x 769 pixels of 0.5995 arcsec in cells of 2.4
    assert 170 < np.ptp(rows) < 180
    assert 188 < np.ptp(columns) < 197
    for path in sorted((shared / "eit").glob("*.fits")):
        with pytest.raises(DataIntegrityError, match="got one of SOHO EIT"):
            read_header(path)


def test_a_flagged_channel_is_missing_and_the_others_stay(tmp_path):
    write(tmp_path / "a.fits", WAVELNTH=171, QUALITY="0x100")
    write(tmp_path / "b.fits", WAVELNTH="193")
    source = FITSFolder(tmp_path, 16)
    image = source.image(0)
    assert np.isnan(image[AIA_CHANNELS.index(171)]).all()
    assert np.isfinite(image[AIA_CHANNELS.index(193)]).any()
    assert not source.is_bad(0)
    assert source.problems == ["a.fits: its QUALITY is 0x100"]


def test_images_that_end_out_of_order_are_sorted(tmp_path):
    write(tmp_path / "a.fits", **{"DATE-OBS": "2014-01-11T08:00:00"})
    write(tmp_path / "b.fits", WAVELNTH=94, EXPTIME=120.0, **{"DATE-OBS": "2014-01-11T08:00:59"})
    write(tmp_path / "c.fits", **{"DATE-OBS": "2014-01-11T08:01:12"})
    source = FITSFolder(tmp_path, 16)
    assert (np.diff(source.times) > np.timedelta64(0, "s")).all()
    assert len(build_store(tmp_path / "store", source)) == 2


def test_times_in_tai_become_utc_and_times_of_two_keywords_one(tmp_path):
    path = write(tmp_path / "a.fits", TIMESYS="TAI", **{"DATE-OBS": "2014-01-11T08:00:35"})
    assert read_header(path).time == np.datetime64("2014-01-11T08:00:00")
    cards = {"DATE-OBS": "2014-01-11", "TIME-OBS": "18:00:00.5"}
    path = write(tmp_path / "b.fits", **cards)
    assert read_header(path).time == np.datetime64("2014-01-11T18:00:00.500")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATE-OBS": "2014-01-11"}, "'2014-01-11' is a day without a time of day"),
        ({"DATE-OBS": "today"}, "got 'today'"),
        ({"TIMESYS": "TDB"}, "times in TDB"),
        ({"CTYPE1": "HPLT-TAN", "CTYPE2": "HPLN-TAN"}, "not HPLN and HPLT"),
        ({"PC1_1": 0.0, "PC1_2": 0.0, "PC2_1": 0.0, "PC2_2": 0.0}, "both axes into one"),
        ({"EXPTIME": 1e-30}, "exposure time"),
    ],
)
def test_headers_that_would_misplace_an_image_are_refused(tmp_path, changes, message):
    with pytest.raises(DataIntegrityError, match=message):
        read_header(write(tmp_path / "a.fits", **changes))


def test_masked_pixels_of_a_map_have_no_value(tmp_path, generator):
    data = generator.gamma(2, 100, (64, 64)).astype(np.float32)
    data[10:20] = 1e6

    class Masked:
        meta = dict(header(NAXIS=2))
        mask = data == 1e6

    Masked.data = data
    image = read_image(Masked(), 64).image
    assert np.isnan(image[10:20]).all()
    assert np.nanmax(image) < 1e5
