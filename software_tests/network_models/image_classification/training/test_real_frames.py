"""Real frames are sorted by what is in them, not by what a network says."""

import numpy as np
from astropy.io import fits

from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from network_models.image_classification.training.real_frames import (
    none_of_the_classes,
    real_scenes,
    spot_free_tiles,
    spot_tiles,
)


def photosphere(shape=(192, 288)):
    """Bright everywhere, a spot about (40, 40), about (150, 250) a pore, under 1 % of a tile."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = 1000 + np.random.default_rng(0).normal(0, 20, shape)
    image[np.hypot(y - 40, x - 40) < 12] = 200
    image[np.hypot(y - 150, x - 250) < 5] = 300
    return image.astype(np.float32)


def test_tiles_are_told_apart_by_what_is_dark():
    image = photosphere()
    (spot,) = spot_tiles(image, 96)
    np.testing.assert_array_equal(spot, image[:96, :96])
    quiet = spot_free_tiles(image, 96)
    assert len(quiet) == 4  # six tiles less the spot's and the pore's
    assert not any(np.shares_memory(tile, image[100:192, 200:]) for tile in quiet)


def test_folders_become_scenes_of_known_truth(tmp_path):
    for name in (
        "hmi/patch.fits",
        "sharp_ar11158/x.continuum.fits",
        "sharp_ar11158/x.Br.fits",
        "sharp_ar11158/x.magnetogram.fits",
        "eit/efz1.fits",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        fits.writeto(tmp_path / name, photosphere())
    scenes = {scene.name: scene for scene in real_scenes(tmp_path)}
    assert {OUTPUTS[scene.truth] for scene in scenes.values()} == {"sunspots", "quiet"}
    assert all(
        (scene.truth == CLASSES.index("quiet")) == ("spot-free" in name)
        for name, scene in scenes.items()
    )
    others = {scene.name: scene for scene in none_of_the_classes(tmp_path)}
    assert [len(scene.images) for scene in others.values()] == [1, 2]  # EIT; both fields
    assert {OUTPUTS[scene.truth] for scene in others.values()} == {"none of these"}
