"""Strength and power of a spatial prior, chosen from the data by one of four criteria.

In the cosine basis a prior ``a L^p`` keeps the share ``f = 1 / (1 + v a l^p)`` of each mode (v:
variance of a pixel, l: eigenvalue), so that every candidate costs one sum over the spectrum of the
map, which is binned by l. With c the modes' amplitudes and n their number:

- ``risk``: Stein's unbiased estimate of the mean squared error,
  ``mean((1 - f)^2 c^2) + 2 v mean(f) - v`` (Stein 1981, Annals of Statistics 9, 1135). Needs the
  noise: a sigma taken 5 % too small or 25 % too large costs little, but 10 % too small doubled the
  error of a smooth map, whose noise then looks like signal. ``gcv`` is safer there.
- ``evidence``: least ``sum(log(v + 1 / (a l^p)) + c^2 / (v + 1 / (a l^p)))``, without the mean
  (MacKay 1992, Neural Computation 4, 415).
- ``gcv``: generalised cross-validation, ``mean((1 - f)^2 c^2) / mean(1 - f)^2`` (Golub, Heath &
  Wahba 1979, Technometrics 21, 215). It needs no noise level, but fails where f is close to 1 in
  most modes.
- ``discrepancy``: chi2 = 1 for each power (Morozov 1966), and of these the power of the best
  evidence. It smooths too much by construction.

Masked pixels are completed: by a smooth map first, then by draws of the posterior with noise, so
that the completed map has the spectrum that a full one would have (data augmentation, Tanner & Wong
1987, JASA 82, 528).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import dctn

from tools.fitting.linear import (
    LaplacianPrior,
    checked_map,
    draw_posterior,
    laplacian_eigenvalues,
    solve_laplacian,
    solve_total_variation,
)

__all__ = ["CRITERIA", "POWERS", "PriorChoice", "choose_laplacian", "choose_total_variation"]

CRITERIA = ("risk", "evidence", "gcv", "discrepancy")
POWERS = tuple(float(p) for p in np.arange(0.5, 6.01, 0.5))
# a power of 4 bounds the evidence on Gaussian-filtered maps, whose spectra fall faster
_N_BINS = 400
_LEAST_EFFECT = 1e-4  # a l^p v at l = 1 of the weakest prior
_STEP_DEX = 0.04  # of the eigenvalue at which prior and data count alike
_WEAK = 0.2  # of the median weight: pixels below are completed as masked ones are
_ROUNDS = 4  # with 30 % masked the choice no longer changes
_FIRST_FILL = (10.0, 3.0)  # strength in data weights and power: from a rougher one it takes longer
_NUDGE = (
    0.3  # sigma; a tenth is lost in the tolerance of total variation: its risk was 40 % too low
)
_LOOSE = 1e-2  # sigma; completed pixels get noise of 1 sigma


@dataclass(frozen=True)
class PriorChoice:
    """A prior chosen from the data.

    Attributes
    ----------
    prior : LaplacianPrior
    criterion : str
    noise_variance : float
        Mean variance of the pixels used, in the unit of the values, squared.
    kept_share : float
        Share of all modes that the data decide, 0 to 1.
    is_at_end : bool
        Whether the choice is the weakest or strongest prior tried.
    """

    prior: LaplacianPrior
    criterion: str
    noise_variance: float
    kept_share: float
    is_at_end: bool


def choose_laplacian(
    values: np.ndarray,
    weight: np.ndarray,
    *,
    criterion: str = "risk",
    powers: Sequence[float] = POWERS,
    seed: int = 0,
) -> PriorChoice:
    """Return the prior ``a L^p`` that a criterion prefers.

    Parameters
    ----------
    values : (y, x) float
        NaN is masked.
    weight : (y, x) float
        One over the variance of each value; 0 is masked. Where weights vary, the noise of a mode is
        taken as their mean variance.
    criterion : str
        Of ``CRITERIA``.
    powers : sequence of float
        Tried powers of the Laplacian.
    seed : int
        Of the draws that complete masked pixels.

    Raises
    ------
    ValueError
        If the criterion is unknown, fewer than 16 pixels have a value, or shapes differ.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"expected a criterion of {', '.join(CRITERIA)}, got {criterion!r}")
    values, weight = checked_map(values, weight)
    is_known = weight > 0
    if is_known.sum() < 16:
        raise ValueError(
            f"expected 16 pixels with values or more, got {is_known.sum()}; a prior cannot be "
            "chosen from so few: invert without one"
        )
    is_strong = weight >= _WEAK * np.median(weight[is_known])
    variance = float(np.mean(1 / weight[is_strong]))
    candidates = _candidates(values.shape, tuple(powers))
    if is_strong.all():
        return _best(values, variance, candidates, criterion)
    generator = np.random.default_rng(seed)
    strength, power = _FIRST_FILL
    first = LaplacianPrior(strength / variance, power)
    completed = solve_laplacian(
        values, np.where(is_strong, weight, 0), first, tolerance=_LOOSE
    ).values
    for _ in range(_ROUNDS):
        noise = np.sqrt(variance) * generator.normal(size=values.shape)
        filled = np.where(is_strong, values, completed + noise)
        choice = _best(filled, variance, candidates, criterion)
        completed = draw_posterior(
            values, weight, choice.prior, generator, tolerance=_LOOSE, start=completed
        )
    noise = np.sqrt(variance) * generator.normal(size=values.shape)
    return _best(np.where(is_strong, values, completed + noise), variance, candidates, criterion)


