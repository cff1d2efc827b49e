"""A network of emission measure as one compiled function, for the inversion of maps on a CPU.

Keras defines and trains the network; here its weights are laid out for ``network_kernels.py``, and
pixels go through it from brightness to result, a block at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numba
import numpy as np

from network_models.dem_regression.emission_network import NetworkSize
from network_models.dem_regression.network_kernels import (
    ACTIVATIONS,
    BLOCK,
    LINEAR,
    N_FEATURES,
    N_MISFIT,
    UNITS,
    add,
    dense,
    emission,
    features,
    intervals,
    misfit,
)
from network_models.dem_regression.pixel_results import Limits, Results, read_block, write_block
from network_models.dem_regression.simulated_pixels import (
    MISSING_SIGMA,
    N_BINS,
    N_CHANNELS,
    N_INPUTS,
)
from tools.emission_measure.lanes import cache_aligned, pointer_to

__all__ = ["BlockNetwork", "lay_out_network", "has_kernels", "run_pixels"]

_N_VERSIONS = N_INPUTS - 2 * N_CHANNELS
_N_LOGITS = -(-N_BINS // UNITS) * UNITS
_N_SPREAD, _N_SEEN = 2 * N_BINS, -(-N_CHANNELS // UNITS) * UNITS


class BlockNetwork(NamedTuple):
    """What the compiled function reads.

    Attributes
    ----------
    weights, bias : (number,) float32
        Of all dense layers, in the order in which they are computed.
    width, first_layers, steps, step_layers, activation : int
        Units of a dense layer, a multiple of four; numbers of layers; of ``ACTIVATIONS``.
    response : (2, 18, 4) float32
        DN s-1 pix-1 for 1e26 cm-5, laid out like weights.
    over_largest : (6,) float32
        One over the largest response of each channel.
    factors : (54,) float32
        Of the intervals.
    """

    weights: np.ndarray
    bias: np.ndarray
    width: int
    first_layers: int
    steps: int
    step_layers: int
    activation: int
    response: np.ndarray
    over_largest: np.ndarray
    factors: np.ndarray


def has_kernels(size: NetworkSize) -> bool:
    """Say whether all that a network of this size computes is compiled here."""
    return size.activation in ACTIVATIONS


def lay_out_network(network: keras.Model, size: NetworkSize, version: int) -> BlockNetwork:
    """Lay out a network's weights for one version of the responses.

    Parameters
    ----------
    network : keras.Model
        Of ``build_emission_network``.
    size : NetworkSize
        Its size.
    version : int
        Of the responses, of five.

    Raises
    ------
    ValueError
        If its activation is not compiled here.
    """
    if not has_kernels(size):
        raise ValueError(
            f"the activation {size.activation!r} is not compiled, only {', '.join(ACTIVATIONS)}: "
            "let Keras compute (by_keras=True, or None)"
        )
    width = -(-size.width // UNITS) * UNITS
    lengths = {"hidden": size.width, "features": N_FEATURES, "misfit": N_MISFIT, "logits": N_BINS}
    names = [
        (f"first_{k + 1}", ["hidden"] if k else ["features"]) for k in range(size.first_layers)
    ]
    names += [("proposal", ["hidden"])]
    for step in range(1, size.steps + 1):
        for k in range(size.step_layers):
            joined = ["hidden"] if k else list(lengths)
            names += [(f"step_{step}_{k + 1}", joined)]
        names += [(f"change_{step}", ["hidden"])]
    weights, biases = [], []
    for name, parts in [*names, ("spread", ["hidden"])]:
        kernel, bias = network.get_layer(name).get_weights()
        at, rows = 0, []
        for part in parts:
            taken = kernel[at : at + lengths[part]]
            at += lengths[part]
            if part == "hidden":
                taken = np.pad(taken, ((0, width - size.width), (0, 0)))
            if part == "features":  # of the columns that choose the version one is 1
                bias = bias + kernel[at + version]
                at += _N_VERSIONS
            rows.append(taken)
        weights.append(_laid_out(np.concatenate(rows).T).ravel())
        biases.append(np.pad(bias, (0, -len(bias) % UNITS)))
    largest = np.array(network.get_layer("features").table)
    return BlockNetwork(
        np.concatenate(weights),
        np.concatenate(biases).astype(np.float32),
        width,
        size.first_layers,
        size.steps,
        size.step_layers,
        ACTIVATIONS[size.activation],
        _laid_out(np.array(network.get_layer("synthesis").table)[version]),
        (1 / largest).astype(np.float32),
        np.array(network.get_layer("intervals").table, np.float32).ravel(),
    )


def _laid_out(matrix: np.ndarray) -> np.ndarray:
    """Turn (unit, input) into (units / 4, input, 4), filled with 0."""
    units = -(-len(matrix) // UNITS) * UNITS
    whole = np.zeros((units, matrix.shape[1]), np.float32)
    whole[: len(matrix)] = matrix
    return np.ascontiguousarray(whole.reshape(-1, UNITS, matrix.shape[1]).transpose(0, 2, 1))


def run_pixels(
    network: BlockNetwork,
    dn: np.ndarray,
    sigma: np.ndarray,
    left_out: np.ndarray,
    limits: Limits,
    results: Results,
) -> None:
    """Invert pixels: fill their results.

    Parameters
    ----------
    network : BlockNetwork
    dn, sigma : (pixel, 6) float32
        DN s-1 pix-1.
    left_out : array
        As ``flags_of`` gives it.
    limits : Limits
    results : Results
    """
    n_joined = network.width + N_FEATURES + N_MISFIT + _N_LOGITS
    n_found = N_BINS + _N_SPREAD + _N_SEEN
    rows = (n_joined, 2 * network.width, 3 * N_CHANNELS + 1, n_found, 1)
    scratch = tuple(cache_aligned((n, BLOCK), np.float32) for n in rows)
    missing = np.float32(MISSING_SIGMA)
    _run_blocks(network, dn, sigma, left_out, missing, limits, results, scratch)


@numba.njit(nogil=True, cache=True)
def _run_blocks(network, dn, sigma, left_out, missing_sigma, limits, results, scratch):
    """Invert pixels, a block after another, in rows of numbers that the caller keeps.

    What a joined layer takes lies in one array, in the order of its weights: hidden units,
    features, misfit, logits.
    """
    joined, spare, given, found, no_bias = scratch
    width = network.width
    h, a, b = pointer_to(joined, 0), pointer_to(spare, 0), pointer_to(spare, width * BLOCK)
    known = pointer_to(joined, width * BLOCK)
    away = pointer_to(joined, (width + N_FEATURES) * BLOCK)
    logits = pointer_to(joined, (width + N_FEATURES + N_MISFIT) * BLOCK)
    y, s = pointer_to(given, 0), pointer_to(given, N_CHANNELS * BLOCK)
    seen = pointer_to(given, 2 * N_CHANNELS * BLOCK)
    scale = pointer_to(given, 3 * N_CHANNELS * BLOCK)
    em, spread = pointer_to(found, 0), pointer_to(found, N_BINS * BLOCK)
    model = pointer_to(found, (N_BINS + _N_SPREAD) * BLOCK)
    response, zeros = pointer_to(network.response, 0), pointer_to(no_bias, 0)
    over_largest, factors = pointer_to(network.over_largest, 0), pointer_to(network.factors, 0)
    n_joined = width + N_FEATURES + N_MISFIT + N_BINS
    first_layers, step_layers = network.first_layers, network.step_layers
    kind = network.activation
    for first in range(0, len(dn), BLOCK):
        read_block(first, dn, sigma, left_out, missing_sigma, given)
        features(y, s, seen, over_largest, known, scale)
        at, bias_at = 0, 0
        x, n = known, N_FEATURES
        for k in range(first_layers):
            to = h if k == first_layers - 1 else (b if k % 2 else a)
            w, c = pointer_to(network.weights, at), pointer_to(network.bias, bias_at)
            dense(x, n, w, c, to, width, kind, False)
            at, bias_at, x, n = at + n * width, bias_at + width, to, width
        w, c = pointer_to(network.weights, at), pointer_to(network.bias, bias_at)
        dense(h, width, w, c, logits, _N_LOGITS, LINEAR, False)
        at, bias_at = at + width * _N_LOGITS, bias_at + _N_LOGITS
        for _ in range(network.steps):
            emission(logits, scale, em)
            dense(em, N_BINS, response, zeros, model, _N_SEEN, LINEAR, False)
            misfit(model, y, s, seen, away)
            x, n = h, n_joined
            for k in range(step_layers):
                to = b if k % 2 else a
                w, c = pointer_to(network.weights, at), pointer_to(network.bias, bias_at)
                dense(x, n, w, c, to, width, kind, False)
                at, bias_at, x, n = at + n * width, bias_at + width, to, width
            add(x, h, width)
            w, c = pointer_to(network.weights, at), pointer_to(network.bias, bias_at)
            dense(h, width, w, c, logits, _N_LOGITS, LINEAR, True)
            at, bias_at = at + width * _N_LOGITS, bias_at + _N_LOGITS
        emission(logits, scale, em)
        dense(em, N_BINS, response, zeros, model, _N_SEEN, LINEAR, False)
        w, c = pointer_to(network.weights, at), pointer_to(network.bias, bias_at)
        dense(h, width, w, c, spread, _N_SPREAD, LINEAR, False)
        intervals(spread, em, scale, factors)
        write_block(first, given, found, limits, results)
