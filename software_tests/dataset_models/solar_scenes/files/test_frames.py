"""Frames of many instruments and makes are read in one way, or refused in a sentence."""

import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.files.folder import SceneFolder
from dataset_models.solar_scenes.files.frames import list_frames, network_input, read_frame
from dataset_models.solar_scenes.files.resize import area_resize
from software_tests.dataset_models.solar_scenes.scene_files import texture, write_frame


@pytest.fixture
def image():
    return texture(3)


def test_what_a_frame_holds(tmp_path, image):
    path = write_frame(tmp_path / "a.fits", image.astype(">i2"), centre=(59.8, 267.6))
    frame = read_frame(str(path))
    assert frame.image.dtype == np.dtype(np.float32)
    assert frame.image.dtype.isnative
    assert np.array_equal(frame.image, image.astype(np.int16))
    assert not frame.bad.any()
    assert frame.time == "2011-10-08T11:15:33.003"
    assert frame.instrument == "HINODE SOT/NB"
    assert frame.wcs.wcs.ctype[0] == "HPLN-TAN"
    assert frame.header["CDELT1"] == 0.5
    assert frame.path == path


def test_other_makes_of_the_same_frame(tmp_path, image):
    plain = write_frame(tmp_path / "a.fits", image)
    (tmp_path / "b.fts.gz").write_bytes(gzip.compress(plain.read_bytes()))
    header = fits.getheader(plain)
    packed = fits.CompImageHDU(image, header, compression_type="GZIP_1", quantize_level=0)
    dump = fits.ImageHDU(np.zeros(4, np.uint8))
    fits.HDUList([fits.PrimaryHDU(), packed, dump]).writeto(tmp_path / "c.fits")
    fits.HDUList([fits.PrimaryHDU(image[None], header), dump]).writeto(tmp_path / "d.fit")
    np.save(tmp_path / "e.npy", image)
    for name in ("b.fts.gz", "c.fits", "d.fit", "e.npy"):
        frame = read_frame(tmp_path / name)
        assert np.array_equal(frame.image, image), name
        if name != "e.npy":
            assert frame.time == "2011-10-08T11:15:33.003"
    assert (frame.time, frame.instrument, frame.wcs, frame.header) == ("", "", None, {})


def test_scaled_integers_and_blanks(tmp_path):
    stored = np.arange(64 * 64, dtype=np.int32).reshape(64, 64) % 1000
    stored[3, 4] = -(2**31)
    hdu = fits.PrimaryHDU(stored)
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 3.0, 97304.0, -(2**31)
    hdu.writeto(tmp_path / "a.fits")
    frame = read_frame(tmp_path / "a.fits")
    assert np.argwhere(frame.bad).tolist() == [[3, 4]]
    good = ~frame.bad
    np.testing.assert_allclose(frame.image[good], 97304 + 3.0 * stored[good], rtol=1e-7)


