"""The two parts of a network that begins by scaling each image by its own contrast."""

from __future__ import annotations

import keras

from network_models.differentiation.keras_graph import uses_of
from network_models.layers.scenes import SceneScaling

__all__ = ["scales_by_contrast", "without_scaling"]


def scales_by_contrast(network: keras.Model) -> bool:
    """Return whether a network begins with the scaling of each image by its own contrast."""
    return len(network.layers) > 1 and isinstance(network.layers[1], SceneScaling)


def without_scaling(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Take the scaling of a network off it: what it sees, and what it makes of that.

    A way from a grey image to this one has a meaning in what the network sees, where every image
    has the same contrast, and none in brightness, which is scaled image by image.

    Parameters
    ----------
    network : keras.Model
        One for which ``scales_by_contrast`` holds; the parts share its weights.

    Returns
    -------
    scaling : keras.Model
        ``{"image": (batch, y, x, channel)}`` to (batch, y, x, view).
    rest : keras.Model
        ``{"image": (batch, y, x, view)}`` to the network's output.

    Raises
    ------
    ValueError
        If its first layer is no ``SceneScaling``.
    """
    if not scales_by_contrast(network):
        found = type(network.layers[1]).__name__ if len(network.layers) > 1 else "nothing"
        raise ValueError(f"{network.name} begins with {found}; expected a SceneScaling")
    first = network.layers[1]
    (brightness,) = network.inputs
    scaling = keras.Model({brightness.name: brightness}, first.output, name="scaling")
    image = keras.Input(first.output.shape[1:], name=brightness.name)
    values = {id(first.output): image}
    for use in uses_of(network):
        if use.operation is first:
            continue
        arguments, options = use.arguments({id(t): values[id(t)] for t in use.inputs})
        values[id(use.outputs[0])] = use.operation(*arguments, **options)
    rest = keras.Model(
        {brightness.name: image}, values[id(network.outputs[0])], name=f"{network.name}_rest"
    )
    return scaling, rest
