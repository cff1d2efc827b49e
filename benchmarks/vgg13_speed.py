"""Slic's VGG-13 beside PyTorch's: one forward pass and one training step, and equal logits.

python benchmarks/vgg13_speed.py [--batch 2] [--rounds 5]

Both have the same weights: PyTorch writes a state dictionary of Slic's full size and the converter
reads it. The step is Slic's: cross-entropy, SGD with Nesterov's momentum. In each round one runs
after the other on all cores; ratios are of PyTorch's median in a round to ours of the same round:
more than 1 means that ours is faster. Needs 6 GB of memory and ``make peers``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers import peer_python, peer_slic

_SIDE, _CLASSES = 256, 5
_RATE, _MOMENTUM = 1e-4, 0.9  # Slic's own


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=2, help="images; Slic's own is 2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="runs in each round")
    parser.add_argument("--peers", default=str(Path(__file__).parents[1] / ".peers"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    python = peer_python(arguments.peers, "captum")
    generator = np.random.default_rng(0)
    given = {
        "image": generator.uniform(0, 255, (arguments.batch, _SIDE, _SIDE)).astype(np.float32),
        "label": generator.integers(0, _CLASSES, arguments.batch),
        "repeats": np.array(arguments.repeats),
    }
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        given["weights"] = str(Path(folder) / "slic.pth")
        print(json.dumps(_compared(given, python, arguments.rounds)))


def _compared(given: dict, python: Path | None, rounds: int) -> dict:
    """Time both in turn, and give medians, ratios, and how far the logits are apart."""
    n_jobs = len(os.sched_getaffinity(0))
    peer = [] if python is None else [peer_slic(python, given, n_jobs=n_jobs)]
    network = _network(None if python is None else given["weights"])
    runs = {"forward": _forward(network, given), "step": _step(network, given)}
    found: dict = {"batch": len(given["image"]), "cores": n_jobs}
    if peer:
        expected = peer[0]["logits"]
        logits = np.asarray(network.predict(_input(given), verbose=0))
        largest = float(np.abs(expected).max())
        found["logits, largest"] = largest
        found["largest difference, of that"] = float(np.abs(logits - expected).max()) / largest
    seconds: dict[str, list] = {name: [] for name in runs}
    ratios: dict[str, list] = {name: [] for name in runs}
    peer.clear()
    for _ in range(rounds):
        theirs = None if python is None else peer_slic(python, given, n_jobs=n_jobs)
        for name, run in runs.items():
            ours = _median_seconds(run, int(given["repeats"]))
            other = float(np.median(theirs[name])) if theirs else float("nan")
            seconds[name].append((ours, other))
            ratios[name].append(other / ours)
    for name, pairs in seconds.items():
        ours, other = (round(statistics.median(column), 4) for column in zip(*pairs, strict=True))
        found[name] = {"seconds": ours}
        if python is not None:
            spread = [round(f(ratios[name]), 3) for f in (statistics.median, min, max)]
            found[name] |= dict(
                zip(("PyTorch's over ours", "smallest", "largest"), spread, strict=True)
            )
            found[name]["PyTorch, seconds"] = other
    return found


def _network(weights: str | None):
    from network_models.image_classification.slic.convert import slic_from_torch
    from network_models.image_classification.slic.vgg13 import build_slic_vgg13

    return build_slic_vgg13() if weights is None else slic_from_torch(weights)


def _input(given: dict) -> dict[str, np.ndarray]:
    return {"image": given["image"][..., None]}


def _forward(network, given: dict) -> Callable[[], object]:
    return lambda: np.asarray(network.predict_on_batch(_input(given)))


def _step(network, given: dict) -> Callable[[], object]:
    import keras

    optimizer = keras.optimizers.SGD(_RATE, momentum=_MOMENTUM, nesterov=True)
    network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: network.train_on_batch(_input(given), given["label"])


def _median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Give the median of some runs, after one that does not count."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
