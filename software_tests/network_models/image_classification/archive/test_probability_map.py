"""Maps equal a plain loop over tiles, keep constants, and lie where the image lies."""

import keras
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from network_models.image_classification.archive.probability_map import map_wcs, probability_map
from network_models.image_classification.archive.tile_blending import tile_starts
from network_models.layers.compiled import compiled_network


def by_brightness(tiles):
    """Return three probabilities that follow the tile's mean and the slope along it."""
    mean = tiles.mean(axis=(1, 2, 3), dtype=float)
    slope = tiles[:, :, -1].mean(axis=(1, 2)) - tiles[:, :, 0].mean(axis=(1, 2))
    logits = np.stack([mean, slope, np.zeros_like(mean)], axis=1)
    weight = np.exp(logits)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def small_network():
    image = keras.Input((None, None, 1), name="image")
    x = keras.layers.Conv2D(4, 5, strides=4, activation="relu")(image)
    x = keras.layers.Dense(6, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model({"image": image}, x)


def by_loop(image, tile, stride):
    """Blend tile by tile on the image's own grid."""
    window = np.hanning(2 * tile + 1)[1::2]  # NumPy's window at half steps
    window = window[:, None] * window
    total, weight = np.zeros((3, *image.shape)), np.zeros(image.shape)
    for y in tile_starts(image.shape[0], tile, stride):
        for x in tile_starts(image.shape[1], tile, stride):
            part = slice(y, y + tile), slice(x, x + tile)
            probability = by_brightness(image[part][None, ..., None])[0]
            total[:, *part] += probability[:, None, None] * window
            weight[part] += window
    return total / weight


@pytest.mark.parametrize(
    ("shape", "tile", "stride"), [((40, 61), 16, 8), ((33, 16), 16, 5), ((50, 50), 16, 16)]
)
def test_a_map_equals_a_loop_over_tiles(shape, tile, stride, generator):
    image = generator.normal(size=shape).cumsum(axis=0).cumsum(axis=1).astype(np.float32) / 50
    found = probability_map(by_brightness, image, tile, stride, map_bin=1, raw=True)
    expected = by_loop(image, tile, stride)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=2e-6)  # float32
    given = expected[:2] / expected[:2].sum(axis=0)
    found = probability_map(by_brightness, image, tile, stride, map_bin=1)
    assert found[:2] == pytest.approx(given, abs=1e-5)
    assert found[2] == pytest.approx(expected[2], abs=2e-6)


def test_a_coarse_map_is_the_mean_of_the_fine_one(generator):
    image = generator.normal(size=(50, 67)).cumsum(axis=1).astype(np.float32)
    fine = probability_map(by_brightness, image, 16, 8, map_bin=1, raw=True)
    coarse = probability_map(by_brightness, image, 16, 8, map_bin=4, raw=True)
    assert coarse.shape == (3, 13, 17)
    blocks = fine[:, :48, :64].reshape(3, 12, 4, 16, 4).mean(axis=(2, 4))
    assert coarse[:, :12, :16] == pytest.approx(blocks, abs=2e-6)
    assert coarse[:, 12, 16] == pytest.approx(fine[:, 48:, 64:].mean(axis=(1, 2)), abs=2e-6)


