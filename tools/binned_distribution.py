"""A predictive distribution of log10 flux in bins: exceedances, quantiles, CRPS.

Bin 0 is everything up to the first edge (its mass is put on that edge, the floor), bins 1 .. K lie
between neighbouring edges with the mass spread evenly in log10 flux, and bin K + 1, above the last
edge, falls as a power law: ``P(>= F) = p (F / F_last)^-(alpha - 1)``. All class probabilities, the
median and the interval come from this one distribution, so that they can't contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["EDGE_TOLERANCE", "FluxBins"]

EDGE_TOLERANCE = 2e-6  # dex; float32 resolves 5e-7 dex at 1e-6 W m-2, and M1 must count as M1


@dataclass(frozen=True)
class FluxBins:
    """Bins of log10 of a GOES 1-8 A flux in W m-2.

    Attributes
    ----------
    edges : tuple of float
        Increasing log10 flux; the first one is the floor.
    tail_index : float
        Power-law index alpha of peak fluxes above the last edge, larger than 1.
    """

    edges: tuple[float, ...]
    tail_index: float = 2.1

    def __post_init__(self):
        if len(self.edges) < 2 or (np.diff(self.edges) <= 0).any():
            raise ValueError(f"bin edges must increase and be two or more, got {self.edges}")
        if not self.tail_index > 1:
            raise ValueError(f"the tail index must be above 1, got {self.tail_index}")

    @property
    def n_bins(self) -> int:
        """Number of bins, the floor's and the tail's included."""
        return len(self.edges) + 1

    @property
    def floor(self) -> float:
        """The first edge, log10 of W m-2."""
        return self.edges[0]

    @property
    def borders(self) -> np.ndarray:
        """Values from which on a flux counts to the bin above each edge, in float32's reach."""
        borders = np.array(self.edges) - EDGE_TOLERANCE
        borders[0] = self.edges[0] + EDGE_TOLERANCE
        return borders

    @property
    def _decay(self) -> float:
        return (self.tail_index - 1) * np.log(10)

    def index(self, log10_flux: np.ndarray) -> np.ndarray:
        """Give the bin of each value.

        A value on an edge belongs to the bin above it, but one on the floor to the floor's bin:
        fluxes below the floor are given as the floor.
        """
        return np.searchsorted(self.borders, np.asarray(log10_flux), side="right")

    def climatology(self, log10_flux: np.ndarray) -> np.ndarray:
        """Give the share of values in each bin, (bin,)."""
        return np.bincount(self.index(log10_flux), minlength=self.n_bins) / len(log10_flux)

    def from_exceedances(self, exceedance: np.ndarray) -> np.ndarray:
        """Give bin probabilities from P(>= edge) at every edge, (..., edge) -> (..., bin)."""
        exceedance = np.asarray(exceedance)
        ones, zeros = np.ones_like(exceedance[..., :1]), np.zeros_like(exceedance[..., :1])
        return -np.diff(np.concatenate([ones, exceedance, zeros], axis=-1), axis=-1)

    def exceedance_weights(self, log10_flux: float) -> np.ndarray:
        """Give the weights (bin,) with which the bins add up to P(>= flux).

        Raises
        ------
        ValueError
            Below the floor, where the distribution says nothing.
        """
        if log10_flux < self.floor:
            raise ValueError(
                f"P(>= 10^{log10_flux:.2f} W m-2) is not known: the forecast's floor is "
                f"10^{self.floor:.2f} W m-2"
            )
        edges = np.array(self.edges)
        weights = np.zeros(self.n_bins)
        weights[1:-1] = np.clip((edges[1:] - log10_flux) / np.diff(edges), 0, 1)
        weights[-1] = np.exp(-self._decay * max(log10_flux - edges[-1], 0))
        return weights

    def expectation_weights(self) -> np.ndarray:
        """Give the weights (bin,) with which the bins add up to the expected log10 flux."""
        edges = np.array(self.edges)
        return np.r_[edges[0], (edges[1:] + edges[:-1]) / 2, edges[-1] + 1 / self._decay]

    def exceedance(self, probability: np.ndarray, log10_flux: float) -> np.ndarray:
        """Give P(>= flux), (..., bin) -> (...)."""
        return np.clip(np.asarray(probability, float) @ self.exceedance_weights(log10_flux), 0, 1)

    def quantile(self, probability: np.ndarray, level: float) -> np.ndarray:
        """Give the log10 flux that is not exceeded with probability ``level``.

        Parameters
        ----------
        probability : (sample, bin) float

        Returns
        -------
        (sample,) float64
            The floor where the floor's bin alone reaches the level.
        """
        cumulative = np.cumsum(np.asarray(probability, float), axis=1)
        cumulative /= cumulative[:, -1:]
        edges, row = np.array(self.edges), np.arange(len(cumulative))
        upper = (cumulative[:, :-1] < level).sum(axis=1)  # bin that holds the quantile
        out = np.full(len(cumulative), edges[0])
        inside = (upper >= 1) & (upper < self.n_bins - 1)
        low = cumulative[row, np.maximum(upper - 1, 0)]
        high = cumulative[row, upper]
        share = np.divide(level - low, high - low, out=np.zeros_like(low), where=high > low)
        k = np.clip(upper, 1, len(edges) - 1)
        out[inside] = (edges[k - 1] + share * (edges[k] - edges[k - 1]))[inside]
        tail = upper == self.n_bins - 1
        beyond = (1 - level) / np.maximum(1 - cumulative[:, -2], 1e-300)
        out[tail] = (edges[-1] - np.log(np.clip(beyond, 1e-300, 1)) / self._decay)[tail]
        return out

    def crps(self, probability: np.ndarray, log10_flux: np.ndarray) -> np.ndarray:
        """Give the continuous ranked probability score in dex (Matheson & Winkler 1976).

        ``integral of (F(x) - [x >= y])^2 dx`` from the floor up, in closed form: F is linear in
        each bin and exponential in the tail. Values below the floor count as the floor.

        Parameters
        ----------
        probability : (sample, bin) float
        log10_flux : (sample,) float

        Returns
        -------
        (sample,) float64, dex; the absolute error for a forecast without spread
        """
        probability = np.asarray(probability, float)
        value = np.maximum(np.asarray(log10_flux, float), self.floor)[:, None]
        edges = np.array(self.edges)
        at_edge = np.cumsum(probability, axis=1)[:, :-1]  # F at each edge
        low, high, f_low, f_high = edges[:-1], edges[1:], at_edge[:, :-1], at_edge[:, 1:]
        split = np.clip(value, low, high)
        f_split = f_low + (f_high - f_low) * (split - low) / (high - low)
        below = (split - low) * _mean_square(f_low, f_split)
        above = (high - split) * _mean_square(1 - f_split, 1 - f_high)
        mass, d = probability[:, -1], np.maximum(value[:, 0] - edges[-1], 0)
        decay, left = self._decay, np.exp(-self._decay * d)
        tail = d - 2 * mass * (1 - left) / decay + mass**2 / (2 * decay)
        return (below + above).sum(axis=1) + tail


def _mean_square(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Give the mean of x^2 for x linear from a to b."""
    return (a * a + a * b + b * b) / 3
