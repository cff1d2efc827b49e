"""One interface for all ways from six channels to the emission measure of every pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tools.emission_measure.basis_pursuit import solve_basis_pursuit
from tools.emission_measure.calibration import apply_factors, factors_for
from tools.emission_measure.flaring import flare_share
from tools.emission_measure.pixels import UNIT_CM5, Solution
from tools.emission_measure.plowman_caspi import solve_plowman_caspi
from tools.emission_measure.tikhonov import PRIOR_SLOPE, solve_tikhonov

__all__ = ["METHODS", "UNIT_CM5", "EmissionMeasure", "invert"]

METHODS = ("basis-pursuit", "tikhonov", "plowman-caspi")
_LARGEST_LOG_T = 9.5


@dataclass(frozen=True)
class EmissionMeasure:
    """What an inversion found.

    Attributes
    ----------
    em : (..., bin) float64
        Emission measure in each bin, cm-5 (not per K, not per dex). 0 where ``status`` is no data.
    error : (..., bin) float64
        Error bars of one sigma, cm-5; NaN (and read-only) where the method gives none.
    chi2 : (...) float64
        Mean over the observed channels of ((model - dn) / sigma)^2; NaN without data.
    status : (...) uint8
        One of ``tools.emission_measure.status``.
    model : (..., channel) float64
        What the emission measure gives in each channel, DN s-1 pix-1.
    log_temperature_edges : (bin + 1,) float64
        log10 of K.
    method : str
    extra : dict of arrays
        What a method says beside. Basis pursuit: ``objective`` and ``tolerance``. Tikhonov:
        ``error_95`` (..., bin), half the width of the 95 % interval, cm-5, and ``calibrated``
        (...): whether the bars are multiplied by the factors found on simulations, such that they
        cover the truth in the bin, not a smoothed one; ``resolution`` (..., bin), dex, if asked.
    """

    em: np.ndarray
    error: np.ndarray
    chi2: np.ndarray
    status: np.ndarray
    model: np.ndarray
    log_temperature_edges: np.ndarray
    method: str
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def log_temperature(self) -> np.ndarray:
        """Middles of the bins, log10 of K."""
        return (self.log_temperature_edges[:-1] + self.log_temperature_edges[1:]) / 2

    @property
    def per_kelvin(self) -> np.ndarray:
        """The differential emission measure, cm-5 K-1."""
        return self.em / np.diff(10.0**self.log_temperature_edges)

    @property
    def per_dex(self) -> np.ndarray:
        """The differential emission measure, cm-5 dex-1."""
        return self.em / np.diff(self.log_temperature_edges)


def invert(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    log_temperature_edges: np.ndarray,
    *,
    method: str = "basis-pursuit",
    n_jobs: int = 1,
    saturated: np.ndarray | None = None,
    **options,
) -> EmissionMeasure:
    """Invert every pixel.

    Parameters
    ----------
    dn : (..., channel) float
        DN s-1 pix-1, corrected for degradation (or the response is not); negative values are data
        like others; NaN where a channel is missing; what is beyond 1e20, or has an
        error below 1e-20, counts as missing.
    sigma : (..., channel) float
        Its error of one sigma.
    response : (channel, bin) float
        DN cm5 s-1 pix-1 for emission measure in each bin (``bin_response``).
    log_temperature_edges : (bin + 1,) float
        log10 of K, increasing.
    method : str
        One of ``METHODS``.
    n_jobs : int
        Threads at most.
    saturated : (..., channel) bool, optional
        Channels to leave out as if missing.
    options
        Of the method's solver: ``tolerances``; ``two_step``, ``prior_slope``, ``target_chi2``,
        ``calibrated`` (multiply the error bars by the factors found on simulations, where there are
        some for this grid and response and no ``prior_slope`` is given) and ``resolution``;
        ``target_chi2``.

    Returns
    -------
    EmissionMeasure
        With an answer or a status for every pixel.

    Raises
    ------
    ValueError
        If shapes don't agree, or the response or the method is none.
    """
    dn, sigma, response, edges = _checked(dn, sigma, response, log_temperature_edges)
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be 1 or more, got {n_jobs}")
    shape, n_channels = dn.shape[:-1], dn.shape[-1]
    flat_shape = math.prod(shape), n_channels
    flat, errors = dn.reshape(flat_shape), sigma.reshape(flat_shape)
    left_out = None
    if saturated is not None:
        if np.shape(saturated) != dn.shape:
            raise ValueError(f"saturated has the shape {np.shape(saturated)}, dn {dn.shape}")
        left_out = np.asarray(saturated, bool).reshape(flat_shape)
    solution = _SOLVERS[method](
        flat, errors, response, edges, left_out=left_out, n_jobs=n_jobs, **options
    )
    extra = {name: v.reshape((*shape, *v.shape[1:])) for name, v in solution.extra.items()}
    bins = (*shape, response.shape[1])
    return EmissionMeasure(
        solution.em.reshape(bins),
        solution.error.reshape(bins),
        solution.chi2.reshape(shape),
        solution.status.reshape(shape),
        solution.model.reshape(dn.shape),
        edges,
        method,
        extra,
    )


def _checked(dn, sigma, response, edges) -> tuple[np.ndarray, ...]:
    """Give float64 arrays whose shapes agree."""
    dn, sigma = np.asarray(dn, float), np.asarray(sigma, float)
    response, edges = np.asarray(response, float), np.asarray(edges, float)
    if response.ndim != 2 or edges.shape != (response.shape[1] + 1,):
        raise ValueError(
            f"expected a response (channel, bin) and one more edge than bins, got "
            f"{response.shape} and {edges.shape}"
        )
    if dn.ndim < 1 or dn.shape[-1] != len(response):
        raise ValueError(
            f"the response has {len(response)} channels, the data {dn.shape}: channels come last"
        )
    if sigma.shape != dn.shape:
        raise ValueError(f"sigma has the shape {sigma.shape}, dn {dn.shape}")
    if not (np.diff(edges) > 0).all() or edges[-1] > _LARGEST_LOG_T:
        raise ValueError("log_temperature_edges must increase, and are log10 of K")
    if not np.isfinite(response).all() or (response < 0).any() or not response.any():
        raise ValueError("the response must be finite, not negative, and not 0 everywhere")
    if response.max() > 1e-15:
        raise ValueError(
            f"the response's largest value is {response.max():.1e}; in DN cm5 s-1 pix-1 it is "
            "about 1e-24"
        )
    return dn, sigma, response, edges


def _tikhonov(
    dn,
    sigma,
    response,
    edges,
    *,
    left_out=None,
    calibrated=True,
    resolution=False,
    prior_slope=None,
    **options,
) -> Solution:
    """Solve, with bars that cover the truth where they were calibrated for grid and response.

    There weights rise with temperature where it flares; otherwise they are the same in every bin.
    """
    factors = factors_for(response, edges, two_step=options.get("two_step", True))
    is_usual = prior_slope is None
    tilted = None
    if is_usual and factors is not None:
        tilted = flare_share(
            dn, sigma, response, edges, left_out=left_out, n_jobs=options["n_jobs"]
        )
    if is_usual:
        prior_slope = 0.0 if factors is None else PRIOR_SLOPE
    solution = solve_tikhonov(
        dn,
        sigma,
        response,
        edges,
        left_out=left_out,
        resolution=resolution,
        prior_slope=prior_slope,
        tilted=tilted,
        **options,
    )
    if not calibrated or options.get("target_chi2", 1.0) != 1.0 or not is_usual:
        factors = None
    n_jobs = options["n_jobs"]
    wide = apply_factors(
        dn, sigma, left_out, solution.em, solution.error, factors, tilted, n_jobs=n_jobs
    )
    solution.extra["error_95"] = wide
    solution.extra["calibrated"] = np.broadcast_to(factors is not None, len(dn))
    return solution


_SOLVERS: dict[str, Callable[..., Solution]] = {
    "basis-pursuit": solve_basis_pursuit,
    "tikhonov": _tikhonov,
    "plowman-caspi": solve_plowman_caspi,
}