def choose_total_variation(
    values: np.ndarray,
    weight: np.ndarray,
    *,
    criterion: str = "risk",
    seed: int = 0,
    n_strengths: int = 13,
) -> tuple[float, np.ndarray]:
    """Return the strength of total variation that a criterion prefers, and its map.

    The degrees of freedom of a candidate come from a second solution for slightly perturbed data
    (Ramani, Blu & Unser 2008, IEEE Trans. Image Process. 17, 1540). Strengths are tried from the
    strongest down and the search ends behind a minimum.

    Parameters
    ----------
    values, weight : (y, x) float
        As for ``choose_laplacian``.
    criterion : str
        ``"risk"``, ``"gcv"`` or ``"discrepancy"``.
    seed : int
        Of the perturbation.
    n_strengths : int

    Raises
    ------
    ValueError
        If the criterion is not defined for total variation, or fewer than 16 pixels have a value.
    """
    if criterion not in CRITERIA or criterion == "evidence":
        raise ValueError(
            f"expected risk, gcv or discrepancy for total variation, got {criterion!r}: its "
            "evidence has no closed form"
        )
    values, weight = checked_map(values, weight)
    n = int(np.sum(weight > 0))
    if n < 16:
        raise ValueError(
            f"expected 16 pixels with values or more, got {n}; a prior cannot be chosen from so "
            "few: invert without one"
        )
    sigma = float(np.median(weight[weight > 0]) ** -0.5)
    sign = np.random.default_rng(seed).choice([-1.0, 1.0], size=values.shape)
    nudge = _NUDGE * np.where(weight > 0, weight, np.inf) ** -0.5 * sign
    best = (np.inf, 0.0, values)
    solution = None
    n_worse = 0
    solve = functools.partial(solve_total_variation, tolerance=2e-3, most_rounds=100)
    for strength in np.geomspace(10, 0.03, n_strengths) / sigma:
        solution = solve(values, weight, strength, start=solution).values
        chi2 = float(np.sum(weight * (solution - values) ** 2)) / n
        kept = 0.0
        if criterion != "discrepancy":
            other = solve(values + nudge, weight, strength, start=solution).values
            kept = float(np.sum(weight * nudge * (other - solution)) / (_NUDGE**2 * n))
        score = {
            "risk": chi2 + 2 * kept,
            "gcv": chi2 / max(1 - kept, 1e-6) ** 2,
            "discrepancy": abs(chi2 - 1),
        }[criterion]
        if score < best[0]:
            best, n_worse = (score, float(strength), solution), 0
        else:
            n_worse += 1
        if n_worse == 2:
            break
    return best[1], best[2]


