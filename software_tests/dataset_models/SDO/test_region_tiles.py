"""Tiles of the virtual Sun and what they are called."""

import numpy as np
import pytest

from dataset_models.SDO.AIA.region_tiles import REGION_CLASSES, RegionTiles, plasma_classes
from dataset_models.virtual_sun.corona import FIELD_ARCSEC, SUN_RADIUS_ARCSEC
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from tools.channels import AIA_CHANNELS


@pytest.fixture(scope="module")
def tiles():
    return RegionTiles(3, n_images=20, image_size=96, tile=16, per_class=2)


def test_what_lies_beyond_the_disc_is_off_limb_or_flares():
    record = simulate_record(FlareProcessParameters(), years=0.3, seed=1)
    found = plasma_classes(record, 500, 128)
    centre = (np.arange(128) - 63.5) * FIELD_ARCSEC / 128
    away = np.hypot(*np.meshgrid(centre, centre))
    outside = found[away > SUN_RADIUS_ARCSEC]
    names = np.array(REGION_CLASSES)
    assert set(names[outside]) <= {"off limb", "flare"}
    assert "off limb" not in set(names[found[away <= SUN_RADIUS_ARCSEC]])
    # the virtual Sun has a hole at each pole, outside the cycle's maximum
    assert (found[away <= SUN_RADIUS_ARCSEC] == REGION_CLASSES.index("coronal hole")).any()


def test_tiles_have_a_class_and_their_image_as_group(tiles):
    table, classes = tiles.table, tiles.classes
    arrays = tiles.read(np.arange(len(table)))
    assert arrays["image"].shape == (len(table), 16, 16, len(AIA_CHANNELS))
    assert arrays["image"].dtype == np.float32
    np.testing.assert_array_equal(arrays["label"].argmax(axis=1), classes)
    np.testing.assert_array_equal(arrays["label"].sum(axis=1), 1)
    assert set(classes) >= {0, 4}  # quiet Sun and off limb are in every image
    assert not tiles.verify()
    times = np.unique(table.time)
    assert np.diff(times).min() > np.timedelta64(40, "D")  # no region lives through two images
    assert len(np.unique(table.group)) == len(times)


def test_the_dark_hole_and_the_bright_region_look_as_they_should(tiles):
    image = tiles.read(np.arange(len(tiles.table)))["image"][..., AIA_CHANNELS.index(193)]
    mean = {k: np.median(image[tiles.classes == k]) for k in set(tiles.classes)}
    assert mean[1] < 0.7 * mean[0]
    assert mean[2] > 1.5 * mean[0]


def test_the_same_seed_gives_the_same_tiles(tiles):
    again = RegionTiles(3, n_images=20, image_size=96, tile=16, per_class=2)
    np.testing.assert_array_equal(again.table.content_hash, tiles.table.content_hash)
    assert again.fingerprint() == tiles.fingerprint()


@pytest.mark.parametrize("options", [{"n_images": 2}, {"tile": 200}, {"per_class": 0}])
def test_impossible_sizes_are_refused(options):
    with pytest.raises(ValueError, match=r"must be|a tile has"):
        RegionTiles(0, **options)
