"""What a random split would have claimed: the same forecasters with and without the leak.

The audit refuses the random split; that refusal is shown. Nothing of this enters a score.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from dataset_models.audit import audit
from dataset_models.GOES.flare_history import PeakFluxSamples
from dataset_models.splits import Split, leaky_random_split
from network_models.training.fitting import TrainingOptions, fit_plainly, predict
from network_models.xray_flux_forecast.baselines import four_features, logistic
from network_models.xray_flux_forecast.flux_forecast import class_probabilities
from tools.binned_distribution import FluxBins
from tools.random_streams import random_stream
from tools.report.report import Section, Table, write_section
from tools.score_card import EVENTS
from tools.skill import brier_skill

__all__ = ["leak_figures", "write_leak_section"]

_NEIGHBOURS = 5


def leak_figures(
    dataset: PeakFluxSamples,
    split: Split,
    bins: FluxBins,
    *,
    build_network: Callable[[PeakFluxSamples, np.ndarray], keras.Model],
    loss: keras.losses.Loss,
    options: TrainingOptions,
) -> dict:
    """Score three forecasters on the audited split and on a random one of the same sizes.

    Returns
    -------
    dict
        ``{"refusal", "rows"}``: what the audit says of the random split, and one row per
        forecaster with mean absolute error (dex) and Brier skill (>=C1, >=M1) on both splits.
    """
    n = sum(len(rows) for rows in split.sets.values())
    leaky = leaky_random_split(
        dataset.table,
        validation_share=len(split.validation) / n,
        test_share=len(split.test) / n,
        generator=random_stream(options.seed, "leak demonstration"),
    )
    refusal = [c for c in audit(dataset, leaky, seed=options.seed).checks if not c.passed]
    if not refusal:
        raise RuntimeError("the audit let a random split pass: it is broken")

    def network(dataset: PeakFluxSamples, split: Split) -> dict:
        trained = build_network(dataset, split.training)
        fit_plainly(trained, loss, dataset=dataset, split=split, options=options)
        output = predict(trained, dataset.test_batches(split, batch_size=dataset.rows_at_once))
        median = bins.quantile(output, 0.5)
        return _scores(dataset, split, class_probabilities(bins, output), median)

    forecasts = {
        "5 nearest neighbours (time and 4 features)": _neighbours,
        "logistic (4 features)": _logistic,
        "network": network,
    }
    rows = []
    for name, forecast in forecasts.items():
        scores = [forecast(dataset, s) for s in (split, leaky)]
        rows.append({"forecaster": name, "audited": scores[0], "random": scores[1]})
    return {"refusal": [f"{c.name}: {c.detail}" for c in refusal], "rows": rows}


def write_leak_section(folder: Path, figures: dict) -> None:
    """Show the table with the audit's refusal."""
    header = ["forecaster"]
    for what in ("MAE (dex)", "BSS >=C1", "BSS >=M1"):
        header += [f"{what}, audited split", f"{what}, random split"]
    rows = []
    for row in figures["rows"]:
        cells = [row["forecaster"]]
        for key in ("MAE", ">=C1", ">=M1"):
            cells += [_text(row[s].get(key)) for s in ("audited", "random")]
        rows.append(cells)
    section = Section(
        title="What a random split would have claimed",
        order=70,
        text=[
            "Declared demonstration: the same forecasters, trained and tested on samples drawn at "
            "random. Neighbouring samples share nearly all of their windows, so the test set is "
            "known from training. The figures of the random split are no forecast skill.",
            "The audit refuses that split. " + " ".join(figures["refusal"]),
        ],
        tables=[Table("The same data, the same forecasters, two splits.", header, rows)],
    )
    write_section(folder, section)


def _neighbours(dataset: PeakFluxSamples, split: Split) -> dict:
    """Remember: the mean of the five samples nearest in time (days) and four features."""
    days = (dataset.times - dataset.times[0]) / np.timedelta64(86400, "s")
    features = np.column_stack([days, four_features(dataset)])
    model = KNeighborsRegressor(_NEIGHBOURS)
    y = dataset.log10_peak_flux
    known = np.column_stack([y] + [y >= np.log10(f) - 1e-9 for f in EVENTS.values()])
    model.fit(features[split.training], known[split.training])
    forecast = model.predict(features[split.test])
    probability = dict(zip(EVENTS, forecast[:, 1:].T, strict=True))
    return _scores(dataset, split, probability, forecast[:, 0])


def _logistic(dataset: PeakFluxSamples, split: Split) -> dict:
    return _scores(dataset, split, logistic(dataset, split).probability, None)


def _scores(
    dataset: PeakFluxSamples, split: Split, probability: dict, median: np.ndarray | None
) -> dict:
    y, scores = dataset.log10_peak_flux[split.test], {}
    if median is not None:
        scores["MAE"] = float(np.abs(median - y).mean())
    for name in (">=C1", ">=M1"):
        event = y >= np.log10(EVENTS[name]) - 1e-9
        if name in probability and 0 < event.mean() < 1:
            scores[name] = brier_skill(probability[name], event, climatology=event.mean())
    return scores


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
