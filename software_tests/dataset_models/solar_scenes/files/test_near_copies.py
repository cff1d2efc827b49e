"""Thumbnails and their best shift, against plain correlations over all shifts."""

import numpy as np

from dataset_models.solar_scenes.files.near_copies import (
    THUMBNAIL_SIDE,
    largest_aligned_correlation,
    thumbnail,
)
from software_tests.dataset_models.solar_scenes.scene_files import texture


def by_all_shifts(image, others):
    square = image.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    best = -1.0
    for i in range(THUMBNAIL_SIDE):
        for j in range(THUMBNAIL_SIDE):
            moved = np.roll(square, (i, j), axis=(0, 1)).ravel()
            best = max(best, *(np.corrcoef(moved, other)[0, 1] for other in others))
    return best


def test_correlation_at_the_best_shift():
    thumbnails = np.stack([thumbnail(texture(seed)) for seed in range(6)])
    found = largest_aligned_correlation(thumbnails[:2], thumbnails[2:])
    expected = [by_all_shifts(image, thumbnails[2:]) for image in thumbnails[:2]]
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32 thumbnails


def test_a_moved_and_rescaled_copy_is_found(generator):
    others = [texture(seed) for seed in range(100, 140)]
    block = 64 // 16  # whole thumbnail pixels of a 96-pixel frame
    frames = [texture(seed, 96) for seed in range(40)]
    copy = 3 * np.roll(frames[7], (8 * block // 4, -4 * 4), axis=(0, 1)) + 100
    thumbnails = np.stack([thumbnail(frame) for frame in frames + others])
    (found,) = largest_aligned_correlation(thumbnail(copy)[None], thumbnails)
    assert found > 0.999


def test_a_frame_that_shows_nothing_is_compared_with_nothing():
    empty = thumbnail(np.full((64, 64), 3.0))
    assert np.isnan(empty).all()
    other = thumbnail(texture(1))[None]
    assert np.isnan(largest_aligned_correlation(empty[None], other)).all()
    assert np.isnan(largest_aligned_correlation(other, empty[None])).all()