def test_damaged_cards_do_no_harm(tmp_path, image):
    path = write_frame(tmp_path / "a.fits", image, CRDER1="XXXX", LONPOLE="YYYY")
    raw = path.read_bytes().replace(b"'XXXX    '", b"nan       ")
    path.write_bytes(raw.replace(b"'YYYY    '", b"nan       "))
    frame = read_frame(path)
    assert frame.wcs is not None
    assert "CRDER1" not in frame.header


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"DATE-OBS": "2014-03-01T00:00:27.90"}, "2014-03-01T00:00:27.900"),
        ({"DATE-OBS": "2004-03-01", "TIME-OBS": "01:00:16"}, "2004-03-01T01:00:16.000"),
        # TAI was 34 s ahead of UTC from 2009 to mid-2012 (IERS Bulletin C 36)
        ({"T_OBS": "2011.02.15_01:59:54_TAI"}, "2011-02-15T01:59:20.000"),
        ({"T_REC": "2011.02.15_02:00:00_TAI", "T_OBS": "nan"}, "2011-02-15T01:59:26.000"),
        ({"DATE_OBS": "2004-03-01T01:00:16.178Z"}, "2004-03-01T01:00:16.178"),
        (
            {"DATE_OBS": "2012-06-05T21:58:39.912", "TIMESYS": "UTC (TBR)"},
            "2012-06-05T21:58:39.912",
        ),
        ({"DATE_OBS": "2011-02-30T00:00:00"}, ""),
        ({"DATE_OBS": "yesterday"}, ""),
        ({"DATE-OBS": "2014-03-01"}, ""),  # a day is no time
    ],
)
def test_times(tmp_path, image, cards, expected):
    assert read_frame(write_frame(tmp_path / "a.fits", image, time=None, **cards)).time == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((64, 64)), "all its pixels are 0"),
        (np.full((64, 64), 7.0), "all its pixels are 7"),
        (np.where(np.arange(64 * 64).reshape(64, 64) % 64 < 40, np.nan, 5.0), "62% of its pixels"),
        (np.full((64, 64), np.nan), "100% of its pixels are missing"),
        (np.zeros((31, 64)), "expected 32 x 32 pixels or more, got the shape"),
        (np.zeros(100), "expected 32 x 32 pixels or more"),
        (np.zeros((5, 64, 64)), "a cube of the shape .* give one frame"),
        (np.zeros((3, 64, 64)), "a colour picture of the shape"),
        (np.zeros((64, 64, 3)), "a colour picture of the shape"),
    ],
)
@pytest.mark.parametrize("ending", ["fits", "npy"])
def test_what_is_no_frame_is_refused_in_a_sentence(tmp_path, data, message, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, data)
    else:
        fits.PrimaryHDU(data).writeto(path)
    with pytest.raises(DataIntegrityError, match=rf"a\.{ending}: .*{message}"):
        read_frame(path)


