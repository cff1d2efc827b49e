"""Scaling of scenes: percentiles by sorting, units and offsets that change nothing, odd images."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from dataset_models.solar_scenes.files.resize import legacy_slic
from network_models.differentiation.gradients import InputGradient
from network_models.files.safe_loading import load_network
from network_models.layers.scenes import (
    ClassProbabilities,
    NeverNone,
    SceneScaling,
    SlicScaling,
)
from software_tests.conftest import ROOT


def scaled(image):
    return np.array(SceneScaling()(np.asarray(image, np.float32)))


def by_sorting(image):
    """Return both views of one channel in float64, step by step as the docstring has them."""
    down, across = (max(n // 96, 1) for n in image.shape)
    pixels = np.sort(image[::down, ::across].astype(float), axis=None)
    rank = (len(pixels) - 1) // 100
    low, high = pixels[rank], pixels[-1 - rank]
    share = (image - low) / (high - low)
    limited = np.clip((pixels - low) / (high - low), -3, 4)
    deviation = np.clip((share - limited.mean()) / limited.std(), -5, 5) / 3
    return deviation, 2 * np.clip(share, 0, 1) - 1


@pytest.mark.parametrize("shape", [(96, 96), (32, 41), (250, 96), (705, 769)])
def test_views_are_those_of_sorted_pixels(generator, shape):
    image = generator.gamma(3, 200, (2, *shape, 1))
    found = scaled(image)
    assert found.shape == (2, *shape, 2)
    for one, views in zip(image.astype(np.float32), found, strict=True):
        for expected, view in zip(by_sorting(one[..., 0]), np.moveaxis(views, -1, 0), strict=True):
            np.testing.assert_allclose(view, expected, atol=2e-5)  # float32 sums


def test_channels_and_images_do_not_act_on_one_another(generator):
    image = generator.normal(500, 60, (3, 48, 40, 4))
    image[2] *= 1e4
    image[..., 1] += 7e3
    found = scaled(image)
    assert found.shape == (3, 48, 40, 8)
    for k in range(4):
        alone = scaled(image[1:2, ..., k : k + 1])[0]
        np.testing.assert_allclose(found[1][..., [k, 4 + k]], alone, atol=1e-5)


def test_unit_and_offset_change_nothing(generator):
    image = generator.gamma(2, 100, (1, 64, 64, 1))
    expected = scaled(image)
    for factor, offset in ((1e-9, 0), (1e12, 0), (3.0, -4e3), (0.01, 5.0)):
        np.testing.assert_allclose(scaled(factor * image + offset), expected, atol=1e-3)


def test_a_cosmic_ray_moves_nothing_else(generator):
    image = generator.normal(500, 60, (1, 96, 96, 1))
    struck = image.copy()
    struck[0, 40, 50] = 6e4
    before, after = scaled(image), scaled(struck)
    assert after[0, 40, 50].tolist() == pytest.approx([5 / 3, 1])
    after[0, 40, 50] = before[0, 40, 50]
    # of 9216 pixels one may move a percentile by a rank, and their mean by 4 / 9216 widths
    np.testing.assert_allclose(after, before, atol=0.02)


@pytest.mark.parametrize("value", [0.0, 31234.567, -3e-8, 1e30])
def test_an_image_without_contrast_is_zero(value):
    assert (scaled(np.full((2, 40, 33, 1), value)) == 0).all()


def test_an_almost_empty_image_is_scaled_by_its_range():
    image = np.full((1, 40, 40, 1), 7.0)
    image[0, 3, 4:6, 0] = [57.0, 107.0]  # both percentiles are 7
    found = scaled(image)[0, 3, :6, :]
    assert found[:, 1].tolist() == pytest.approx([-1, -1, -1, -1, 0, 1])
    assert found[4:, 0].tolist() == pytest.approx([5 / 3, 5 / 3])
    assert np.isfinite(found).all()


def test_the_gradient_is_that_at_a_fixed_exposure(generator):
    given = keras.Input((None, None, 1), name="image")
    network = keras.Model({"image": given}, SceneScaling()(given))
    image = generator.gamma(3, 200, (1, 48, 48, 1)).astype(np.float32)
    y, x = 20, 30
    image[0, y, x] = np.median(image)
    _, gradient = InputGradient(network, lambda views: views[:, y, x, 0] + views[:, y, x, 1])(
        {"image": image}
    )
    low, high = np.sort(image.ravel())[[23, -24]]
    share = np.clip((image - low) / (high - low), -3, 4)
    # d/dI of (s - mean) / (3 std) + 2 s, where s = (I - low) / (high - low)
    assert gradient[0, y, x, 0] == pytest.approx((1 / (3 * share.std()) + 2) / (high - low), 1e-4)
    assert np.count_nonzero(gradient) == 1


def test_probabilities_are_a_softmax_of_scaled_logits():
    logits = np.log(np.array([[1.0, 2.0, 5.0], [1.0, 1.0, 1.0]], np.float32))
    found = np.asarray(ClassProbabilities()(logits))
    np.testing.assert_allclose(found, [[1 / 8, 2 / 8, 5 / 8], [1 / 3] * 3], rtol=1e-6)
    found = np.asarray(ClassProbabilities(0.5)(logits))  # the squares of the odds
    np.testing.assert_allclose(found[0], [1 / 30, 4 / 30, 25 / 30], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_positive(temperature):
    with pytest.raises(ValueError, match="positive and finite"):
        ClassProbabilities(temperature)


def test_layers_are_saved_and_loaded(tmp_path, generator):
    given = keras.Input((None, None, 1), name="image")
    maps = keras.layers.GlobalMaxPooling2D()(SceneScaling()(given))
    network = keras.Model({"image": given}, ClassProbabilities(1.7)(maps))
    network.save(tmp_path / "n.keras")
    again = load_network(tmp_path / "n.keras")
    assert again.layers[-1].temperature == 1.7
    image = {"image": generator.gamma(2, 100, (2, 33, 64, 1)).astype(np.float32)}
    expected = network.predict(image, verbose=0)
    np.testing.assert_allclose(again.predict(image, verbose=0), expected, atol=1e-6)


JAX = """
import sys, numpy as np, keras
from network_models.layers.scenes import SceneScaling
image = np.load(sys.argv[1])
assert keras.backend.backend() == "jax"
given = keras.Input((None, None, 2))
np.save(sys.argv[2], keras.Model(given, SceneScaling()(given)).predict(image, verbose=0))
"""


def test_jax_gives_the_same(tmp_path, generator):
    pytest.importorskip("jax")
    image = generator.gamma(2, 100, (3, 200, 97, 2)).astype(np.float32)
    np.save(tmp_path / "given.npy", image)
    files = [str(tmp_path / "given.npy"), str(tmp_path / "made.npy")]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = dict(os.environ, KERAS_BACKEND="jax", PYTHONPATH=path)
    subprocess.run([sys.executable, "-c", JAX, *files], env=environment, check=True)
    np.testing.assert_allclose(np.load(files[1]), scaled(image), atol=1e-5)


@pytest.mark.parametrize("shape", [(300, 410), (512, 512), (100, 128)])
def test_slic_scaling_is_that_of_the_prepared_images(shape):
    # legacy_slic is Pillow's own bicubic resize, tested beside a plain one
    frame = np.random.default_rng(1).normal(500, 60, shape).astype(np.float32)
    found = np.asarray(SlicScaling()(frame[None, ..., None]))[0, ..., 0]
    assert np.abs(found - legacy_slic(frame)).max() < 1.5  # levels: two roundings


def test_none_is_never_likely():
    logits = np.array([[1.0, 2.0, -3.0]], np.float32)
    found = np.asarray(ClassProbabilities()(NeverNone()(logits)))
    np.testing.assert_allclose(found[0, :3], np.exp(logits[0]) / np.exp(logits).sum(), rtol=1e-5)
    assert found[0, 3] == 0
