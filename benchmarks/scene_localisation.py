"""Whether a classifier's maps lie on what it names: energy inside true masks (synthetic scenes).

python benchmarks/scene_localisation.py [--model RUN] [--images 16] [--seed 202] [--data LABELLED]

The target is the log-odds of the true class. Energy is the squared positive part of a map, all
channels added; its share inside the mask of filament, ribbon, prominence or spot is given with the
pointing game: whether the map's largest value, after smoothing by two pixels, lies inside. Maps
"times deviation" are what each pixel adds, as ``saliency.py --check`` counts it: the derivative
times the way from the median, so that dark features speak, too. Beside the methods stand a centred
Gaussian, the mask's share of the image, the image's own deviation from its median, which knows no
classes, and the best method on the same network with random weights.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from scipy.ndimage import gaussian_filter

from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from dataset_models.solar_scenes.files.folder import SceneFolder
from dataset_models.solar_scenes.generated import GeneratedScenes
from network_models.differentiation.gradients import log_odds
from network_models.differentiation.reverse_pass import ReversePass
from network_models.files.safe_loading import load_network
from network_models.image_classification.classifier import network_file
from network_models.training.checkpoint import save_network
from science.saliency.attribution import METHODS, Explainer
from science.saliency.question import AttributionOptions
from tools.random_streams import random_stream

_CLASSES = tuple(k for k, name in enumerate(CLASSES) if name != "quiet")
_ADDED = " times deviation"
_MODES = {name + added: name for name in ("guided", "deconvolution") for added in ("", _ADDED)}
_WIDTH = 0.25  # of the image's side: spread of the centred Gaussian
_SMOOTHED = 2.0  # pixels
_OPTIONS = AttributionOptions(blocks=12, masks=300, samples=8)
_TURNED = "integrated-gradients, eight views"  # for --methods: it takes eight times as long


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="packaged", help="run folder; the packaged network")
    parser.add_argument("--images", type=int, default=16, help="of each class")
    parser.add_argument("--seed", type=int, default=202, help="of scenes that no training has")
    parser.add_argument("--data", default="", help="own frames with masks, in class folders or CSV")
    parser.add_argument("--methods", nargs="*", default=[*METHODS, *_MODES])
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    network = load_network(network_file(arguments.model))
    scenes, masks, truth = draw(arguments)
    given = network.predict({"image": scenes}, batch_size=64, verbose=0)
    right = given[:, : len(CLASSES)].argmax(axis=1) == truth
    ways = {name: maps_of(network, name, scenes, truth) for name in arguments.methods}
    generator = random_stream(arguments.seed, "random weights")
    other = shuffled(network, generator)
    best = max(ways, key=lambda name: _energy(ways[name], masks).mean())
    ways |= {f"{best}, random weights": maps_of(other, best, scenes, truth)}
    ways |= baselines(scenes)
    out = {
        "images": len(truth),
        "named rightly": float(right.mean()),
        "share of the image that masks cover": float(masks.mean()),
        "best method": best,
        "energy inside the mask": {},
        "pointing game": {},
    }
    for name, maps in ways.items():
        energy, hits = _energy(maps, masks), _hits(maps, masks)
        for key, values in (("energy inside the mask", energy), ("pointing game", hits)):
            there = [k for k in _CLASSES if (truth == k).any()]
            by_class = {CLASSES[k]: round(float(values[truth == k].mean()), 3) for k in there}
            out[key][name] = {"all": round(float(values.mean()), 3), **by_class}
    print(json.dumps(out))


def draw(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scenes (image, y, x, 1), the masks of their class (image, y, x) and the classes."""
    n = arguments.images
    if arguments.data:
        return of_files(arguments.data, n)
    dataset = GeneratedScenes(
        arguments.seed, n_observations=n * len(OUTPUTS), frames_per_observation=1, n_processes=1
    )
    rows = np.concatenate([np.flatnonzero(dataset.primary == k)[:n] for k in _CLASSES])
    truth = dataset.primary[rows]
    masks = np.stack([dataset.masks(np.array([row]))[0, dataset.primary[row]] for row in rows])
    seen = masks.any(axis=(1, 2))
    return dataset.read(rows)["image"][seen], masks[seen], truth[seen]


def of_files(place: str, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same of the first frames of each class that have a mask."""
    dataset = SceneFolder(place)
    kinds = np.where(dataset.has_mask, dataset.primary, -1)
    rows = np.concatenate([np.flatnonzero(kinds == k)[:n] for k in _CLASSES])
    if len(rows) == 0:
        raise SystemExit(
            f"{place}: no frame of {', '.join(CLASSES[k] for k in _CLASSES)} has a mask"
        )
    truth = dataset.primary[rows]
    masks = dataset.masks(rows)[np.arange(len(rows)), truth]
    seen = masks.any(axis=(1, 2))
    return dataset.read(rows)["image"][seen], masks[seen], truth[seen]


def maps_of(network: keras.Model, method: str, scenes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the map of each scene's own class, (image, y, x)."""
    out, explainers = np.empty(scenes.shape[:3], np.float32), {}
    options = replace(_OPTIONS, views=8 if method == _TURNED else 1)
    for k in np.unique(truth):
        head = log_odds(np.eye(len(OUTPUTS))[k])
        if method in _MODES:
            walk = ReversePass(network, wrt="image")
            for row in np.flatnonzero(truth == k):
                inputs = {"image": scenes[row : row + 1]}
                values = walk.of_target(inputs, head, mode=_MODES[method])[1][0, ..., 0]
                if method.endswith(_ADDED):
                    values = values * (scenes[row, ..., 0] - np.median(scenes[row]))
                out[row] = values
            continue
        explainers[k] = Explainer(network, head, image="image")
        for row in np.flatnonzero(truth == k):
            one = {"image": scenes[row : row + 1]}
            found = explainers[k].explain(one, method.split(",")[0], options)
            values = found.values.sum(axis=-1)
            out[row] = np.abs(values) if "per input" in found.unit else values
    return out


def baselines(scenes: np.ndarray) -> dict[str, np.ndarray]:
    """Return what knows nothing of the network."""
    n, side = len(scenes), scenes.shape[1]
    away = (np.arange(side) - (side - 1) / 2) / (_WIDTH * side)
    bump = np.exp(-0.5 * (away[:, None] ** 2 + away**2))
    image = scenes[..., 0]
    level = np.median(image, axis=(1, 2), keepdims=True)
    return {
        "centred Gaussian": np.broadcast_to(bump, (n, side, side)),
        "nothing (uniform)": np.ones((n, side, side)),
        "deviation from the image's median": np.abs(image - level),
    }


def shuffled(network: keras.Model, generator: np.random.Generator) -> keras.Model:
    """Return the same network with every weight's values in another order."""
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        save_network(Path(folder) / "network.keras", network)
        other = load_network(Path(folder) / "network.keras")
    other.set_weights(
        [generator.permutation(w.ravel()).reshape(w.shape) for w in network.get_weights()]
    )
    return other


def _energy(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of the squared positive part inside the masks, (image,)."""
    energy = np.square(np.maximum(maps, 0).astype(float))
    total = energy.sum(axis=(1, 2))
    inside = (energy * masks).sum(axis=(1, 2))
    return np.divide(inside, total, out=np.zeros(len(total)), where=total > 0)


def _hits(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    smooth = gaussian_filter(np.asarray(maps, float), (0, _SMOOTHED, _SMOOTHED))
    place = smooth.reshape(len(maps), -1).argmax(axis=1)
    return masks.reshape(len(masks), -1)[np.arange(len(masks)), place].astype(float)


if __name__ == "__main__":
    main()
