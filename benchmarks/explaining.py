"""What explanations cost: gradients and reverse pass over the forward pass, t-SNE beside a peer's.

All images and features are synthetic. Times are medians of alternating rounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
from keras import layers
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from dataset_models.store_workers import usable_processes
from network_models.gradients import InputGradient, weighted_sum
from network_models.graph_walk import MODES, LayerOutput
from network_models.reverse_pass import ReversePass
from science.embedding.layout import lay_out, neighbours_kept

_PERPLEXITY = 30.0


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=256)
    arguments = parser.parse_args()
    figures = {
        f"{arguments.size} x {arguments.size} x 8, over the forward pass": _passes(arguments),
        f"t-SNE of {arguments.rows} x {arguments.columns}": _layouts(arguments),
    }
    print(json.dumps(figures))


def _passes(arguments: argparse.Namespace) -> dict:
    """Time gradient and reverse pass of one image."""
    image = keras.Input((arguments.size, arguments.size, 8), name="image")
    x = image
    for maps in (16, 32, 64, 64):
        x = layers.Conv2D(maps, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(64, activation="relu")(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(image, layers.Dense(1)(x))
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
