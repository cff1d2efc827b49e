"""Whether a map may be read: tests that a map of nothing would fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from scipy.stats import spearmanr

from network_models.files.safe_loading import clone_network
from tools.random_streams import random_stream

__all__ = [
    "Cascade",
    "Exchange",
    "channel_shares",
    "exchange_curves",
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
    again : list of float
        Correlations with the maps of other networks whose weights are all random.
    is_dead : bool
        Whether the trained network's map is itself constant, or not finite.
    """

    layers: list[str]
    correlations: list[float]
    outlines: list[float]
    again: list[float]
    is_dead: bool = False

    @property
    def of_random_weights(self) -> np.ndarray:
        """Correlations with maps of networks whose weights are all random, constant maps left out.

        (shuffle,) float
        """
        found = np.array([self.correlations[-1], *self.again])
        return found[np.isfinite(found)]

    @property
    def passed(self) -> bool:
        """Whether there is a map, and those of random weights are other ones on average."""
        found = self.of_random_weights
        return not self.is_dead and (len(found) == 0 or bool(found.mean() < _ALIKE))

    @property
    def verdict(self) -> str:
        """What it means, in a sentence or two."""
        found, outline = self.of_random_weights, self.outlines[-1]
        if self.is_dead:
            return "This map is the same everywhere: it says nothing, do not read it."
        if len(found) == 0:
            return "Cascade randomisation: passed; the map of random weights is constant."
        spread = f"{found.min():.2f} to {found.max():.2f} in {len(found)} shuffles"
        text = f"rank correlation {found.mean():.2f} ({spread}), allowed: below {_ALIKE}"
        if not self.passed:
            return f"This map looks the same for random weights ({text}): do not read it."
        text = f"Cascade randomisation: passed; the map of random weights is another one ({text})."
        if np.isnan(outline) or outline < _ALIKE:
            return text
        return (
            f"{text} Without signs it is {outline:.2f}: the map's outline is that of the image, "
            "for any weights; read what is red and what is blue, not how far it reaches."
        )


def randomise_in_cascade(
    network: keras.Model,
    make_map: Callable[[keras.Model], np.ndarray],
    *,
    where: np.ndarray | None = None,
    repeats: int = 4,
    seed: int = 0,
) -> Cascade:
    """Make a map again and again while layer after layer gets random weights.

    Parameters
    ----------
    make_map : callable
        From a network to a map.
    where : (..., y, x, channel) bool, optional
        Pixels that count: those of channels that were observed; axes may have length 1.
    repeats : int
        Networks of random weights in the end.

    Notes
    -----
    Every weight is permuted within its tensor, so that sizes and biases stay plausible.
    """

    def pixels_of(model: keras.Model) -> np.ndarray:
        values = make_map(model)
        if where is None:
            return values.ravel()
        counted = where if values.shape[-1] > 1 else where.any(axis=-1, keepdims=True)
        return values[np.broadcast_to(counted, values.shape)]

    trained = pixels_of(network)
    is_dead = not np.isfinite(trained).all() or len(trained) == 0 or np.ptp(trained) == 0
    some = slice(None)
    if trained.size > _MOST_RANKED:  # a correlation of so many is known to 0.002
        some = random_stream(seed, "ranked pixels").integers(0, trained.size, _MOST_RANKED)

    def compare(model: keras.Model) -> tuple[float, float]:
        found = pixels_of(model)
        if is_dead or not np.isfinite(found).all() or np.ptp(found) == 0:
            return np.nan, np.nan
        signed = _rank_correlation(trained[some], found[some])
        return abs(signed), _rank_correlation(np.abs(trained[some]), np.abs(found[some]))

    copy = clone_network(network)
    layers = [layer for layer in reversed(copy.layers) if layer.weights]
    generator = random_stream(seed, "cascade")
    names, correlations, outlines = [], [], []
    for layer in layers:
        _shuffle(layer, generator)
        signed, plain = compare(copy)
        names.append(layer.name)
        correlations.append(signed)
        outlines.append(plain)
    again = []
    for repeat in range(1, repeats):
        copy.set_weights(network.get_weights())
        generator = random_stream(seed, "cascade", repeat)
        for layer in layers:
            _shuffle(layer, generator)
        again.append(compare(copy)[0])
    return Cascade(names, correlations, outlines, again, is_dead)


