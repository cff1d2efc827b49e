"""Hand features: values from algebra, no dependence on gain, a classifier that learns."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from network_models.image_classification.slic.hand_features import (
    FEATURES,
    HandFeatureClassifier,
    hand_features,
)


def named(images):
    return dict(zip(FEATURES, hand_features(images).T, strict=True))


def test_there_are_24_and_gain_and_offset_do_not_count(generator):
    images = generator.gamma(2.0, size=(3, 40, 56))
    features = hand_features(images)
    assert features.shape == (3, 24)
    np.testing.assert_allclose(hand_features(500 + 3000 * images), features, atol=1e-8)


def test_a_bright_bar_has_the_values_of_algebra():
    image = np.zeros((1, 64, 64))
    image[0, 20:24, 10:42] = 1.0  # 4 x 32 pixels: share p = 1/32
    found, p = named(image), 1 / 32
    assert found["bright area"] == pytest.approx(p)
    assert found["largest bright blob"] == pytest.approx(p)
    assert found["dark area"] == 0
    # z is (1 - p) / sqrt(p (1 - p)) on the bar, 5.6, below the clip at 8
    skewness = (1 - 2 * p) / np.sqrt(p * (1 - p))
    assert found["skewness"] == pytest.approx(skewness)
    assert found["kurtosis"] == pytest.approx(np.log(3 + (1 - 6 * p * (1 - p)) / (p * (1 - p))))
    # the second moment of a row of n pixels of unit width is n^2 / 12
    assert found["length of the bright blob"] == pytest.approx(np.log(32 / 4))


def test_stripes_are_anisotropic_and_noise_is_not(generator):
    x = np.broadcast_to(np.sin(np.arange(64) * 0.8), (64, 64))
    stripes, noise = named(x[None]), named(generator.normal(size=(1, 64, 64)))
    assert stripes["anisotropy"] == pytest.approx(1)
    assert stripes["local anisotropy"] == pytest.approx(1)
    assert noise["anisotropy"] < 0.1
    assert abs(noise["slope of small scales"]) < 0.3  # white


def test_the_slope_is_that_of_the_spectrum(generator):
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    k[0, 0] = 1
    spectrum = np.fft.fft2(generator.normal(size=(256, 256))) / k  # power over k^-2
    found = named(np.fft.ifft2(spectrum).real[None])
    assert found["slope of small scales"] == pytest.approx(-2, abs=0.2)


def test_a_flat_image_has_finite_features():
    assert np.isfinite(hand_features(np.full((2, 32, 32), 7.0))).all()
    assert hand_features(np.zeros((0, 32, 32))).shape == (0, 24)


def test_wrong_images_are_refused():
    with pytest.raises(ValueError, match="leave out the channel axis"):
        hand_features(np.zeros((2, 32, 32, 1)))
    with pytest.raises(ValueError, match="fill the missing ones"):
        hand_features(np.full((1, 32, 32), np.nan))


@pytest.mark.parametrize("kinds", [(0, 3), (0, 3, 5)])
def test_probabilities_are_those_of_scikit_learn(generator, kinds):
    kind = np.repeat(kinds, 30)
    images = generator.normal(size=(len(kind), 24, 24)) ** (1 + (kind[:, None, None] == 3))
    images[kind == 5] = np.abs(images[kind == 5]) ** 0.5
    classifier = HandFeatureClassifier().fit(images, kind)
    found = classifier.predict_proba(images)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    model.fit(hand_features(images), kind)
    assert found.shape == (len(kind), 6)
    np.testing.assert_allclose(
        found[:, list(kinds)], model.predict_proba(hand_features(images)), atol=1e-10
    )
    np.testing.assert_allclose(found.sum(1), 1)
    assert (found.argmax(1) == kind).mean() > 0.9


def test_an_unfitted_classifier_and_too_few_classes_are_refused(generator):
    images = generator.normal(size=(4, 24, 24))
    with pytest.raises(ValueError, match="call fit first"):
        HandFeatureClassifier().predict_proba(images)
    with pytest.raises(ValueError, match="at least two classes"):
        HandFeatureClassifier().fit(images, np.zeros(4))
    with pytest.raises(ValueError, match="numbered 0 to 4"):
        HandFeatureClassifier(n_outputs=5).fit(images, np.array([0, 1, 2, 5]))
