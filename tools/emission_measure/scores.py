"""How far an emission measure is from the truth, how it fits the data, how often its bars hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = [
    "blocks_of_map",
    "covered",
    "misfit",
    "paired_interval",
    "relative_l1",
    "temperature_distance",
    "total_error",
]

_NEGLIGIBLE = 1e-6  # of a pixel's true emission measure


def relative_l1(em: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Give ``L1 = sum_j |x_j - t_j| / sum_j t_j``; 1 where nothing was found.

    Parameters
    ----------
    em, truth : (pixel, bin) float
        cm-5; what is not finite in ``em`` counts as 0.

    Returns
    -------
    (pixel,) float64
    """
    return np.abs(_finite(em) - truth).sum(axis=1) / truth.sum(axis=1)


def temperature_distance(
    em: np.ndarray, truth: np.ndarray, log_temperature_edges: np.ndarray
) -> np.ndarray:
    """Give how far emission measure has to be moved in log T, whatever its total.

    ``W1 = sum_j |cumsum(x / sum x)_j - cumsum(t / sum t)_j| (l_j+1 - l_j)``, with l the bins'
    middles in log T: the Wasserstein distance of first order.

    Parameters
    ----------
    em, truth : (pixel, bin) float
        cm-5.
    log_temperature_edges : (bin + 1,) float
        log10 of K.

    Returns
    -------
    (pixel,) float64
        dex; the whole range of temperatures where nothing was found or the total is not positive.
    """
    em = _finite(em)
    edges = np.asarray(log_temperature_edges, float)
    total = em.sum(axis=1, keepdims=True)
    is_found = total > 0
    share = em / np.where(is_found, total, 1.0)
    apart = np.cumsum(share - truth / truth.sum(axis=1, keepdims=True), axis=1)
    middles = (edges[:-1] + edges[1:]) / 2
    distance = np.abs(apart[:, :-1]) @ np.diff(middles)
    return np.where(is_found[:, 0], distance, edges[-1] - edges[0])


def total_error(em: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Give ``|sum_j x_j / sum_j t_j - 1|`` of (pixel, bin), cm-5: (pixel,)."""
    return np.abs(_finite(em).sum(axis=1) / truth.sum(axis=1) - 1)


def misfit(model: np.ndarray, dn: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Give chi2, the mean over the channels of ``((model - dn) / sigma)^2``.

    Parameters
    ----------
    model, dn, sigma : (pixel, channel) float
        DN s-1 pix-1.

    Returns
    -------
    (pixel,) float64
    """
    return (((model - dn) / sigma) ** 2).mean(axis=1)


def covered(low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Say where the truth lies between two bounds.

    Bounds that miss it by less than a millionth of the pixel's emission measure count as right: a
    bin that is empty to any instrument need not be empty to the last digit.

    Parameters
    ----------
    low, high, truth : (pixel, bin) float
        cm-5; bounds are NaN where none is given.

    Returns
    -------
    (pixel, bin) float64
        1, 0, or NaN without bounds.
    """
    room = _NEGLIGIBLE * truth.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        is_inside = (truth >= low - room) & (truth <= high + room)
    return np.where(np.isfinite(low) & np.isfinite(high), is_inside, np.nan)


def blocks_of_map(side: int, block: int = 8) -> np.ndarray:
    """Give which block of neighbouring pixels each pixel of a square map lies in: (side^2,)."""
    index = np.arange(side) // block
    return (index[:, None] * (index[-1] + 1) + index).ravel()


def paired_interval(
    first: np.ndarray,
    second: np.ndarray,
    blocks: np.ndarray,
    *,
    generator: np.random.Generator,
    statistic: Callable[[np.ndarray], float] = np.median,
    n_draws: int = 400,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Give the difference of a statistic of two scores of the same pixels, with its interval.

    Neighbouring pixels are alike, so whole blocks are drawn, the same for both scores.

    Parameters
    ----------
    first, second : (pixel,) float
    blocks : (pixel,) int
        The block that each pixel lies in.
    generator : numpy.random.Generator
    statistic : function
        Of an array; the median if left out.
    n_draws : int
    level : float
        Of the interval.

    Returns
    -------
    difference, low, high : float
        First less second.

    Raises
    ------
    ValueError
        If there are fewer than two blocks, or the scores are of other pixels.
    """
    if not len(first) == len(second) == len(blocks):
        raise ValueError(
            f"expected scores and blocks of the same pixels, got {len(first)}, {len(second)} and "
            f"{len(blocks)}"
        )
    names, index = np.unique(blocks, return_inverse=True)
    if len(names) < 2:
        raise ValueError("an interval needs pixels of at least two blocks")
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    differences = []
    for _ in range(n_draws):
        drawn = np.concatenate(
            [members[b] for b in generator.integers(len(names), size=len(names))]
        )
        differences.append(statistic(first[drawn]) - statistic(second[drawn]))
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(statistic(first) - statistic(second)), float(low), float(high)


def _finite(em: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(em, float), nan=0.0, posinf=0.0, neginf=0.0)
