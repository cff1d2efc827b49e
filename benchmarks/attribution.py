"""How often a method points to the region and the channel that truly move the forecast.

python benchmarks/attribution.py RUN [--images 60]

RUN is a finished run on images of the virtual Sun (synthetic). The truth of an image is found by
taking each region in view away and asking the network again: the region, and likewise the channel
(replaced by its median over the image), whose removal changes the log-odds of P(>=M1) most. A
method's region is the one that shines most at the strongest place of its map, all channels added
and smoothed to the width of a small region (derivatives by their absolute values); its channel is
the one with the largest absolute map. Beside the methods stand the region brightest in 94 angstrom
and a map of noise, which is what chance can do. The default method and its baseline were chosen on
images of the validation set; the figures that count are those of the test set.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import binomtest

from dataset_models.virtual_sun.images import VirtualImages
from network_models.gradients import log_odds
from network_models.xray_flux_forecast.run_data import reopen_run
from science.opening import open_network, sample_of
from science.saliency.attribution import METHODS, AttributionOptions, attribute, targets_of
from tools.channels import AIA_CHANNELS

_WIDTH = 0.05  # solar radii: spread of the smoothing
_HALF_FIELD = 1.28  # of an image, solar radii
_NOISE = "noise instead of a map"
_NO_LIGHT = 0.05  # of a region's own largest light: where no region has it, none is named
_LEAST_CHANGE = 0.05  # of the log-odds; images in which no region matters more say nothing

logger = logging.getLogger(__name__)


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
    head = log_odds(opened.target("P(>=M1)").weights)
    hits: dict[str, list[bool]] = {}
    channels: dict[str, list[bool]] = {}
    fainter: dict[str, list[bool]] = {}
    n_regions = []
    generator = np.random.default_rng(1)
    for row in np.random.default_rng(0).permutation(rows):
        if len(n_regions) == arguments.images:
            break
        truth = _truth(opened, dataset, source, int(row), head)
        if truth is None:
            continue
        right, channel = int(truth.by_region.argmax()), int(truth.by_channel.argmax())
        brightest = int(truth.in_94.argmax())
        hits.setdefault("brightest in 94", []).append(brightest == right)
        n_regions.append(len(truth.by_region))
        inputs = sample_of(dataset, int(row)).inputs
        for method in [*arguments.methods, _NOISE]:
            if method == _NOISE:
                values = generator.normal(size=inputs[opened.image].shape[2:])
            else:
                values = _map(opened, inputs, head, method)
            hit = _region_of(values, truth.shines) == right
            hits.setdefault(method, []).append(hit)
            if brightest != right:
                fainter.setdefault(method, []).append(hit)
            if values.shape[-1] == len(AIA_CHANNELS):
                strongest = int(np.abs(values).sum(axis=(0, 1)).argmax())
                channels.setdefault(method, []).append(strongest == channel)
    return {
        "images": len(n_regions),
        "regions in view, mean": round(float(np.mean(n_regions)), 1),
        "right region": {n: _share(v) for n, v in hits.items()},
        "right region where it is not the brightest": {n: _share(v) for n, v in fainter.items()},
        "right channel": {n: _share(v) for n, v in channels.items()},
        "right channel, chance": round(1 / len(AIA_CHANNELS), 3),
    }


def _map(opened, inputs: dict, head, method: str) -> np.ndarray:
    """Give a method's map of the newest frame, (y, x, channel)."""
    found = attribute(
        opened.network,
        inputs,
        head,
        image=opened.image,
        method=method,
        options=AttributionOptions(),
    )
    values = found.values[-1]
    return np.abs(values) if "per input" in found.unit else values


def _region_of(values: np.ndarray, shines: np.ndarray) -> int | None:
    """Give the region that shines most at a map's strongest place, or none."""
    width = _WIDTH / (2 * _HALF_FIELD) * len(values)
    smooth = np.abs(gaussian_filter(values.sum(axis=-1), width))
    y, x = np.unravel_index(smooth.argmax(), smooth.shape)
    there = shines[:, y, x]
    return int(there.argmax()) if there.max() > _NO_LIGHT else None


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
    shines = total / total.max(axis=(1, 2), keepdims=True)
    in_94 = np.array([light[..., AIA_CHANNELS.index(94)].sum() for light in lights])
    return Truth(shines, by_region, by_channel, in_94)


def _share(values: list[bool]) -> list[float]:
    """Give a share with its 95 % interval, and of how many."""
    low, high = binomtest(int(np.sum(values)), len(values)).proportion_ci(method="wilson")
    return [round(float(np.mean(values)), 3), round(low, 3), round(high, 3), len(values)]


if __name__ == "__main__":
    main()
