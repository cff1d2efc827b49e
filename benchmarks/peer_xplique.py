"""Xplique's maps of a network; run by ``benchmarks/attribution.py`` in Xplique's environment.

KERAS_BACKEND=tensorflow python benchmarks/peer_xplique.py NETWORK GIVEN.npz MADE.npz
"""

from __future__ import annotations

import sys

import keras
import numpy as np
import tensorflow as tf
from xplique.attributions import (
    GradientInput,
    IntegratedGradients,
    Occlusion,
    Rise,
    Saliency,
    SmoothGrad,
)

from network_models.differentiation.gradients import log_odds
from network_models.files.safe_loading import load_network

_STEPS, _SAMPLES, _NOISE, _BLOCKS, _MASKS = 64, 16, 0.1, 16, 500


def main() -> None:
    """Write one array of maps per method; those of derivatives end in ``:slope``."""
    network = load_network(sys.argv[1])
    with np.load(sys.argv[2]) as given:
        images, head = given["images"], log_odds(given["weights"])
    image = max(network.inputs, key=lambda tensor: len(tensor.shape))
    # Xplique takes one input of three axes: the newest frame, all channels there
    single = keras.Input(image.shape[2:])
    inputs = {image.name: keras.ops.expand_dims(single, 1)}
    for tensor in network.inputs:
        if tensor.name != image.name:
            ones = keras.ops.ones_like(keras.ops.mean(single, axis=(1, 2)))
            inputs[tensor.name] = keras.ops.reshape(ones, (-1, *tensor.shape[1:]))
    model = keras.Model(single, network(inputs))

    @tf.function
    def ask(model, batch, targets):
        return head(model(batch, training=False))

    side = images.shape[2] // _BLOCKS
    common = {"operator": ask, "batch_size": 32}
    slopes = {**common, "reducer": None}
    ways = {
        "gradient:slope": Saliency(model, **slopes),
        "gradient-x-input": GradientInput(model, **slopes),
        "integrated-gradients": IntegratedGradients(
            model, steps=_STEPS, baseline_value=0.0, **slopes
        ),
        "occlusion": Occlusion(
            model, patch_size=side, patch_stride=side, occlusion_value=0.0, **common
        ),
        "rise": Rise(model, nb_samples=_MASKS, grid_size=8, **common),
    }
    tf.random.set_seed(0)
    made: dict[str, list[np.ndarray]] = {method: [] for method in [*ways, "smoothgrad:slope"]}
    for one in images[:, -1]:
        x, targets = one[None], np.zeros((1, 1), np.float32)
        noise = _NOISE * float(x.std())
        smooth = SmoothGrad(model, nb_samples=_SAMPLES, noise=noise, **slopes)
        for method, way in {**ways, "smoothgrad:slope": smooth}.items():
            found = np.asarray(way.explain(x, targets))[0]
            if method == "rise":  # a mean target, not less that of all masks: 0 says nothing there
                found = found - found.mean()
            made[method].append(found.reshape(*found.shape[:2], -1)[None])
    np.savez(sys.argv[3], **{method: np.stack(maps) for method, maps in made.items()})


if __name__ == "__main__":
    main()
