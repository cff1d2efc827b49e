"""Image layers: logarithms, missing channels, places, sums; no axis is ever scrambled."""

import keras
import numpy as np
import pytest

from network_models.files.safe_loading import load_network
from network_models.layers.images import (
    DiscPlaces,
    LocalShare,
    LogBrightness,
    SumOverDisc,
    TemperatureFilters,
    signed_log10,
)


@pytest.fixture
def logs():
    return LogBrightness([0.1, 1.0, 2.0], [0.5, 1.0, 1.5], [0.3, 0.4, 0.5])


def test_logarithms_are_standardised_per_channel(logs, generator):
    image = generator.gamma(1, 20, (2, 1, 4, 5, 3)).astype(np.float32)
    image[0, 0, 0, 0, 0] = -3.0
    found = np.asarray(logs([image, np.ones((2, 1, 3), np.float32)]))
    offset, mean, spread = np.array([0.1, 1, 2]), np.array([0.5, 1, 1.5]), np.array([0.3, 0.4, 0.5])
    expected = (np.log10(np.maximum(image, 0) + offset) - mean) / spread
    np.testing.assert_allclose(found, expected[:, 0], atol=1e-5)


def test_missing_channels_become_the_mean(logs, generator):
    image = generator.gamma(1, 20, (1, 2, 4, 4, 3)).astype(np.float32)
    present = np.array([[[1, 0, 1], [1, 1, 1]]], np.float32)
    found = np.asarray(logs([image, present]))
    assert (found[..., 1] == 0).all()
    assert (found[..., [0, 2, 3, 4, 5]] != 0).any(axis=(0, 1, 2)).all()


def test_one_pixel_of_one_channel_moves_that_pixel_only(logs, generator):
    image = generator.gamma(1, 20, (1, 2, 6, 7, 3)).astype(np.float32)
    present = np.ones((1, 2, 3), np.float32)
    before = np.asarray(logs([image, present]))
    for frame, y, x, channel in ((0, 2, 5, 1), (1, 5, 0, 2)):
        other = image.copy()
        other[0, frame, y, x, channel] += 10
        changed = np.argwhere(np.asarray(logs([other, present])) != before)
        assert changed.tolist() == [[0, y, x, 3 * frame + channel]]


def test_places_are_those_of_pixel_centres():
    maps = np.asarray(DiscPlaces(1.28)(np.zeros((1, 4, 8, 2), np.float32)))
    assert maps.shape == (1, 4, 8, 4)
    np.testing.assert_allclose(maps[0, 0, :, 2], 1.28 * (np.arange(8) - 3.5) / 4, atol=1e-6)
    np.testing.assert_allclose(maps[0, 3, 7, 3], 1.28 * np.hypot(0.75, 0.875), atol=1e-6)


def test_sums_and_maxima_of_rates():
    rates = np.zeros((1, 3, 3, 2), np.float32)
    rates[0, 1, 1] = [1, 2]
    rates[0, 0, 2] = [3, 0]
    found = np.asarray(SumOverDisc(0.5)(rates))
    np.testing.assert_allclose(found, np.log([[4.5, 2.5, 3.5, 2.5]]), rtol=1e-6)


def test_a_network_of_these_layers_is_saved_and_loaded(tmp_path, generator, logs):
    image = keras.Input((1, 8, 8, 3), name="aia")
    present = keras.Input((1, 3), name="present")
    filtered = TemperatureFilters([[1.0, -0.5, 0.0]], [0.1], [0.0], [1.0])([image, present])
    x = keras.layers.Concatenate()([logs([image, present]), filtered])
    x = DiscPlaces(1.28)(x)
    half = keras.DTypePolicy("mixed_bfloat16")
    rates = keras.layers.Conv2D(2, 1, activation="softplus", dtype=half)(x)
    x = keras.layers.Multiply(dtype="float32")([rates, LocalShare(3)(rates)])
    network = keras.Model([image, present], SumOverDisc()(x))
    network.save(tmp_path / "n.keras")
    again = load_network(tmp_path / "n.keras")
    given = [generator.gamma(1, 9, (2, 1, 8, 8, 3)), np.ones((2, 1, 3))]
    np.testing.assert_allclose(np.asarray(network(given)), np.asarray(again(given)), rtol=1e-5)


def test_signed_channels_keep_their_sign(generator):
    layer = LogBrightness([1.0, 10.0], [0.0, 0.5], [1.0, 2.0], [False, True])
    image = generator.normal(0, 100, (1, 1, 4, 4, 2)).astype(np.float32)
    found = np.asarray(layer([image, np.ones((1, 1, 2), np.float32)]))
    field = image[:, 0, ..., 1]
    np.testing.assert_allclose(found[..., 1], (signed_log10(field, 10.0) - 0.5) / 2, atol=1e-5)
    np.testing.assert_allclose(signed_log10(-field, 10.0), -signed_log10(field, 10.0))


def test_filters_are_logarithms_of_linear_combinations(generator):
    rows = [[1.0, -0.5, 0.0], [0.0, 0.0, 2.0]]
    layer = TemperatureFilters(rows, [0.1, 1.0], [0.5, 1.0], [0.3, 0.4])
    image = generator.gamma(1, 20, (2, 1, 4, 5, 3)).astype(np.float32)
    present = np.ones((2, 1, 3), np.float32)
    present[1, 0, 1] = 0  # the first filter needs it, the second does not
    found = np.asarray(layer([image, present]))
    combined = image[:, 0] @ np.array(rows, np.float32).T
    logs = np.log10(np.maximum(combined, 0) + [0.1, 1.0])
    expected = (logs - [0.5, 1.0]) / [0.3, 0.4]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    assert (found[1, ..., 0] == 0).all()
    np.testing.assert_allclose(found[1, ..., 1], expected[1, ..., 1], atol=1e-4)


def test_cells_of_a_neighbourhood_share_one_vote():
    scores = np.full((1, 9, 9, 1), -8.0, np.float32)
    scores[0, 4, 4] = 8.0
    share = np.asarray(LocalShare(5)(scores))
    assert share[0, 4, 4, 0] == pytest.approx(1, abs=1e-4)
    assert share[0, 4, 5, 0] < 1e-4
    even = np.asarray(LocalShare(3)(np.zeros((1, 6, 7, 2), np.float32)))
    np.testing.assert_allclose(even[0, 1:-1, 1:-1], 1 / 9, rtol=1e-5)
    np.testing.assert_allclose(even[0, 0, 0], 1 / 4, rtol=1e-5)  # nothing beyond the edge
    with pytest.raises(ValueError, match="odd number of cells"):
        LocalShare(4)
