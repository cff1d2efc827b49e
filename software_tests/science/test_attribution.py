"""Attribution methods against algebra: linear networks, completeness, turned images."""

import keras
import numpy as np
import pytest
from keras import layers

from network_models.differentiation.gradients import InputGradient, weighted_sum
from science.saliency.attribution import METHODS, Explainer
from science.saliency.question import AttributionOptions, baseline_of
from science.trust import channel_shares, exchange_curves, off_disc_share, randomise_in_cascade
from software_tests.network_models.architectures import ARCHITECTURES, build, images

HEAD = weighted_sum([1.0, -0.5])
ONE = weighted_sum([1.0])


def explain(network, inputs, method, head=HEAD, **options):
    explainer = Explainer(network, head, image="image")
    return explainer.explain(inputs, method, AttributionOptions(**options))


def targets_of(network, inputs, head, image):
    explainer = Explainer(network, head, image=image)
    return lambda images: explainer.targets(inputs, images)


def linear_network(generator):
    image = keras.Input((12, 12, 3), name="image")
    network = keras.Model(image, layers.Dense(1)(layers.Flatten()(image)))
    weights = generator.normal(size=(12, 12, 3)).astype(np.float32)
    network.set_weights([weights.reshape(-1, 1), np.array([0.7], np.float32)])
    given = generator.normal(size=(1, 12, 12, 3)).astype(np.float32)
    return network, {"image": given}, weights


def test_a_linear_network_is_its_weights(generator):
    network, inputs, weights = linear_network(generator)
    contributions = weights * inputs["image"][0]
    for method, expected in {
        "gradient": weights,
        "smoothgrad": weights,
        "gradient-x-input": contributions,
        "integrated-gradients": contributions,
    }.items():
        found = explain(network, inputs, method, ONE, baseline="zero")
        np.testing.assert_allclose(found.values, expected, atol=1e-5)
        assert found.target_value == pytest.approx(contributions.sum() + 0.7, abs=1e-4)


def test_occlusion_of_a_linear_network_is_what_the_patch_holds(generator):
    network, inputs, weights = linear_network(generator)
    found = explain(network, inputs, "occlusion", ONE, blocks=4, baseline="zero").values
    held = (weights * inputs["image"][0]).reshape(4, 3, 4, 3, 3).sum(axis=(1, 3, 4)) / 9
    np.testing.assert_allclose(found[..., 0], held.repeat(3, 0).repeat(3, 1), atol=1e-5)


@pytest.mark.parametrize("baseline", ["zero", "median"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_integrated_gradients_add_up_to_the_change(name, baseline):
    # the networks have random biases: without them any rule of quadrature would do
    network, inputs = build(name), images(1)
    found = explain(network, inputs, "integrated-gradients", baseline=baseline)
    assert found.notes["completeness_gap"] < 1e-3
    ask = targets_of(network, inputs, HEAD, "image")
    image = inputs["image"][0]
    change = np.subtract(*ask(np.stack([image, baseline_of(image, baseline)])))
    assert found.values.sum() == pytest.approx(change, rel=1e-3)


def test_a_channel_that_is_not_read_has_nothing(generator):
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="maps")(image)
    network = keras.Model(image, layers.Dense(1)(layers.Flatten()(x)))
    kernel, *rest = network.get_weights()
    kernel[:, :, 1] = 0
    network.set_weights([kernel, *rest])
    inputs = {"image": generator.normal(size=(1, 16, 16, 3)).astype(np.float32)}
    for method in METHODS:
        if method in ("grad-cam", "occlusion", "rise"):
            continue  # they don't tell channels apart
        values = explain(network, inputs, method, ONE).values
        assert np.abs(values[..., 1]).max() == 0
        assert np.abs(values[..., 0]).max() > 0
        assert channel_shares(values)[1] < 1e-4


def test_smoothgrad_without_noise_is_the_gradient_and_a_seed_repeats_it():
    network, inputs = build("dilated"), images(1)
    plain = explain(network, inputs, "gradient").values
    np.testing.assert_allclose(
        explain(network, inputs, "smoothgrad", noise=0.0).values, plain, atol=1e-6
    )
    maps = [explain(network, inputs, "smoothgrad", seed=s).values for s in (1, 1, 2)]
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-5, atol=1e-6)
    assert np.abs(maps[0] - maps[2]).max() > 0


def test_grad_cam_of_a_mean_and_one_dense_layer_is_cam(generator):
    image = keras.Input((16, 16, 2), name="image")
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="maps")(image)
    network = keras.Model(image, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
    inputs = {"image": generator.normal(size=(1, 16, 16, 2)).astype(np.float32)}
    maps = keras.Model(image, x)(inputs["image"])
    cam = np.asarray(maps)[0] @ network.get_weights()[2] / 16**2
    found = explain(network, inputs, "grad-cam", ONE, layer="maps")
    np.testing.assert_allclose(found.values, cam, atol=1e-6)


def blob_network():
    """Add up channel 1 in the middle of the north-east quarter."""
    image = keras.Input((32, 32, 3), name="image")
    network = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(image)))
    weights = np.zeros((32, 32, 3), np.float32)
    weights[20:26, 6:12, 1] = 1.0
    network.set_weights([weights.reshape(-1, 1)])
    return network, {"image": np.ones((1, 32, 32, 3), np.float32)}


@pytest.mark.parametrize("method", ["gradient", "integrated-gradients", "occlusion", "rise"])
def test_the_place_and_the_channel_are_found(method):
    network, inputs = blob_network()
    values = explain(network, inputs, method, ONE, baseline="zero").values
    y, x = np.unravel_index(values.sum(axis=-1).argmax(), (32, 32))
    assert 19 <= y <= 26
    assert 5 <= x <= 12
    if values.shape[-1] > 1:
        assert channel_shares(values).argmax() == 1


