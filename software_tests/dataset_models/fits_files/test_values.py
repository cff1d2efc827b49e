"""Values of FITS images: fills of every type and impossible numbers are missing, and counted."""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.fits_files.units import is_per_second, says_normalised
from dataset_models.SDO.fits_folder import FITSFolder
from dataset_models.SDO.image_file import read_header, read_image, read_values
from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.files.frames import read_frame
from dataset_models.solar_scenes.files.header_scan import scan_frame
from software_tests.dataset_models.SDO.test_fits import header
from tools.channels import AIA_CHANNELS, aia_degradation

BLOCK = np.s_[20:30, 20:34]  # 140 pixels


@pytest.fixture
def plain(generator):
    return np.round(generator.uniform(50, 3000, (64, 64)))


def save(path, data, **changes):
    fits.PrimaryHDU(np.asarray(data, np.float32), header(**changes)).writeto(path)
    return path


def stored(data, kind, fill, *, blank=None, scale=(1.0, 0.0)):
    """Return an HDU of one type with a block of fill values, which are given as stored."""
    factor, zero = scale
    zero = 32768.0 if kind == "u2" else zero
    raw = np.round((data - zero) / factor) if kind != "f4" else data.copy()
    raw[BLOCK] = fill
    hdu = fits.PrimaryHDU(raw.astype({"u2": ">i2", "i2": ">i2", "i4": ">i4", "f4": ">f4"}[kind]))
    hdu.header.update(header())
    if (factor, zero) != (1.0, 0.0):
        hdu.header["BSCALE"], hdu.header["BZERO"] = factor, zero
    if blank is not None:
        hdu.header["BLANK"] = blank
    return hdu


KINDS = {
    "BLANK on unsigned 16 bit, least": ("u2", -32768, {"blank": -32768}),
    "BLANK on unsigned 16 bit, largest": ("u2", 32767, {"blank": 32767}),
    "BLANK on 16 bit": ("i2", -32768, {"blank": -32768}),
    "BLANK on scaled 32 bit": ("i4", -(2**31), {"blank": -(2**31), "scale": (0.5, 10.0)}),
    "-32768 without BLANK": ("i2", -32768, {}),
    "least of scaled 16 bit without BLANK": ("i2", -32768, {"scale": (0.5, 10.0)}),
    "-200": ("f4", -200.0, {}),
    "1e30": ("f4", 1e30, {}),
    "netCDF's": ("f4", 9.96921e36, {}),
    "NaN": ("f4", np.nan, {}),
    "infinity": ("f4", np.inf, {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_fill_values_are_missing_and_all_others_stay(tmp_path, plain, name):
    kind, fill, options = KINDS[name]
    stored(plain, kind, fill, **options).writeto(tmp_path / "a.fits")
    values = read_values(tmp_path / "a.fits", read_header(tmp_path / "a.fits"))
    missing = np.zeros((64, 64), bool)
    missing[BLOCK] = True
    np.testing.assert_array_equal(np.isnan(values.data), missing)
    step = options.get("scale", (1.0,))[0]
    np.testing.assert_allclose(values.data[~missing], plain[~missing], atol=step / 2)
    # what the header announces, and NaN, is no news
    is_news = "blank" not in options and name != "NaN"
    assert (values.n_filled + values.n_impossible == 140) == is_news
    if name != "-200":  # of an instrument that is not known, -200 may be a value
        assert read_frame(tmp_path / "a.fits").bad[BLOCK].all()


def test_the_count_of_what_was_mended_is_said(tmp_path, plain):
    a, b = tmp_path / "a.fits", tmp_path / "b.fits"
    stored(plain, "f4", 1e30).writeto(a)
    stored(plain, "f4", -5000.0).writeto(b)
    assert read_image(a, 64).mended == "a.fits: 140 pixels of fill values are missing"
    assert read_image(b, 64).mended == "b.fits: 140 pixels of impossible brightness are missing"


def test_a_frame_that_is_mostly_fill_is_refused_and_named(tmp_path, plain):
    data = plain.astype(np.float32)
    data[:40] = 1e30
    path = save(tmp_path / "a.fits", data)
    with pytest.raises(DataIntegrityError, match=r"a\.fits: 62% of its pixels are fill values"):
        read_image(path, 64)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({}, None),
        ({"BUNIT": "DN"}, False),
        ({"PIXLUNIT": "DN/s"}, True),
        ({"BUNIT": "ct / (pix s)"}, True),
        ({"BUNIT": "DN / s", "PIXLUNIT": "DN"}, True),  # a map divided by its exposure
        ({"BUNIT": "", "PIXLUNIT": "DN"}, False),
        ({"BUNIT": "1 / s"}, True),  # the same of a map without a unit
    ],
)
def test_units(cards, expected):
    assert is_per_second(cards) is expected


def test_units_that_contradict_are_refused():
    with pytest.raises(ValueError, match="contradict each other"):
        is_per_second({"BUNIT": "DN", "PIXLUNIT": "DN/s"})


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("aia_prep: exposure normalized to 1.0 s", True),
        ("Normalised by EXPTIME", True),
        ("exposure time NOT normalized", False),
        ("normalize=0, exposure kept", False),
        ("flat field normalized to its mean; exposure of flat 2.0 s", False),
        ("", False),
    ],
)
def test_what_history_says_of_exposure(history, expected):
    assert says_normalised({"HISTORY": history}) is expected


