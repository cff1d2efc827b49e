"""Attribution by derivatives: signed, per channel; the path's steps adapt to the network."""

from __future__ import annotations

import numpy as np
from keras import ops

from network_models.differentiation.layer_outputs import layer_shapes
from science.saliency.question import (
    Attribution,
    AttributionOptions,
    Question,
    baseline_of,
)
from tools.long_work.progress import Progress
from tools.random_streams import random_stream

__all__ = ["grad_cam", "gradient", "gradient_x_input", "integrated_gradients", "smoothgrad"]

_LARGEST_GAP = 1e-3
_FIRST_STEPS, _MOST_STEPS = 32, 2048
_STRICTNESS = (0.5, 0.1)  # of the steps' ends; the second only if the first was not enough


def gradient(question: Question, _: AttributionOptions) -> Attribution:
    """K. Simonyan et al. (arXiv:1312.6034): the derivative by each pixel."""
    values, maps = question.gradients(question.given[None])
    return Attribution(maps[0], float(values[0]), "target per input")


def gradient_x_input(question: Question, options: AttributionOptions) -> Attribution:
    """Multiply derivative and pixel: what a proportional change would do, to first order."""
    found = gradient(question, options)
    return Attribution(found.values * question.given, found.target_value, "target")


def smoothgrad(question: Question, options: AttributionOptions) -> Attribution:
    """D. Smilkov et al. (arXiv:1706.03825): the mean of gradients of noisy images."""
    image = question.given
    axes = tuple(range(image.ndim - 1))
    spread = options.noise * image.std(axis=axes, keepdims=True)
    generator = random_stream(options.seed, "smoothgrad")
    total, news = np.zeros(image.shape), Progress(options.samples, "noisy images")
    value = question.targets(image[None])[0]
    for first in range(0, options.samples, question.rows_at_once):
        n = min(question.rows_at_once, options.samples - first)
        noise = generator.normal(size=(n, *image.shape)) * spread
        total += question.gradients((image + noise).astype(np.float32))[1].sum(axis=0)
        news.done(first + n)
    maps = (total / options.samples).astype(np.float32)
    notes = {"samples": options.samples, "noise": options.noise}
    return Attribution(maps, float(value), "target per input", notes)


def integrated_gradients(question: Question, options: AttributionOptions) -> Attribution:
    """M. Sundararajan et al. (arXiv:1703.01365): gradients along the way from a baseline.

    The way is cut into steps. The target's change over a step is known from its ends, so that a
    step whose pixels don't add up to it is halved, and the others are left as they are; until the
    pixels of the whole way add up to the whole change to 1e-3.
    """
    image, baseline = question.given, baseline_of(question.given, options.baseline)
    way = image - baseline
    # steps are even in the square root: most of the way is near the baseline, where logarithms of
    # brightness change fastest
    ends = np.linspace(0, 1, _FIRST_STEPS + 1)
    at_ends = question.targets(_points(baseline, way, ends))
    n_gradients, gap, values = 0, np.inf, np.zeros(image.shape)
    for strictness in _STRICTNESS:
        found = _integrated(question, (baseline, way), (ends, at_ends), strictness)
        n_gradients += found[2]
        if found[1] < gap:
            values, gap = found[:2]
        if gap < _LARGEST_GAP:
            break
    notes = {"gradients": n_gradients, "completeness_gap": float(gap), "baseline": options.baseline}
    notes["baseline_target"] = float(at_ends[0])
    return Attribution(values.astype(np.float32), float(at_ends[-1]), "target", notes)


def _integrated(
    question: Question, line: tuple, known: tuple, strictness: float
) -> tuple[np.ndarray, float, int]:
    """Add up the steps of the path; give the sums, their relative gap, and how many gradients.

    Errors of the steps have either sign: allowed are some that grow like the root of the steps'
    lengths, so that all together stay within what is allowed for the whole.
    """
    (baseline, way), (ends, at_ends) = line, known
    change = float(at_ends[-1] - at_ends[0])
    allowed = strictness * _LARGEST_GAP * abs(change)
    steps = list(zip(ends[:-1], ends[1:], at_ends[:-1], at_ends[1:], strict=True))
    kept, n_gradients = np.zeros(way.shape), 0
    while True:
        halves, pending = [], np.zeros(way.shape)
        news = Progress(len(steps), "steps of the path")
        for first in range(0, len(steps), question.rows_at_once):
            some = steps[first : first + question.rows_at_once]
            middles = np.array([(low + high) / 2 for low, high, *_ in some])
            at_middles, maps = question.gradients(_points(baseline, way, middles))
            for (low, high, start, end), value, one in zip(some, at_middles, maps, strict=True):
                adds = one * way * (high**2 - low**2)
                if abs(adds.sum(dtype=float) - (end - start)) <= allowed * np.sqrt(high - low):
                    kept += adds
                else:
                    pending += adds
                    middle = (low + high) / 2
                    halves += [(low, middle, start, value), (middle, high, value, end)]
            news.done(first + len(some))
        n_gradients += len(steps)
        values = kept + pending
        gap = abs(values.sum() - change) / max(abs(change), 1e-12)
        if gap < _LARGEST_GAP or not halves or n_gradients + len(halves) > _MOST_STEPS:
            return values, float(gap), n_gradients
        steps = halves


def _points(baseline: np.ndarray, way: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the images at some places of the way, 0 to 1 in the square root."""
    shares = (places**2).astype(np.float32).reshape(-1, *[1] * way.ndim)
    return baseline + shares * way


def grad_cam(question: Question, options: AttributionOptions) -> Attribution:
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
    value, maps, signal = question.walk.at_layer(question.inputs, question.head, layer)
    weights = signal[0].mean(axis=(0, 1))
    coarse = (maps[0] * weights).sum(axis=-1)
    height, width = question.given.shape[-3:-1]
    fine = ops.image.resize(coarse[None, :, :, None], (height, width), interpolation="bilinear")
    fine = np.asarray(ops.convert_to_numpy(fine))[0]
    shape = (*question.given.shape[:-1], 1)
    fine = np.broadcast_to(fine, shape).astype(np.float32)
    return Attribution(fine, float(value[0]), "target", {"layer": layer})
