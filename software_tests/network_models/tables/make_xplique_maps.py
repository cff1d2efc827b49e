"""Make xplique_maps.npz: Xplique's maps of the five networks.

Run from the repository's root where Xplique is installed (made with Xplique 2.0.2, TensorFlow
2.20.0, Keras 3.15.1):

    PYTHONPATH=. python software_tests/network_models/tables/make_xplique_maps.py
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from xplique.attributions import DeconvNet, GuidedBackprop

from software_tests.network_models.architectures import ARCHITECTURES, build, images

SIDE = 24
WEIGHTS = np.array([1.0, -0.5], np.float32)


@tf.function
def value_of(model, batch, targets):
    """Give the head's value."""
    return tf.linalg.matvec(model(batch, training=False), WEIGHTS)


def unnested(network):
    """Give the same network without models inside it: with them, Xplique's maps fit no mode."""
    (image,) = network.inputs
    x = image
    for outer in network.layers[1:]:
        for k, layer in enumerate(getattr(outer, "layers", [outer])):
            copy = type(layer).from_config(layer.get_config() | {"name": f"{outer.name}_{k}"})
            x = copy(x)
            copy.set_weights(layer.get_weights())
    return keras.Model(image, x)


def main() -> None:
    """Write one array for each network and mode."""
    given, targets = images(1, side=SIDE)["image"], np.zeros((1, 1), np.float32)
    made = {}
    for name in ARCHITECTURES:
        for mode, kind in {"guided": GuidedBackprop, "deconvolution": DeconvNet}.items():
            network = build(name, side=SIDE)
            network = unnested(network) if name == "vgg" else network
            explainer = kind(network, operator=value_of, reducer=None)
            found = np.asarray(explainer.explain(given, targets))
            made[f"{name} {mode}"] = found.reshape(given.shape)[0]
    np.savez_compressed(Path(__file__).with_name("xplique_maps.npz"), **made)


if __name__ == "__main__":
    main()
