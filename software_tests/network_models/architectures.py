"""Five small networks on eight channels, with weights that are the same on every backend."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

SIDE = 32


def plain(image):
    """Convolutions and pools."""
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(image)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(12, 3, activation="relu", name="second")(x)
    return layers.Flatten()(layers.MaxPooling2D(2)(x))


def residual(image):
    """A sum, a concatenation and a ReLU of its own."""
    skip = layers.Conv2D(8, 1, name="first")(image)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="second")(skip)
    x = layers.ReLU(name="joined")(layers.Add()([x, skip]))
    x = layers.Concatenate()([x, layers.Conv2D(4, 5, padding="same", activation="relu")(x)])
    return layers.GlobalAveragePooling2D()(x)


def dilated(image):
    """Strides, dilation, overlapping and averaging pools."""
    x = layers.Conv2D(8, 5, strides=2, padding="same", activation="relu", name="first")(image)
    x = layers.Conv2D(8, 3, dilation_rate=2, activation="relu", name="second")(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    return layers.Flatten()(layers.AveragePooling2D(2)(x))


def normalised(image):
    """Batch norms between convolution and ReLU, a depthwise and a grouped convolution."""
    x = layers.Conv2D(8, 3, padding="same", name="first")(image)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, activation="relu", name="second")(x)
    x = layers.Conv2D(8, 3, groups=2, activation="relu")(x)
    return layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))


def vgg(image):
    """Blocks in models of their own, dropout, two dense layers."""
    x = image
    for k, maps in enumerate((8, 12)):
        block = keras.Sequential(
            [
                layers.Conv2D(maps, 3, padding="same", activation="relu", name="first"),
                layers.Conv2D(maps, 3, padding="same", activation="relu", name="second"),
                layers.MaxPooling2D(2),
            ],
            name=f"block_{k}",
        )
        x = block(x)
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    return layers.Dropout(0.5)(x)


ARCHITECTURES = {f.__name__: f for f in (plain, residual, dilated, normalised, vgg)}


def build(name: str, *, side: int = SIDE, outputs: int = 2) -> keras.Model:
    """Build one of them; biases and norms are random, too, or tests would hold emptily."""
    image = keras.Input((side, side, 8), name="image")
    network = keras.Model(image, layers.Dense(outputs)(ARCHITECTURES[name](image)), name=name)
    generator = np.random.default_rng(5)
    weights = []
    for variable in network.variables:
        shape = tuple(variable.shape)
        if variable.name in ("moving_variance", "gamma"):
            weights.append(generator.uniform(0.5, 1.5, shape))
        elif len(shape) > 1:
            scale = np.sqrt(2 / np.prod(shape[:-1]))
            weights.append(generator.normal(0, scale, shape))
        else:
            weights.append(generator.normal(0, 0.2, shape))
    for variable, value in zip(network.variables, weights, strict=True):
        if variable.dtype.startswith("float"):
            variable.assign(value)
    return network


def images(n: int = 3, *, side: int = SIDE) -> dict[str, np.ndarray]:
    """Give images for them."""
    generator = np.random.default_rng(6)
    return {"image": generator.normal(0, 1, (n, side, side, 8)).astype(np.float32)}
