"""How often a method points to the region and the channel that truly move the forecast.

python benchmarks/attribution.py RUN [--images 60]

RUN is a finished run on images of the virtual Sun (synthetic). The truth of an image is found by
taking each region in view away and asking the network again: the region, and likewise the channel
(replaced by its median over the image), whose removal changes the log-odds of P(>=M1) most. A
method's region is the one that shines most at the strongest place of its map, all channels added
and smoothed to the width of a small region (derivatives by their absolute values); its channel is
the one with the largest absolute map. Beside the methods stand the region brightest in 94 angstrom
and a map of noise, and captum and Xplique where ``make peers`` has
installed them. The default method and its baseline were chosen on images of the validation set,
among the methods that tell channels apart; the figures that count are those of the test set.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import binomtest

from benchmarks.peers import PEERS, peer_maps, peer_python
from dataset_models.virtual_sun.images import VirtualImages
from network_models.differentiation.gradients import log_odds
from network_models.training.reopen import open_network
from science.saliency.attribution import METHODS, Explainer
from science.saliency.question import AttributionOptions
from tools.channels import AIA_CHANNELS

_WIDTH = 0.05  # solar radii: spread of the smoothing
_HALF_FIELD = 1.28  # of an image, solar radii
_TARGET = "P(>=M1)"
_NOISE = "noise instead of a map"
_NO_LIGHT = 0.05  # of a region's own largest light: where no region has it, none is named
_LEAST_CHANGE = 0.05  # of the log-odds; images in which no region matters more say nothing


@dataclass(frozen=True)
class Truth:
    """What truly moves the forecast of one image.

    Attributes
    ----------
    shines : (region, y, x) float
        Each region's light as a share of its largest.
    by_region : (region,) float
        Change of the log-odds when it is taken away.
    by_channel : (channel,) float
    in_94 : (region,) float
        Brightness in 94 angstrom.
    """

    shines: np.ndarray
    by_region: np.ndarray
    by_channel: np.ndarray
    in_94: np.ndarray


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="finished run on the virtual Sun's images")
    parser.add_argument("--images", type=int, default=120, help="of each set")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--sets", nargs="+", default=["validation", "test"])
    parser.add_argument("--baseline", default="median", choices=("median", "zero"))
    parser.add_argument("--peers", default=".peers", help="folder that `make peers` made")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    opened = open_network(arguments.run)
    if opened.data.more is None:
        raise SystemExit("the truth is known on the virtual Sun only; give a run on its images")
    head = log_odds(opened.target(_TARGET).weights)
    explainer = Explainer(opened.network, head, image=opened.image)
    figures = {}
    for name in arguments.sets:
        rows = getattr(opened.data.split, name)
        cases = _cases(opened, rows, explainer, arguments.images)
        peers = Path(arguments.peers) if name == "test" else None  # nothing is chosen among them
        figures[name] = _figures(opened, explainer, cases, arguments, peers)
    print(json.dumps(figures))


def _cases(opened, rows, explainer: Explainer, n: int) -> list[tuple[dict, Truth]]:
    """Return n images drawn from a set, as inputs, with their truth."""
    dataset, virtual = opened.data.dataset, opened.data.more.virtual
    source = VirtualImages(virtual, dataset.store.times, dataset.store.size)
    cases: list[tuple[dict, Truth]] = []
    for row in np.random.default_rng(0).permutation(rows):
        if len(cases) == n:
            break
        inputs = opened.samples.of_row(opened, opened.data, int(row)).inputs
        parts = source.region_images(int(dataset.store_rows(int(row))[-1]))
        truth = _truth(explainer, inputs, opened.image, parts)
        if truth is not None:
            cases.append((inputs, truth))
    return cases


def _figures(
    opened, explainer: Explainer, cases: list, arguments: argparse.Namespace, peers: Path | None
) -> dict:
    """Compare all methods, a map of noise, and the peers that are installed."""
    score = _Score(cases)
    generator = np.random.default_rng(1)
    score.of_regions("brightest in 94", [int(t.in_94.argmax()) for _, t in cases])
    options = AttributionOptions(baseline=arguments.baseline)
    for method in arguments.methods:
        found = (explainer.explain(inputs, method, options) for inputs, _ in cases)
        score.of_maps(method, [_map(one.values[-1], "per input" in one.unit) for one in found])
    shape = cases[0][0][opened.image].shape[2:]
    score.of_maps(_NOISE, [generator.normal(size=shape) for _ in cases])
    images = np.concatenate([inputs[opened.image] for inputs, _ in cases])
    for peer in PEERS if peers else ():
        python = peer_python(peers, peer)
        if python is None:
            continue
        weights = opened.target(_TARGET).weights
        for method, (maps, is_slope) in peer_maps(peer, python, opened, images, weights).items():
            score.of_maps(f"{peer}, {method}", [_map(one[-1], is_slope) for one in maps])
    return score.figures()


class _Score:
    """How often a region and a channel are the right ones."""

    def __init__(self, cases: list):
        self.truths = [truth for _, truth in cases]
        self.right = [int(t.by_region.argmax()) for t in self.truths]
        self.hits: dict[str, list[bool]] = {}
        self.channels: dict[str, list[bool]] = {}

    def of_regions(self, name: str, regions: list[int | None]) -> None:
        """Count a rule that names a region in each image."""
        self.hits[name] = [a == b for a, b in zip(regions, self.right, strict=True)]

    def of_maps(self, name: str, maps: list[np.ndarray]) -> None:
        """Count what maps (y, x, channel) point to."""
        both = list(zip(maps, self.truths, strict=True))
        self.of_regions(name, [_region_of(values, truth.shines) for values, truth in both])
        tells = [np.ptp(values, axis=-1).any() for values in maps]
        if maps[0].shape[-1] == len(AIA_CHANNELS) and all(tells):
            self.channels[name] = [
                int(np.abs(values).sum(axis=(0, 1)).argmax()) == int(truth.by_channel.argmax())
                for values, truth in both
            ]

    def figures(self) -> dict:
        """Return shares with their intervals."""
        fainter = [int(t.in_94.argmax()) != r for t, r in zip(self.truths, self.right, strict=True)]
        hidden = {
            n: [h for h, f in zip(v, fainter, strict=True) if f] for n, v in self.hits.items()
        }
        return {
            "images": len(self.truths),
            "regions in view, mean": round(
                float(np.mean([len(t.by_region) for t in self.truths])), 1
            ),
            "right region, chance": round(
                float(np.mean([1 / len(t.by_region) for t in self.truths])), 3
            ),
            "right region": {n: _share(v) for n, v in self.hits.items()},
            "right region where it is not the brightest": {
                n: _share(v) for n, v in hidden.items() if v
            },
            "right channel": {n: _share(v) for n, v in self.channels.items()},
            "right channel, chance": round(1 / len(AIA_CHANNELS), 3),
        }


def _map(values: np.ndarray, is_slope: bool) -> np.ndarray:
    """Return a map of the newest frame, (y, x, channel); derivatives by their absolute values."""
    return np.abs(values) if is_slope else values


def _region_of(values: np.ndarray, shines: np.ndarray) -> int | None:
    """Return the region that shines most at a map's strongest place, or none."""
    width = _WIDTH / (2 * _HALF_FIELD) * len(values)
    smooth = np.abs(gaussian_filter(values.sum(axis=-1), width))
    y, x = np.unravel_index(smooth.argmax(), smooth.shape)
    there = shines[:, y, x]
    return int(there.argmax()) if there.max() > _NO_LIGHT else None


