"""Slic's network as its code has it: a VGG-13 whose last three convolutions are one.

J. Armstrong and L. Fletcher (2019, Solar Physics 294:80, doi 10.1007/s11207-019-1473-z).
"""

from __future__ import annotations

import keras
from keras import layers

from dataset_models.solar_scenes.classes import CLASSES
from network_models.layers.scenes import (
    ClassProbabilities,
    NeverNone,
    SlicScaling,
)

__all__ = ["SLIC_SIDE", "as_classifier", "build_slic_vgg13"]

SLIC_SIDE = 256  # pixels
_STAGES = 5
# PyTorch's norm keeps 1 - 0.1 of its statistics at each batch, and adds 1e-5 to variances
_MOMENTUM, _EPSILON = 0.9, 1e-5


def build_slic_vgg13(
    *,
    tied: bool = True,
    side: int = SLIC_SIDE,
    widths: tuple[int, int, int, int] = (64, 128, 256, 512),
    hidden: int = 4096,
    n_outputs: int = len(CLASSES),
) -> keras.Model:
    """Build the network: ten convolutions, each with a norm and a ReLU, and three matrices.

    Five stages of two 3 x 3 convolutions end in a maximum over 2 x 2 pixels. The published figure
    shows ten different convolutions; the published code has eight and applies the eighth, with its
    norm and the norm's statistics, three times: 155,711,685 trainable parameters instead of
    160,433,349.

    Parameters
    ----------
    tied : bool
        Use the eighth convolution three times, as the code does.
    side : int
        Of the image, pixels; a multiple of 32.
    widths : tuple of int
        Maps of the first four stages; the fifth has as many as the fourth.
    hidden : int
        Numbers between the matrices.
    n_outputs : int
        Classes; of ``CLASSES`` by default.

    Returns
    -------
    keras.Model
        ``{"image": (batch, side, side, 1)}`` float32 to (batch, n_outputs) logits. The image is as
        it was prepared (``legacy_slic``): this network does not scale it.

    Raises
    ------
    ValueError
        If the side is no multiple of 32, or there are not four widths.
    """
    if side < 1 << _STAGES or side % (1 << _STAGES):
        raise ValueError(f"a side is a multiple of {1 << _STAGES} pixels, not {side}")
    if len(widths) != _STAGES - 1 or min(*widths, hidden, n_outputs) < 1:
        raise ValueError(
            f"expected four widths, hidden numbers and outputs of 1 or more, got {widths}, "
            f"{hidden} and {n_outputs}"
        )
    image = maps = keras.Input((side, side, 1), name="image")
    last: tuple[keras.Layer, keras.Layer] | None = None
    for place in range(1, 2 * _STAGES + 1):
        stage = (place + 1) // 2
        if not (tied and stage == _STAGES):  # else the eighth once more
            last = _convolution(widths[min(stage, _STAGES - 1) - 1], place)
        convolution, norm = last
        maps = layers.ReLU(name=f"maps_{place}")(norm(convolution(maps)))
        if place % 2 == 0:
            maps = layers.MaxPooling2D(2, name=f"pool_{stage}")(maps)
    values = layers.Flatten(name="flat")(maps)
    for place in (1, 2):
        values = layers.Dense(hidden, kernel_initializer="he_normal", name=f"dense_{place}")(values)
        values = layers.ReLU(name=f"dense_{place}_values")(values)
        values = layers.Dropout(0.5, name=f"dropout_{place}")(values)
    logits = layers.Dense(n_outputs, name="logits")(values)
    return keras.Model({"image": image}, logits, name="slic_vgg13" if tied else "vgg13")


def as_classifier(network: keras.Model) -> keras.Model:
    """Return Slic's network with its scaling inside, in the form that all classifiers here have.

    Parameters
    ----------
    network : keras.Model
        Of ``build_slic_vgg13``, with five logits, or six, the last of "none of these".

    Returns
    -------
    keras.Model
        ``{"image": (batch, y, x, 1)}``, brightness in any unit without missing pixels, to
        (batch, 6) probabilities; of "none of these" it is 0 where the network has five logits.
    """
    image = keras.Input((None, None, 1), name="image")
    (prepared,) = network.inputs
    scaling = SlicScaling(prepared.shape[1], name="slic_scaling")
    logits = network({prepared.name: scaling(image)})
    if logits.shape[-1] == len(CLASSES):
        logits = NeverNone(name="never_none")(logits)
    probabilities = ClassProbabilities(name="probabilities")(logits)
    return keras.Model({"image": image}, probabilities, name=f"{network.name}_classifier")


def _convolution(n_maps: int, place: int) -> tuple[keras.Layer, keras.Layer]:
    """Return a convolution and its norm; He's initialisation is what the seed's code meant."""
    convolution = layers.Conv2D(
        n_maps, 3, padding="same", kernel_initializer="he_normal", name=f"convolution_{place}"
    )
    norm = layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, name=f"norm_{place}")
    return convolution, norm