@pytest.mark.parametrize("shape", [(96, 96), (705, 769), (377, 744), (97, 1000)])
def test_constant_in_constant_out_on_any_shape(shape):
    network = small_network()
    found = probability_map(network, np.full(shape, 0.7))
    assert found.shape == (6, -(-shape[0] // 12), -(-shape[1] // 12))
    assert found.max(axis=(1, 2)) == pytest.approx(found.min(axis=(1, 2)), abs=1e-6)
    single = network.predict({"image": np.full((1, 96, 96, 1), 0.7)}, verbose=0)[0]
    assert found[:5, 0, 0] == pytest.approx(single[:5] / (1 - single[5]), abs=1e-5)
    assert found[5, 0, 0] == pytest.approx(single[5], abs=1e-5)
    assert found[:5].sum(axis=0) == pytest.approx(np.ones(found.shape[1:]), abs=1e-5)


def test_one_tile_is_the_network_s_own_answer(generator):
    image = generator.normal(size=(96, 96)).astype(np.float32)
    network = small_network()
    found = probability_map(network, image, raw=True)
    direct = network.predict({"image": image[None, ..., None]}, verbose=0)[0]
    assert found == pytest.approx(np.broadcast_to(direct[:, None, None], found.shape), abs=1e-5)


def test_channels_stay_together(generator):
    image = generator.normal(size=(30, 40, 3)).astype(np.float32)
    found = probability_map(by_brightness, image, 16, 8)
    assert found.shape == (3, 15, 20)


def test_tiles_end_with_the_image():
    assert tile_starts(96, 96, 48).tolist() == [0]
    assert tile_starts(192, 96, 48).tolist() == [0, 48, 96]
    assert tile_starts(200, 96, 48).tolist() == [0, 48, 96, 104]


def test_batches_have_one_shape(generator):
    shapes = set()

    def watched(tiles):
        shapes.add(tiles.shape)
        return by_brightness(tiles)

    probability_map(watched, generator.normal(size=(200, 300)), 16, 8)
    assert len(shapes) == 1


def test_a_compiled_network_takes_all_sizes(generator):
    network = small_network()
    function = compiled_network(network)
    for shape in ((1, 32, 40, 1), (3, 96, 96, 1)):
        images = generator.normal(size=shape).astype(np.float32)
        expected = network.predict({"image": images}, verbose=0)
        assert function(images) == pytest.approx(expected, abs=1e-5)


CARDS = {
    "CTYPE1": "HPLN-TAN",
    "CTYPE2": "HPLT-TAN",
    "CUNIT1": "arcsec",
    "CUNIT2": "arcsec",
    "CRPIX1": 103.25,
    "CRPIX2": -20.5,
    "CRVAL1": 312.0,
    "CRVAL2": -145.0,
    "CDELT1": 0.6,
    "CDELT2": 0.5,
}
TURNED = {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8}
MATRIX = {"CD1_1": 0.5, "CD1_2": -0.1, "CD2_1": 0.1, "CD2_2": 0.5}
MAP = {**CARDS, "CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "deg", "CUNIT2": "deg"}
MAP |= {"CDELT1": 0.03, "CDELT2": 0.03, "CRVAL1": 250.0, "CRVAL2": 0.0}


@pytest.mark.parametrize("step", [1, 12, 7])
@pytest.mark.parametrize("more", [{}, TURNED, MATRIX, MAP])
def test_a_pixel_of_the_map_lies_at_the_middle_of_its_pixels(step, more):
    cards = {**CARDS, **more}
    if "CD1_1" in cards:
        del cards["CDELT1"], cards["CDELT2"]
    wcs = WCS(fits.Header(cards))
    written = WCS(map_wcs(wcs, step).to_header())  # as it comes back from a file
    for column, row in ((0, 0), (5, 3), (40, 60)):
        middle = column * step + (step - 1) / 2, row * step + (step - 1) / 2
        expected = wcs.wcs_pix2world([middle], 0)[0]
        found = written.wcs_pix2world([(column, row)], 0)[0]
        turned = (found - expected + 180) % 360 - 180
        assert np.abs(turned).max() < 1e-9


def test_wrong_input_gets_a_sentence():
    image = np.ones((60, 200))
    with pytest.raises(ValueError, match="200 x 60 pixels is smaller than a tile of 96 x 96"):
        probability_map(by_brightness, image)
    with pytest.raises(ValueError, match="would leave gaps"):
        probability_map(by_brightness, image, 32, 33)
    with pytest.raises(ValueError, match="1 to 16"):
        probability_map(by_brightness, image, 32, 16, map_bin=17)
    with pytest.raises(ValueError, match="missing pixels"):
        probability_map(by_brightness, image * np.nan, 32, 16)
    with pytest.raises(ValueError, match=r"\(y, x\)"):
        probability_map(by_brightness, np.ones(60), 32, 16)
