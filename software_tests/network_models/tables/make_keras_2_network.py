"""Make keras_2_functional.h5 and keras_2_sequential.h5: networks that Keras 2 itself wrote.

Run where tf_keras is installed: python make_keras_2_network.py (made with tf_keras 2.20.1).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tf_keras
from tf_keras import layers

FOLDER = Path(__file__).parent


def main() -> None:
    """Write both networks, and what they give for one image."""
    tf_keras.utils.set_random_seed(3)
    image = tf_keras.Input((12, 12, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Concatenate()([x, layers.Conv2D(3, 1, activation="relu")(x)])
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    functional = tf_keras.Model(image, layers.Dense(3, activation="softmax")(x))
    sequential = tf_keras.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(12, 12, 2)),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(1, kernel_initializer="he_normal"),
        ]
    )
    given = np.random.default_rng(0).normal(size=(1, 12, 12, 2)).astype(np.float32)
    expected = {"image": given}
    for name, network in (("functional", functional), ("sequential", sequential)):
        network.set_weights([w + 0.1 for w in network.get_weights()])
        network.save(FOLDER / f"keras_2_{name}.h5")
        expected[name] = network.predict(given, verbose=0)
    np.savez(FOLDER / "keras_2_outputs.npz", **expected)


if __name__ == "__main__":
    main()
