"""A whole generated Sun: geometry against its own header, features where they belong."""

import numpy as np
import pytest
from astropy.wcs import WCS

from dataset_models.solar_scenes.classes import CLASSES
from dataset_models.solar_scenes.painting.full_disc import full_disc


@pytest.fixture(scope="module")
def sun():
    return full_disc(512, 3, texture="fibrils")


def test_the_limb_lies_at_the_radius_of_the_header(sun):
    wcs = WCS(sun.header)
    y, x = np.mgrid[:512, :512]
    tx, ty = (a.ravel() for a in wcs.pixel_to_world_values(x, y))
    # the coordinates come in degrees, or in arcsec where astropy keeps the unit
    unit = 3600 if wcs.wcs.cunit[0] == "deg" else 1
    wrapped = [(a * unit + 648000) % 1296000 - 648000 for a in (tx, ty)]
    away = np.hypot(*wrapped).reshape(512, 512)
    disc = sun.masks[CLASSES.index("quiet")]
    spacing = sun.header["CDELT1"]
    assert not disc[away > sun.header["RSUN_OBS"] + spacing].any()
    features = sun.masks.any(0)
    assert features[away < sun.header["RSUN_OBS"] - spacing].all()
    sky = away > 1.2 * sun.header["RSUN_OBS"]
    assert np.median(sun.image[disc]) > 3 * np.median(sun.image[sky])
    assert (away[sun.masks[CLASSES.index("prominences")]] > sun.header["RSUN_OBS"] - spacing).all()


def test_all_classes_are_there(sun):
    assert sun.masks.shape == (5, 512, 512)
    assert (sun.masks.sum((1, 2)) > 20).all()
    assert sun.image.dtype == np.float32
    assert np.isfinite(sun.image).all()


def test_the_disc_darkens_towards_the_limb():
    sun = full_disc(256, 4, texture="granulation")
    y, x = np.mgrid[:256, :256]
    radius = sun.header["RSUN_OBS"] / sun.header["CDELT1"]
    away = np.hypot(x + 1 - sun.header["CRPIX1"], y + 1 - sun.header["CRPIX2"]) / radius
    inner, outer = (np.median(sun.image[(away > a) & (away < a + 0.1)]) for a in (0.0, 0.85))
    assert inner > 1.05 * outer
    assert not sun.masks[CLASSES.index("prominences")].any()  # the photosphere shows none


def test_it_is_the_same_again_and_refuses_what_it_can_not_draw():
    first, again, other = full_disc(128, 1), full_disc(128, 1), full_disc(128, 2)
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    with pytest.raises(ValueError, match="at least 128 pixels"):
        full_disc(64, 1)
    with pytest.raises(ValueError, match="a texture of granulation"):
        full_disc(128, 1, texture="marble")
