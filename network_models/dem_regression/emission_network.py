"""Our networks of emission measure: a fast and an accurate size, with learned fidelity steps.

A stack of dense layers proposes the logarithm of the emission measure; its channels are synthesised
by a fixed response layer, and what differs from the observed ones enters the next stack, which
corrects the proposal. The last layer gives a positive emission measure, an interval for every bin
and the synthesised channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import keras
import numpy as np

from network_models.dem_regression.simulated_pixels import N_BINS, N_INPUTS
from network_models.layers.emission import (
    BrightnessFeatures,
    Emission,
    Intervals,
    Misfit,
    Synthesis,
)
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.response import RESPONSE_VERSIONS, bin_response

__all__ = ["SIZES", "NetworkSize", "activation_of", "build_emission_network", "size_from"]

_UNIT_CM5 = 1e26
_LARGEST = 4096  # units or layers
_ACTIVATIONS = ("relu", "silu", "gelu")


@dataclass(frozen=True)
class NetworkSize:
    """How large a network is.

    Attributes
    ----------
    width : int
        Units of a dense layer.
    first_layers : int
        Dense layers before the first proposal.
    steps, step_layers : int
        Fidelity steps, and dense layers in each.
    activation : str
        Of the dense layers.
    """

    width: int
    first_layers: int
    steps: int
    step_layers: int
    activation: str = "silu"

    def __post_init__(self):
        for name, least in (("width", 1), ("first_layers", 1), ("steps", 0), ("step_layers", 1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or not least <= value <= _LARGEST:
                raise ValueError(
                    f"a network's {name} is a whole number from {least} to {_LARGEST}, "
                    f"got {value!r}"
                )
        if self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"a network's activation is one of {', '.join(_ACTIVATIONS)}, "
                f"got {self.activation!r}"
            )


SIZES = {
    "fast": NetworkSize(width=40, first_layers=2, steps=2, step_layers=1, activation="relu"),
    "accurate": NetworkSize(width=192, first_layers=2, steps=3, step_layers=2),
}


def size_from(settings: dict) -> NetworkSize:
    """Return the size of a trained network from its ``network.json``."""
    if "shape" in settings:
        return NetworkSize(**settings["shape"])
    return SIZES[settings["size"]]


def activation_of(network: keras.Model) -> str:
    """Return the activation of a network's dense layers."""
    return network.get_layer("first_1").get_config()["activation"]


def build_emission_network(
    size: NetworkSize, *, version: str | None = None, name: str = "emission_measure"
) -> keras.Model:
    """Build a network of pixels.

    Parameters
    ----------
    size : NetworkSize
    version : str, optional
        Build it for this version of the responses alone: the same weights, faster.

    Returns
    -------
    keras.Model
        Input (batch, pixel, 17): brightness and error in six channels, DN s-1 pix-1, and five
        columns that choose the version of the responses. Output (batch, pixel, 60): emission
        measure in the 18 bins of ``LOG_T_EDGES`` (1e26 cm-5), the distances of the interval's ends
        below and above it, and the synthesised brightness in six channels (DN s-1 pix-1).
    """
    responses = [bin_response(LOG_T_EDGES, version=v) * _UNIT_CM5 for v in RESPONSE_VERSIONS]
    table = np.stack(responses)
    inputs = keras.Input((None, N_INPUTS), name="brightness")
    features, scale = BrightnessFeatures(table[0].max(axis=1).tolist(), name="features")(inputs)
    only = None if version is None else RESPONSE_VERSIONS.index(version)
    h = features
    for k in range(size.first_layers):
        h = keras.layers.Dense(size.width, activation=size.activation, name=f"first_{k + 1}")(h)
    logits = keras.layers.Dense(N_BINS, name="proposal")(h)
    for step in range(size.steps):
        em = Emission(name=f"emission_{step + 1}")(logits, scale)
        seen = Synthesis(table.tolist(), only, name=f"synthesis_{step + 1}")(em, inputs)
        misfit = Misfit(name=f"misfit_{step + 1}")(seen, inputs)
        joined = [h, features, misfit, logits]
        h_step = keras.layers.Concatenate(name=f"joined_{step + 1}")(joined)
        for k in range(size.step_layers):
            dense = keras.layers.Dense(
                size.width, activation=size.activation, name=f"step_{step + 1}_{k + 1}"
            )
            h_step = dense(h_step)
        h = keras.layers.Add(name=f"sum_{step + 1}")([h, h_step])
        change = keras.layers.Dense(N_BINS, kernel_initializer="zeros", name=f"change_{step + 1}")
        logits = keras.layers.Add(name=f"logits_{step + 1}")([logits, change(h)])
    em = Emission(name="emission")(logits, scale)
    spread = keras.layers.Dense(2 * N_BINS, name="spread")(h)
    apart = Intervals(np.ones((3, N_BINS)).tolist(), name="intervals")(spread, em, scale)
    seen = Synthesis(table.tolist(), only, name="synthesis")(em, inputs)
    output = keras.layers.Concatenate(name="output")([em, apart, seen])
    return keras.Model({"brightness": inputs}, output, name=name)
