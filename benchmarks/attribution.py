"""How often a method points to the region and the channel that truly move the forecast.

python benchmarks/attribution.py RUN [--images 60]

RUN is a finished run on images of the virtual Sun (synthetic). The truth of an image is found by
taking each region in view away and asking the network again: the region, and likewise the channel
(replaced by its median over the image), whose removal changes the log-odds of P(>=M1) most. A
method's region is the one over whose light its map adds up to most (derivatives by their absolute
values); its channel the one with the largest absolute map. Beside the methods stand the region
brightest in 94 angstrom, and chance. The default method and its baseline were chosen on images of
the validation set; the figures that count are those of the test set.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from dataset_models.virtual_sun.images import VirtualImages
from network_models.gradients import log_odds
from network_models.xray_flux_forecast.run_data import reopen_run
from science.opening import open_network, sample_of
from science.saliency.attribution import METHODS, AttributionOptions, attribute, targets_of
from tools.channels import AIA_CHANNELS

_CORE = 0.5  # a region covers the pixels above this share of its own largest light
_LEAST_CHANGE = 0.05  # of the log-odds; images in which no region matters more say nothing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Truth:
    """What truly moves the forecast of one image.

    Attributes
    ----------
    covers : (region, y, x) bool
        Which pixels are a region's.
    by_region : (region,) float
        Change of the log-odds when it is taken away.
    by_channel : (channel,) float
    in_94 : (region,) float
        Brightness in 94 angstrom.
    """

    covers: np.ndarray
    by_region: np.ndarray
    by_channel: np.ndarray
    in_94: np.ndarray


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="finished run on the virtual Sun's images")
    parser.add_argument("--images", type=int, default=60, help="of each set")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--sets", nargs="+", default=["validation", "test"])
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    opened, reopened = open_network(arguments.run), reopen_run(arguments.run)
    if reopened.data.limit is None:
        raise SystemExit("the truth is known on the virtual Sun only; give a run on its images")
    figures = {}
    for name in arguments.sets:
        rows = getattr(reopened.split, name)
        figures[name] = _figures(opened, reopened, rows, arguments)
    print(json.dumps(figures))


def _figures(opened, reopened, rows: np.ndarray, arguments: argparse.Namespace) -> dict:
    """Compare all methods on images spread evenly over a set."""
    dataset, virtual = reopened.data.dataset, reopened.data.limit.virtual
    source = VirtualImages(virtual, dataset.store.times, dataset.store.size)
    head = log_odds(opened.target("P(>=M1)").head)
    hits: dict[str, list[bool]] = {}
    channels: dict[str, list[bool]] = {}
    fainter: dict[str, list[bool]] = {}
    chance = []
    n_used = 0
    for row in np.random.default_rng(0).permutation(rows):
        if n_used == arguments.images:
            break
        truth = _truth(opened, dataset, source, int(row), head)
        if truth is None:
            continue
        n_used += 1
        right, channel = int(truth.by_region.argmax()), int(truth.by_channel.argmax())
        brightest = int(truth.in_94.argmax())
        hits.setdefault("brightest in 94", []).append(brightest == right)
        chance.append(1 / len(truth.by_region))
        inputs = sample_of(dataset, int(row)).inputs
        for method in arguments.methods:
            found = attribute(
                opened.network,
                inputs,
                head,
                image=opened.image,
                method=method,
                options=AttributionOptions(),
            )
            values = found.values[-1]
            if "per input" in found.unit:  # a derivative: its sign says nothing about the sum
                values = np.abs(values)
            mass = np.abs(np.where(truth.covers, values.sum(axis=-1), 0).sum(axis=(1, 2)))
            hit = int(mass.argmax()) == right
            hits.setdefault(method, []).append(hit)
            if brightest != right:
                fainter.setdefault(method, []).append(hit)
            if values.shape[-1] == len(AIA_CHANNELS):
                strongest = int(np.abs(values).sum(axis=(0, 1)).argmax())
                channels.setdefault(method, []).append(strongest == channel)
    return {
        "images": n_used,
        "regions in view, mean": round(float(np.mean(1 / np.array(chance))), 1),
        "right region": {n: _share(v) for n, v in hits.items()},
        "right region, chance": round(float(np.mean(chance)), 3),
        "right region where it is not the brightest": {n: _share(v) for n, v in fainter.items()},
        "right channel": {n: _share(v) for n, v in channels.items()},
        "right channel, chance": round(1 / len(AIA_CHANNELS), 3),
    }


def _truth(opened, dataset, source: VirtualImages, row: int, head) -> Truth | None:
    """Take each region and each channel away; None where there is nothing to be told."""
    sample = sample_of(dataset, row)
    if sample.inputs["aia_present"].min() == 0:
        return None
    image = sample.inputs[opened.image][0]
    parts = source.region_images(int(dataset._rows[row, -1]))
    lights = [np.moveaxis(part, 0, -1) for part in parts.values()]
    if len(lights) < 2:
        return None
    ask = targets_of(opened.network, sample.inputs, head, opened.image)
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
    covers = total >= _CORE * total.max(axis=(1, 2), keepdims=True)
    in_94 = np.array([light[..., AIA_CHANNELS.index(94)].sum() for light in lights])
    return Truth(covers, by_region, by_channel, in_94)


def _share(values: list[bool]) -> list[float]:
    """Give a share with its 95 % interval, and of how many."""
    low, high = binomtest(int(np.sum(values)), len(values)).proportion_ci(method="wilson")
    return [round(float(np.mean(values)), 3), round(low, 3), round(high, 3), len(values)]


if __name__ == "__main__":
    main()
