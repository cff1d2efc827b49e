"""What all training scripts of flux forecasts share: options, and the way from them to a report."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from network_models.training.search import SearchProblem
from tools.command_line import config_from, config_parser, option, quiet_start
from tools.search_range import among, between

if TYPE_CHECKING:
    from dataset_models.splits import Split
    from network_models.xray_flux_forecast.experiment import ForecastNetwork
    from network_models.xray_flux_forecast.forecast_data import ForecastData

__all__ = ["ForecastConfig", "ForecastScript", "forecast_search", "run_training_script"]

_MOST_YEARS = 2000
_CRASH_COST = 10.0  # nats: the constant answer, the climatology, has about 2.6


@dataclass(frozen=True)
class ForecastConfig:
    """Options that every forecast network shares; the command line is made from these fields."""

    data: str = option("", "the data; the virtual Sun if not given")
    side: str = option("", "CSV with a column 'time' and side columns for the network")
    class_scale: str = option(
        "operational", "flux scale of the classes", choices=("operational", "true")
    )
    gap_limit_s: float = option(300.0, "longest gap in X-ray samples that is no gap, s")
    virtual_years: float = option(55.0, "length of the virtual record: five cycles, years")
    virtual_seed: int = option(1, "seed of the virtual Sun")
    virtual_label: str = option(
        "peaks",
        "what virtual labels are taken from: flare peaks (exact limit) or the simulated flux "
        "series (simulated limit)",
        choices=("peaks", "flux"),
    )
    history_h: int = option(672, "hours of history: one solar rotation")
    delay_h: int = option(0, "hours from the issue time to the start of the label window")
    catch_h: int = option(24, "length of the label window, hours")
    cadence_h: int = option(6, "hours between issue times")
    floor_flux: float = option(1e-7, "fluxes below this count as this (B1), W m-2")
    test_from: str = option("", "date at which the test set begins; 60 %% of the record if empty")
    validation_years: tuple[int, ...] = option(
        (), "years for validation; every fourth before the test set if empty"
    )
    width: int = option(128, "units per hidden layer", search=among(32, 64, 128, 256))
    dropout: float = option(0.4, "share of units left out in training", search=between(0, 0.6))
    epochs: int = option(25, "passes through the training set")
    batch_size: int = option(256, "samples per step", search=among(64, 128, 256, 512))
    learning_rate: float = option(
        1e-3, "largest learning rate", search=between(1e-4, 1e-2, is_log=True)
    )
    weight_decay: float = option(
        1e-3, "decoupled weight decay", search=between(1e-5, 1e-1, is_log=True)
    )
    seed: int = option(0, "seed of weights, dropout, batch order and bootstrap")
    bootstrap_draws: int = option(1000, "resampled test sets")
    bootstrap_block_days: float = option(27.0, "length of a bootstrap block, days")
    skip_leak_table: bool = option(False, "do not show what a random split would have claimed")
    shuffle_labels: bool = option(
        False, "a control run: labels of training and validation are exchanged at random"
    )
    keep_epochs: int = option(0, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/xray_flux_forecast/trained_models", "where run folders are made"
    )
    new_run: bool = option(False, "start a new run even if this one exists")

    def __post_init__(self):
        for name in ("width", "epochs", "batch_size", "bootstrap_draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"--dropout must be at least 0 and below 1, got {self.dropout}")
        for name in ("learning_rate", "virtual_years", "gap_limit_s", "bootstrap_block_days"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"--{name.replace('_', '-')} must be positive and finite")
        if self.virtual_years > _MOST_YEARS:
            raise ValueError(f"--virtual-years takes at most {_MOST_YEARS} years")
        if self.keep_epochs < 0 or not 0 <= self.weight_decay < float("inf"):
            raise ValueError("--keep-epochs and --weight-decay must not be negative")
        for name in ("seed", "virtual_seed"):
            if not 0 <= getattr(self, name) < 2**32:
                raise ValueError(f"--{name.replace('_', '-')} takes 0 to 2^32 - 1")
        if not 0 < self.floor_flux <= 5e-7:
            raise ValueError(
                f"--floor-flux must be positive and at most 5e-7 W m-2 (B5), got {self.floor_flux}"
            )


@dataclass(frozen=True)
class ForecastScript:
    """What distinguishes one training script from another; a run names its script.

    Attributes
    ----------
    config_class : type
        The script's configuration, a ``ForecastConfig``.
    script : str
        Path of the script in the suite, for the command that repeats the run.
    description : str
    smoke : dict
        Other defaults for ``--smoke``; what is given on the command line still counts.
    prepare : callable
        Opens and splits the data; refuses wrong input before keras is imported.
    make_network : callable
        Gives the kind of network; may import keras.
    """

    config_class: type
    script: str
    description: str
    smoke: dict
    prepare: Callable[[ForecastConfig], tuple[ForecastData, Split]]
    make_network: Callable[[ForecastConfig], ForecastNetwork]

    def open(self, config: ForecastConfig) -> tuple[ForecastData, Split]:
        """Give the data as the network learns them, and their split."""
        data, split = self.prepare(config)
        if config.shuffle_labels:
            data.dataset.shuffle_labels([split.training, split.validation], config.seed)
        return data, split


def forecast_search(
    kind: ForecastScript, *, training_share: float = 1.0, **architecture: object
) -> SearchProblem:
    """Say how a script's network is searched: by the log score of the validation years."""
    return SearchProblem(
        script=kind.script,
        config_class=kind.config_class,
        task="network_models.xray_flux_forecast.forecast_search:ForecastTask",
        score="mean log score of the validation years, nats",
        crash_cost=_CRASH_COST,
        training_share=training_share,
        architecture=architecture,
        smoke=kind.smoke,
    )


def run_training_script(kind: ForecastScript, argv: Sequence[str] | None) -> int:
    """Read the command line, open the data, train, score and report; give the exit status."""
    started = time.time()
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = config_parser(kind.config_class, kind.description)
    parser.add_argument(
        "--smoke", action="store_true", help="a small run of a minute, to see that all works"
    )
    if parser.parse_args(arguments).smoke:
        parser.set_defaults(**kind.smoke)
    config = config_from(kind.config_class, parser.parse_args(arguments))
    command = " ".join(["python", kind.script, *(shlex.quote(a) for a in arguments)])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    data, split = kind.open(config)

    # keras and its backend take seconds to import; wrong input has been refused by now
    with quiet_start():
        from network_models.training.callbacks import TrainingStopped
        from network_models.xray_flux_forecast.experiment import run_experiment, sanity_check
        from network_models.xray_flux_forecast.report_sections import headline_figures

        network = kind.make_network(config)
    if getattr(config, "sanity", False):
        lines, learned = sanity_check(config, data.dataset, split, network)
        print("\n".join(lines))
        return 0 if learned else 1
    try:
        run = run_experiment(
            config, data, split, network, script=kind.script, command=command, started=started
        )
    except TrainingStopped as stop:
        print(
            f"Stopped after {stop.epochs_done} finished epochs, all saved. "
            f"To go on, give the same command again:\n  {command}"
        )
        return 128 + stop.signal_number
    for line in headline_figures(run.skill):
        print(line)
    print(f"Report: {run / 'report.html'}")
    return 0