def test_files_that_are_no_frames(tmp_path, image):
    picture = Image.fromarray(np.zeros((64, 64, 3), np.uint8))
    for name, kind in (("a.png", "PNG"), ("b.jpg", "JPEG"), ("c.fits", "PNG")):
        picture.save(tmp_path / name, format=kind)
        with pytest.raises(DataIntegrityError, match=f"a {kind} picture"):
            read_frame(tmp_path / name)
    (tmp_path / "text.fits").write_text("no frame " * 1000)
    (tmp_path / "empty.fits").write_bytes(b"")
    whole = write_frame(tmp_path / "whole.fits", image).read_bytes()
    (tmp_path / "short.fits").write_bytes(whole[: 2880 + 5000])
    packed = gzip.compress(whole)
    (tmp_path / "short.fits.gz").write_bytes(packed[: len(packed) // 2])
    fits.PrimaryHDU().writeto(tmp_path / "no_image.fits")
    np.save(tmp_path / "complex.npy", image.astype(complex))
    (tmp_path / "pickled.npy").write_bytes(_object_array())
    for path in sorted(tmp_path.iterdir()):
        if path.name != "whole.fits":
            with pytest.raises(DataIntegrityError, match=path.name.replace(".", r"\.")):
                read_frame(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_frame(tmp_path / "nothing.fits")


def _object_array():
    from io import BytesIO

    file = BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|O", "fortran_order": False, "shape": (64, 64)}
    )
    return file.getvalue() + b"\0" * 100


def test_a_blanked_sky_becomes_dark_and_the_limb_stays(tmp_path):
    y, x = np.mgrid[:128, :128]
    radius = np.hypot(x - 63.5, y + 800)  # the Sun's radius of 960 arcsec, 1 arcsec a pixel
    disc = np.where(radius < 860, 500 + 0.1 * x, np.nan).astype(np.float32)
    path = write_frame(tmp_path / "a.fits", disc, RSUN_OBS=860.0, CDELT1=1.0, CDELT2=1.0)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["CRPIX1"], hdus[0].header["CRPIX2"] = 64.5, -799.0
    frame = read_frame(path)  # more than half is sky
    sky = ~np.isfinite(disc)
    assert sky.mean() > 0.5
    assert np.array_equal(frame.bad, sky)
    assert (frame.image[sky] == 0).all()
    assert frame.image[~sky].min() >= 500


def test_training_and_use_see_the_same_bytes(tmp_path, image):
    path = write_frame(tmp_path / "data" / "sunspots" / "a.fits", image)
    for size in (48, (40, 56)):
        fed = SceneFolder(tmp_path / "data", size=size).read(np.array([0]))["image"][0]
        assert fed.tobytes() == network_input(path, size).tobytes()
        assert fed.tobytes() == network_input(read_frame(path), size).tobytes()
        shape = (size, size) if isinstance(size, int) else size
        assert np.array_equal(fed[..., 0], area_resize(image, shape))
    assert np.array_equal(network_input(path)[..., 0], image)


def test_files_of_folders_are_listed_with_those_left_out(tmp_path, image):
    for name in ("b/2.fits", "b/1.FITS", "a.fts.gz", "c.npy", "notes.txt", ".hidden.fits"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    frames, skipped = list_frames(tmp_path, tmp_path / "a.fts.gz")
    names = [str(path.relative_to(tmp_path)) for path in frames]
    assert names == ["a.fts.gz", "b/1.FITS", "b/2.fits", "c.npy"]
    assert [(path.name, reason) for path, reason in skipped] == [
        (".hidden.fits", ".hidden.fits: a hidden file"),
        ("notes.txt", "notes.txt: not FITS, by its name"),
    ]
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        list_frames(tmp_path / "nothing")


def test_hinode_frames(shared):
    paths = sorted((shared / "hinode_sot").glob("*.fits.gz"))
    frames = [read_frame(path) for path in paths]
    assert len(frames) == 9
    # PROVENANCE.md: the first has dark columns 0 and 511, no other is bad
    assert [int(frame.bad.sum()) for frame in frames] == [1024] + 8 * [0]
    assert np.flatnonzero(frames[0].bad.all(axis=0)).tolist() == [0, 511]
    columns = np.median(frames[0].image, axis=0)
    assert columns[[0, 511]] == pytest.approx(columns[[1, 510]], rel=0.02)
    assert {frame.instrument for frame in frames} == {"HINODE SOT/NB"}
    assert (frames[0].time, frames[-1].time) == (
        "2011-10-08T11:15:33.003",
        "2011-10-08T11:15:45.792",
    )


def test_frames_of_other_instruments(shared):
    (sharp,) = (shared / "sharp_ar11158").glob("*continuum.fits")
    frame = read_frame(sharp)
    assert frame.image.shape == (377, 744)
    assert frame.wcs.wcs.ctype[0] == "CRLN-CEA"
    assert frame.time == "2011-02-15T01:58:12.300"
    # PROVENANCE.md: 9344 to 69914 DN/s, none missing
    assert (frame.image.min(), frame.image.max()) == pytest.approx((9344, 69914), abs=3)
    assert not frame.bad.any()
    field = read_frame(next((shared / "sharp_ar11158").glob("*magnetogram.fits")))
    assert not field.bad.any()
    patch = read_frame(shared / "hmi" / "hmi.fits")
    assert (patch.wcs, patch.time, patch.instrument) == (None, "", "")
    cutout = read_frame(shared / "aia" / "aia_171_cutout.fits")
    assert cutout.image.shape == (705, 769)
    assert cutout.instrument == "SDO/AIA AIA_3"
    with pytest.raises(DataIntegrityError, match=r"a cube of the shape \(62, 40, 37\)"):
        read_frame(next((shared / "iris").glob("*.fits")))


def test_missing_blocks_of_eit(shared):
    blocks = {"000010": np.s_[32:36, 52:56], "010016": np.s_[124:128, 124:128]}
    for path in sorted((shared / "eit").glob("*.fits")):
        frame = read_frame(path)
        expected = np.zeros((128, 128), bool)
        if path.name[12:18] in blocks:
            expected[blocks[path.name[12:18]]] = True
        assert np.array_equal(frame.bad, expected), path.name
        assert frame.image.min() > 500  # the sky's level is about 840 counts
        # 21.04 arcsec a pixel, eight times what the resampled files' headers say
        scale = 3600 * np.abs(np.diag(frame.wcs.pixel_scale_matrix))
        np.testing.assert_allclose(scale, 21.04, rtol=1e-6)


def test_no_warning_escapes(shared):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in sorted(shared.glob("xrt/*.fits")) + sorted(shared.glob("sharp*/*.fits")):
            read_frame(path)
