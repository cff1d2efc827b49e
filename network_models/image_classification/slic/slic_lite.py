"""A small residual network of scenes of any size, Slic's successor."""

from __future__ import annotations

import keras
from keras import layers

from dataset_models.solar_scenes.classes import OUTPUTS
from network_models.layers.scenes import ClassProbabilities, SceneScaling

__all__ = ["LAST_MAPS", "SMALLEST_SIDE", "build_slic_lite"]

SMALLEST_SIDE = 32  # pixels: a quarter of the tiles that it is trained on
LAST_MAPS = "last_maps"  # the layer for Grad-CAM, one position for every 8 x 8 pixels
# statistics of 0.99 lag behind the weights: a network judged by them stayed at chance for the first
# two epochs of 88 batches
_MOMENTUM = 0.9


def build_slic_lite(
    *,
    n_channels: int = 1,
    n_outputs: int = len(OUTPUTS),
    widths: tuple[int, int, int] = (24, 48, 96),
    n_maps: int = 128,
    n_blocks: int = 3,
    dropout: float = 0.3,
    scaling: keras.Layer | None = None,
    side: int | None = None,
    name: str = "slic_lite",
) -> keras.Model:
    """Build the network: three stages, each of half the resolution of the one before.

    A 5 x 5 convolution, then a residual block of 3 x 3 convolutions, then residual blocks of
    separable ones (depthwise 3 x 3, then 1 x 1), on a grid of 8 x 8 pixels. Means and maxima of the
    last maps over the image make it independent of the image's size. A full convolution costs a
    processor no more than a separable one where maps are few, so only the last stage has them.

    Parameters
    ----------
    n_channels : int
        Of the image.
    n_outputs : int
        Classes; of ``OUTPUTS`` by default.
    widths : tuple of int
        Maps of each stage.
    n_maps : int
        Maps before the means and maxima.
    n_blocks : int
        Separable residual blocks.
    dropout : float
        Share of means and maxima that is left out while training.
    scaling : keras.Layer, optional
        From brightness to what the convolutions see, (batch, y, x, anything); ``SceneScaling`` by
        default.
    side : int, optional
        Of the image, pixels, to fix it; any by default.

    Returns
    -------
    keras.Model
        ``{"image": (batch, y, x, n_channels)}`` float32, brightness in any unit without missing
        pixels, 32 pixels or more a side, to (batch, n_outputs) probabilities that add up to 1.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    if min(n_channels, *widths, n_maps) < 1 or n_outputs < 2 or n_blocks < 0 or len(widths) != 3:
        raise ValueError(
            f"expected at least 1 channel, 2 outputs and 3 widths of at least 1 map, got "
            f"{n_channels}, {n_outputs} and {widths} (then {n_blocks} blocks, {n_maps} maps)"
        )
    first, second, third = widths
    image = keras.Input((side, side, n_channels), name="image")
    maps = (scaling or SceneScaling(name="scaling"))(image)
    maps = _switched(maps, layers.Conv2D(first, 5, strides=2, **_same("stem")))
    maps = _switched(maps, layers.Conv2D(second, 3, strides=2, **_same("halved")))
    maps = _residual(maps, [layers.Conv2D(second, 3, **_same(f"full_{k}")) for k in (1, 2)])
    maps = _switched(maps, layers.Conv2D(third, 3, strides=2, **_same("quartered")))
    for block in range(1, n_blocks + 1):
        names = [f"separable_{block}_{k}" for k in (1, 2)]
        maps = _residual(maps, [layers.SeparableConv2D(third, 3, **_same(n)) for n in names])
    maps = _switched(maps, layers.Conv2D(n_maps, 1, **_same("last")))
    features = layers.Concatenate(name="features")(
        [
            layers.GlobalAveragePooling2D(name="means")(maps),
            layers.GlobalMaxPooling2D(name="maxima")(maps),
        ]
    )
    features = layers.Dropout(dropout, name="dropout")(features)
    logits = layers.Dense(n_outputs, name="logits")(features)
    probabilities = ClassProbabilities(name="probabilities")(logits)
    return keras.Model({"image": image}, probabilities, name=name)


def _same(name: str) -> dict:
    return {"padding": "same", "use_bias": False, "name": name}


def _normalised(maps, layer: keras.Layer):
    norm = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{layer.name}_norm")
    return norm(layer(maps))


def _switched(maps, layer: keras.Layer):
    """Convolve, normalise and switch; the ReLU is a layer of its own, for maps that go back."""
    return layers.ReLU(name=f"{layer.name}_maps")(_normalised(maps, layer))


def _residual(maps, convolutions: list[keras.Layer]):
    """Add what two convolutions make of the maps."""
    first, second = convolutions
    changed = _normalised(_switched(maps, first), second)
    added = layers.Add(name=f"{second.name}_sum")([maps, changed])
    return layers.ReLU(name=f"{second.name}_maps")(added)
