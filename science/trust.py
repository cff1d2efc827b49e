"""Whether a map may be read: tests that a map of nothing would fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from scipy.stats import spearmanr

from network_models.model_files import clone_network
from tools.random_streams import random_stream

__all__ = [
    "Cascade",
    "Deletion",
    "channel_shares",
    "deletion_curves",
    "off_disc_share",
    "randomise_in_cascade",
]

_ALIKE = 0.2  # rank correlation with the map of random weights, from which on a map is refused
_MARGIN = 1.96
_MOST_RANKED = 1 << 18


@dataclass(frozen=True)
class Cascade:
    """Maps while weights are made random from the output to the input (arXiv:1810.03292).

    Attributes
    ----------
    layers : list of str
        In the order in which they were made random.
    correlations : list of float
        Size of Spearman's rank correlation of the signed maps with the trained network's; NaN
        where the map of random weights is constant.
    outlines : list of float
        The same of the absolute maps. The units of the channels, the limb and the image's own
        brightness are in every map of a network that knows them, so that this may stay high.
    is_dead : bool
        Whether the trained network's map is itself constant, or not finite.
    """

    layers: list[str]
    correlations: list[float]
    outlines: list[float]
    is_dead: bool = False

    @property
    def passed(self) -> bool:
        """Whether there is a map, and that of random weights is another one."""
        last = self.correlations[-1]
        return not self.is_dead and bool(np.isnan(last) or last < _ALIKE)

    @property
    def verdict(self) -> str:
        """What it means, in a sentence or two."""
        last, outline = self.correlations[-1], self.outlines[-1]
        if self.is_dead:
            return "This map is the same everywhere: it says nothing, do not read it."
        if np.isnan(last):
            return "Cascade randomisation: passed; the map of random weights is constant."
        if not self.passed:
            return (
                f"This map looks the same for random weights (rank correlation {last:.2f}, "
                f"allowed: below {_ALIKE}): do not read it."
            )
        text = (
            f"Cascade randomisation: passed; rank correlation {last:.2f} with the map of random "
            f"weights (allowed: below {_ALIKE})."
        )
        if outline < _ALIKE:
            return text
        return (
            f"{text} Without signs it is {outline:.2f}: the map's outline is that of the image, "
            "for any weights; read what is red and what is blue, not how far it reaches."
        )


def randomise_in_cascade(
    network: keras.Model, make_map: Callable[[keras.Model], np.ndarray], *, seed: int = 0
) -> Cascade:
    """Make a map again and again while layer after layer gets random weights.

    Parameters
    ----------
    make_map : callable
        From a network to a map.

    Notes
    -----
    Every weight is permuted within its tensor, so that sizes and biases stay plausible.
    """
    generator = random_stream(seed, "cascade")
    trained = make_map(network).ravel()
    is_dead = not np.isfinite(trained).all() or np.ptp(trained) == 0
    some = slice(None)
    if trained.size > _MOST_RANKED:  # a correlation of so many is known to 0.002
        some = random_stream(seed, "ranked pixels").integers(0, trained.size, _MOST_RANKED)
    copy = clone_network(network)
    layers = [layer for layer in reversed(copy.layers) if layer.weights]
    names, correlations, outlines = [], [], []
    for layer in layers:
        layer.set_weights(
            [generator.permutation(w.ravel()).reshape(w.shape) for w in layer.get_weights()]
        )
        found = make_map(copy).ravel()
        constant = is_dead or not np.isfinite(found).all() or np.ptp(found) == 0
        pairs = [(trained[some], found[some])]
        pairs.append((np.abs(pairs[0][0]), np.abs(pairs[0][1])))
        signed, plain = (np.nan if constant else _rank_correlation(*pair) for pair in pairs)
        names.append(layer.name)
        correlations.append(abs(signed))
        outlines.append(plain)
    return Cascade(names, correlations, outlines, is_dead)


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Give Spearman's; 1 where a map without signs has nothing to rank."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 1.0
    return float(spearmanr(first, second).statistic)


@dataclass(frozen=True)
class Deletion:
    """How the target falls as pixels are replaced by the baseline, strongest first.

    Attributes
    ----------
    share : (step,) float
        Of the pixels.
    by_map, at_random : (step,) float
        The target.
    difference : float
        Area under the random curves less that under the map's, in the target's unit: positive if
        the map is better. Where the image has less of the target than the baseline, what speaks
        against it goes first, and the sign is turned.
    interval : (float, float)
        1.96 times the spread of single random orders on both sides.
    """

    share: np.ndarray
    by_map: np.ndarray
    at_random: np.ndarray
    difference: float
    interval: tuple[float, float]

    @property
    def passed(self) -> bool:
        """Whether the map finds what matters better than chance."""
        return self.interval[0] > 0

    @property
    def verdict(self) -> str:
        """What it means, in a sentence."""
        low, high = self.interval
        text = f"area {self.difference:.3f} [{low:.3f}, {high:.3f}] below that of random pixels"
        if self.passed:
            return f"Deletion: passed; {text}."
        return f"Deletion: not better than random pixels ({text}): do not read it."


def deletion_curves(
    image: np.ndarray,
    baseline: np.ndarray,
    values: np.ndarray,
    targets: Callable[[np.ndarray], np.ndarray],
    *,
    steps: int = 20,
    repeats: int = 8,
    seed: int = 0,
) -> Deletion:
    """Delete the pixels that a map names, and as many at random.

    Parameters
    ----------
    image, baseline : (..., y, x, channel)
    values : (..., y, x, channel or 1)
        The map, signed: what speaks for the target goes first.
    targets : callable
        From images (n, ...) to targets (n,).
    """
    values = np.broadcast_to(values, image.shape)
    share = np.linspace(0, 1, steps + 1)
    generator = random_stream(seed, "deletion")
    whole, none = targets(np.stack([image, baseline]))
    sign = 1.0 if whole >= none else -1.0

    def curve(order: np.ndarray) -> np.ndarray:
        changed, nothing, out = image.ravel().copy(), baseline.ravel(), []
        ends = np.round(share * len(order)).astype(int)
        for first, last in zip([0, *ends[:-1]], ends, strict=True):
            gone = order[first:last]
            changed[gone] = nothing[gone]
            out.append(float(targets(changed.reshape(1, *image.shape))[0]))
        return np.array(out)

    by_chance = generator.permutation(image.size)  # among equal values no place comes first
    by_map = curve(by_chance[np.argsort(-sign * values.ravel()[by_chance], kind="stable")])
    random = np.array([curve(generator.permutation(image.size)) for _ in range(repeats)])
    areas = sign * (np.trapezoid(random, share, axis=1) - np.trapezoid(by_map, share))
    error = _MARGIN * areas.std(ddof=1)
    mean = float(areas.mean())
    return Deletion(
        share, by_map, random.mean(axis=0), mean, (float(mean - error), float(mean + error))
    )


def channel_shares(values: np.ndarray) -> np.ndarray:
    """Give each channel's share of the absolute map, (channel,)."""
    mass = np.abs(values).reshape(-1, values.shape[-1]).sum(axis=0)
    return mass / max(mass.sum(), np.finfo(float).tiny)


def off_disc_share(values: np.ndarray, radius_pixels: float) -> float:
    """Give the share of the absolute map beyond the limb.

    Parameters
    ----------
    values : (..., y, x, channel)
        With the disc's centre in the middle.
    radius_pixels : float
    """
    height, width = values.shape[-3:-1]
    y, x = np.mgrid[:height, :width]
    beyond = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) > radius_pixels
    mass = np.abs(values).sum(axis=-1).reshape(-1, height, width).sum(axis=0)
    return float(mass[beyond].sum() / max(mass.sum(), np.finfo(float).tiny))
