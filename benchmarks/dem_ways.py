"""All ways from six channels to emission measure that ``benchmarks/dem.py`` compares."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers import INVERSION_PEERS, peer_inversion, peer_python
from network_models.dem_regression.deepem.inversion import PACKAGED_DEEPEM, invert_with_deepem
from network_models.dem_regression.inversion import invert_with_network
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import EmissionMeasure, invert
from tools.emission_measure.response import bin_response
from tools.emission_measure.scores import misfit
from tools.emission_measure.status import OK, UNSOLVED

__all__ = ["SOLVERS", "Way", "bars", "collect_ways"]

# the suite's own, with the options of invert
SOLVERS = {
    "basis pursuit": {"method": "basis-pursuit"},
    "Tikhonov, one step": {"method": "tikhonov", "two_step": False},
    "Tikhonov": {"method": "tikhonov"},
    "Plowman-Caspi": {"method": "plowman-caspi"},
}
_PEERS = {  # label: script, options, whether it is slow
    "demregpy": ("demregpy", {}, True),
    "demregpy, data at least 0.05 sigma": ("demregpy", {"floor": 0.05}, True),
    "EMToolKit (Plowman-Caspi)": ("emtoolkit", {}, True),
    "utu (Plowman-Caspi)": ("utu", {}, False),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """A way to invert pixels.

    Attributes
    ----------
    solve : function
        From dn and sigma (pixel, 6), DN s-1 pix-1, to an ``EmissionMeasure``; ``extra["seconds"]``
        is what it took where it runs elsewhere.
    is_slow : bool
        It gets a part of the pixels.
    is_network : bool
        One of the suite's, to be compared with all others.
    is_judged : bool
        False where only its speed means anything.
    """

    solve: Callable[[np.ndarray, np.ndarray], EmissionMeasure]
    is_slow: bool = False
    is_network: bool = False
    is_judged: bool = True


def collect_ways(arguments: argparse.Namespace) -> dict[str, Way]:
    """Give all ways that are here, by their names; say which are not.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``response`` (a version), ``jobs``, ``network`` (sizes), ``deepem`` (a run's folder or ""),
        ``deepem_weights`` (a file or ""), ``peers`` (a folder).
    """
    response = bin_response(LOG_T_EDGES, version=arguments.response)
    ways = {}
    for name, options in SOLVERS.items():
        ways[name] = Way(_by_solver(response, arguments.jobs, options))
    ways |= _networks(arguments)
    ways |= _deepem(arguments, response)
    for name, (script, options, is_slow) in _PEERS.items():
        python = peer_python(arguments.peers, INVERSION_PEERS[script])
        if python is not None:
            solve = _by_peer(script, python, options, response, arguments.jobs, name)
            ways[name] = Way(solve, is_slow=is_slow)
    return ways


def bars(found: EmissionMeasure) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give lower and upper bounds (pixel, bin), cm-5, of 68 % and 95 %, where there are any."""
    extra = found.extra
    out = {}
    if "low" in extra:
        out["68 %"] = extra["low"], extra["high"]
        if "low_95" in extra:
            out["95 %"] = extra["low_95"], extra["high_95"]
    elif np.isfinite(found.error).any():
        twice = extra.get("error_95", 2 * found.error)
        for name, error in (("68 %", found.error), ("95 %", twice)):
            out[name] = found.em - error, found.em + error
    return out


def _by_solver(response: np.ndarray, jobs: int, options: dict) -> Callable:
    return lambda dn, sigma: invert(dn, sigma, response, LOG_T_EDGES, n_jobs=jobs, **options)


def _by_peer(script: str, python: Path, options: dict, response, jobs: int, name: str) -> Callable:
    def solve(dn: np.ndarray, sigma: np.ndarray) -> EmissionMeasure:
        given = {"dn": dn, "sigma": sigma, "response": response}
        given |= {"log_temperature_edges": LOG_T_EDGES, **options}
        made = peer_inversion(script, python, given, n_jobs=jobs)
        return _measured(
            made["em"], dn, sigma, response, name, made.get("error"), made.get("seconds")
        )

    return solve


def _measured(em, dn, sigma, response, name, error=None, seconds=None) -> EmissionMeasure:
    """Give what another package found as the suite's solvers do."""
    is_found = np.isfinite(em).all(axis=1) & (em != 0).any(axis=1)
    em = np.where(np.isfinite(em), em, 0.0)
    error = np.full(em.shape, np.nan) if error is None else error
    model = em @ response.T
    return EmissionMeasure(
        em=em,
        error=np.where(is_found[:, None], error, np.nan),
        chi2=misfit(model, dn, sigma),
        status=np.where(is_found, OK, UNSOLVED).astype(np.uint8),
        model=model,
        log_temperature_edges=LOG_T_EDGES,
        method=name,
        extra={} if seconds is None else {"seconds": seconds},
    )


def _networks(arguments: argparse.Namespace) -> dict[str, Way]:
    """Give the suite's networks of the sizes that are asked for, where they are installed."""

    def by_network(size: str, by_keras: bool) -> Callable:
        return lambda dn, sigma: invert_with_network(
            dn,
            sigma,
            size=size,
            version=arguments.response,
            n_jobs=arguments.jobs,
            by_keras=by_keras,
        )

    ways = {}
    for size in arguments.network:
        solve = by_network(size, False)
        try:
            solve(np.ones((1, 6)), np.ones((1, 6)))
        except FileNotFoundError as error:
            logger.info("the %s network is left out: %s", size, error)
            continue
        ways[f"network, {size}"] = Way(solve, is_network=True)
        ways[f"network, {size}, by Keras"] = Way(by_network(size, True), is_judged=False)
    return ways


def _deepem(arguments: argparse.Namespace, response: np.ndarray) -> dict[str, Way]:
    """Give DeepEM as trained here, and in PyTorch: with published weights, or for speed alone."""
    path = Path(arguments.deepem) / "best_performing.keras" if arguments.deepem else PACKAGED_DEEPEM

    def by_keras(dn: np.ndarray, sigma: np.ndarray) -> EmissionMeasure:
        return invert_with_deepem(dn, sigma, response, network=path)

    ways = {"DeepEM, by its own recipe": Way(by_keras)}
    python = peer_python(arguments.peers, INVERSION_PEERS["deepem_torch"])
    if python is not None:
        weights = arguments.deepem_weights
        name_torch = f"DeepEM in PyTorch, {'published' if weights else 'random'} weights"
        options = {"weights": str(Path(weights).resolve())} if weights else {}
        solve = _by_peer("deepem_torch", python, options, response, arguments.jobs, name_torch)
        ways[name_torch] = Way(solve, is_judged=bool(weights))
    elif arguments.deepem_weights:
        raise SystemExit("--deepem-weights are read in PyTorch's environment: make peers")
    return ways
