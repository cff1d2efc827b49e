"""What explanations cost: passes over the forward pass, t-SNE beside a peer's, whole commands.

All images and features are synthetic. Ratios are medians of alternating rounds; each command is
timed as a whole, from its start to its end, for one image of 1024 x 1024 pixels in eight channels.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import VirtualRecord, simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START
from network_models.differentiation.gradients import InputGradient, weighted_sum
from network_models.differentiation.graph_walk import MODES
from network_models.differentiation.layer_outputs import LayerOutput
from network_models.differentiation.reverse_pass import ReversePass
from science.embedding.layout import lay_out, neighbours_kept
from science.saliency.attribution import METHODS
from tools.long_work.processes import usable_processes

_PERPLEXITY = 30.0
_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--only", nargs="+", choices=("passes", "commands", "layouts"))
    arguments = parser.parse_args()
    image = f"{arguments.size} x {arguments.size} x 8"
    parts = {
        "passes": (f"{image}, over the forward pass", _passes),
        "commands": (f"{image}, whole commands, s", _commands),
        "layouts": (f"t-SNE of {arguments.rows} x {arguments.columns}", _layouts),
    }
    chosen = [parts[name] for name in arguments.only or parts]
    print(json.dumps({name: make(arguments) for name, make in chosen}))


def _network(size: int) -> keras.Model:
    """Return four blocks of convolution and pool; biases are random, as after training."""
    image = keras.Input((size, size, 8), name="image")
    x = image
    for maps in (16, 32, 64, 64):
        biases = keras.initializers.RandomNormal(stddev=0.2, seed=maps)
        x = layers.Conv2D(maps, 3, padding="same", activation="relu", bias_initializer=biases)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(64, activation="relu")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(1)(x))


def _record() -> VirtualRecord:
    return simulate_record(FlareProcessParameters(), years=1, seed=1)


def _commands(arguments: argparse.Namespace) -> dict:
    """Time the commands on one image of the virtual Sun, each channel over its spread."""
    times = VIRTUAL_START + np.array([4000]) * np.timedelta64(3600, "s")
    image = np.moveaxis(VirtualImages(_record(), times, arguments.size).image(0), 0, -1)
    image = np.nan_to_num(image / np.nanstd(image, axis=(0, 1)))
    keras.utils.set_random_seed(0)
    seconds = {}
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        network, array = Path(folder) / "network.keras", Path(folder) / "image.npy"
        _network(arguments.size).save(network)
        np.save(array, image)
        common = [str(network), str(array), "--output", folder]
        saliency = [sys.executable, str(_ROOT / "science/saliency/saliency.py"), *common]
        features = _ROOT / "science/deconvolutional/deconvolutional.py"
        commands = {name: [*saliency, "--method", name] for name in METHODS}
        commands["gradient --check"] = [*saliency, "--method", "gradient", "--check"]
        commands["deconvolution"] = [sys.executable, str(features), *common]
        for name, command in commands.items():
            start = time.perf_counter()
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            seconds[name] = round(time.perf_counter() - start, 1)
            if done.returncode not in (0, 1):  # 1: a check says that the map must not be read
                raise SystemExit(f"{name} failed: {done.stderr}")
    return seconds


def _passes(arguments: argparse.Namespace) -> dict:
    """Time gradient and reverse pass of one image."""
    network = _network(arguments.size)
    shape = (1, arguments.size, arguments.size, 8)
    inputs = {"image": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    head = weighted_sum(np.ones(1))
    forward = LayerOutput(network, network.layers[-1].name)
    gradient, walk = InputGradient(network, head), ReversePass(network)
    ways: dict[str, Callable] = {
        "forward": lambda: forward(inputs),
        "gradient": lambda: gradient(inputs),
    }
    for mode in MODES:
        ways[f"reverse pass, {mode}"] = lambda mode=mode: walk.of_target(inputs, head, mode=mode)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(arguments.rounds + 1):  # the first round compiles
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if k:
                seconds[name].append(time.perf_counter() - start)
    figures = {
        name: round(statistics.median(a / b for a, b in zip(v, seconds["forward"], strict=True)), 2)
        for name, v in seconds.items()
    }
    return figures | {"forward, s": round(statistics.median(seconds["forward"]), 4)}


def _layouts(arguments: argparse.Namespace) -> dict:
    """Time openTSNE and scikit-learn's t-SNE on the same features, in one run."""
    generator = np.random.default_rng(0)
    latent = generator.normal(size=(arguments.rows, 12))
    latent += 4 * generator.normal(size=(10, 12))[generator.integers(0, 10, arguments.rows)]
    mixed = latent @ generator.normal(size=(12, arguments.columns))
    features = np.maximum(mixed, 0) + 0.1 * generator.normal(size=mixed.shape)
    features = features.astype(np.float32)
    start = time.perf_counter()
    layout = lay_out(features, perplexity=_PERPLEXITY, seed=0)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    small = PCA(50, random_state=0).fit_transform(features)
    peer = TSNE(
        perplexity=_PERPLEXITY, init="pca", n_jobs=usable_processes(), random_state=0
    ).fit_transform(small)
    theirs = time.perf_counter() - start
    kept = neighbours_kept(features, peer)
    return {
        "openTSNE, s": round(ours, 1),
        "scikit-learn after PCA to 50, s": round(theirs, 1),
        "times as fast": round(theirs / ours, 2),
        "10 neighbours kept, openTSNE": round(layout.neighbours_kept, 4),
        "10 neighbours kept, scikit-learn": round(kept, 4),
        "largest memory, MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
