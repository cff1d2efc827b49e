"""Which pixels move a target: the attribution methods, on every backend, signed and per channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import keras
import numpy as np

from network_models.differentiation.contrast_scaling import scales_by_contrast
from science.saliency.covering_methods import occlusion, rise
from science.saliency.gradient_methods import (
    grad_cam,
    gradient,
    gradient_x_input,
    integrated_gradients,
    smoothgrad,
)
from science.saliency.question import Attribution, AttributionOptions, Question
from science.saliency.scaled_path import ScaledPath

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

_VIEWS = 8  # four quarter turns, mirrored and not


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
        self._image, self._question = image, Question(network, head, image)
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
            If there is no such method, layer or baseline, or a network is asked for the mean of
            views that knows an upper side.
        """
        if method not in METHODS:
            raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
        options = options or AttributionOptions()
        if options.views not in (1, _VIEWS):
            raise ValueError(f"a map is of 1 view or the mean of {_VIEWS}, not {options.views}")
        if options.views == _VIEWS:
            return self._mean_of_views(inputs, method, replace(options, views=1))
        if method == "integrated-gradients" and self._scaled_path is not None:
            return self._scaled_path.explain(inputs, options)
        return METHODS[method](self._question.about(inputs), options)

    def _mean_of_views(
        self, inputs: Mapping[str, np.ndarray], method: str, options: AttributionOptions
    ) -> Attribution:
        if self._scaled_path is None:
            raise ValueError(
                "the mean of views is for classifiers of scenes, which are trained on turned "
                "images; ask for one view"
            )
        found, total = [], 0.0
        for k in range(_VIEWS):
            image = np.rot90(inputs[self._image], k % 4, axes=(1, 2))
            image = image[:, :, ::-1] if k >= _VIEWS // 2 else image
            one = self.explain(
                {**inputs, self._image: np.ascontiguousarray(image)}, method, options
            )
            values = one.values[:, ::-1] if k >= _VIEWS // 2 else one.values
            total = total + np.rot90(values, -(k % 4), axes=(0, 1)) / _VIEWS
            found.append(one)
        notes = {"views": _VIEWS}
        gaps = [one.notes["completeness_gap"] for one in found if "completeness_gap" in one.notes]
        if gaps:
            notes["completeness_gap"] = max(gaps)
        value = float(np.mean([one.target_value for one in found]))
        return Attribution(np.asarray(total, np.float32), value, found[0].unit, notes)

    def targets(self, inputs: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
        """Give the targets (n,) of other images (n, ...), all else as in one sample."""
        return self._question.about(inputs).targets(images)
