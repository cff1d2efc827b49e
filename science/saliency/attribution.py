"""Which pixels move a target: the attribution methods, on every backend, signed and per channel."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import ops

from network_models.gradients import InputGradient, as_given
from network_models.graph_walk import layer_shapes
from network_models.reverse_pass import ReversePass
from tools.random_streams import random_stream

__all__ = ["METHODS", "Attribution", "AttributionOptions", "attribute", "baseline_of", "targets_of"]

logger = logging.getLogger(__name__)

_CHUNK_VALUES = 1 << 24  # numbers in the images of one batch
_LARGEST_GAP = 1e-3
_MOST_STEPS = 2048
_MAXIMUM_S_BETWEEN_NEWS = 10.0


@dataclass(frozen=True)
class AttributionOptions:
    """What methods can be told.

    Attributes
    ----------
    baseline : {"zero", "median"}
        What stands for "nothing there": 0, or each channel's median of the image.
    samples : int
        Of SmoothGrad.
    noise : float
        Spread of SmoothGrad's noise, as a share of each channel's spread.
    masks : int
        Of RISE.
    blocks : int
        Occlusion patches along a side.
    layer : str
        Of Grad-CAM; the last one with a grid of at least 4 x 4 if empty.
    seed : int
    """

    baseline: str = "median"
    samples: int = 16
    noise: float = 0.1
    masks: int = 500
    blocks: int = 16
    layer: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Attribution:
    """A map and what it is.

    Attributes
    ----------
    values : the image's shape (frame, y, x, channel) or (y, x, channel), float32
        The last axis has length 1 where a method can't tell channels apart.
    target_value : float
    unit : str
        "target" stands for the target's unit, "input" for the image's.
    notes : dict
        What the method says about itself: steps, completeness gap.
    """

    values: np.ndarray
    target_value: float
    unit: str
    notes: dict = field(default_factory=dict)


def attribute(
    network: keras.Model,
    inputs: dict[str, np.ndarray],
    head: Callable,
    *,
    image: str,
    method: str,
    options: AttributionOptions = AttributionOptions(),
) -> Attribution:
    """Make the map of one sample.

    Parameters
    ----------
    inputs : dict of (1, ...)
        One sample.
    head : callable
        From the output (batch, ...) to the target (batch,).
    image : str
        The input that the map is of.
    method : str
        One of ``METHODS``.

    Raises
    ------
    ValueError
        If there is no such method, layer or baseline.
    """
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
    return METHODS[method](_Question(network, inputs, head, image), options)


def baseline_of(image: np.ndarray, kind: str) -> np.ndarray:
    """Give the image that stands for "nothing there", in the image's shape.

    Parameters
    ----------
    image : (..., y, x, channel)
    kind : {"zero", "median"}

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind == "zero":
        return np.zeros_like(image)
    if kind == "median":
        axes = tuple(range(image.ndim - 3, image.ndim - 1)) if image.ndim > 2 else (0,)
        return np.broadcast_to(np.median(image, axis=axes, keepdims=True), image.shape).copy()
    raise ValueError(f"no baseline {kind!r}; there are zero, median")


def targets_of(
    network: keras.Model, inputs: dict[str, np.ndarray], head: Callable, image: str
) -> Callable[[np.ndarray], np.ndarray]:
    """Give the function from images (n, ...) to targets, all else as in one sample."""
    question = _Question(network, inputs, head, image)

    def ask(images: np.ndarray) -> np.ndarray:
        n = question.rows_at_once
        parts = [images[k : k + n] for k in range(0, len(images), n)]
        return np.concatenate([question.targets(part) for part in parts])

    return ask


