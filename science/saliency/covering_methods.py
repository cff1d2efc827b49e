"""Attribution by covering parts of the image; all channels together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops

from science.saliency.question import (
    Attribution,
    AttributionOptions,
    Question,
    baseline_of,
)
from tools.long_work.progress import Progress
from tools.random_streams import random_stream

__all__ = ["occlusion", "rise"]


def occlusion(question: Question, options: AttributionOptions) -> Attribution:
    """M. Zeiler and R. Fergus (arXiv:1311.2901): what is lost where a patch is covered.

    A patch of one frame is replaced by the baseline in all channels at once, since a place that is
    dark in one channel only is like nothing on the Sun; the loss is shared by its pixels.
    """
    targets, image, baseline = _covered(question, options)
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
    value = float(targets(image[None])[0])
    out = np.zeros((*image.shape[:-1], 1), np.float32)
    news = Progress(len(patches), "patches")
    for first in range(0, len(patches), question.rows_at_once):
        some = patches[first : first + question.rows_at_once]
        covered = np.repeat(image[None], len(some), axis=0)
        for one, patch in zip(covered, some, strict=True):
            one[patch] = baseline[patch]
        for lost, patch in zip(value - targets(covered), some, strict=True):
            out[patch] = lost / out[patch].size
        news.done(first + len(some))
    notes = {"blocks": options.blocks, "baseline": options.baseline}
    return Attribution(out.reshape(*question.given.shape[:-1], 1), value, "target", notes)


def rise(question: Question, options: AttributionOptions) -> Attribution:
    """V. Petsiuk et al. (arXiv:1806.07421): the mean of random masks, weighted by the target.

    Less the mean target, so that a place that doesn't matter has 0.
    """
    targets_of, image, baseline = _covered(question, options)
    height, width = image.shape[-3:-1]
    generator = random_stream(options.seed, "rise")
    value = float(targets_of(image[None])[0])
    weighted, plain, total = np.zeros((height, width)), np.zeros((height, width)), 0.0
    news = Progress(options.masks, "masks")
    for first in range(0, options.masks, question.rows_at_once):
        n = min(question.rows_at_once, options.masks - first)
        masks = _random_masks(generator, n, height, width)
        shape = (n, *[1] * (image.ndim - 3), height, width, 1)
        shown = baseline + masks.reshape(shape) * (image - baseline)
        targets = targets_of(shown.astype(np.float32))
        weighted += np.tensordot(targets, masks, axes=1)
        plain += masks.sum(axis=0)
        total += targets.sum()
        news.done(first + n)
    found = weighted / np.maximum(plain, 1e-6) - total / options.masks
    found = np.broadcast_to(found[..., None], (*image.shape[:-1], 1)).astype(np.float32)
    found = found.reshape(*question.given.shape[:-1], 1)
    notes = {"masks": options.masks, "baseline": options.baseline}
    return Attribution(found, value, "target", notes)


def _covered(
    question: Question, options: AttributionOptions
) -> tuple[Callable, np.ndarray, np.ndarray]:
    """Return the targets of images, the image and its baseline; a series is an image of one column.

    The target of series (time, channel), or of single numbers, takes them as (time, 1, channel).
    """
    image, baseline = question.given, baseline_of(question.given, options.baseline)
    if image.ndim >= 3:
        return question.targets, image, baseline
    own = image.shape
    shape = (own[0], 1, own[1] if image.ndim == 2 else 1)
    return (
        lambda images: question.targets(images.reshape(len(images), *own)),
        image.reshape(shape),
        baseline.reshape(shape),
    )


def _random_masks(
    generator: np.random.Generator, n: int, height: int, width: int, cells: int = 8
) -> np.ndarray:
    """Return smooth masks from 0 to 1, (n, y, x): coarse coin throws, enlarged and shifted."""
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
