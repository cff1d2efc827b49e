"""Does a network of emission measure gain by imitating solvers on images? Short trainings compared.

python benchmarks/distillation.py [--size fast] [--steps 1000] [--seeds 3]

All trainings have the same budget. One learns from simulated pixels alone; in the others a quarter
of every batch are pixels of images of the virtual Sun (synthetic), whose emission measure is what a
solver made of them (distillation), or the truth (to tell the images' part from the solver's).
Held out are simulated pixels, and an image of another rotation; never the maps on which inversions
are judged. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import logging
import os

import keras
import numpy as np

from dataset_models.SDO.AIA.dem_pairs import OWN_SOLUTIONS, DEMPairs
from dataset_models.SDO.AIA.dem_sources import VirtualPairs
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from network_models.dem_regression.calibration import outputs_of
from network_models.dem_regression.emission_network import SIZES, build_emission_network
from network_models.dem_regression.experiment import loss_of, optimizer_of
from network_models.dem_regression.simulated_pixels import (
    MISSING_SIGMA,
    N_BINS,
    PixelSimulator,
)
from network_models.dem_regression.train import EmissionConfig
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.response import RESPONSE_VERSIONS
from tools.emission_measure.scores import relative_l1, temperature_distance
from tools.emission_measure.status import OK
from tools.random_streams import random_stream

_UNIT_CM5 = 1e26
_VERSION = "v10_evenorm_chiantifix"
_BLOCKS, _BLOCK_PIXELS = 4, 1024
_ARMS = {
    "simulated pixels alone": None,
    "and images with their truth": OWN_SOLUTIONS,
    "and images with basis pursuit": "basis-pursuit",
    "and images with Tikhonov": "tikhonov",
}
_HELD_OUT = 65536

logger = logging.getLogger(__name__)


def main() -> None:
    """Print one JSON line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=tuple(SIZES), default="fast", help="of the network")
    parser.add_argument("--steps", type=int, default=1000, help="batches of a training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--side", type=int, default=128, help="pixels along a side of an image")
    parser.add_argument("--library", type=int, default=12000, help="parts to mix pixels from")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    for name in ("steps", "seeds", "side", "library", "jobs"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    print(json.dumps(compare(arguments)))


def compare(arguments: argparse.Namespace) -> dict:
    """Give medians of L1 and W1 on held-out pixels, by kind of training and seed."""
    years = (1000 + 27 * 4 + 3) / 365.25
    record = simulate_record(FlareProcessParameters(), years=years, seed=7)
    images = VirtualPairs(record, n_images=4, start_day=1000, size=arguments.side)
    share = EmissionConfig().rough_share
    simulator = PixelSimulator(arguments.library, seed=70, rough_share=share)
    held_out = PixelSimulator(arguments.library, seed=71)
    tests = {
        "simulated pixels": held_out.draw(_HELD_OUT, np.random.default_rng(72)),
        "an unseen image": _pixels(images, OWN_SOLUTIONS, [3], arguments.jobs),
    }
    out: dict[str, dict] = {name: {} for name in tests}
    for arm, teacher in _ARMS.items():
        taught = None if teacher is None else _pixels(images, teacher, [0, 1, 2], arguments.jobs)
        for seed in range(arguments.seeds):
            network = _trained(simulator, taught, seed, arguments)
            for name, (inputs, targets) in tests.items():
                em, truth = outputs_of(network, inputs)[:, :N_BINS], targets[:, :N_BINS]
                truth = truth.astype(float)
                scores = out[name].setdefault(arm, {"L1": [], "W1, dex": []})
                l1 = np.median(relative_l1(em, truth))
                w1 = np.nanmedian(temperature_distance(em, truth, LOG_T_EDGES))
                scores["L1"].append(round(float(l1), 4))
                scores["W1, dex"].append(round(float(w1), 5))
                logger.info("%s, seed %d, %s: L1 %.4f, W1 %.4f", arm, seed, name, l1, w1)
    return {
        "network": arguments.size,
        "batches": arguments.steps,
        "pixels of a batch": _BLOCKS * _BLOCK_PIXELS,
        "trainings of each kind": arguments.seeds,
        "held out": out,
    }


def _pixels(
    source: VirtualPairs, teacher: str, rows: list[int], jobs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give images as inputs and targets of a network; pixels that a teacher can't solve are out."""
    pairs = DEMPairs(source, teacher=teacher, response_version=_VERSION, n_jobs=jobs)
    inputs, targets = [], []
    chosen = np.eye(len(RESPONSE_VERSIONS))[RESPONSE_VERSIONS.index(_VERSION)]
    for row in rows:
        pair = pairs.pair(row)
        em = pair.em.reshape(-1, N_BINS).astype(float)
        seen = (np.isfinite(pair.dn) & ~pair.saturated).reshape(len(em), -1)
        dn = np.where(seen, pair.dn.reshape(len(em), -1), 0.0)
        sigma = np.where(seen, pair.sigma.reshape(len(em), -1), MISSING_SIGMA)
        good = (pair.status.ravel() == OK) & (em.sum(axis=1) > 0) & seen.any(axis=1)
        rate = em @ pairs.response.T
        columns = np.broadcast_to(chosen, (len(em), len(chosen)))
        inputs.append(np.concatenate([dn, sigma, columns], axis=1)[good])
        targets.append(np.concatenate([em / _UNIT_CM5, dn, sigma, rate], axis=1)[good])
    return np.concatenate(inputs).astype(np.float32), np.concatenate(targets).astype(np.float32)


class _Batches(keras.utils.PyDataset):
    """Blocks of simulated pixels; the last of each batch from images, if there are any."""

    def __init__(self, simulator: PixelSimulator, taught, seed: int, steps: int):
        super().__init__()
        self._simulator, self._taught, self._seed, self._steps = simulator, taught, seed, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int):
        generator = random_stream(self._seed, "distillation", index)
        shape = (_BLOCKS, _BLOCK_PIXELS, -1)
        arrays = self._simulator.draw(_BLOCKS * _BLOCK_PIXELS, generator)
        inputs, targets = (values.reshape(shape) for values in arrays)
        if self._taught is not None:
            rows = generator.integers(len(self._taught[0]), size=_BLOCK_PIXELS)
            inputs[-1], targets[-1] = (values[rows] for values in self._taught)
        return {"brightness": inputs}, targets


def _trained(
    simulator: PixelSimulator, taught, seed: int, arguments: argparse.Namespace
) -> keras.Model:
    """Train with the options of ``dem_regression/train.py``, for so many steps."""
    config = EmissionConfig()
    keras.utils.set_random_seed(seed)
    network = build_emission_network(SIZES[arguments.size])
    network.compile(optimizer_of(config, arguments.steps), loss_of(config), jit_compile=False)
    batches = _Batches(simulator, taught, seed, arguments.steps)
    network.fit(batches, epochs=1, shuffle=False, verbose=0)
    return network


if __name__ == "__main__":
    main()
