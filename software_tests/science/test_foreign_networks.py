"""Networks that others bring: other number types, masks, operations in the graph, one unit."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from science.deconvolutional.deconvolutional import main as deconvolve
from science.embedding.tsne import main as embed
from science.saliency.saliency import main as explain


def image_network(policy):
    """Return a small network of images whose layers compute in some type."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 1), name="image", dtype="float32")
    weights = keras.initializers.RandomUniform(0.0, 0.1, seed=3)  # no ReLU is dead
    options = {"activation": "relu", "dtype": policy}
    hidden = layers.Conv2D(4, 3, kernel_initializer=weights, **options)(image)
    hidden = layers.DepthwiseConv2D(3, depthwise_initializer=weights, **options)(hidden)
    hidden = layers.GlobalAveragePooling2D(dtype=policy)(hidden)
    hidden = layers.Dense(3, activation="tanh", dtype=policy)(hidden)
    return keras.Model(image, layers.Dense(2, dtype=policy)(hidden))


def with_operations():
    """Return a network with operations of keras.ops in its graph."""
    keras.utils.set_random_seed(4)
    image = keras.Input((16, 16, 1), name="image")
    hidden = ops.relu(layers.Conv2D(3, 3)(ops.log(ops.abs(image) + 1.0)))
    return keras.Model(image, layers.Dense(1)(ops.mean(hidden, axis=(1, 2))))


def with_mask():
    """Return a network of series with missing steps."""
    keras.utils.set_random_seed(5)
    series = keras.Input((12, 2), name="series")
    hidden = layers.LSTM(4)(layers.Masking(0.0)(series))
    return keras.Model(series, layers.Dense(1)(hidden))


NETWORKS = {
    "float64": lambda: image_network("float64"),
    "mixed_float16": lambda: image_network("mixed_float16"),
    "mixed_bfloat16": lambda: image_network("mixed_bfloat16"),
    "operations": with_operations,
    "mask": with_mask,
}
METHODS = ("gradient", "smoothgrad", "integrated-gradients", "occlusion", "rise", "grad-cam")


@pytest.fixture(scope="module", params=list(NETWORKS))
def saved(request, tmp_path_factory):
    """Return a saved network, and an input of it."""
    folder = tmp_path_factory.mktemp("net")
    network = NETWORKS[request.param]()
    network.save(folder / "net.keras")
    shape = network.input_shape[1:]
    data = np.random.default_rng(6).normal(5, 1, (12, *shape)).astype(np.float32)
    if request.param == "mask":
        data[:, 8:] = 0.0
    (folder / "data").mkdir()
    for k, one in enumerate(data):
        np.save(folder / f"data/{k:02d}.npy", one)
    return request.param, folder


@pytest.mark.parametrize("method", METHODS)
def test_each_method_explains_each(saved, tmp_path, capsys, method):
    name, folder = saved
    command = [str(folder / "net.keras"), str(folder / "data/00.npy"), "--method", method]
    command += ["--masks", "20", "--blocks", "4", "--samples", "2", "--output", str(tmp_path)]
    if name == "mask" and method == "grad-cam":
        with pytest.raises(ValueError, match="Grad-CAM needs a layer of maps"):
            explain(command)
        return
    assert explain(command) == 0
    assert "says nothing" not in capsys.readouterr().out
    (made,) = tmp_path.rglob("map.png")
    assert made.stat().st_size > 0


def test_filters_and_embeddings_of_each(saved, tmp_path):
    _, folder = saved
    command = [str(folder / "net.keras"), str(folder / "data/00.npy")]
    assert deconvolve([*command, "--output", str(tmp_path / "filters")]) == 0
    command = [str(folder / "net.keras"), str(folder / "data"), "--perplexity", "3"]
    assert embed([*command, "--output", str(tmp_path / "embedding")]) == 0


def test_features_that_are_all_alike_and_too_few_samples_get_our_sentence(tmp_path):
    image = keras.Input((16, 16, 1), name="image")
    dead = layers.Dense(1, kernel_initializer="zeros", activation="relu")
    network = keras.Model(image, dead(layers.GlobalAveragePooling2D(name="one_unit")(image)))
    network.save(tmp_path / "net.keras")
    (tmp_path / "data").mkdir()
    generator = np.random.default_rng(7)
    for k in range(12):
        np.save(tmp_path / f"data/{k:02d}.npy", generator.normal(size=(16, 16, 1)))
    command = [str(tmp_path / "net.keras"), str(tmp_path / "data")]
    output = ["--output", str(tmp_path / "out")]
    with pytest.raises(ValueError, match="a layer of one unit is laid out on a line"):
        embed([*command, "--layer", "one_unit", "--perplexity", "3", *output])
    several = layers.GlobalAveragePooling2D(name="several")(layers.Conv2D(3, 3)(image))
    keras.Model(image, layers.Dense(1)(several)).save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="12 samples are too few for a perplexity of 30"):
        embed([*command, "--layer", "several", *output])
    assert embed([*command, "--layer", "several", "--perplexity", "3", *output]) == 0
    constant = tmp_path / "constant"
    constant.mkdir()
    for k in range(12):
        np.save(constant / f"{k:02d}.npy", np.ones((16, 16, 1)))
    with pytest.raises(ValueError, match="all samples have the same features"):
        embed([command[0], str(constant), "--layer", "several", "--perplexity", "3", *output])


def test_known_networks(case_files, tmp_path, capsys):
    paths = case_files("f26_nets/*.keras")
    if not paths:
        pytest.skip("the known cases (../shared/cases) are not here")
    for path in paths:
        given = path.with_name("ts.npy" if path.stem == "masklstm" else "img.npy")
        command = [str(path), str(given), "--output", str(tmp_path / path.stem)]
        assert explain(command) == 0
        # dead and one answer with one number whatever comes
        says_nothing = "says nothing" in capsys.readouterr().out
        assert says_nothing == (path.stem in ("dead", "one"))


def test_known_arrays(case_files, tmp_path):
    arrays = case_files("f27_arrays/s00.npy")
    if not arrays:
        pytest.skip("the known cases (../shared/cases) are not here")
    output = ["--perplexity", "5", "--output", str(tmp_path / "out")]
    (dead,) = case_files("f26_nets/dead.keras")
    with pytest.raises(ValueError, match="all samples have the same features"):
        embed([str(dead), str(arrays[0].parent), *output])
    (one,) = case_files("f26_nets/one.keras")
    assert embed([str(one), str(arrays[0].parent), *output]) == 0
