"""Invert pixels with a packaged network, or with one of your own runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from network_models.dem_regression.emission_network import (
    SIZES,
    NetworkSize,
    build_emission_network,
    size_from,
)
from network_models.dem_regression.simulated_pixels import (
    MISSING_SIGMA,
    N_BINS,
    N_CHANNELS,
    N_INPUTS,
)
from network_models.dem_regression.tile_kernels import fill_input, fill_result
from network_models.model_files import load_network
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import UNIT_CM5, EmissionMeasure
from tools.emission_measure.response import RESPONSE_VERSIONS
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK, UNLIKE_TRAINING

__all__ = [
    "NETWORK_FILE",
    "PACKAGED_NETWORKS",
    "SETTINGS_FILE",
    "invert_with_network",
    "packaged_network",
]

NETWORK_FILE, SETTINGS_FILE = "network.keras", "network.json"
_PACKAGED = Path(__file__).parent / "packaged"
PACKAGED_NETWORKS = tuple(name for name in SIZES if (_PACKAGED / name / NETWORK_FILE).is_file())
# A tile goes through the network block by block: what lies between its layers stays in the cache.
_BLOCKS, _BLOCK_PIXELS = 32, 1040  # columns a power of two apart would share cache lines
_TILE = _BLOCKS * _BLOCK_PIXELS


def invert_with_network(
    dn: np.ndarray,
    sigma: np.ndarray,
    *,
    size: str = "accurate",
    run: str | Path | None = None,
    version: str = "v10_evenorm_chiantifix",
    saturated: np.ndarray | None = None,
    n_jobs: int = 2,
) -> EmissionMeasure:
    """Invert every pixel with a network.

    Parameters
    ----------
    dn, sigma : (..., 6) float
        Brightness and its error of one sigma, DN s-1 pix-1, in the order of ``RESPONSE_CHANNELS``,
        corrected for degradation; NaN where a channel is missing. Brightness beyond 1e7 and errors
        below 1e-6 or from 1e5 on count as missing.
    size : {"fast", "accurate"}
        Which packaged network.
    run : path, optional
        A run of ``train.py`` instead.
    version : str
        Of the responses, one of ``RESPONSE_VERSIONS``.
    saturated : (..., 6) bool, optional
        Channels to leave out as if missing.
    n_jobs : int
        Tiles that are in the network at a time, while one more is read or written; the backend
        has threads of its own beside them.

    Returns
    -------
    EmissionMeasure
        In the 18 bins of ``LOG_T_EDGES``, float32. ``error`` is half the width of the 68 %
        interval, whose ends are ``extra["low"]`` and ``extra["high"]`` (cm-5). Pixels that the
        network reproduces worse than 99.9 % of the simulated ones, brighter ones than any in
        training, and those that lack more than one channel have the status "unlike training";
        those whose channels are missed by more than noise and 5 % allow, "not fitted"; where no
        channel is positive ("no signal") the answer is what training alone suggests.

    Raises
    ------
    ValueError
        If shapes don't agree, or there is no such network or version.
    FileNotFoundError
        If the network is not packaged here.
    """
    with np.errstate(over="ignore"):  # infinite in this type is not observed
        dn, sigma = np.asarray(dn, np.float32), np.asarray(sigma, np.float32)
    if dn.ndim < 1 or dn.shape[-1] != N_CHANNELS or sigma.shape != dn.shape:
        raise ValueError(
            f"expected brightness and error of six channels in the last axis, got {dn.shape} and "
            f"{sigma.shape}"
        )
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be 1 or more, got {n_jobs}")
    if version not in RESPONSE_VERSIONS:
        raise ValueError(f"no response {version!r}; there are {', '.join(RESPONSE_VERSIONS)}")
    folder = Path(run) if run is not None else _packaged(size)
    function, settings = _opened(folder, version)
    shape = dn.shape[:-1]
    flat, errors = dn.reshape(-1, N_CHANNELS), sigma.reshape(-1, N_CHANNELS)
    left_out = np.zeros((1, N_CHANNELS), bool)
    if saturated is not None:
        if np.shape(saturated) != dn.shape:
            raise ValueError(f"saturated has the shape {np.shape(saturated)}, dn {dn.shape}")
        left_out = np.reshape(saturated, (-1, N_CHANNELS)).astype(bool)
    left_out = np.broadcast_to(left_out, flat.shape)
    chosen = np.zeros(len(RESPONSE_VERSIONS), np.float32)
    chosen[RESPONSE_VERSIONS.index(version)] = 1
    n = len(flat)
    em, low, high, error = (np.empty((n, N_BINS), np.float32) for _ in range(4))
    model, chi2 = np.empty((n, N_CHANNELS), np.float32), np.empty(n)
    status = np.empty(n, np.uint8)
    limits = np.array(settings["chi2 limits"])
    levels = np.array(settings["signal levels"])
    most = 10.0 ** (settings["largest log10 total emission measure, cm-5"] - 26)
    codes = np.array([OK, UNLIKE_TRAINING, NO_DATA, NO_SIGNAL, NOT_FITTED], np.uint8)

    def one_tile(first: int) -> None:
        part = slice(first, min(first + _TILE, n))
        tile = np.ones((_BLOCKS, N_INPUTS, _BLOCK_PIXELS), np.float32)  # whatever is left
        tile[:, 2 * N_CHANNELS :] = chosen[:, None]
        seen = fill_input(flat[part], errors[part], left_out[part], MISSING_SIGMA, tile)
        output = np.ascontiguousarray(np.asarray(function(tile)).transpose(0, 2, 1))
        output = output.reshape(_TILE, -1)
        data = flat[part], errors[part], seen
        results = (values[part] for values in (em, low, high, error, model, chi2, status))
        fill_result(output, *data, np.float32(UNIT_CM5), levels, limits, most, codes, *results)

    with ThreadPoolExecutor(n_jobs + 1) as pool:
        list(pool.map(one_tile, range(0, n, _TILE)))
    bins = (*shape, N_BINS)
    return EmissionMeasure(
        em.reshape(bins),
        error.reshape(bins),
        chi2.reshape(shape),
        status.reshape(shape),
        model.reshape(*shape, N_CHANNELS),
        LOG_T_EDGES,
        f"network, {folder.name}",
        {"low": low.reshape(bins), "high": high.reshape(bins)},
    )


def _packaged(size: str) -> Path:
    """Give the folder of a packaged network."""
    if size not in SIZES:
        raise ValueError(f"no network {size!r}; there are {', '.join(SIZES)}")
    if size not in PACKAGED_NETWORKS:
        raise FileNotFoundError(
            f"the {size} network is not packaged here: train it (train.py) and package it "
            "(package.py), or give a run"
        )
    return _PACKAGED / size


@lru_cache(maxsize=4)
def _opened(folder: Path, version: str) -> tuple[Callable, dict]:
    """Give a compiled network for one version of the responses, and its settings."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no {SETTINGS_FILE}: expected a finished run of "
            "network_models/dem_regression/train.py"
        )
    settings = json.loads(path.read_text())
    if not np.allclose(settings["log_temperature_edges"], LOG_T_EDGES):
        raise ValueError(f"{path}: its temperatures are not those of this suite's networks")
    network = _for_version(folder, size_from(settings), version, pixels_last=True)
    return _compiled(network), settings["calibration"]


