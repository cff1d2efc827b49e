"""Pixels' places on the sky: linear scales, and sunpy's own conversion of heliographic maps."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from sunpy.coordinates import frames as sun_frames

from dataset_models.solar_scenes.files.frames import position_arcsec, read_frame
from dataset_models.solar_scenes.files.positions import beyond_limb
from software_tests.dataset_models.solar_scenes.scene_files import texture, write_frame


def test_helioprojective_pixels_are_linear(tmp_path):
    frame = read_frame(write_frame(tmp_path / "a.fits", texture(1), centre=(-700.0, 30.0)))
    x, y = position_arcsec(frame, 31.5, 31.5)
    assert (x, y) == pytest.approx((-700.0, 30.0), abs=1e-6)
    x, y = position_arcsec(frame, np.array([31.5, 51.5]), np.array([31.5, 21.5]))
    # 0.5 arcsec a pixel; the tangent plane bends 14 arcsec by far less than 0.01
    assert x == pytest.approx([-700.0, -690.0], abs=0.01)
    assert y == pytest.approx([30.0, 25.0], abs=0.01)


def test_no_coordinates_no_place(tmp_path):
    frame = read_frame(write_frame(tmp_path / "a.fits", texture(1), centre=None))
    assert np.isnan(position_arcsec(frame, 3, 4)).all()


def _carrington(tmp_path, **cards):
    kinds = {"CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "degree", "CUNIT2": "degree"}
    scale = {"CDELT1": 1.0, "CDELT2": 1.0, "CRVAL1": 30.0, "CRVAL2": 0.0}
    return read_frame(write_frame(tmp_path / "a.fits", texture(1), **{**kinds, **scale, **cards}))


def test_carrington_pixels_are_seen_from_the_observer(tmp_path):
    observer = {"CRLN_OBS": 30.0, "CRLT_OBS": 0.0, "DSUN_OBS": 1.5e11}
    frame = _carrington(tmp_path, **observer)
    assert position_arcsec(frame, 31.5, 31.5) == pytest.approx((0.0, 0.0), abs=1e-6)
    # 30 degrees west on the equator, R = 695,700 km: tan x = R sin 30 / (D - R cos 30)
    expected = 3600 * np.degrees(np.arctan(6.957e8 * 0.5 / (1.5e11 - 6.957e8 * np.cos(np.pi / 6))))
    assert position_arcsec(frame, 61.5, 31.5) == pytest.approx((expected, 0.0), abs=1e-3)


def test_what_lies_behind_the_limb_has_no_place(tmp_path):
    frame = _carrington(tmp_path, CRLN_OBS=150.0, CRLT_OBS=0.0, DSUN_OBS=1.5e11)
    assert np.isnan(position_arcsec(frame, 31.5, 31.5)).all()


def test_without_an_observer_the_earth_sees_it(tmp_path):
    # on 2011-10-08 at 11:15 the Earth stood over Carrington longitude 152 degrees
    frame = _carrington(tmp_path, CRVAL1=130.0)
    place = SkyCoord(
        130 * u.deg,
        0 * u.deg,
        frame=sun_frames.HeliographicCarrington,
        obstime=frame.time,
        observer="earth",
    )
    seen = place.transform_to(sun_frames.Helioprojective(obstime=frame.time, observer="earth"))
    assert seen.distance < 1 * u.AU  # before the limb
    # both ask the same ephemeris; 0.1 arcsec are 0.01 degrees at the centre of the disc
    expected = (seen.Tx.value, seen.Ty.value)
    assert position_arcsec(frame, 31.5, 31.5) == pytest.approx(expected, abs=0.1)


def test_sharp_pixels_are_where_sunpy_puts_them(shared):
    (path,) = (shared / "sharp_ar11158").glob("*continuum.fits")
    frame = read_frame(path)
    header = frame.header
    observer = SkyCoord(
        header["CRLN_OBS"] * u.deg,
        header["CRLT_OBS"] * u.deg,
        header["DSUN_OBS"] * u.m,
        frame=sun_frames.HeliographicCarrington,
        obstime=frame.time,
        observer="self",
    )
    x, y = np.array([0.0, 371.5, 743.0]), np.array([0.0, 188.0, 376.0])
    longitude, latitude = frame.wcs.wcs_pix2world(x, y, 0)
    place = SkyCoord(
        longitude * u.deg,
        latitude * u.deg,
        frame=sun_frames.HeliographicCarrington,
        obstime=frame.time,
        observer=observer,
    )
    helioprojective = sun_frames.Helioprojective(obstime=frame.time, observer=observer)
    expected = place.transform_to(helioprojective)
    found = position_arcsec(frame, x, y)
    # both are seen from the same place with the same radius; only rounding is left
    np.testing.assert_allclose(found[0], expected.Tx.value, atol=0.01)
    np.testing.assert_allclose(found[1], expected.Ty.value, atol=0.01)


def test_the_limb(tmp_path):
    image = texture(1)
    frame = read_frame(write_frame(tmp_path / "a.fits", image, centre=(960.0, 0.0), RSUN_OBS=960.0))
    beyond = beyond_limb(frame.wcs, frame.header, image.shape)
    x, y = position_arcsec(frame, *np.meshgrid(np.arange(64.0), np.arange(64.0)))
    differ = beyond != (np.hypot(x, y) > 960)
    assert differ.mean() < 0.02  # pixels on the limb itself
    assert beyond_limb(None, {}, image.shape) is None
