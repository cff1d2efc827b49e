"""Area averages from algebra; Slic's preparation from SciPy's formula and Pillow's, written out."""

import numpy as np
import pytest

from dataset_models.solar_scenes.files.resize import area_resize, legacy_slic

PRECISION = 22  # Pillow: 32 bits less 8 of the value less 2 for overshoot


def cubic(x, a=-0.5):
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def bicubic_lines(lines, m):
    """Resample (line, n) bytes to (line, m) with the filter's support scaled when shrinking."""
    n = lines.shape[1]
    scale = n / m
    stretch = max(scale, 1.0)
    out = np.empty((len(lines), m), np.uint8)
    for i in range(m):
        centre = (i + 0.5) * scale
        first = max(int(centre - 2 * stretch + 0.5), 0)
        last = min(int(centre + 2 * stretch + 0.5), n)
        weights = np.array([cubic((k - centre + 0.5) / stretch) for k in range(first, last)])
        weights /= weights.sum()
        fixed = np.floor(weights * 2**PRECISION + 0.5).astype(np.int64)
        total = lines[:, first:last].astype(np.int64) @ fixed + 2 ** (PRECISION - 1)
        out[:, i] = np.clip(total >> PRECISION, 0, 255)
    return out


def expected_legacy(image):
    low, high = float(image.min()), float(image.max())
    scaled = (image.astype(float) - low) * (255.0 / (high - low))
    lines = np.floor(np.clip(scaled, 0, 255) + 0.5).astype(np.uint8)
    return bicubic_lines(bicubic_lines(lines, 256).T, 256).T


@pytest.mark.parametrize("shape", [(512, 512), (377, 744), (100, 120), (256, 300)])
def test_legacy_preparation_is_byte_scaling_and_bicubic(shape, generator):
    image = generator.gamma(2.0, 300.0, shape)
    found = legacy_slic(image)
    assert (found.shape, found.dtype) == ((256, 256), np.uint8)
    # the bound; integer weights of Pillow's could differ by a rounding in their last place
    assert np.abs(found.astype(int) - expected_legacy(image)).max() <= 1


def test_legacy_bytes_span_the_range():
    ramp = np.linspace(-7.0, 93.0, 256 * 256).reshape(256, 256)
    # at 256 x 256 nothing is resampled: (value + 7) * 2.55, rounded half up
    assert np.array_equal(legacy_slic(ramp), np.floor((ramp + 7) * 2.55 + 0.5).astype(np.uint8))


def test_legacy_leaves_bytes_as_they_are_and_a_constant_black(generator):
    image = generator.integers(40, 60, (256, 256)).astype(np.uint8)
    assert np.array_equal(legacy_slic(image), image)  # as SciPy's bytescale did
    assert legacy_slic(np.full((64, 64), 5.0)).max() == 0


def test_integers_do_not_overflow():
    image = np.full((256, 256), -30000, np.int16)
    image[128:] = 30000  # the span, 60000, is more than int16 holds
    assert set(legacy_slic(image).ravel()) == {0, 255}


@pytest.mark.parametrize("shape", [(96, 96), (7, 50), (377, 1), (100, 744)])
def test_shrinking_keeps_the_mean(shape, generator):
    image = generator.normal(100, 20, (377, 744)).astype(np.float32)
    found = area_resize(image, shape)
    assert found.shape == shape
    assert found.dtype == np.float32
    # each pixel counts by its area, so the sum of values times areas is kept; float32 result
    np.testing.assert_allclose(found.mean(dtype=float), image.mean(dtype=float), rtol=1e-6)


def test_blocks_are_averaged(generator):
    image = generator.normal(size=(12, 20))
    blocks = image.reshape(4, 3, 5, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(area_resize(image, (4, 5)), blocks, rtol=1e-6, atol=1e-7)


def test_a_pixel_between_two_new_ones_counts_in_both():
    # 3 to 2: new pixel 0 is pixel 0 and half of pixel 1
    image = np.array([[1.0, 4.0, 10.0]])
    np.testing.assert_allclose(area_resize(image, (1, 2)), [[2.0, 8.0]], rtol=1e-7)


def test_growing_is_bilinear():
    # centres of 4 new pixels lie at 0.25, 0.75 between two old ones; the ends are held
    found = area_resize(np.array([[0.0, 4.0]]), (1, 4))
    np.testing.assert_allclose(found, [[0.0, 1.0, 3.0, 4.0]], rtol=1e-7)
    plane = np.add.outer(np.arange(8.0), 2 * np.arange(8.0))
    grown = area_resize(plane, (16, 16))
    steps = np.diff(grown[4:-4, 4:-4], axis=0), np.diff(grown[4:-4, 4:-4], axis=1)
    np.testing.assert_allclose(steps[0], 0.5, atol=1e-6)
    np.testing.assert_allclose(steps[1], 1.0, atol=1e-6)


def test_a_frame_of_that_size_stays_as_it_is(generator):
    image = generator.normal(size=(33, 40)).astype(np.float32)
    assert np.array_equal(area_resize(image, (33, 40)), image)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="expected a frame"):
        area_resize(np.zeros((2, 3, 4)), (2, 2))
    with pytest.raises(ValueError, match="its new shape"):
        area_resize(np.zeros((3, 4)), (0, 2))
