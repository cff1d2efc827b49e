"""What all flux forecasts share: the bins, the named targets, the forecast table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from network_models.training.targets import FLUX, PROBABILITY, Target
from tools.atomic_files import write_text
from tools.binned_distribution import FluxBins
from tools.run_folder import RunFolder
from tools.score_card import EVENTS

__all__ = [
    "QUANTILES",
    "bins_of_run",
    "class_probabilities",
    "flux_bins",
    "flux_targets",
    "write_forecasts",
]

QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95)
_LAST_EDGE = -4.0  # X1; above it too few flares are known to learn more than a power law
_STEP = 0.1  # dex
_TAIL_INDEX = 2.1  # GOES peaks >= C2 of 2010-2017: 2.116 +- 0.017


def flux_bins(floor_flux: float) -> FluxBins:
    """Return the bins of all forecasts: 0.1 dex from the floor to X1, with every class limit.

    Raises
    ------
    ValueError
        If the floor is above C1.
    """
    floor = float(np.log10(floor_flux))
    if floor > np.log10(EVENTS[">=C1"]) + 1e-9:
        raise ValueError(f"floor_flux must not be above C1 (1e-6 W m-2), got {floor_flux:g}")
    n = max(int(np.ceil((_LAST_EDGE - floor) / _STEP - 1e-9)), 1)
    edges = _LAST_EDGE - _STEP * np.arange(n + 1)[::-1]
    edges[0] = floor
    for level in np.log10(list(EVENTS.values())):
        edges[np.abs(edges - level).argmin()] = level
    return FluxBins(tuple(float(e) for e in edges), tail_index=_TAIL_INDEX)


def flux_targets(bins: FluxBins) -> dict[str, Target]:
    """Return the named scalars of the network's output, each a weighted sum of its bins."""
    name = "expected log10 flux"
    expected = tuple(bins.expectation_weights().tolist())
    targets = {name: Target(name, "log10(W m-2)", FLUX, expected)}
    for event, flux in EVENTS.items():
        name = f"P({event})"
        weights = tuple(bins.exceedance_weights(np.log10(flux)).tolist())
        targets[name] = Target(name, "1", PROBABILITY, weights)
    return targets


def bins_of_run(run: RunFolder) -> FluxBins:
    """Return the flux bins of a run's forecasts.

    Raises
    ------
    ValueError
        If its config.json names none.
    """
    bins = run.config.get("bins")
    if not isinstance(bins, dict):
        raise ValueError(f"{run.path} is no flux forecast: its config.json names no flux bins")
    return FluxBins(tuple(bins["edges"]), tail_index=bins["tail_index"])


def class_probabilities(bins: FluxBins, probability: np.ndarray) -> dict[str, np.ndarray]:
    """Return P(>= class) for every event from (sample, bin) probabilities."""
    return {name: bins.exceedance(probability, np.log10(flux)) for name, flux in EVENTS.items()}


def write_forecasts(
    path: str | Path,
    times: np.ndarray,
    bins: FluxBins,
    probability: np.ndarray,
    *,
    more: dict[str, np.ndarray] | None = None,
) -> None:
    """Write a forecast table: time, class probabilities, quantiles of log10 flux.

    The columns are those that ``score.py`` reads.
    """
    columns: dict[str, np.ndarray] = {"time": times.astype("datetime64[s]").astype(str)}
    for event, values in class_probabilities(bins, probability).items():
        columns[f"P({event})"] = values
    for level in QUANTILES:
        columns[f"log10_flux_q{100 * level:02.0f}"] = bins.quantile(probability, level)
    columns |= more or {}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(f"{v:.6g}" if isinstance(v, float) else v for v in row)
    write_text(path, text.getvalue())