class _Question:
    """One sample of one network, asked again and again with other images."""

    def __init__(self, network, inputs, head, image):
        self.network, self.head, self.image = network, head, image
        self.inputs = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
        self.given = self.inputs[image][0]
        self._gradient = InputGradient(network, head, wrt=image)
        per_chunk = max(_CHUNK_VALUES // max(self.given.size, 1), 1)
        self.rows_at_once = int(min(per_chunk, 64))

    def with_images(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Give inputs with other images, (n, ...)."""
        n = len(images)
        return {k: np.repeat(v, n, axis=0) for k, v in self.inputs.items()} | {self.image: images}

    def gradients(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give targets and their gradients of images."""
        return self._gradient(self.with_images(images))

    def targets(self, images: np.ndarray) -> np.ndarray:
        """Give the targets of images."""
        given = as_given(self.network, self.with_images(images))
        output = self.network(given, training=False)
        return np.asarray(ops.convert_to_numpy(self.head(output)))


def _gradient(question: _Question, _: AttributionOptions) -> Attribution:
    """K. Simonyan et al. (arXiv:1312.6034): the derivative by each pixel."""
    values, maps = question.gradients(question.given[None])
    return Attribution(maps[0], float(values[0]), "target per input")


def _gradient_x_input(question: _Question, options: AttributionOptions) -> Attribution:
    """Multiply derivative and pixel: what a proportional change would do, to first order."""
    found = _gradient(question, options)
    return Attribution(found.values * question.given, found.target_value, "target")


def _smoothgrad(question: _Question, options: AttributionOptions) -> Attribution:
    """D. Smilkov et al. (arXiv:1706.03825): the mean of gradients of noisy images."""
    image = question.given
    axes = tuple(range(image.ndim - 1))
    spread = options.noise * image.std(axis=axes, keepdims=True)
    generator = random_stream(options.seed, "smoothgrad")
    total, news = np.zeros(image.shape), _News(options.samples, "noisy images")
    value = question.targets(image[None])[0]
    for first in range(0, options.samples, question.rows_at_once):
        n = min(question.rows_at_once, options.samples - first)
        noise = generator.normal(size=(n, *image.shape)) * spread
        total += question.gradients((image + noise).astype(np.float32))[1].sum(axis=0)
        news.done(first + n)
    maps = (total / options.samples).astype(np.float32)
    notes = {"samples": options.samples, "noise": options.noise}
    return Attribution(maps, float(value), "target per input", notes)


def _integrated_gradients(question: _Question, options: AttributionOptions) -> Attribution:
    """M. Sundararajan et al. (arXiv:1703.01365): gradients along the way from a baseline.

    The number of steps doubles until what the pixels add up to is the target's change to 1e-3.
    """
    image, baseline = question.given, baseline_of(question.given, options.baseline)
    low, high = question.targets(np.stack([baseline, image]))
    change, steps = float(high - low), 32
    while True:
        news = _News(steps, "steps of the path")
        total = np.zeros(image.shape)
        for first in range(0, steps, question.rows_at_once):
            places = np.arange(first, min(first + question.rows_at_once, steps))
            # midpoints in the square root: most of the way is near the baseline, where
            # logarithms of brightness change fastest
            where = ((places + 0.5) / steps) ** 2
            weight = 2 * (places + 0.5) / steps**2
            shape = (-1, *[1] * image.ndim)
            points = baseline + where.reshape(shape) * (image - baseline)
            _, maps = question.gradients(points.astype(np.float32))
            total += np.tensordot(weight, maps, axes=1)
            news.done(places[-1] + 1)
        values = total * (image - baseline)
        gap = abs(values.sum() - change) / max(abs(change), 1e-12)
        if gap < _LARGEST_GAP or 2 * steps > _MOST_STEPS:
            break
        steps *= 2
    notes = {"steps": steps, "completeness_gap": float(gap), "baseline": options.baseline}
    notes["baseline_target"] = float(low)
    return Attribution(values.astype(np.float32), float(high), "target", notes)


def _grad_cam(question: _Question, options: AttributionOptions) -> Attribution:
    """R. Selvaraju et al. (arXiv:1610.02391): a layer's maps, weighted by their mean gradient.

    Signed: where the weighted maps speak against the target they are negative.
    """
    shapes = layer_shapes(question.network)
    grids = [n for n, s in shapes.items() if len(s) == 4 and min(s[1] or 4, s[2] or 4) >= 4]
    layer = options.layer or (grids[-1] if grids else "")
    if layer not in grids:
        raise ValueError(
            f"Grad-CAM needs a layer of maps, not {layer!r}; there are {', '.join(grids) or 'none'}"
        )
    walk = ReversePass(question.network, wrt=question.image)
    value, maps, signal = walk.at_layer(question.inputs, question.head, layer)
    weights = signal[0].mean(axis=(0, 1))
    coarse = (maps[0] * weights).sum(axis=-1)
    height, width = question.given.shape[-3:-1]
    fine = ops.image.resize(coarse[None, :, :, None], (height, width), interpolation="bilinear")
    fine = np.asarray(ops.convert_to_numpy(fine))[0]
    shape = (*question.given.shape[:-1], 1)
    fine = np.broadcast_to(fine, shape).astype(np.float32)
    return Attribution(fine, float(value[0]), "target", {"layer": layer})


def _occlusion(question: _Question, options: AttributionOptions) -> Attribution:
    """M. Zeiler and R. Fergus (arXiv:1311.2901): what is lost where a patch is covered.

    A patch of one frame is replaced by the baseline in all channels at once, since a place that is
    dark in one channel only is like nothing on the Sun; the loss is shared by its pixels.
    """
    image, baseline = question.given, baseline_of(question.given, options.baseline)
    height, width = image.shape[-3:-1]
    rows = np.array_split(np.arange(height), min(options.blocks, height))
    columns = np.array_split(np.arange(width), min(options.blocks, width))
    frames = range(image.shape[0]) if image.ndim == 4 else [...]
    patches = [
        np.s_[f, r[0] : r[-1] + 1, c[0] : c[-1] + 1, :]
        for f in frames
        for r in rows
        for c in columns
    ]
    value = float(question.targets(image[None])[0])
    out = np.zeros((*image.shape[:-1], 1), np.float32)
    news = _News(len(patches), "patches")
    for first in range(0, len(patches), question.rows_at_once):
        some = patches[first : first + question.rows_at_once]
        covered = np.repeat(image[None], len(some), axis=0)
        for one, patch in zip(covered, some, strict=True):
            one[patch] = baseline[patch]
        for lost, patch in zip(value - question.targets(covered), some, strict=True):
            out[patch] = lost / out[patch].size
        news.done(first + len(some))
    notes = {"blocks": options.blocks, "baseline": options.baseline}
    return Attribution(out, value, "target", notes)


def _rise(question: _Question, options: AttributionOptions) -> Attribution:
    """V. Petsiuk et al. (arXiv:1806.07421): the mean of random masks, weighted by the target.

    Less the mean target, so that a place that doesn't matter has 0.
    """
    image, baseline = question.given, baseline_of(question.given, options.baseline)
    height, width = image.shape[-3:-1]
    generator = random_stream(options.seed, "rise")
    value = float(question.targets(image[None])[0])
    weighted, plain, total = np.zeros((height, width)), np.zeros((height, width)), 0.0
    news = _News(options.masks, "masks")
    for first in range(0, options.masks, question.rows_at_once):
        n = min(question.rows_at_once, options.masks - first)
        masks = _random_masks(generator, n, height, width)
        shape = (n, *[1] * (image.ndim - 3), height, width, 1)
        shown = baseline + masks.reshape(shape) * (image - baseline)
        targets = question.targets(shown.astype(np.float32))
        weighted += np.tensordot(targets, masks, axes=1)
        plain += masks.sum(axis=0)
        total += targets.sum()
        news.done(first + n)
    found = weighted / np.maximum(plain, 1e-6) - total / options.masks
    found = np.broadcast_to(found[..., None], (*image.shape[:-1], 1)).astype(np.float32)
    notes = {"masks": options.masks, "baseline": options.baseline}
    return Attribution(found, value, "target", notes)


def _random_masks(
    generator: np.random.Generator, n: int, height: int, width: int, cells: int = 8
) -> np.ndarray:
    """Give smooth masks from 0 to 1, (n, y, x): coarse coin throws, enlarged and shifted."""
    coarse = (generator.random((n, cells + 1, cells + 1, 1)) < 0.5).astype(np.float32)
    step = (-(-height // cells), -(-width // cells))
    size = ((cells + 1) * step[0], (cells + 1) * step[1])
    large = np.asarray(
        ops.convert_to_numpy(ops.image.resize(coarse, size, interpolation="bilinear"))
    )[..., 0]
    out = np.empty((n, height, width), np.float32)
    for k in range(n):
        y, x = generator.integers(0, step[0]), generator.integers(0, step[1])
        out[k] = large[k, y : y + height, x : x + width]
    return out


class _News:
    """Say how much time is left, now and then."""

    def __init__(self, n: int, what: str):
        self.n, self.what = n, what
        self.start = self.shown = time.monotonic()

    def done(self, n: int) -> None:
        """Say it if the last news is old."""
        now = time.monotonic()
        if now - self.shown > _MAXIMUM_S_BETWEEN_NEWS and n < self.n:
            self.shown = now
            left = (now - self.start) / n * (self.n - n)
            logger.info("  %d of %d %s; %.0f s left", n, self.n, self.what, left)


METHODS: dict[str, Callable[[_Question, AttributionOptions], Attribution]] = {
    "gradient": _gradient,
    "gradient-x-input": _gradient_x_input,
    "smoothgrad": _smoothgrad,
    "integrated-gradients": _integrated_gradients,
    "grad-cam": _grad_cam,
    "occlusion": _occlusion,
    "rise": _rise,
}