def test_values_divided_by_the_exposure_are_not_divided_again(tmp_path, plain):
    counts = read_image(save(tmp_path / "dn.fits", plain), 64)
    for name, changes in {
        "unit": {"BUNIT": "DN / s"},
        "older unit": {"PIXLUNIT": "DN/s"},
        "history": {"HISTORY": "exposure normalized to 1.0 s"},
        "overwritten": {"BUNIT": "DN / s", "EXPTIME": 1.0},
        "overwritten, DN": {"BUNIT": "DN", "EXPTIME": 1.0},
    }.items():
        found = read_image(save(tmp_path / f"{name}.fits", plain / 2.0, **changes), 64)
        np.testing.assert_allclose(found.image, counts.image, rtol=1e-6)
        assert found.header.exposure_s == 2.0  # 171 A's usual, where the card was overwritten
    commanded = read_header(save(tmp_path / "c.fits", plain, EXPTIME=1.0, AIMGSHCE=240))
    assert commanded.exposure_s == 0.24
    changes = {"BUNIT": "DN", "HISTORY": "exposure normalized to 1.0 s"}
    with pytest.raises(DataIntegrityError, match="unit is DN, but HISTORY says"):
        read_header(save(tmp_path / "bad.fits", plain, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"IMG_TYPE": "DARK"}, "its IMG_TYPE is DARK"),
        ({"LVL_NUM": 0.0}, "its LVL_NUM is 0"),
        ({"LVL_NUM": "0.5"}, "its LVL_NUM is 0.5"),
        ({"WAVE_STR": "171_THICK"}, "its filter is 171_THICK"),
        ({"CRVAL1": 90000.0}, "none of its pixels lies on the grid"),
    ],
)
def test_what_shows_no_calibrated_sun_is_left_out_and_named(tmp_path, plain, changes, message):
    save(tmp_path / "good.fits", plain)
    save(tmp_path / "odd.fits", plain, WAVELNTH=193, **changes)
    source = FITSFolder(tmp_path, 16)
    source.image(0)
    lines = source.summary().lines()
    assert lines[0] == "1 of 2 files read, 1 left out"
    assert message in lines[1]