@dataclass(frozen=True)
class _Candidates:
    """Priors in units of the data's weight, and what each does to each bin of eigenvalues."""

    bin_of: np.ndarray  # (y, x)
    counts: np.ndarray  # (bin,) modes in each bin, without the mean
    power: np.ndarray  # (candidate,)
    strength: np.ndarray  # (candidate,)
    effect: np.ndarray  # (candidate, bin) a l^p v
    is_end: np.ndarray  # (candidate,)


@functools.lru_cache(maxsize=4)
def _candidates(shape: tuple[int, int], powers: tuple[float, ...]) -> _Candidates:
    eigenvalues = laplacian_eigenvalues(shape)
    least = float(eigenvalues[eigenvalues > 0].min())
    edges = np.geomspace(least * (1 - 1e-9), 8.0, _N_BINS + 1)
    bin_of = np.clip(np.searchsorted(edges, eigenvalues) - 1, 0, _N_BINS - 1)
    inner = eigenvalues.ravel()[1:]
    counts = np.bincount(bin_of.ravel()[1:], minlength=_N_BINS)
    sums = np.bincount(bin_of.ravel()[1:], inner, minlength=_N_BINS)
    used = counts > 0
    number = np.cumsum(used) - 1
    middle = sums[used] / counts[used]
    all_powers, strengths, ends = [], [], []
    for power in powers:
        # the eigenvalue where prior and data count alike runs from 0.1 of the least one up
        highest = _LEAST_EFFECT ** (-1 / power)
        n = int(np.ceil(np.log10(highest / (0.1 * least)) / _STEP_DEX)) + 1
        turn = np.geomspace(0.1 * least, highest, n)
        strengths.append(turn**-power)
        all_powers.append(np.full(n, power))
        ends.append((np.arange(n) == 0) | (np.arange(n) == n - 1))
    exponent, strength = np.concatenate(all_powers), np.concatenate(strengths)
    effect = np.exp(np.log(strength)[:, None] + exponent[:, None] * np.log(middle))
    return _Candidates(
        number[bin_of], counts[used], exponent, strength, effect, np.concatenate(ends)
    )  # fmt: skip


def _best(
    values: np.ndarray, variance: float, candidates: _Candidates, criterion: str
) -> PriorChoice:
    """Return the best candidate for a complete map with noise of one variance."""
    squares = (dctn(values, norm="ortho") ** 2).ravel()[1:]
    power_in = np.bincount(
        candidates.bin_of.ravel()[1:], squares, minlength=len(candidates.counts)
    )  # fmt: skip
    effect, n = candidates.effect, len(squares)
    rest = effect / (1 + effect)  # 1 - f
    misfit = rest**2 @ power_in / n
    kept = 1 - rest @ candidates.counts / n
    if criterion == "risk":
        score = misfit + 2 * variance * kept
    elif criterion == "gcv":
        score = misfit / (1 - kept).clip(1e-12) ** 2
    else:  # v (1 + 1 / effect) = v / rest
        score = rest @ (power_in / variance) - np.log(rest.clip(1e-300)) @ candidates.counts
        if criterion == "discrepancy":
            score = np.where(_is_at_discrepancy(candidates, misfit / variance), score, np.inf)
    index = int(np.argmin(score))
    return PriorChoice(
        LaplacianPrior(candidates.strength[index] / variance, candidates.power[index]),
        criterion,
        variance,
        float(kept[index]),
        bool(candidates.is_end[index]),
    )


def _is_at_discrepancy(candidates: _Candidates, chi2: np.ndarray) -> np.ndarray:
    """Return which candidate of each power has a chi2 nearest to 1."""
    chosen = np.zeros(len(chi2), bool)
    for power in np.unique(candidates.power):
        own = np.flatnonzero(candidates.power == power)
        chosen[own[np.argmin(np.abs(chi2[own] - 1))]] = True
    return chosen
