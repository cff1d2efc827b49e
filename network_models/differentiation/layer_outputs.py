"""The layers of a network by name: shapes, outputs, and which one is looked at first."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

from network_models.differentiation.graph_walk import compiled, run_forwards
from network_models.differentiation.keras_graph import Use, uses_of

__all__ = ["LayerOutput", "hidden_layer", "layer_shapes", "require_layer"]


def require_layer(network: keras.Model, layer: str) -> None:
    """Raise a ValueError that names the layers if there is no such one."""
    names = list(layer_shapes(network))
    if layer not in names:
        raise ValueError(f"the network has no layer {layer!r}; it has {', '.join(names)}")


class LayerOutput:
    """The output of any layer, of models inside the network, too.

    Parameters
    ----------
    network : keras.Model
    layer : str
        ``outer/inner`` for a layer of a model inside the network.

    Raises
    ------
    ValueError
        If there is no such layer.
    """

    def __init__(self, network: keras.Model, layer: str):
        require_layer(network, layer)
        self.names = [tensor.name for tensor in network.inputs]

        def passes(given):
            steps = run_forwards(network, given, split=False)
            return [step.output for step in steps if step.name == layer][-1]

        self._function = compiled(passes, network)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the layer's output, (batch, ...) float32."""
        return np.asarray(self._function({n: np.asarray(inputs[n]) for n in self.names}))


def layer_shapes(network: keras.Model, prefix: str = "") -> dict[str, tuple]:
    """Return the output shape of every layer with one output, in the graph's order.

    Shapes have None for the batch and for other axes of any length.
    """
    found: dict[str, tuple] = {}
    for use in uses_of(network):
        name = f"{prefix}{use.operation.name}"
        if isinstance(use.operation, keras.Model):
            found |= layer_shapes(use.operation, f"{name}/")
        elif len(use.outputs) == 1:
            found[name] = tuple(use.outputs[0].shape)
    return found


def hidden_layer(network: keras.Model, *, with_places: bool = False) -> str:
    """Return the last layer behind an activation and before the last layer with weights.

    Its features are what the output is made of; the output itself may be in any unit.

    Parameters
    ----------
    with_places : bool
        Prefer one with feature maps (y, x, feature), where there is any.
    """
    uses = _flat_uses(network)
    weighted = [k for k, (_, use) in enumerate(uses) if getattr(use.operation, "weights", ())]
    before = uses[: weighted[-1]] if weighted else uses
    active = [(name, use) for name, use in before if _is_active(use.operation)]
    maps = [(name, use) for name, use in active if len(use.outputs[0].shape) >= 4]
    chosen = (maps if with_places and maps else active) or uses[-1:]
    return chosen[-1][0]


def _flat_uses(network: keras.Model, prefix: str = "") -> list[tuple[str, Use]]:
    """Return all uses of layers with one output, those of nested models among them, by name."""
    found: list[tuple[str, Use]] = []
    for use in uses_of(network):
        name = f"{prefix}{use.operation.name}"
        if isinstance(use.operation, keras.Model):
            found += _flat_uses(use.operation, f"{name}/")
        elif len(use.outputs) == 1:
            found.append((name, use))
    return found


def _is_active(operation) -> bool:
    """Whether a layer is, or ends in, an activation that is not linear."""
    if isinstance(operation, (layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)):
        return True
    activation = getattr(operation, "activation", None)
    return activation not in (None, keras.activations.linear, keras.activations.softmax)