def _shuffle(layer: keras.Layer, generator: np.random.Generator) -> None:
    layer.set_weights(
        [generator.permutation(w.ravel()).reshape(w.shape) for w in layer.get_weights()]
    )


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's; 1 where a map without signs has nothing to rank."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 1.0
    return float(spearmanr(first, second).statistic)


@dataclass(frozen=True)
class Exchange:
    """How the target changes as pixels are deleted or inserted, strongest first.

    Attributes
    ----------
    kind : {"deletion", "insertion"}
        The image's pixels are replaced by the baseline's, or the other way round.
    share : (step,) float
        Of the pixels.
    by_map, at_random : (step,) float
        The target.
    difference : float
        Area between the map's curve and those of random orders, in the target's unit: positive if
        the map is better. Where the image has less of the target than the baseline, what speaks
        against it goes first, and the sign is turned.
    interval : (float, float)
        1.96 times the spread of single random orders on both sides.
    """

    kind: str
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
        text = f"area {self.difference:.3f} [{low:.3f}, {high:.3f}] better than random pixels"
        if self.passed:
            return f"{self.kind.capitalize()}: passed; {text}."
        return f"{self.kind.capitalize()}: not better than random pixels ({text}): do not read it."


def exchange_curves(
    image: np.ndarray,
    baseline: np.ndarray,
    values: np.ndarray,
    targets: Callable[[np.ndarray], np.ndarray],
    *,
    kind: str = "deletion",
    where: np.ndarray | None = None,
    steps: int = 20,
    repeats: int = 8,
    seed: int = 0,
) -> Exchange:
    """Delete or insert the pixels that a map names, and as many at random.

    Parameters
    ----------
    image, baseline : (..., y, x, channel)
    values : (..., y, x, channel or 1)
        The map, signed: what speaks for the target goes first.
    targets : callable
        From images (n, ...) to targets (n,).
    kind : {"deletion", "insertion"}
    where : (..., y, x, channel) bool, optional
        As for ``randomise_in_cascade``.
    """
    values = np.broadcast_to(values, image.shape).ravel()
    counted = np.ones(image.shape, bool) if where is None else np.broadcast_to(where, image.shape)
    places = np.flatnonzero(counted)
    share = np.linspace(0, 1, steps + 1)
    generator = random_stream(seed, kind)
    start, end = (image, baseline) if kind == "deletion" else (baseline, image)
    first, last = targets(np.stack([image, baseline]))
    sign = 1.0 if first >= last else -1.0

    def curve(order: np.ndarray) -> np.ndarray:
        changed, other, out = start.ravel().copy(), end.ravel(), []
        ends = np.round(share * len(order)).astype(int)
        for before, after in zip([0, *ends[:-1]], ends, strict=True):
            moved = order[before:after]
            changed[moved] = other[moved]
            out.append(float(targets(changed.reshape(1, *image.shape))[0]))
        return np.array(out)

    by_chance = generator.permutation(places)  # among equal values no place comes first
    by_map = curve(by_chance[np.argsort(-sign * values[by_chance], kind="stable")])
    random = np.array([curve(generator.permutation(places)) for _ in range(repeats)])
    better = sign if kind == "deletion" else -sign
    areas = better * (np.trapezoid(random, share, axis=1) - np.trapezoid(by_map, share))
    error = _MARGIN * areas.std(ddof=1)
    mean = float(areas.mean())
    interval = (float(mean - error), float(mean + error))
    return Exchange(kind, share, by_map, random.mean(axis=0), mean, interval)


def channel_shares(values: np.ndarray) -> np.ndarray:
    """Return each channel's share of the absolute map, (channel,)."""
    mass = np.abs(values).reshape(-1, values.shape[-1]).sum(axis=0)
    return mass / max(mass.sum(), np.finfo(float).tiny)


def off_disc_share(values: np.ndarray, radius_pixels: float) -> float:
    """Return the share of the absolute map beyond the limb.

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
