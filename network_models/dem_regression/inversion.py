"""Invert pixels with a packaged network, or with one of your own runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from network_models.dem_regression.block_network import (
    BlockNetwork,
    has_kernels,
    lay_out_network,
    run_pixels,
)
from network_models.dem_regression.emission_network import (
    SIZES,
    NetworkSize,
    activation_of,
    build_emission_network,
)
from network_models.dem_regression.network_settings import (
    NETWORK_FILE,
    SETTINGS_FILE,
    read_settings,
)
from network_models.dem_regression.pixel_results import Limits, Results, read_block, write_block
from network_models.dem_regression.simulated_pixels import (
    MISSING_SIGMA,
    N_BINS,
    N_CHANNELS,
    N_INPUTS,
)
from network_models.files.safe_loading import load_network
from network_models.layers.compiled import compiled_network
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import EmissionMeasure
from tools.emission_measure.pixels import flags_of
from tools.emission_measure.response import RESPONSE_VERSIONS

__all__ = [
    "PACKAGED_NETWORKS",
    "invert_with_network",
    "packaged_network",
]

_PACKAGED = Path(__file__).parent / "packaged"
PACKAGED_NETWORKS = tuple(name for name in SIZES if (_PACKAGED / name / NETWORK_FILE).is_file())
_PART = 16384  # pixels that a thread takes at a time
_N_GIVEN = 3 * N_CHANNELS  # rows of brightness, error and what was seen


def invert_with_network(
    dn: np.ndarray,
    sigma: np.ndarray,
    *,
    size: str = "accurate",
    run: str | Path | None = None,
    version: str = "v10_evenorm_chiantifix",
    saturated: np.ndarray | None = None,
    n_jobs: int = 2,
    by_keras: bool | None = None,
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
        Threads.
    by_keras : bool, optional
        Let Keras compute the network instead of this suite's own compiled layers, which are faster
        on a processor; if not given, where Keras' backend has a GPU or the network an activation
        that is not compiled. Its backend has threads of its own.

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
        If shapes don't agree, there is no such network or version, the run's files don't hold one,
        or its activation is not compiled and ``by_keras`` is False.
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
    shape = dn.shape[:-1]
    if saturated is not None and np.shape(saturated) != dn.shape:
        raise ValueError(f"saturated has the shape {np.shape(saturated)}, dn {dn.shape}")
    flags = None if saturated is None else np.reshape(saturated, (-1, N_CHANNELS))
    left_out = flags_of(flags, N_CHANNELS)
    flat, errors = (np.ascontiguousarray(v.reshape(-1, N_CHANNELS)) for v in (dn, sigma))
    n = len(flat)
    results = Results(
        *(np.empty((n, N_BINS), np.float32) for _ in range(4)),
        model=np.empty((n, N_CHANNELS), np.float32),
        chi2=np.empty(n),
        status=np.empty(n, np.uint8),
    )
    invert_part, is_threaded = _opened(folder, version, by_keras)

    def one_part(first: int) -> None:
        part = slice(first, min(first + _PART, n))
        filled = Results(*(values[part] for values in results))
        invert_part(flat[part], errors[part], left_out[part], filled)

    with ThreadPoolExecutor(n_jobs if is_threaded else 1) as pool:
        list(pool.map(one_part, range(0, n, _PART)))
    bins = (*shape, N_BINS)
    return EmissionMeasure(
        results.em.reshape(bins),
        results.error.reshape(bins),
        results.chi2.reshape(shape),
        results.status.reshape(shape),
        results.model.reshape(*shape, N_CHANNELS),
        LOG_T_EDGES,
        f"network, {folder.name}",
        {"low": results.low.reshape(bins), "high": results.high.reshape(bins)},
    )


def _packaged(size: str) -> Path:
    """Return the folder of a packaged network."""
    if size not in SIZES:
        raise ValueError(f"no network {size!r}; there are {', '.join(SIZES)}")
    if size not in PACKAGED_NETWORKS:
        raise FileNotFoundError(
            f"the {size} network is not packaged here: train it (train.py) and package it "
            "(package.py), or give a run"
        )
    return _PACKAGED / size


def _opened(folder: Path, version: str, by_keras: bool | None) -> tuple[Callable, bool]:
    """Return the inversion of some pixels with a network, and whether threads may call it."""
    files = [folder / NETWORK_FILE, folder / SETTINGS_FILE]
    for path in files:
        if not path.is_file():
            raise ValueError(
                f"{folder} holds no {path.name}: expected a finished run of "
                "network_models/dem_regression/train.py"
            )
    written = tuple(path.stat().st_mtime_ns for path in files)
    return _prepared(folder, version, by_keras, written)


@lru_cache(maxsize=4)
def _prepared(
    folder: Path, version: str, by_keras: bool | None, _: tuple[int, ...]
) -> tuple[Callable, bool]:
    """Read and lay out a network once, until its files are written anew."""
    settings = read_settings(folder / SETTINGS_FILE)
    network, index = _for_version(folder, settings.size, version), RESPONSE_VERSIONS.index(version)
    if by_keras is None:
        by_keras = _has_gpu() or not has_kernels(settings.size)
    if by_keras:
        return _by_keras(network, index, settings.limits), False
    return _by_blocks(lay_out_network(network, settings.size, index), settings.limits), True


def _for_version(folder: Path, size: NetworkSize, version: str) -> keras.Model:
    """Return a trained network, built for one version of the responses."""
    path = folder / NETWORK_FILE
    trained = load_network(path)
    network = build_emission_network(size, version=version)
    shapes = [w.shape for w in network.get_weights()]
    weights = trained.get_weights()
    if [w.shape for w in weights] != shapes or activation_of(trained) != size.activation:
        raise ValueError(
            f"{path} is not the network that {SETTINGS_FILE} beside it describes "
            f"({size.width} units, {size.steps} steps, {size.activation}): they must be of one run"
        )
    table = np.array(trained.get_layer("intervals").table, float)
    if not all(np.isfinite(w).all() for w in weights) or not np.isfinite(table).all():
        raise ValueError(f"{path} holds weights that are no numbers: train it again")
    if table.shape != (3, N_BINS) or (table < 0).any():
        raise ValueError(f"{path}: the factors of its intervals are none: train it again")
    network.set_weights(weights)
    network.get_layer("intervals").table = table.tolist()
    return network


def packaged_network(size: str, version: str) -> keras.Model:
    """Return a packaged network of pixels, built for one version of the responses.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    return _for_version(_packaged(size), SIZES[size], version)