def test_all_images_of_a_file_count_and_what_is_none_is_named(tmp_path, plain):
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for channel in (171, 193):
        hdus.append(fits.ImageHDU(plain.astype(np.float32) + channel, header(WAVELNTH=channel)))
    cube = header(WAVE1=94, WAVE2=131, WAVELNTH=None)
    planes = np.stack([plain, 2 * plain]).astype(np.float32)[None]  # and an axis of length 1
    hdus.append(fits.ImageHDU(planes, cube))
    hdus.append(fits.ImageHDU(np.ones((3, 64, 64), np.float32), header()))
    hdus.append(fits.BinTableHDU.from_columns([fits.Column("a", "D", array=[1.0])]))
    hdus.writeto(tmp_path / "many.fits")
    save(tmp_path / "._many.fits", plain)
    source = FITSFolder(tmp_path, 64)
    image = source.image(0)
    for channel, counts in {94: plain, 131: 2 * plain, 171: plain + 171, 193: plain + 193}.items():
        left = aia_degradation(channel, np.array(["2014-01-11T08:00"], "datetime64[s]"))[0]
        found = image[AIA_CHANNELS.index(channel)]
        np.testing.assert_allclose(found, counts / 2.0 / left, rtol=1e-5)
    lines = source.summary().lines()
    assert lines[0] == "4 of 7 files read, 3 left out"
    assert sorted(lines[1:]) == [
        "  left out: ._many.fits: a hidden file",
        "  left out: many.fits[4]: a cube of the shape (3, 64, 64) whose planes are not named as "
        "channels (WAVE1, WAVE2, ...); give one image (y, x) in an HDU of its own",
        "  left out: many.fits[5]: BINTABLE, no image",
    ]


def test_cards_without_a_value_are_left_out_and_named(tmp_path, plain):
    path = save(tmp_path / "a.fits", plain, CRLT_OBS=7.0, XNAN="XXXX")
    raw = path.read_bytes().replace(b"'XXXX    '", b"nan       ")
    card = b"CRLT_OBS=                  7.0"
    assert card in raw
    path.write_bytes(raw.replace(card, card.replace(b"7.0", b"   ")))
    found = read_header(path)
    assert found.notes == ("a.fits: the card CRLT_OBS has no usable value and is left out",)
    assert found.lost_cards == ("XNAN",)
    assert FITSFolder(tmp_path, 64).summary().lines() == [
        "1 of 1 files read, 0 left out, 1 of those read mended",
        "  mended: a.fits: the card CRLT_OBS has no usable value and is left out",
        "  note: cards without a usable value are left out, in up to 1 files: XNAN",
    ]
    assert "CRLT_OBS" not in found.wcs


def test_a_frame_is_found_behind_a_preview_and_not_beside_a_cube(tmp_path, plain):
    preview, spectrum = np.ones((8, 8), np.float32), np.ones(40, np.float32)
    image = fits.ImageHDU(plain.astype(np.float32), header(NAXIS=2))
    for k, first in enumerate((preview, spectrum)):
        path = tmp_path / f"{k}.fits"
        fits.HDUList([fits.PrimaryHDU(first), image]).writeto(path)
        np.testing.assert_array_equal(read_frame(path).image, plain)
        assert scan_frame(path).time == "2014-01-11T08:00:00.120"
    auxiliary = fits.ImageHDU(np.ones((64, 47), np.float32))
    cube = fits.PrimaryHDU(np.ones((5, 40, 50), np.float32))
    fits.HDUList([cube, auxiliary]).writeto(tmp_path / "cube.fits")
    for read in (read_frame, scan_frame):
        with pytest.raises(DataIntegrityError, match="a cube of the shape"):
            read(tmp_path / "cube.fits")


def test_colons_in_names_and_damage_before_remarks(tmp_path, plain):
    for minute in (10, 30):
        data = plain.copy()
        data[:2] = 1e30
        changes = {"DATE-OBS": f"2014-01-11T08:{minute}:00", "RSUN_OBS": "nan"}
        save(tmp_path / f"T08:{minute}:00_171.fits", data, **changes)
    source = FITSFolder(tmp_path, 16)
    for k in range(2):
        source.image(k)
    lines = source.summary().lines()
    assert lines[0] == "2 of 2 files read, 0 left out, 2 of those read mended"
    assert "128 pixels of fill values are missing" in lines[1]
