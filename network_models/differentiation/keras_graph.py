"""A network's graph as Keras keeps it: the only place that reads what Keras does not publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

__all__ = [
    "Use",
    "functional_graph",
    "input_structure",
    "layer_links",
    "takes_training",
    "uses_of",
]


@dataclass(frozen=True)
class Use:
    """One use of a layer or operation in a graph.

    Attributes
    ----------
    operation : keras.Operation
    inputs, outputs : tuple of KerasTensor
    arguments : callable
        From ``{id(tensor): value}`` to the positional and named arguments of the operation.
    """

    operation: Any
    inputs: tuple
    outputs: tuple
    arguments: Callable[[Mapping[int, Any]], tuple[tuple, dict]]


def functional_graph(network: keras.Model):
    """Return the functional graph of a model, which has ``inputs`` and ``outputs``.

    Raises
    ------
    ValueError
        If the network has no graph (a subclassed model).
    """
    graph = getattr(network, "_functional", None) or network
    if not hasattr(graph, "_nodes_by_depth"):
        raise ValueError(
            f"{network.name} has no graph of layers: expected a functional or a built Sequential "
            f"model, got {type(network).__name__}"
        )
    return graph


def uses_of(network: keras.Model) -> Iterator[Use]:
    """Yield each use of a layer in the order in which they are computed, inputs left out."""
    graph = functional_graph(network)
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if not node.is_input:
                yield Use(
                    node.operation,
                    tuple(node.arguments.keras_tensors),
                    tuple(node.outputs),
                    node.arguments.fill_in,
                )


def takes_training(operation: Any) -> bool:
    """Whether a layer's call has the argument ``training``."""
    return bool(getattr(operation, "_call_has_training_arg", False))


def input_structure(network: keras.Model) -> Any:
    """Return how a network takes its inputs: a tensor, a list or a dict of them, or None."""
    return getattr(network, "_inputs_struct", None)


def layer_links(network: keras.Model) -> list[tuple[str, str]]:
    """Return which layer's output goes into which: (from, to), by names."""
    return [
        (parent.operation.name, layer.name)
        for layer in network.layers
        for node in layer._inbound_nodes
        for parent in node.parent_nodes
    ]
