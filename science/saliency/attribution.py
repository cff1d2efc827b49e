"""Which pixels move a target: the attribution methods, on every backend, signed and per channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np

from science.saliency.covering_methods import occlusion, rise
from science.saliency.gradient_methods import (
    grad_cam,
    gradient,
    gradient_x_input,
    integrated_gradients,
    smoothgrad,
)
from science.saliency.question import Attribution, AttributionOptions, Question
from science.saliency.scaled_path import ScaledPath, scales_by_contrast

__all__ = ["METHODS", "Explainer"]

METHODS: dict[str, Callable[[Question, AttributionOptions], Attribution]] = {
    "gradient": gradient,
    "gradient-x-input": gradient_x_input,
    "smoothgrad": smoothgrad,
    "integrated-gradients": integrated_gradients,
    "grad-cam": grad_cam,
    "occlusion": occlusion,
    "rise": rise,
}


class Explainer:
    """Makes maps of one target of a network; compiled once for all samples and methods.

    Parameters
    ----------
    network : keras.Model
    head : callable
        From the output (batch, ...) to the target (batch,).
    image : str
        The input that maps are of.
    """

    def __init__(self, network: keras.Model, head: Callable, *, image: str):
        self._question = Question(network, head, image)
        self._scaled_path = (
            ScaledPath(network, head, image) if scales_by_contrast(network) else None
        )

    def explain(
        self,
        inputs: Mapping[str, np.ndarray],
        method: str,
        options: AttributionOptions | None = None,
    ) -> Attribution:
        """Make the map of one sample.

        Parameters
        ----------
        inputs : mapping of (1, ...)
            Every input by its name.
        method : str
            One of ``METHODS``.

        Raises
        ------
        ValueError
            If there is no such method, layer or baseline.
        """
        if method not in METHODS:
            raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
        options = options or AttributionOptions()
        if method == "integrated-gradients" and self._scaled_path is not None:
            return self._scaled_path.explain(inputs, options)
        return METHODS[method](self._question.about(inputs), options)

    def targets(self, inputs: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
        """Give the targets (n,) of other images (n, ...), all else as in one sample."""
        return self._question.about(inputs).targets(images)
