"""Do intervals cover in and out of prior alike? Finer factors, a training without random curves.

python benchmarks/interval_trials.py --run RUN

RUN is one of ``dem_regression/train.py --rough-share 0``. It stands beside the packaged accurate
network, a part of whose training are shapes that no formula gives: on held-out simulated pixels
with factors of the intervals that are one for each bin, or for each class of signal, of a bin's
share in the total found, or of both; and, as it is, on the maps on which inversions are judged.
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.dem_accuracy import LEVELS, draw_pixels, group_of
from network_models.dem_regression.calibration import ONE_SIGMA, outputs_of, signal_level
from network_models.dem_regression.inversion import invert_with_network
from network_models.dem_regression.network_settings import NETWORK_FILE
from network_models.dem_regression.simulated_pixels import N_BINS, N_CHANNELS, PixelSimulator
from network_models.files.safe_loading import load_network
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.scores import covered, relative_l1, temperature_distance

_PACKAGED = Path(__file__).parents[1] / "network_models/dem_regression/packaged/accurate"
_VERSION = "v10_evenorm_chiantifix"
_SHARES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1)  # of a bin in the total, between classes
_N_LEVELS = 6
_FEWEST = 100  # pixels by which a quantile is known
_CLASSES = ("one for all", "signal", "share of the bin", "both")


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="of train.py --rough-share 0")
    parser.add_argument("--pixels", type=int, default=60000, help="simulated ones, of each kind")
    parser.add_argument("--library", type=int, default=12000, help="parts to mix pixels from")
    parser.add_argument("--side", type=int, default=128, help="pixels of a judged map")
    arguments = parser.parse_args()
    networks = {"packaged": _PACKAGED, "without random curves": Path(arguments.run)}
    figures = {
        "68 % intervals of held-out pixels": _held_out(networks, arguments),
        "on the judged maps": _judged(networks, arguments.side),
    }
    print(json.dumps(figures))


def _held_out(networks: dict[str, Path], arguments: argparse.Namespace) -> dict:
    """Return coverage by network and kind of factors, of smooth shapes and of random curves."""
    sets = {}
    for k, (kind, share) in enumerate({"smooth shapes": 0.0, "random curves": 1.0}.items()):
        simulator = PixelSimulator(arguments.library, 77 + k, rough_share=share)
        for part in ("calibration", "test"):
            generator = np.random.default_rng([5, k, part == "test"])
            sets[kind, part] = simulator.draw(arguments.pixels, generator)
    out: dict[str, dict] = {}
    for name, folder in networks.items():
        network = load_network(folder / NETWORK_FILE)
        network.get_layer("intervals").table = np.ones((3, N_BINS)).tolist()
        found = {key: (outputs_of(network, x), y.astype(float)) for key, (x, y) in sets.items()}
        scores = {
            kind: round(float(np.median(relative_l1(o[:, :N_BINS], y[:, :N_BINS]))), 4)
            for (kind, part), (o, y) in found.items()
            if part == "test"
        }
        cells = {"L1": scores}
        for classes in _CLASSES:
            factors = _factors(*found["smooth shapes", "calibration"], classes)
            cells[f"factors: {classes}"] = {
                kind: round(float(_inside(*found[kind, "test"], classes, factors).mean()), 3)
                for kind in ("smooth shapes", "random curves")
            }
        out[name] = cells
    return out


def _needed(output: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor by which each interval has to be stretched, and which begin at 0."""
    em, below, above = (output[:, k * N_BINS : (k + 1) * N_BINS] for k in range(3))
    truth, from_zero = targets[:, :N_BINS], below >= em
    up = np.maximum(truth - em, 0) / np.maximum(above, 1e-30)
    down = np.where(from_zero, 0, np.maximum(em - truth, 0) / np.maximum(below, 1e-30))
    return np.maximum(up, down), from_zero


def _class_of(output: np.ndarray, targets: np.ndarray, classes: str) -> np.ndarray:
    """Return each bin's class, (pixel, bin)."""
    em = output[:, :N_BINS]
    share = np.digitize(em / em.sum(axis=1, keepdims=True), _SHARES)
    dn, sigma = (targets[:, N_BINS + k * N_CHANNELS :][:, :N_CHANNELS] for k in (0, 1))
    level = np.broadcast_to(signal_level(dn, sigma)[:, None], em.shape)
    if classes == "one for all":
        found = np.zeros(em.shape, int)
    elif classes == "signal":
        found = level
    else:
        found = share if classes == "share of the bin" else share * _N_LEVELS + level
    return 2 * found + _needed(output, targets)[1]


def _factors(output: np.ndarray, targets: np.ndarray, classes: str) -> np.ndarray:
    """Return the factors (class, bin) with which 68 % of the truths are inside."""
    needed, _ = _needed(output, targets)
    kind = _class_of(output, targets, classes)
    factors = np.ones((2 * _N_LEVELS * (len(_SHARES) + 1), N_BINS))
    for j in range(N_BINS):
        for k in np.unique(kind[:, j]):
            values = needed[kind[:, j] == k, j]
            if len(values) >= _FEWEST:
                factors[k, j] = np.quantile(values, ONE_SIGMA)
    return factors


def _inside(
    output: np.ndarray, targets: np.ndarray, classes: str, factors: np.ndarray
) -> np.ndarray:
    """Return which truths lie inside the stretched intervals."""
    own = factors[_class_of(output, targets, classes), np.arange(N_BINS)]
    return _needed(output, targets)[0] <= own


def _judged(networks: dict[str, Path], side: int) -> dict:
    """Return L1 and W1 by family, and coverage by group, on the maps of inversions."""
    pixels = draw_pixels(side, version=_VERSION, share=0.125)
    out: dict[str, dict] = {}
    for name, folder in networks.items():
        found = invert_with_network(pixels.dn, pixels.sigma, run=folder, version=_VERSION)
        em = found.em.astype(float)
        scores = {
            "L1": relative_l1(em, pixels.em),
            "W1, dex": temperature_distance(em, pixels.em, LOG_T_EDGES),
        }
        inside = covered(found.extra["low"], found.extra["high"], pixels.em)
        for level in LEVELS:
            places = {family: at for (own, family), at in pixels.places.items() if own == level}
            cell = out.setdefault(level, {}).setdefault(name, {})
            for score, values in scores.items():
                cell[score] = {f: _digits(np.nanmedian(values[at])) for f, at in places.items()}
            for group in ("in prior", "out of prior"):
                own = [inside[at] for f, at in places.items() if group_of(f) == group]
                cell[f"within 68 %, {group}"] = _digits(np.nanmean(np.concatenate(own)))
    return out


def _digits(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