def _has_gpu() -> bool:
    """Return whether Keras' backend computes on something else than processors."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_logical_devices("GPU"))
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return False


def _by_blocks(network: BlockNetwork, limits: Limits) -> Callable:
    """Return the inversion of some pixels by the suite's compiled layers."""

    def run(dn: np.ndarray, sigma: np.ndarray, left_out: np.ndarray, results: Results) -> None:
        run_pixels(network, dn, sigma, left_out, limits, results)

    return run


def _by_keras(network: keras.Model, version: int, limits: Limits) -> Callable:
    """Return the inversion of some pixels by Keras, as many at a time whatever is given."""
    function = compiled_network(network, use_xla=True)
    missing = np.float32(MISSING_SIGMA)

    def run(dn: np.ndarray, sigma: np.ndarray, left_out: np.ndarray, results: Results) -> None:
        given = np.empty((_N_GIVEN, _PART), np.float32)
        read_block(0, dn, sigma, left_out, missing, given)
        columns = np.zeros((1, _PART, N_INPUTS), np.float32)
        columns[0, :, : 2 * N_CHANNELS] = given[: 2 * N_CHANNELS].T
        columns[0, :, 2 * N_CHANNELS + version] = 1
        found = np.ascontiguousarray(function(columns)[0].T)
        write_block(0, given, found, limits, results)

    return run
