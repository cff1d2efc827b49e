"""Error bars of any method by inverting the data again and again with new noise."""

from __future__ import annotations

import numpy as np

from tools.emission_measure.inversion import invert
from tools.emission_measure.pixels import known_of
from tools.emission_measure.status import NOT_FITTED, OK

__all__ = ["monte_carlo_errors"]

_PIXELS_AT_ONCE = 1 << 16  # bounds the memory: about 1 kB for each


def monte_carlo_errors(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    log_temperature_edges: np.ndarray,
    *,
    method: str = "basis-pursuit",
    draws: int = 100,
    seed: int = 0,
    n_jobs: int = 1,
    saturated: np.ndarray | None = None,
    **options,
) -> np.ndarray:
    """Give the spread of the solutions under noise of the data's size.

    The data's own noise is in them already, so that this is the solution's scatter, about itself:
    it tells nothing of what a method leaves out or smooths away, and bins that are 0 in every draw
    have no spread.

    Parameters
    ----------
    dn, sigma : (..., channel) float
        DN s-1 pix-1; NaN where a channel is missing.
    response : (channel, bin) float
        DN cm5 s-1 pix-1.
    log_temperature_edges : (bin + 1,) float
        log10 of K.
    method : str
        One of ``tools.emission_measure.inversion.METHODS``.
    draws : int
        Inversions of every pixel, 2 or more.
    seed : int
    n_jobs : int
        Threads at most.
    saturated : (..., channel) bool, optional
        Channels to leave out.
    options
        Of the method's solver.

    Returns
    -------
    (..., bin) float64
        One standard deviation, cm-5; NaN where fewer than two draws could be solved.

    Raises
    ------
    ValueError
        If draws are fewer than 2, or what ``invert`` refuses.
    """
    if draws < 2:
        raise ValueError(f"a spread needs 2 draws or more, got {draws}")
    dn, sigma = np.asarray(dn, float), np.asarray(sigma, float)
    if sigma.shape != dn.shape:
        raise ValueError(f"sigma has the shape {sigma.shape}, dn {dn.shape}: give one for each")
    shape, n_channels = dn.shape[:-1], dn.shape[-1]
    flat, errors = dn.reshape(-1, n_channels), sigma.reshape(-1, n_channels)
    left_out = None if saturated is None else np.reshape(saturated, flat.shape)
    n_bins = np.shape(response)[-1]
    out = np.empty((len(flat), n_bins))
    starts = range(0, len(flat), _PIXELS_AT_ONCE)
    seeds = np.random.SeedSequence(seed).spawn(len(starts))
    for first, own in zip(starts, seeds, strict=True):
        part = slice(first, first + _PIXELS_AT_ONCE)
        generator = np.random.default_rng(own)
        size = np.where(known_of(flat[part], errors[part]), errors[part], 0.0)
        count = np.zeros((len(size), 1))
        mean, squares = np.zeros((len(size), n_bins)), np.zeros((len(size), n_bins))
        for _ in range(draws):
            found = invert(
                flat[part] + size * generator.standard_normal(size.shape),
                errors[part],
                response,
                log_temperature_edges,
                method=method,
                n_jobs=n_jobs,
                saturated=None if left_out is None else left_out[part],
                **options,
            )
            solved = ((found.status == OK) | (found.status == NOT_FITTED))[:, None]
            count += solved
            away = np.where(solved, found.em - mean, 0.0)
            mean += away / np.maximum(count, 1)
            squares += away * np.where(solved, found.em - mean, 0.0)
        out[part] = np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)
    return out.reshape(*shape, n_bins)