def test_a_turned_image_has_a_turned_map(generator):
    # kernels that are alike in all directions: any axis that is swapped would show
    image = keras.Input((24, 24, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="maps")(image)
    network = keras.Model(image, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
    kernel, *rest = network.get_weights()
    turned = [np.rot90(kernel, k) for k in range(4)]
    network.set_weights([np.mean(turned, axis=0), *rest])
    given = generator.normal(size=(1, 24, 24, 2)).astype(np.float32)
    inputs, other = {"image": given}, {"image": np.rot90(given, axes=(1, 2)).copy()}
    for method in ("gradient", "integrated-gradients", "grad-cam", "occlusion"):
        plain = explain(network, inputs, method, ONE, blocks=24, baseline="zero").values
        after = explain(network, other, method, ONE, blocks=24, baseline="zero").values
        np.testing.assert_allclose(after, np.rot90(plain), atol=1e-5)


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_exchange_tells_a_good_map_from_a_bad_one(generator, kind):
    network, inputs, weights = linear_network(generator)
    image = inputs["image"][0]
    ask = targets_of(network, inputs, ONE, "image")

    def curves(values):
        return exchange_curves(image, np.zeros_like(image), values, ask, kind=kind)

    good, opposite = curves(weights * image), curves(-weights * image)
    assert good.passed
    assert "passed" in good.verdict
    assert not opposite.passed
    assert opposite.difference < 0
    noise = [curves(generator.normal(size=image.shape)) for _ in range(8)]
    assert np.mean([n.passed for n in noise]) <= 0.25
    ends = good.by_map[[0, -1]] if kind == "insertion" else good.by_map[[-1, 0]]
    whole = ask(np.stack([np.zeros_like(image), image]))
    np.testing.assert_allclose(ends, whole, atol=1e-4)


def test_channels_that_were_not_observed_count_for_nothing(generator):
    network, inputs, weights = linear_network(generator)
    inputs["image"][..., 1:] = 0  # one channel was observed
    image = inputs["image"][0]
    where = np.zeros((1, 1, 3), bool)
    where[..., 0] = True
    ask = targets_of(network, inputs, ONE, "image")
    noise = np.zeros((8, *image.shape))
    noise[..., 0] = np.abs(generator.normal(size=noise.shape[:-1]))
    nothing = np.zeros_like(image)
    masked = [exchange_curves(image, nothing, n, ask, where=where).passed for n in noise]
    assert np.mean(masked) <= 0.25
    maps = iter(np.where(where, generator.normal(size=(40, *image.shape)), 0))
    cascade = randomise_in_cascade(network, lambda _: next(maps), where=where)
    assert cascade.passed
    assert cascade.outlines[-1] < 0.3  # zeros of masked channels are not ranked


def test_a_dead_map_is_refused(generator):
    network, inputs, _ = linear_network(generator)
    image = inputs["image"][0]
    ask = targets_of(network, inputs, ONE, "image")
    for dead in (np.zeros_like(image), np.full_like(image, np.nan)):
        cascade = randomise_in_cascade(network, lambda _, dead=dead: dead)
        assert not cascade.passed
        assert "it says nothing, do not read it" in cascade.verdict
    found = exchange_curves(image, np.zeros_like(image), np.zeros_like(image), ask)
    assert not found.passed


def test_occlusion_of_several_frames_adds_up():
    image = keras.Input((3, 8, 8, 1), name="image")
    network = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(image)))
    network.set_weights([np.ones((192, 1), np.float32)])
    inputs = {"image": np.ones((1, 3, 8, 8, 1), np.float32)}
    found = explain(network, inputs, "occlusion", ONE, blocks=4, baseline="zero")
    np.testing.assert_allclose(found.values, 1.0, atol=1e-5)


def test_a_map_of_the_image_alone_is_refused():
    network, inputs = build("plain"), images(1)
    image = inputs["image"][0]
    cascade = randomise_in_cascade(network, lambda _: image)
    assert not cascade.passed
    assert "do not read it" in cascade.verdict
    gradient = randomise_in_cascade(network, lambda n: InputGradient(n, HEAD)(inputs)[1], seed=1)
    assert gradient.passed
    assert gradient.layers[0] == network.layers[-1].name


def test_a_map_whose_outline_alone_is_the_image_s_says_so(generator):
    network, inputs = build("plain"), images(1)
    image = np.abs(inputs["image"][0]) ** 3

    def signs_of(other):
        # the image's brightness, with signs of the weights' own
        seed = int(1e6 * abs(other.get_weights()[0].ravel()[0]))
        return image * np.random.default_rng(seed).choice([-1, 1], image.shape)

    cascade = randomise_in_cascade(network, signs_of)
    assert cascade.passed
    assert cascade.outlines[-1] == pytest.approx(1)
    assert "the map's outline is that of the image" in cascade.verdict


def test_shares_beyond_the_limb():
    values = np.zeros((20, 20, 2))
    values[10, 10], values[0, 0] = 3.0, -1.0
    assert off_disc_share(values, 8.0) == pytest.approx(0.25)


def test_unknown_methods_layers_and_baselines_are_named():
    network, inputs = build("plain"), images(1)
    with pytest.raises(ValueError, match="no method 'magic'; there are gradient"):
        explain(network, inputs, "magic")
    with pytest.raises(ValueError, match="needs a layer of maps, not 'dense'; there are first"):
        explain(network, inputs, "grad-cam", layer="dense")
    with pytest.raises(ValueError, match="no baseline 'mean'; there are zero"):
        explain(network, inputs, "occlusion", baseline="mean")
