"""A target of a network's output and its gradient with respect to an input, on any backend.

A *target* is one number per sample: a weighted sum of the output's last axis (the run names its
targets with their weights), or any function of the output written with ``keras.ops``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import ops

from network_models.differentiation.keras_graph import input_structure

__all__ = ["InputGradient", "as_given", "log_odds", "require_backend", "weighted_sum"]

Head = Callable[[object], object]
_SMALLEST_SHARE = 1e-30


def weighted_sum(weights: np.ndarray) -> Head:
    """Return the target that weighs the last axis of an output; further axes are averaged.

    Parameters
    ----------
    weights : (output,) float
    """
    fixed = np.asarray(weights, np.float32)

    def head(output):
        if output.shape[-1] != len(fixed):
            raise ValueError(
                f"the target has {len(fixed)} weights, the network {output.shape[-1]} outputs"
            )
        total = ops.matmul(output, ops.convert_to_tensor(fixed[:, None]))[..., 0]
        return ops.mean(total, axis=tuple(range(1, len(total.shape)))) if total.ndim > 1 else total

    return head


def log_odds(weights: np.ndarray) -> Head:
    """Return the logarithm of the odds of a probability that is a weighted sum of an output.

    Both the probability and its complement are summed, so that neither rounds to 0 or 1.

    Parameters
    ----------
    weights : (output,) float
        0 to 1, of outputs that add up to 1; or one weight of 1, of one output that is itself the
        probability.
    """
    fixed = np.asarray(weights, np.float32)
    chance, rest = weighted_sum(fixed), weighted_sum(1 - fixed)
    if len(fixed) == 1:

        def rest(output):
            return 1 - chance(output)

    def odds(output):
        both = [ops.maximum(head(output), _SMALLEST_SHARE) for head in (chance, rest)]
        return ops.log(both[0]) - ops.log(both[1])

    return odds


def as_given(network: keras.Model, inputs: Mapping[str, object]) -> object:
    """Return named inputs in the structure that a network takes: one tensor, or all by their names.

    A network of one input may want it alone, in a list or by its name.
    """
    structure = input_structure(network)
    if isinstance(structure, dict) or len(network.inputs) > 1:
        return dict(inputs)
    only = inputs[network.inputs[0].name]
    return [only] if isinstance(structure, (list, tuple)) else only


def require_backend() -> str:
    """Return the backend's name, or raise a ValueError if networks can't be explained on it."""
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(
            f"networks are explained on TensorFlow and JAX, not on {backend}: set "
            "KERAS_BACKEND=tensorflow or jax"
        )
    return backend


class InputGradient:
    """Values of a target, and their gradient with respect to one input.

    Samples do not act on one another, so one pass gives the gradient of each. The pass is compiled
    once for every shape of the inputs.

    Parameters
    ----------
    network : keras.Model
        With named inputs, or a single one.
    head : callable
        From the network's output (batch, ...) to the target (batch,), in ``keras.ops``.
    wrt : str, optional
        The input to differentiate by; may be left out where there is one.

    Raises
    ------
    ValueError
        If there is no such input, or on a backend other than TensorFlow and JAX.
    """

    def __init__(self, network: keras.Model, head: Head, *, wrt: str | None = None):
        self.names = [tensor.name for tensor in network.inputs]
        if wrt is None and len(self.names) > 1:
            raise ValueError(
                f"the network has the inputs {', '.join(self.names)}; say which one is meant"
            )
        self.wrt = self.names[0] if wrt is None else wrt
        if self.wrt not in self.names:
            raise ValueError(
                f"the network has no input {self.wrt!r}; it has {', '.join(self.names)}"
            )
        self.network, self.head = network, head
        makers = {"tensorflow": self._on_tensorflow, "jax": self._on_jax}
        self._function = makers[require_backend()]()

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return values and gradient.

        Parameters
        ----------
        inputs : mapping
            Every input by its name, (batch, ...).

        Returns
        -------
        values : (batch,) float32
            In the target's unit.
        gradient : the input's shape, float32
            In the target's unit per unit of the input.
        """
        values, gradient = self._function(self.ordered(inputs))
        return np.asarray(values), np.asarray(gradient)

    def ordered(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the network's inputs, in its order and types.

        Raises
        ------
        ValueError
            If one is lacking.
        """
        lacking = [name for name in self.names if name not in inputs]
        if lacking:
            raise ValueError(f"the network also needs the inputs {', '.join(lacking)}")
        return {t.name: np.asarray(inputs[t.name], t.dtype) for t in self.network.inputs}

    def _on_tensorflow(self) -> Callable:
        import tensorflow as tf

        @tf.function(reduce_retracing=True)
        def both(ordered):
            varied = ordered[self.wrt]
            with tf.GradientTape() as tape:
                tape.watch(varied)
                values = self.head(self.network(as_given(self.network, ordered), training=False))
            gradient = tape.gradient(
                values, varied, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            return values, gradient

        return lambda ordered: both({k: tf.convert_to_tensor(v) for k, v in ordered.items()})

    def _on_jax(self) -> Callable:
        import jax

        def total(varied, others, trained, fixed):
            ordered = others | {self.wrt: varied}
            output, _ = self.network.stateless_call(
                trained, fixed, as_given(self.network, ordered), training=False
            )
            values = self.head(output)
            return values.sum(), values

        both = jax.jit(jax.value_and_grad(total, has_aux=True))

        def function(ordered):
            others = {name: value for name, value in ordered.items() if name != self.wrt}
            (_, values), gradient = both(
                ordered[self.wrt],
                others,
                [v.value for v in self.network.trainable_variables],
                [v.value for v in self.network.non_trainable_variables],
            )
            return values, gradient

        return function
