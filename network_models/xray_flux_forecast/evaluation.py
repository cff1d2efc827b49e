"""Scores of a trained forecast beside all baselines and, on the virtual Sun, the limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.GOES.flare_history import PeakFluxSamples
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.splits import Split
from dataset_models.virtual_sun.limit import ForecastLimit
from network_models.xray_flux_forecast.baselines import (
    chance,
    climatology,
    disc_totals,
    distribution_forecaster,
    logistic,
    persistence,
)
from network_models.xray_flux_forecast.flux_forecast import class_probabilities
from tools.binned_distribution import FluxBins
from tools.random_streams import random_stream
from tools.score_card import EVENTS, Forecaster, Observations, score_card
from tools.skill import roc_curve, threshold_of_largest_tss

__all__ = ["Evaluation", "evaluate", "limit_forecaster", "network_forecaster", "observations_of"]


@dataclass(frozen=True)
class Evaluation:
    """All forecasters on the test set and their score card."""

    forecasters: list[Forecaster]
    observations: Observations
    card: dict

    def roc_curves(self, names: list[str]) -> dict:
        """Return ROC curves of the named forecasters for events that came at all."""
        out: dict = {}
        for event in EVENTS:
            came = self.observations.event(event)
            if came.any() and not came.all():
                out[event] = {
                    f.name: roc_curve(f.probability[event], came)[:2]
                    for f in self.forecasters
                    if f.name in names and event in f.probability
                }
        return out


def evaluate(
    dataset: PeakFluxSamples,
    split: Split,
    bins: FluxBins,
    *,
    training_output: np.ndarray,
    test_output: np.ndarray,
    limit: ForecastLimit | None,
    rivals: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
    n_draws: int,
    block_days: float,
    seed: int,
) -> Evaluation:
    """Score the network and all baselines on the test set.

    Parameters
    ----------
    training_output, test_output : (sample, bin) float
        The network's distributions; thresholds are fixed on the first.
    rivals : dict
        Training and test output of further networks, by name.
    limit : ForecastLimit or None
        The best possible forecast, where the Sun is virtual.
    """
    y = dataset.log10_peak_flux
    network = network_forecaster(dataset, split, bins, training_output, test_output)
    forecasters = [
        network,
        logistic(dataset, split),
        persistence(dataset, split),
        climatology("climatology (training)", dataset, split.training, split.test, bins),
        climatology("climatology (test)", dataset, split.test, split.test, bins),
        chance(network, random_stream(seed, "chance")),
    ]
    for name, outputs in (rivals or {}).items():
        forecasters.insert(1, network_forecaster(dataset, split, bins, *outputs, name=name))
    if isinstance(dataset, FDL1):
        forecasters.insert(1, disc_totals(dataset, split))
    pairs = [("network", f.name) for f in forecasters[1:]]
    if limit is not None:
        best = limit_forecaster(dataset, split, bins, limit)
        forecasters.insert(0, best)
        pairs += [("network", best.name), ("logistic", best.name)]
    observations = observations_of(dataset, split.training, split.test, y)
    card = score_card(
        observations,
        forecasters,
        generator=random_stream(seed, "bootstrap"),
        pairs=pairs,
        n_draws=n_draws,
        block_days=block_days,
    )
    return Evaluation(forecasters, observations, card)


def network_forecaster(
    dataset: PeakFluxSamples,
    split: Split,
    bins: FluxBins,
    training_output: np.ndarray,
    test_output: np.ndarray,
    *,
    name: str = "network",
) -> Forecaster:
    """Make the network's forecaster; its thresholds have the largest TSS on the training set."""
    y = dataset.log10_peak_flux
    known = class_probabilities(bins, training_output)
    threshold = {
        event: threshold_of_largest_tss(known[event], y[split.training] >= np.log10(flux) - 1e-9)
        for event, flux in EVENTS.items()
    }
    note = "threshold of largest TSS on training"
    return distribution_forecaster(name, bins, test_output, y[split.test], threshold, note=note)


def limit_forecaster(
    dataset: PeakFluxSamples, split: Split, bins: FluxBins, limit: ForecastLimit
) -> Forecaster:
    """Make the best possible forecaster; yes where an event is likelier than in training."""
    above = limit.exceedances(
        dataset.record,
        dataset.times[split.test],
        fluxes=10.0 ** np.array(bins.edges),
        delay_h=dataset.window.delay_h,
        catch_h=dataset.window.catch_h,
    )
    y = dataset.log10_peak_flux
    rate = {n: (y[split.training] >= np.log10(f) - 1e-9).mean() for n, f in EVENTS.items()}
    what = "closed form" if limit.name == "exact" else f"{limit.n_futures} simulated futures each"
    return distribution_forecaster(
        limit.name,
        bins,
        bins.from_exceedances(above),
        y[split.test],
        {name: float(value) for name, value in rate.items()},
        note=f"best possible forecast of this virtual Sun ({what}); yes above the training rate",
    )


def observations_of(
    dataset: PeakFluxSamples, training: np.ndarray, test: np.ndarray, y: np.ndarray
) -> Observations:
    """Return what came true on the test set, with the training set's base rates."""
    rates = {
        name: float((y[training] >= np.log10(flux) - 1e-9).mean()) for name, flux in EVENTS.items()
    }
    return Observations(dataset.times[test], y[test], rates)
