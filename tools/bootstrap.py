"""Bootstrap of blocks and events: intervals for scores of samples that are not independent.

Storms last for days and active regions for weeks, so single forecasts are not independent. Whole
blocks of time are drawn instead (Kuensch 1989); the default of 27 days is one solar rotation.
Frames of one observation are near-copies: there whole events are drawn. The same draws serve every
forecaster, so differences between two are paired.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["FEWEST_BLOCKS", "BlockBootstrap", "EventBootstrap", "interval"]

FEWEST_BLOCKS = 10  # below this many blocks no interval is given
_UNDEFINED_SHARE = 0.025  # of the draws, above which no interval is given
_WEIGHTS_AT_ONCE = 2_000_000  # bounds memory at 16 MB per array


class EventBootstrap:
    """Draws of whole events, shared by all scores of one test set.

    Parameters
    ----------
    event_of_sample : (sample,) array
        What samples belong together: an observation, an active region, a stretch of time.
    n_draws : int
        Number of resampled test sets; each has as many events as the test set.
    generator : numpy.random.Generator
    """

    def __init__(
        self,
        event_of_sample: np.ndarray,
        *,
        generator: np.random.Generator,
        n_draws: int = 1000,
    ):
        if len(event_of_sample) == 0:
            raise ValueError("a bootstrap needs at least one sample")
        _, self.block_of_sample = np.unique(event_of_sample, return_inverse=True)
        self.n_blocks = int(self.block_of_sample.max()) + 1
        draws = generator.integers(self.n_blocks, size=(n_draws, self.n_blocks))
        self.counts = np.zeros((n_draws, self.n_blocks))
        for row, drawn in zip(self.counts, draws, strict=True):
            row += np.bincount(drawn, minlength=self.n_blocks)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Give the sum of ``values`` (sample,) over each resampled set, (draw,)."""
        return self.counts @ np.bincount(self.block_of_sample, values, minlength=self.n_blocks)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Give the mean of ``values`` (sample,) in each resampled set, (draw,)."""
        return self.sums(values) / self.sums(np.ones(len(values)))

    def statistic(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Give ``function(weights)`` of all resampled sets, (draw,).

        ``function`` gets the sample weights of some sets, (some, sample), and gives (some,).
        """
        at_once = max(1, _WEIGHTS_AT_ONCE // len(self.block_of_sample))
        parts = [
            function(self.counts[start : start + at_once][:, self.block_of_sample])
            for start in range(0, len(self.counts), at_once)
        ]
        return np.concatenate(parts)


class BlockBootstrap(EventBootstrap):
    """Draws of blocks of time: the events are stretches of equal length.

    Parameters
    ----------
    times : (sample,) datetime64
        Issue times.
    block_days : float
        Length of a block in days.
    n_draws : int
        Number of resampled test sets.
    generator : numpy.random.Generator
    """

    def __init__(
        self,
        times: np.ndarray,
        *,
        generator: np.random.Generator,
        block_days: float = 27.0,
        n_draws: int = 1000,
    ):
        if len(times) == 0:
            raise ValueError("a bootstrap needs at least one sample")
        if not block_days > 0:
            raise ValueError(f"a block must last longer than 0 days, got {block_days}")
        index = ((times - times.min()) / np.timedelta64(86400, "s") // block_days).astype(int)
        super().__init__(index, generator=generator, n_draws=n_draws)


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Give the central interval of resampled values.

    Draws that give no value (NaN: no event was drawn, say) are left out; where they are more than
    one tail of the interval, none is given: (nan, nan).
    """
    defined = draws[~np.isnan(draws)]
    if len(defined) < (1 - _UNDEFINED_SHARE) * len(draws) or len(defined) == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
