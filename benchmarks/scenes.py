"""The packaged classifier of scenes on real frames, and its speed.

python benchmarks/scenes.py [--model RUN] [--data ../shared/data] [--side 4096] [--rounds 5]

Real frames were never trained on; results are by scene, since nine frames of one spot are one
scene. Speeds: whole frames of 512 x 512 pixels, and a map of a large image with overlapping tiles,
in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.running import run
from dataset_models.solar_scenes.classes import CLASSES
from dataset_models.solar_scenes.files.resize import area_resize
from dataset_models.solar_scenes.generated import GeneratedScenes
from dataset_models.solar_scenes.painting.difficulty import load_difficulty
from network_models.image_classification.classifier import Classifier, open_classifier
from network_models.image_classification.training.real_frames import (
    none_of_the_classes,
    real_scenes,
)
from tools.abstention import given_one_of_the_classes
from tools.classification_scores import class_scores

_FRESH_SEED, _FRESH = 1907, 2400
_SHIFTED = 1200
# factors on the standard knobs: what other telescopes and days would do to calibration
_SHIFTS = {
    "four times the noise": {"noise": 4.0},
    "twice the blur": {"blur": 2.0},
    "three times the gradients, vignetting and dust": {"nuisance": 3.0},
    "features at two thirds of their contrast": {
        "filament_contrast": 0.67,
        "ribbon_contrast": 0.67,
        "prominence_contrast": 0.67,
        "spot_contrast": 0.67,
    },
    "quiet Sun at 1.5 times its contrast": {"texture_contrast": 1.5},
}
_SCORES = ("balanced accuracy", "ECE-15", "Brier")


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="packaged", help="run folder; the packaged network")
    parser.add_argument("--data", default="../shared/data", help="folder of the real frames")
    parser.add_argument("--side", type=int, default=4096, help="pixels of the large image")
    parser.add_argument("--frames", type=int, default=96, help="frames of 512 x 512 to time")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out = {"synthetic": fresh(arguments), "shifted": shifted(arguments)}
    out |= {**frames_per_second(arguments), **large_map(arguments)}
    if Path(arguments.data).is_dir():
        out["real"] = real(arguments)
    print(json.dumps(out))


def answer(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    """Return the six probabilities of a frame (y, x), as classify.py does: (6,)."""
    side = classifier.settings.tile
    small = area_resize(image, (side, side)) if image.shape != (side, side) else image
    return classifier.of_frames(small[None].astype(np.float32))[0]


def five_classes(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    """Return the five probabilities of a frame (y, x), as the command gives them: (5,)."""
    return given_one_of_the_classes(answer(classifier, image))


def real(arguments: argparse.Namespace) -> dict:
    """Return what is said of each real scene, and the calibration over all frames and tiles."""
    classifier = open_classifier(arguments.model)
    rows, given, truth, scenes = {}, [], [], []
    for scene in real_scenes(arguments.data):
        outputs = np.stack([answer(classifier, image) for image in scene.images])
        probability = given_one_of_the_classes(outputs)
        right = probability.argmax(axis=1) == scene.truth
        rows[scene.name] = {
            "truth": CLASSES[scene.truth],
            "frames or tiles": len(right),
            "right": int(right.sum()),
            "mean probability of the truth": float(probability[:, scene.truth].mean()),
            "no answer": int(np.sum([classifier.abstains(output) for output in outputs])),
            "given": np.bincount(probability.argmax(axis=1), minlength=len(CLASSES)).tolist(),
        }
        given.append(probability)
        truth += [scene.truth] * len(right)
        scenes += [scene.name] * len(right)
    scores = class_scores(np.concatenate(given), np.array(truth), np.array(scenes), classes=CLASSES)
    names = ("balanced accuracy", "ECE-15", "Brier", "log score")
    others = {}
    for scene in none_of_the_classes(arguments.data):
        outputs = np.stack([answer(classifier, image) for image in scene.images])
        named = given_one_of_the_classes(outputs).argmax(axis=1)
        others[scene.name] = {
            "frames": len(outputs),
            "no answer": int(np.sum([classifier.abstains(output) for output in outputs])),
            "mean probability of none": float(outputs[:, -1].mean()),
            "likeliest of the five": sorted({CLASSES[k] for k in named}),
        }
    return {"scenes": rows, "none": others, **{name: scores[name].value for name in names}}


def fresh(arguments: argparse.Namespace) -> dict:
    """Score generated scenes of a seed that no training, test or choice has had (synthetic)."""
    scenes = GeneratedScenes(_FRESH_SEED, n_observations=_FRESH, frames_per_observation=1)
    return {"seed": _FRESH_SEED, **_scored(open_classifier(arguments.model), scenes)}


def shifted(arguments: argparse.Namespace) -> dict:
    """Score scenes of other knobs than those of the training, one shift at a time (synthetic)."""
    classifier, standard = open_classifier(arguments.model), asdict(load_difficulty())
    out = {}
    for name, factors in _SHIFTS.items():
        knobs = standard | {knob: standard[knob] * factor for knob, factor in factors.items()}
        scenes = GeneratedScenes(
            _FRESH_SEED, n_observations=_SHIFTED, frames_per_observation=1, difficulty=knobs
        )
        out[name] = _scored(classifier, scenes)
    return out


def _scored(classifier: Classifier, scenes: GeneratedScenes) -> dict[str, str]:
    """Return scores of the five classes in words, and how many frames get no answer."""
    scenes.draw()
    parts = np.array_split(np.arange(len(scenes)), -(-len(scenes) // 60))
    output = np.concatenate([classifier.function(scenes.read(p)["image"]) for p in parts])
    five = scenes.primary < len(CLASSES)
    scores = class_scores(
        given_one_of_the_classes(output[five].astype(float)),
        scenes.primary[five],
        scenes.table.group[five],
        classes=CLASSES,
    )
    answered = np.array([not classifier.abstains(one) for one in output])
    shares = {
        "answered, of the five": float(answered[five].mean()),
        "answered, of none of these": float(answered[~five].mean()),
    }
    return {**{name: str(scores[name]) for name in _SCORES}, **shares}


def frames_per_second(arguments: argparse.Namespace) -> dict:
    """Time whole frames, from a frame in memory to its probabilities."""
    classifier = open_classifier(arguments.model)
    frames = np.random.default_rng(0).normal(1, 0.1, (arguments.frames, 512, 512))
    frames = frames.astype(np.float32)
    five_classes(classifier, frames[0])
    rates = []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        for frame in frames:
            five_classes(classifier, frame)
        rates.append(len(frames) / (time.perf_counter() - start))
    return {"frames of 512 x 512 per second": statistics.median(rates)}


def large_map(arguments: argparse.Namespace) -> dict:
    """Time the map of a full disc (synthetic), file to file, as a user would make it."""
    from dataset_models.solar_scenes.painting.full_disc import full_disc

    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        path = Path(folder) / "disc.npy"
        np.save(path, full_disc(arguments.side, seed=3).image.astype(np.float32))
        command = ["network_models/image_classification/classify.py", arguments.model, str(path)]
        outcomes = [
            run(*command, "--map", "--output", str(Path(folder) / f"out{k}"))
            for k in range(min(arguments.rounds, 3))
        ]
    return {
        "pixels along a side": arguments.side,
        "map, whole command, s": statistics.median(o.seconds for o in outcomes),
        "map, largest memory, MiB": max(o.peak_mib for o in outcomes),
    }


if __name__ == "__main__":
    main()
