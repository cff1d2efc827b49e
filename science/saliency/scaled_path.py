"""Integrated gradients of networks that scale each image by its own contrast.

On the straight way from a grey image to the given one such a network sees the same picture at every
point, so that nothing changes until the very end. What it sees behind its scaling does change: the
way is taken there, and what its views of a channel add is summed for the channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np

from network_models.differentiation.contrast_scaling import without_scaling
from science.saliency.gradient_methods import integrated_gradients
from science.saliency.question import Attribution, AttributionOptions, Question

__all__ = ["ScaledPath"]


class ScaledPath:
    """The part of a network behind its scaling, asked along a way of views.

    Parameters
    ----------
    network : keras.Model
        One for which ``scales_by_contrast`` holds.
    head : callable
        From the output (batch, ...) to the target (batch,).
    image : str
        The input that maps are of.
    """

    def __init__(self, network: keras.Model, head: Callable, image: str):
        self._scaling, rest = without_scaling(network)
        self._image = image
        self._question = Question(rest, head, image)

    def explain(self, inputs: Mapping[str, np.ndarray], options: AttributionOptions) -> Attribution:
        """Make the map of one sample, (y, x, channel) in the target's unit."""
        views = np.asarray(self._scaling({self._image: np.asarray(inputs[self._image])}))
        found = integrated_gradients(self._question.about({self._image: views}), options)
        n = views.shape[-1] // 2  # the deviations of all channels, then the stretches of all
        values = found.values[..., :n] + found.values[..., n:]
        notes = {**found.notes, "path": "of what the network sees behind its scaling"}
        return Attribution(values, found.target_value, found.unit, notes)
