"""The score card: every forecaster, every event, every score, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.bootstrap import FEWEST_BLOCKS, BlockBootstrap, interval
from tools.skill import Contingency, contingency, reliability, roc_area, surprise

__all__ = ["EVENTS", "Forecaster", "Observations", "score_card"]

EVENTS = {">=C1": 1e-6, ">=M1": 1e-5, ">=M5": 5e-5, ">=X1": 1e-4}  # W m-2

PAIRED = ("Brier", "log", "TSS", "HSS", "BSS")


@dataclass(frozen=True)
class Observations:
    """What came true on the test set.

    Attributes
    ----------
    times : (sample,) datetime64
    log10_flux : (sample,) float
        log10 of the peak flux in W m-2, not below the floor.
    training_rate : dict
        Share of training samples with each event: the climatology a forecaster could know.
    """

    times: np.ndarray
    log10_flux: np.ndarray
    training_rate: dict[str, float]

    def event(self, name: str) -> np.ndarray:
        """Say at which samples the event came."""
        return self.log10_flux >= np.log10(EVENTS[name]) - 1e-9


@dataclass(frozen=True)
class Forecaster:
    """Forecasts for the test set.

    Attributes
    ----------
    name : str
    probability : dict of (sample,) float
        One probability for each event; a forecaster may leave events out.
    threshold : dict of float
        Probability from which on the forecast counts as yes, fixed on the training set.
    median : (sample,) float, optional
        Median log10 flux.
    crps : (sample,) float, optional
        CRPS of each forecast in dex.
    note : str
        How the forecasts and thresholds were made.
    """

    name: str
    probability: dict[str, np.ndarray]
    threshold: dict[str, float]
    median: np.ndarray | None = None
    crps: np.ndarray | None = None
    note: str = ""


def score_card(
    observations: Observations,
    forecasters: list[Forecaster],
    *,
    generator: np.random.Generator,
    pairs: Sequence[tuple[str, str]] = (),
    n_draws: int = 1000,
    block_days: float = 27.0,
) -> dict:
    """Score all forecasters on the same test set, with the same resampled blocks of time.

    Parameters
    ----------
    pairs : list of (name, name)
        Forecasters whose difference, first minus second, gets a paired interval.
    n_draws, block_days
        Of the block bootstrap.

    Returns
    -------
    dict
        JSON types. Each score is ``[value, low, high]`` with the 95 % interval; None stands for
        what is not defined, ``"infinite"`` for what is infinite. No interval is given with fewer
        than ten blocks. ``BSS`` is against the test set's own climatology, ``BSS_train`` against
        the training set's, which flatters where the base rate drifts.
    """
    bootstrap = BlockBootstrap(
        observations.times, generator=generator, block_days=block_days, n_draws=n_draws
    )
    card: dict = {
        "samples": len(observations.times),
        "first": str(observations.times.min()),
        "last": str(observations.times.max()),
        "bootstrap": {"draws": n_draws, "block_days": block_days, "blocks": bootstrap.n_blocks},
        "forecasters": {f.name: {"note": f.note} for f in forecasters},
        "events": {},
    }
    for name in EVENTS:
        event = observations.event(name)
        able = [f for f in forecasters if name in f.probability]
        draws = {f.name: _event_draws(f, name, observations, bootstrap) for f in able}
        card["events"][name] = {
            "events": int(event.sum()),
            "episodes": int(event[0]) + int((event[1:] & ~event[:-1]).sum()),
            "base_rate": float(event.mean()),
            "training_rate": observations.training_rate[name],
            "scores": {f.name: _with_intervals(draws[f.name], bootstrap.n_blocks) for f in able},
            "thresholds": {f.name: _number(f.threshold[name]) for f in able},
            "differences": _differences(draws, pairs, bootstrap.n_blocks),
            "reliability": {f.name: _reliability(f.probability[name], event) for f in able},
        }
    card["flux"] = _flux_scores(observations, forecasters, bootstrap, pairs)
    return card


def _event_draws(
    forecaster: Forecaster, name: str, observations: Observations, bootstrap: BlockBootstrap
) -> dict[str, tuple[Any, np.ndarray]]:
    """Return value and resampled values of every score of one forecaster for one event."""
    event, p = observations.event(name), forecaster.probability[name]
    yes = p >= forecaster.threshold[name]
    y = event.astype(float)
    table = contingency(yes, event)
    cells = [yes & event, ~yes & event, yes & ~event, ~yes & ~event]
    table_draws = Contingency(*(bootstrap.sums(cell.astype(float)) for cell in cells))
    error, error_draws = _mean_and_draws((p - y) ** 2, bootstrap)
    base, base_draws = _mean_and_draws(y, bootstrap)
    trained = (observations.training_rate[name] - y) ** 2
    reference, reference_draws = _mean_and_draws(trained, bootstrap)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprises = surprise(p, event)
        return {
            "TSS": (table.tss, table_draws.tss),
            "HSS": (table.hss, table_draws.hss),
            "BSS": (1 - error / (base * (1 - base)), _bss(error_draws, base_draws)),
            "BSS_train": (1 - error / reference, 1 - error_draws / reference_draws),
            "Brier": (error, error_draws),
            "log": (surprises.mean(), bootstrap.mean(surprises)),
            "ROC": (
                roc_area(p, event),
                bootstrap.statistic(lambda w: np.asarray(roc_area(p, event, w))),
            ),
        }


def _bss(error: np.ndarray, base: np.ndarray) -> np.ndarray:
    return 1 - error / np.where(base * (1 - base) > 0, base * (1 - base), np.nan)


def _mean_and_draws(values: np.ndarray, bootstrap: BlockBootstrap) -> tuple[float, np.ndarray]:
    return values.mean(), bootstrap.mean(values)


def _with_intervals(scores: Mapping[str, tuple[Any, ...]], n_blocks: int) -> dict[str, list]:
    out = {}
    for name, (value, draws) in scores.items():
        enough = n_blocks >= FEWEST_BLOCKS and not np.isnan(value)
        low, high = interval(draws) if enough else (np.nan, np.nan)
        out[name] = [_number(value), _number(low), _number(high)]
    return out


def _differences(
    draws: dict, pairs: Sequence[tuple[str, str]], n_blocks: int
) -> dict[str, dict[str, list]]:
    """Return first minus second for each pair, with paired intervals."""
    out = {}
    for first, second in pairs:
        if first not in draws or second not in draws:
            continue
        with np.errstate(invalid="ignore"):
            scores = {
                name: tuple(
                    a - b for a, b in zip(draws[first][name], draws[second][name], strict=True)
                )
                for name in PAIRED
            }
        out[f"{first} - {second}"] = _with_intervals(scores, n_blocks)
    return out


def _flux_scores(
    observations: Observations,
    forecasters: list[Forecaster],
    bootstrap: BlockBootstrap,
    pairs: Sequence[tuple[str, str]],
) -> dict:
    """Return CRPS and mean absolute error of the median, in dex."""
    draws: dict = {}
    for f in forecasters:
        scores = {}
        if f.crps is not None:
            scores["CRPS"] = _mean_and_draws(f.crps, bootstrap)
        if f.median is not None:
            error = np.abs(f.median - observations.log10_flux)
            scores["MAE"] = _mean_and_draws(error, bootstrap)
        if scores:
            draws[f.name] = scores
    differences = {}
    for first, second in pairs:
        shared = set(draws.get(first, {})) & set(draws.get(second, {}))
        if shared:
            differences[f"{first} - {second}"] = _with_intervals(
                {
                    n: tuple(a - b for a, b in zip(draws[first][n], draws[second][n], strict=True))
                    for n in sorted(shared)
                },
                bootstrap.n_blocks,
            )
    told = {name: _with_intervals(v, bootstrap.n_blocks) for name, v in draws.items()}
    return {"unit": "dex", "scores": told, "differences": differences}


def _reliability(probability: np.ndarray, event: np.ndarray) -> dict[str, list]:
    diagram = reliability(probability, event)
    return {
        "mean_probability": diagram.mean_probability.tolist(),
        "frequency": diagram.frequency.tolist(),
        "count": diagram.count.tolist(),
    }


def _number(value: float) -> float | str | None:
    """Return a number for JSON, which has neither NaN (None) nor infinity (a word)."""
    if np.isnan(value):
        return None
    if np.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return float(value)