def _for_version(
    folder: Path, size: NetworkSize, version: str, *, pixels_last: bool = False
) -> keras.Model:
    """Give a trained network, built for one version of the responses."""
    trained = load_network(folder / NETWORK_FILE)
    network = build_emission_network(size, version=version, pixels_last=pixels_last)
    network.set_weights(trained.get_weights())
    network.get_layer("intervals").table = trained.get_layer("intervals").table
    return network


def packaged_network(size: str, version: str) -> keras.Model:
    """Give a packaged network of pixels, built for one version of the responses.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    return _for_version(_packaged(size), SIZES[size], version)


def _compiled(network: keras.Model) -> Callable:
    """Give the network as a compiled function of tiles (block, 17, pixel)."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def one_block(x):
            return network({"brightness": x[None]}, training=False)[0]

        shape = tf.TensorSpec((_BLOCKS, N_INPUTS, _BLOCK_PIXELS), tf.float32)
        traced = tf.function(
            lambda x: keras.ops.map(one_block, x), jit_compile=True
        ).get_concrete_function(shape)
        return lambda x: traced(tf.convert_to_tensor(x))  # traced once, whatever threads come
    if keras.backend.backend() == "jax":
        import jax

        fixed, moving = network.trainable_variables, network.non_trainable_variables
        values = [v.value for v in fixed], [v.value for v in moving]

        def one_block(x):
            return network.stateless_call(*values, {"brightness": x[None]}, training=False)[0][0]

        return jax.jit(lambda x: keras.ops.map(one_block, x))
    return lambda x: network.predict_on_batch({"brightness": x})
