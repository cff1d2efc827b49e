"""What all flux forecasts share: options, and the problem that a training script makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from network_models.training.problem import Problem, ProblemData, SearchSettings, WithoutRun
from tools.later import later
from tools.options import LARGEST_SEED, Trainable, option
from tools.search_range import among, between

if TYPE_CHECKING:
    from network_models.xray_flux_forecast.forecast_network import ForecastNetwork

__all__ = ["ForecastConfig", "forecast_problem"]

_CRASH_COST = 10.0  # nats: the constant answer, the climatology, has about 2.6


@dataclass(frozen=True)
class ForecastConfig(Trainable):
    """Options that every forecast network shares; the command line is made from these fields."""

    data: str = option("", "the data; the virtual Sun if not given")
    side: str = option("", "CSV with a column 'time' and side columns for the network")
    class_scale: str = option(
        "operational", "flux scale of the classes", choices=("operational", "true")
    )
    gap_limit_s: float = option(300.0, "longest gap in X-ray samples that is no gap, s", above=0)
    virtual_years: float = option(
        55.0, "length of the virtual record: five cycles, years", above=0, most=2000
    )
    virtual_seed: int = option(1, "seed of the virtual Sun", least=0, most=LARGEST_SEED)
    virtual_label: str = option(
        "peaks",
        "what virtual labels are taken from: flare peaks (exact limit) or the simulated flux "
        "series (simulated limit)",
        choices=("peaks", "flux"),
    )
    history_h: int = option(672, "hours of history: one solar rotation", least=1)
    delay_h: int = option(0, "hours from the issue time to the start of the label window", least=0)
    catch_h: int = option(24, "length of the label window, hours", least=1)
    cadence_h: int = option(6, "hours between issue times", least=1)
    floor_flux: float = option(
        1e-7, "fluxes below this count as this (B1), W m-2", above=0, most=5e-7
    )
    test_from: str = option("", "date at which the test set begins; 60 % of the record if empty")
    validation_years: tuple[int, ...] = option(
        (), "years for validation; every fourth before the test set if empty"
    )
    width: int = option(128, "units per hidden layer", search=among(32, 64, 128, 256), least=1)
    dropout: float = option(
        0.4, "share of units left out in training", search=between(0, 0.6), least=0, below=1
    )
    epochs: int = option(25, "passes through the training set")
    batch_size: int = option(256, "samples per step", search=among(64, 128, 256, 512), least=1)
    learning_rate: float = option(
        1e-3, "largest learning rate", search=between(1e-4, 1e-2, is_log=True)
    )
    weight_decay: float = option(
        1e-3, "decoupled weight decay", search=between(1e-5, 1e-1, is_log=True)
    )
    seed: int = option(0, "seed of weights, dropout, batch order and bootstrap")
    bootstrap_draws: int = option(1000, "resampled test sets", least=1)
    bootstrap_block_days: float = option(27.0, "length of a bootstrap block, days", above=0)
    skip_leak_table: bool = option(False, "do not show what a random split would have claimed")
    shuffle_labels: bool = option(
        False, "a control run: labels of training and validation are exchanged at random"
    )
    keep_epochs: int = option(0, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/xray_flux_forecast/trained_models", "where run folders are made"
    )


def forecast_problem(
    name: str,
    *,
    script: str,
    description: str,
    config: type[ForecastConfig],
    prepare: Callable[[Any], ProblemData],
    network: Callable[[Any], ForecastNetwork],
    smoke: Mapping[str, object],
    dataset: str,
    training_share: float = 1.0,
    architecture: Mapping[str, object] | None = None,
) -> Problem:
    """Make the problem of a training script of flux forecasts.

    Parameters
    ----------
    name, script, description, config, smoke
        As for ``Problem``.
    prepare : callable
        Opens and splits the data that a configuration names; ``more`` is the limit of what can be
        forecast, or None.
    network : callable
        From a configuration to the kind of network.
    dataset : str
        Script of the dataset.
    training_share, architecture
        Of a search, as for ``SearchSettings``.
    """

    def open_data(options: ForecastConfig) -> ProblemData:
        data = prepare(options)
        if options.shuffle_labels:
            sets = [data.split.training, data.split.validation]
            data.dataset.shuffle_labels(sets, options.seed)
        return data

    def sanity(options: ForecastConfig, data: ProblemData) -> WithoutRun | None:
        if not getattr(options, "sanity", False):
            return None
        return later("network_models.xray_flux_forecast.experiment:check_sanity")(
            options, data, network(options)
        )

    return Problem(
        name=name,
        script=script,
        description=description,
        config=config,
        open=open_data,
        build=lambda options, data: later("network_models.xray_flux_forecast.experiment:build")(
            network(options), data
        ),
        loss=later("network_models.xray_flux_forecast.experiment:log_score"),
        evaluate=lambda trained: later(
            "network_models.xray_flux_forecast.experiment:evaluate_forecast"
        )(trained, network(trained.config)),
        targets=later("network_models.xray_flux_forecast.experiment:targets_of"),
        sample=later("network_models.xray_flux_forecast.samples:FluxSamples"),
        notes=lambda options, data: later("network_models.xray_flux_forecast.experiment:notes_of")(
            network(options), data
        ),
        without_run=sanity,
        datasets=(dataset,),
        smoke=smoke,
        search=SearchSettings(
            score="mean log score of the validation years, nats",
            crash_cost=_CRASH_COST,
            training_share=training_share,
            architecture=architecture or {},
            smoke=smoke,
            folds=later("network_models.xray_flux_forecast.experiment:year_folds"),
            events=later("network_models.xray_flux_forecast.experiment:rotation_blocks"),
        ),
    )
