"""One target of one network, asked again and again: compiled once for all samples and methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from network_models.differentiation.gradients import InputGradient, as_given
from network_models.differentiation.graph_walk import compiled
from network_models.differentiation.reverse_pass import ReversePass

__all__ = ["Attribution", "AttributionOptions", "Question", "baseline_of"]

_CHUNK_VALUES = 1 << 24  # numbers in the images of one batch
_MOST_ROWS = 64


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
    views : {1, 8}
        Maps that the answer is the mean of: of the image as it is, or of four quarter turns,
        mirrored and not, each turned back; for classifiers of scenes, whose answer is such a mean.
    seed : int
    """

    baseline: str = "median"
    samples: int = 16
    noise: float = 0.1
    masks: int = 500
    blocks: int = 16
    layer: str = ""
    views: int = 1
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


class Question:
    """A target of a network, as a function of one of its inputs.

    Parameters
    ----------
    network : keras.Model
    head : callable
        From the output (batch, ...) to the target (batch,).
    image : str
        The input that maps are of.

    Attributes
    ----------
    given : (frame, y, x, channel) or (y, x, channel) float32
        The sample's image.
    """

    def __init__(self, network: keras.Model, head: Callable, image: str):
        self.network, self.head, self.image = network, head, image
        self.gradient_of = InputGradient(network, head, wrt=image)
        self.names = self.gradient_of.names
        self._values = compiled(
            lambda given: head(network(as_given(network, given), training=False)), network
        )
        self._walk: ReversePass | None = None
        self.inputs: dict[str, np.ndarray] = {}

    @property
    def walk(self) -> ReversePass:
        """The reverse pass to the same input."""
        if self._walk is None:
            self._walk = ReversePass(self.network, wrt=self.image)
        return self._walk

    def about(self, inputs: Mapping[str, np.ndarray]) -> Question:
        """Take a sample: every input by its name, (1, ...)."""
        self.inputs = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
        self.given = self.inputs[self.image][0]
        per_chunk = max(_CHUNK_VALUES // max(self.given.size, 1), 1)
        self.rows_at_once = int(min(per_chunk, _MOST_ROWS))
        return self

    def gradients(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and their gradients of images (n, ...), all else as in the sample."""
        n = len(images)
        values, maps = self.gradient_of(self._with_images(images))
        return values[:n], maps[:n]

    def targets(self, images: np.ndarray) -> np.ndarray:
        """Return the targets of images (n, ...), all else as in the sample."""
        parts = [
            images[k : k + self.rows_at_once] for k in range(0, len(images), self.rows_at_once)
        ]
        found = [self._values(self.gradient_of.ordered(self._with_images(p))) for p in parts]
        cut = [np.asarray(v)[: len(p)] for v, p in zip(found, parts, strict=True)]
        return np.concatenate(cut)

    def _with_images(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return all inputs; the last image is repeated to a power of two, for few shapes."""
        n = min(1 << (len(images) - 1).bit_length(), max(self.rows_at_once, len(images)))
        images = np.concatenate([images, np.repeat(images[-1:], n - len(images), axis=0)])
        others = {k: np.repeat(v, n, axis=0) for k, v in self.inputs.items() if k != self.image}
        return others | {self.image: np.asarray(images, np.float32)}


def baseline_of(image: np.ndarray, kind: str) -> np.ndarray:
    """Return the image that stands for "nothing there", in the image's shape.

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
