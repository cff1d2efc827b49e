"""Time functions side by side: alternating runs, medians, ratios within each round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

__all__ = ["side_by_side"]


def side_by_side(
    functions: dict[str, Callable[[], object]], *, rounds: int = 5
) -> dict[str, dict[str, float]]:
    """Run each function once untimed, then in turn; give medians and ratios to the first.

    Returns
    -------
    dict
        ``{name: {"seconds": median, "ratio": median of seconds / the first one's seconds}}``.
    """
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {
        name: {
            "seconds": round(statistics.median(values), 4),
            "ratio": round(statistics.median(a / b for a, b in zip(values, first, strict=True)), 2),
        }
        for name, values in seconds.items()
    }