def _truth(explainer: Explainer, inputs: dict, name: str, parts: dict) -> Truth | None:
    """Take each region and each channel away; None where there is nothing to be told."""
    if inputs["aia_present"].min() == 0:
        return None
    image = inputs[name][0]
    lights = [np.moveaxis(part, 0, -1) for part in parts.values()]
    if len(lights) < 2:
        return None

    def ask(images: np.ndarray) -> np.ndarray:
        return explainer.targets(inputs, images)

    whole = float(ask(image[None])[0])
    without = []
    for light in lights:
        less = image.copy()
        less[-1] -= light
        without.append(less)
    by_region = np.abs(whole - ask(np.stack(without)))
    if by_region.max() < _LEAST_CHANGE:
        return None
    median = np.median(image, axis=(1, 2), keepdims=True)
    levelled = []
    for k in range(image.shape[-1]):
        level = image.copy()
        level[..., k] = median[..., k]
        levelled.append(level)
    by_channel = np.abs(whole - ask(np.stack(levelled)))
    total = np.stack([light[..., :7].sum(axis=-1) for light in lights])
    shines = total / total.max(axis=(1, 2), keepdims=True)
    in_94 = np.array([light[..., AIA_CHANNELS.index(94)].sum() for light in lights])
    return Truth(shines, by_region, by_channel, in_94)


def _share(values: list[bool]) -> list[float]:
    """Return a share with its 95 % interval, and of how many."""
    low, high = binomtest(int(np.sum(values)), len(values)).proportion_ci(method="wilson")
    return [round(float(np.mean(values)), 3), round(low, 3), round(high, 3), len(values)]


if __name__ == "__main__":
    main()
