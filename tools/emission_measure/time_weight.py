"""The weight of coherence in time, chosen for a map from its data, without any truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.emission_measure.coherent import Reference, find_reference, solve_coherent

__all__ = ["WEIGHT_CRITERIA", "TimeWeight", "choose_time_weight"]

WEIGHT_CRITERIA = ("gcv", "evidence", "discrepancy")
CANDIDATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # above, training flares lost their onsets
# Scores level off where coherence is strong: the weakest that is nearly as good keeps onsets best.
_NEARLY = 1.15  # times the least score of generalised cross-validation
_SPLIT = 0.5  # of chi2: what smoothness in log T alone may cost, before coherence takes the rest


@dataclass(frozen=True)
class TimeWeight:
    """A weight and what it was chosen by.

    Attributes
    ----------
    weight : float
    by : str
        One of ``WEIGHT_CRITERIA``.
    candidates : tuple of float
    scores : tuple of float
        Of the candidates. gcv: the less the better. evidence: mean over the pixels of its
        logarithm. discrepancy: chi2 of a datum.
    """

    weight: float
    by: str
    candidates: tuple[float, ...]
    scores: tuple[float, ...]


def choose_time_weight(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    edges: np.ndarray,
    *,
    seconds: np.ndarray,
    by: str = WEIGHT_CRITERIA[0],
    time_penalty: str,
    left_out: np.ndarray | None = None,
    reference: Reference | None = None,
    n_jobs: int = 1,
) -> TimeWeight:
    """Return the weight in time for a map, from some of its pixels.

    - ``gcv``: ``N sum chi2 / (N - trace)^2`` with sums over all pixels, N data and the trace of the
      influence matrix, mu by chi2 = 1 (Golub, Heath & Wahba 1979, Technometrics 21, 215); the least
      weight that comes within 15 % of the least score.
    - ``evidence``: the largest mean of the log evidence (MacKay 1992, Neural Computation 4, 415).
    - ``discrepancy``: mu of each pixel is held where smoothness in log T alone gives chi2 = 0.5;
      the weight is where coherence raises chi2 of all data to 1 (Morozov 1966), between candidates
      by interpolation in the logarithms.

    Parameters
    ----------
    dn, sigma, response, edges, seconds, time_penalty, left_out, reference, n_jobs
        As for ``solve_coherent``; some hundred pixels are enough.
    by : str
        One of ``WEIGHT_CRITERIA``.

    Raises
    ------
    ValueError
        If the criterion is unknown, or no pixel holds a signal.
    """
    if by not in WEIGHT_CRITERIA:
        raise ValueError(f"expected {', '.join(WEIGHT_CRITERIA)}, got {by!r}; take one of them")
    if reference is None:
        reference = find_reference(dn, sigma, response, edges, left_out=left_out, n_jobs=n_jobs)
    common: dict[str, Any] = {
        "seconds": seconds,
        "time_penalty": time_penalty,
        "left_out": left_out,
        "reference": reference,
        "n_jobs": n_jobs,
    }
    mu = None
    if by == "discrepancy":
        alone = solve_coherent(
            dn, sigma, response, edges, time_weight=0.0, target_chi2=_SPLIT, **common
        )
        mu = np.where(np.isfinite(alone.mu), alone.mu, 1.0)
    scores = []
    for weight in CANDIDATES:
        found = solve_coherent(
            dn,
            sigma,
            response,
            edges,
            time_weight=weight,
            mu=mu,
            with_evidence=by == "evidence",
            **common,
        )
        used = np.isfinite(found.total_chi2)
        if not used.any():
            raise ValueError(
                "expected pixels with a signal to choose the weight in time by, got none; give "
                "--time-weight"
            )
        n, total = found.n_data[used].sum(), found.total_chi2[used].sum()
        if by == "gcv":
            scores.append(n * total / (n - found.effective_data[used].sum()) ** 2)
        elif by == "evidence":
            scores.append(found.log_evidence[used].mean())
        else:
            scores.append(total / n)
    return TimeWeight(_chosen(np.array(scores), by), by, CANDIDATES, tuple(map(float, scores)))


def _chosen(scores: np.ndarray, by: str) -> float:
    """Return the weight that the scores of the candidates tell."""
    if by == "gcv":
        return CANDIDATES[int(np.argmax(scores <= _NEARLY * scores.min()))]
    if by == "evidence":
        return CANDIDATES[int(scores.argmax())]
    rising = np.maximum.accumulate(np.log(scores))
    logs = np.log(CANDIDATES)
    if rising[0] >= 0 or rising[-1] <= 0:
        return CANDIDATES[0] if rising[0] >= 0 else CANDIDATES[-1]
    after = int(np.argmax(rising > 0))
    share = -rising[after - 1] / (rising[after] - rising[after - 1])
    return float(np.exp(logs[after - 1] + share * (logs[after] - logs[after - 1])))
