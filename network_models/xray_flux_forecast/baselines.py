"""The forecasts that a network has to beat: persistence, climatology, chance, four features."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dataset_models.GOES.flare_history import PeakFluxSamples
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.splits import Split
from network_models.xray_flux_forecast.flux_forecast import class_probabilities
from tools.binned_distribution import FluxBins
from tools.score_card import EVENTS, Forecaster
from tools.skill import threshold_of_largest_tss

__all__ = [
    "chance",
    "climatology",
    "disc_totals",
    "distribution_forecaster",
    "four_features",
    "logistic",
    "persistence",
]


def four_features(dataset: PeakFluxSamples) -> np.ndarray:
    """Return the logistic baseline's features of all samples, (sample, 4) float64.

    log10 of the largest peak in the last 24 h, ln(1 + number of flares >= C1 in 24 h), log10 of
    the largest peak in 72 h and in 6 h; fluxes not below the floor. Of light curves the largest
    flux counts instead of the largest peak.
    """
    floor = dataset.window.floor_flux
    peaks = [np.log10(np.maximum(dataset.past_peak(h), floor)) for h in (24, 72, 6)]
    count = np.log1p(dataset.past_count(24, EVENTS[">=C1"]))
    return np.stack([peaks[0], count, peaks[1], peaks[2]], axis=1)


def logistic(dataset: PeakFluxSamples, split: Split) -> Forecaster:
    """Fit one logistic regression on four history features for each event."""
    note = "logistic regression on 4 history features; threshold of largest TSS on training"
    return _logistic("logistic", four_features(dataset), dataset, split, note)


def disc_totals(dataset: FDL1, split: Split) -> Forecaster:
    """Fit one logistic regression on the eight disc totals and four history features."""
    totals = dataset.disc_totals
    usual = np.nanmedian(totals[split.training], axis=0)
    features = np.column_stack(
        [np.where(np.isfinite(totals), totals, usual), four_features(dataset)]
    )
    note = (
        "logistic regression on the log10 of 8 disc totals and 4 history features; threshold of "
        "largest TSS on training"
    )
    return _logistic("disc totals", features, dataset, split, note)


def _logistic(
    name: str, features: np.ndarray, dataset: PeakFluxSamples, split: Split, note: str
) -> Forecaster:
    """Fit one logistic regression on some features (sample, feature) for each event."""
    y = dataset.log10_peak_flux
    probability, threshold = {}, {}
    for event_name, flux in EVENTS.items():
        event = y[split.training] >= np.log10(flux) - 1e-9
        if event.all() or not event.any():
            continue  # nothing to learn: the event never, or always, came in training
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(features[split.training], event)
        known = model.predict_proba(features[split.training])[:, 1]
        threshold[event_name] = threshold_of_largest_tss(known, event)
        probability[event_name] = model.predict_proba(features[split.test])[:, 1]
    return Forecaster(name, probability, threshold, note=note)


def persistence(dataset: PeakFluxSamples, split: Split) -> Forecaster:
    """Forecast that the last ``catch`` hours repeat themselves."""
    floor, last = dataset.window.floor_flux, dataset.past_peak(dataset.window.catch_h)[split.test]
    median = np.log10(np.maximum(last, floor))
    probability = {n: (median >= np.log10(f) - 1e-9).astype(float) for n, f in EVENTS.items()}
    error = np.abs(median - dataset.log10_peak_flux[split.test])
    note = "the largest flux of the last window comes again"
    half = dict.fromkeys(EVENTS, 0.5)
    return Forecaster("persistence", probability, half, median=median, crps=error, note=note)


def climatology(
    name: str, dataset: PeakFluxSamples, rows: np.ndarray, test: np.ndarray, bins: FluxBins
) -> Forecaster:
    """Forecast the frequencies of some rows, always."""
    share = bins.climatology(dataset.log10_peak_flux[rows])
    probability = np.tile(share, (len(test), 1))
    forecaster = distribution_forecaster(
        name, bins, probability, dataset.log10_peak_flux[test], None, note=""
    )
    # yes wherever the event is more frequent than not
    note = "always the same frequencies; yes where they are above one half"
    half = dict.fromkeys(EVENTS, 0.5)
    return Forecaster(name, forecaster.probability, half, forecaster.median, forecaster.crps, note)


def chance(network: Forecaster, generator: np.random.Generator) -> Forecaster:
    """Return the network's own forecasts at the wrong times: drawn by lot, without replacement."""
    order = generator.permutation(len(next(iter(network.probability.values()))))
    probability = {name: p[order] for name, p in network.probability.items()}
    note = "the network's forecasts, dealt out to the test times by lot"
    return Forecaster("chance", probability, network.threshold, note=note)


def distribution_forecaster(
    name: str,
    bins: FluxBins,
    probability: np.ndarray,
    log10_flux: np.ndarray,
    threshold: dict[str, float] | None,
    *,
    note: str,
) -> Forecaster:
    """Make a forecaster from (sample, bin) probabilities and what came, for its CRPS."""
    return Forecaster(
        name,
        class_probabilities(bins, probability),
        threshold or dict.fromkeys(EVENTS, 0.5),
        median=bins.quantile(probability, 0.5),
        crps=bins.crps(probability, log10_flux),
        note=note,
    )
