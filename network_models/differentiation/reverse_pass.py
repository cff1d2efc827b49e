"""Deconvolution maps and guided backpropagation: a reverse pass over a network's graph.

M. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks" (arXiv:1311.2901);
J. Springenberg et al., "Striving for Simplicity" (arXiv:1412.6806). In the mode ``gradient`` the
same pass gives the gradient, which ``error_against_autograd`` compares with the backend's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from network_models.differentiation.gradients import InputGradient
from network_models.differentiation.graph_walk import (
    MODES,
    Step,
    compiled,
    pull_back,
    require_rules,
    run_forwards,
    tensor_keys,
    walk_backwards,
)
from network_models.differentiation.layer_outputs import LayerOutput, layer_shapes, require_layer

__all__ = ["FilterMaps", "ReversePass"]

_LARGEST_SIGNAL = 1e18


@dataclass(frozen=True)
class FilterMaps:
    """What excites one filter of a layer in each image.

    Attributes
    ----------
    maps : the input's shape, float32
        The signal brought back from the strongest position; in the input's reciprocal units for
        the mode ``gradient``.
    excitation : (batch,) float32
        The filter's value there.
    position : (batch, axis) int
        Where: along the axes of the layer's output between batch and filter, such as (y, x).
    extent : tuple of int
        Length of those axes.
    """

    maps: np.ndarray
    excitation: np.ndarray
    position: np.ndarray
    extent: tuple[int, ...]


class ReversePass:
    """Bring signals back from a target or a filter to one input of a network.

    Parameters
    ----------
    network : keras.Model
        Functional, or a built Sequential one; models inside it are walked, too.
    wrt : str, optional
        The input to arrive at; may be left out where there is one.

    Raises
    ------
    ValueError
        If the network has no graph, no such input, or a ReLU that can't be split off its layer.
    """

    def __init__(self, network: keras.Model, *, wrt: str | None = None):
        self.network = network
        self._gradient = InputGradient(network, lambda output: output, wrt=wrt)  # checks the names
        self.wrt, self.names = self._gradient.wrt, self._gradient.names
        self._keys, self._output_key = tensor_keys(network)
        require_rules(network)
        self._compiled: dict[tuple, Callable] = {}

    def of_target(
        self, inputs: Mapping[str, np.ndarray], head: Callable, *, mode: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bring a target of the output back.

        Parameters
        ----------
        inputs : mapping
            Every input by its name, (batch, ...).
        head : callable
            From the output (batch, ...) to the target (batch,), in ``keras.ops``.
        mode : {"gradient", "guided", "deconvolution"}

        Returns
        -------
        values : (batch,) float32
        maps : the input's shape, float32
            For ``gradient`` the target's unit per unit of the input; otherwise without a unit.
        """
        return self._run(
            ("target", head, mode), inputs, lambda steps: self._seed_of(head, steps), mode
        )

    def of_filter(
        self,
        inputs: Mapping[str, np.ndarray],
        layer: str,
        filter_index: int,
        *,
        mode: str,
        position: tuple[int, ...] | None = None,
    ) -> FilterMaps:
        """Bring one filter of a layer back from where it is strongest.

        Parameters
        ----------
        layer : str
            ``outer/inner`` for a layer of a model inside the network.
        filter_index : int
            Along the last axis of the layer's output.
        mode : {"gradient", "guided", "deconvolution"}
            The signal starts as 1 in the mode ``gradient``, otherwise as the filter's value; as 1
            with its sign where that is larger than 1e18.
        position : tuple of int, optional
            Start there in every image instead.

        Raises
        ------
        ValueError
            If there is no such layer, filter or position.
        """
        require_layer(self.network, layer)
        shape = layer_shapes(self.network)[layer]
        if None in shape[1:]:  # a network of any image size
            shape = LayerOutput(self.network, layer)(inputs).shape
        extent, n_filters = shape[1:-1], shape[-1]
        if not 0 <= filter_index < n_filters:
            raise ValueError(f"{layer} has the filters 0 to {n_filters - 1}, not {filter_index}")
        if position is not None and (
            len(position) != len(extent)
            or any(not 0 <= p < n for p, n in zip(position, extent, strict=True))
        ):
            raise ValueError(f"{layer} has positions up to {extent}, not {position}")

        def seed(steps):
            (step,) = [s for s in steps if s.name == layer][-1:]
            values = ops.reshape(step.output[..., filter_index], (step.output.shape[0], -1))
            if position is None:
                place = ops.argmax(values, axis=-1)
            else:
                flat = int(np.ravel_multi_index(position, extent)) if extent else 0
                place = ops.zeros_like(ops.argmax(values, axis=-1)) + flat
            here = ops.one_hot(place, values.shape[-1], dtype=values.dtype)
            excitation = ops.sum(values * here, axis=-1)
            signal = here if mode == "gradient" else here * values
            # emission measure in cm-5 would go beyond float32; float16 doesn't hold the limit
            size = ops.cast(ops.abs(excitation)[:, None], "float32")
            size = ops.where(size > _LARGEST_SIGNAL, size, ops.ones_like(size))
            signal = signal / ops.cast(size, signal.dtype)
            filters = ops.one_hot(
                ops.full((values.shape[0],), filter_index, dtype="int32"),
                n_filters,
                dtype=values.dtype,
            )
            signal = ops.expand_dims(signal, -1) * ops.expand_dims(filters, 1)
            return step.target, ops.reshape(signal, step.output.shape), (excitation, place)

        key = ("filter", layer, filter_index, mode, position)
        (excitation, place), maps = self._run(key, inputs, seed, mode)
        where = np.stack(np.unravel_index(place, extent), axis=-1) if extent else place[:, None] * 0
        return FilterMaps(maps, excitation, where, tuple(extent))

    def at_layer(
        self, inputs: Mapping[str, np.ndarray], head: Callable, layer: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a target, a layer's output and the target's gradient with respect to it.

        Returns
        -------
        values : (batch,) float32
        output, gradient : (batch, ...) float32

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        require_layer(self.network, layer)

        def passes(given):
            steps = run_forwards(self.network, given)
            start, signal, values = self._seed_of(head, steps)
            (step,) = [s for s in steps if s.name == layer][-1:]
            found = walk_backwards(steps, start, signal, step.target, "gradient")
            return values, step.output, ops.zeros_like(step.output) if found is None else found

        key = ("layer", head, layer)
        if key not in self._compiled:
            self._compiled[key] = compiled(passes, self.network)
        values, output, gradient = self._compiled[key](self._gradient.ordered(inputs))
        return np.asarray(values), np.asarray(output), np.asarray(gradient)

    def error_against_autograd(self, inputs: Mapping[str, np.ndarray], head: Callable) -> float:
        """Return the largest difference of mode ``gradient`` to autograd, over the largest value.

        The check of the whole pass on the network and the images at hand. NaN where both are 0
        everywhere, so that nothing was compared.
        """
        _, expected = InputGradient(self.network, head, wrt=self.wrt)(inputs)
        _, found = self.of_target(inputs, head, mode="gradient")
        largest, error = float(np.abs(expected).max()), float(np.abs(found - expected).max())
        if largest:
            return error / largest
        return float("inf") if error else float("nan")

    def _seed_of(self, head: Callable, steps: list[Step]) -> tuple:
        """Return where a target's signal starts, the signal, and the target."""
        (output,) = [step.output for step in steps if step.target == self._output_key]
        values = head(output)
        (signal,) = pull_back(head, [output], ops.ones_like(values))
        return self._output_key, signal, values

    def _run(self, key: tuple, inputs: Mapping[str, np.ndarray], seed: Callable, mode: str):
        """Compile the pass once per question and shape, and run it."""
        if mode not in MODES:
            raise ValueError(f"there is no mode {mode!r}; there are {', '.join(MODES)}")
        ordered = self._gradient.ordered(inputs)

        def passes(given):
            steps: list[Step] = run_forwards(self.network, given)
            start, signal, values = seed(steps)
            maps = walk_backwards(steps, start, signal, self._keys[self.wrt], mode)
            return values, ops.zeros_like(given[self.wrt]) if maps is None else maps

        if key not in self._compiled:
            self._compiled[key] = compiled(passes, self.network)
        values, maps = self._compiled[key](ordered)
        return _arrays(values), np.asarray(maps)


def _arrays(values):
    if isinstance(values, tuple):
        return tuple(np.asarray(v) for v in values)
    return np.asarray(values)
