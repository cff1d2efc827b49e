"""What is missing is found, what is dark for a reason stays."""

import numpy as np
import pytest

from dataset_models.solar_scenes.files import bad_pixels
from dataset_models.solar_scenes.files.bad_pixels import fill_in, find_bad_pixels
from software_tests.dataset_models.solar_scenes.scene_files import texture

ROWS, COLUMNS = np.mgrid[:128, :128]


@pytest.fixture
def image():
    return texture(1, 128)


def limb(centre, radius, sky=0.0):
    """A limb-darkened disc before a sky of one value, or of noise clipped at 0."""
    r = np.hypot(ROWS - centre[0], COLUMNS - centre[1]) / radius
    mu = np.sqrt(np.clip(1 - r**2, 0, 1))
    disc = 500 * (0.35 + 0.65 * mu)
    return np.where(r < 1, disc, sky).astype(np.float32)


def test_a_good_frame_has_no_bad_pixel(image):
    assert not find_bad_pixels(image).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -32768.0, -(2.0**31)])
def test_values_that_are_none(image, value):
    image[5, 7] = value
    bad = find_bad_pixels(image)
    assert bad.sum() == 1
    assert bad[5, 7]


def test_a_repeated_value_far_below_all_others_is_fill(image):
    image -= 480  # signed, as after a subtraction
    image[:9, :4] = -200  # IRIS level 2
    bad = find_bad_pixels(image)
    assert bad[:9, :4].all()
    assert bad.sum() == 36


@pytest.mark.parametrize("place", [np.s_[32:36, 52:56], np.s_[124:, 124:], np.s_[:, 60:61]])
def test_blocks_of_zeros(image, place):
    expected = np.zeros(image.shape, bool)
    expected[place] = True
    image[place] = 0
    assert np.array_equal(find_bad_pixels(image), expected)


def test_joined_blocks_of_zeros(image):
    expected = np.zeros(image.shape, bool)
    expected[16:32, 16:64] = True
    expected[32:48, 16:32] = True
    image[expected] = 0
    assert np.array_equal(find_bad_pixels(image), expected)


@pytest.mark.parametrize(
    ("centre", "radius"),
    [((-40, 64), 150), ((64, 64), 60), ((64, -800), 900), ((-2900, -2900), 4200)],
)
def test_a_sky_of_zeros_is_no_missing_block(centre, radius):
    picture = limb(centre, radius)
    assert (picture == 0).any()
    assert not find_bad_pixels(picture).any()


def test_a_clipped_sky_is_no_missing_block(generator):
    noise = np.clip(generator.normal(0, 3, (128, 128)), 0, None)
    picture = limb((-40, 64), 120, sky=noise)
    assert (picture == 0).sum() > 1000
    assert not find_bad_pixels(picture).any()


def test_zeros_of_a_field_are_values(generator):
    field = np.round(generator.normal(0, 10, (128, 128)))
    assert (field == 0).sum() > 300
    assert not find_bad_pixels(field.astype(np.float32)).any()


def test_dark_and_dead_lines(image):
    expected = np.zeros(image.shape, bool)
    for place in (np.s_[:, :2], np.s_[:, -1:], np.s_[70:71, :], np.s_[-3:, :]):
        expected[place] = True
    image[expected] *= 0.19  # SOT's dark columns beside theirs
    assert np.array_equal(find_bad_pixels(image), expected)
    dead = texture(2, 128)
    dead[:, 127] = 480.1  # not dark, but one value
    assert np.array_equal(find_bad_pixels(dead).any(axis=0), np.arange(128) == 127)


@pytest.mark.parametrize("width", [2, 6, 30])
def test_features_of_the_sun_are_no_dark_lines(image, width):
    image[20:100, 50 : 50 + width] *= 0.2  # ends within the frame
    image[:, : 10 * width] *= np.linspace(0.5, 1, min(10 * width, 128))  # a gradient
    assert not find_bad_pixels(image).any()


def test_sky_beside_the_limb_at_the_edge_is_no_dark_line():
    assert not find_bad_pixels(limb((64, 135), 132, sky=20.0)).any()


def test_filling_takes_the_nearest_values_and_leaves_others(image):
    bad = np.zeros(image.shape, bool)
    bad[40:50, 40:60] = bad[100, 3] = bad[:, 0] = True
    broken = np.where(bad, np.nan, image)
    filled = fill_in(broken, bad)
    assert np.array_equal(filled[~bad], image[~bad])
    assert np.isfinite(filled).all()
    # smoothed nearest values: within the range of the good pixels around
    assert image.min() <= filled[bad].min() <= filled[bad].max() <= image.max()
    # column 0 beside column 1: a Gaussian of 1.5 pixels moves it by less than the texture's spread
    assert np.abs(filled[:, 0] - image[:, 1]).max() < 2 * image.std()


def test_filling_a_frame_of_two_levels():
    image, bad = np.full((64, 64), 10.0, np.float32), np.zeros((64, 64), bool)
    image[:, 32:] = 30.0
    bad[10:14, 10:14] = bad[40:44, 50:54] = True
    image[bad] = -1e9
    filled = fill_in(image, bad)
    # what lies 18 pixels and more from a step takes its own side's level
    np.testing.assert_allclose(filled[10:14, 10:14], 10.0, rtol=1e-6)
    np.testing.assert_allclose(filled[40:44, 50:54], 30.0, rtol=1e-6)


def test_regions_are_filled_as_the_whole_would_be(generator, monkeypatch):
    image = texture(4, 96)
    bad = np.zeros((96, 96), bool)
    for row, column in generator.integers(0, 92, (12, 2)):
        bad[row : row + 3, column : column + 3] = True
    one_by_one = fill_in(np.where(bad, np.nan, image), bad)
    monkeypatch.setattr(bad_pixels, "_MOST_REGIONS", 0)
    whole = fill_in(np.where(bad, np.nan, image), bad)
    assert np.array_equal(one_by_one[~bad], whole[~bad])
    # where two good pixels are equally near, either may be taken
    differ = np.abs(one_by_one - whole)[bad]
    assert np.median(differ) < 0.1 * image.std()
    assert differ.max() < 3 * image.std()


def test_clipped_noise_with_zeros_everywhere_is_no_missing_data(generator):
    picture = np.clip(generator.normal(0, 1, (256, 256)), 0, None).astype(np.float32)
    assert not find_bad_pixels(picture).any()
    picture += 5
    picture[generator.random(picture.shape) < 0.05] = 0  # so often that it is a value
    assert not find_bad_pixels(picture).any()
