"""Train a forecast of the coming peak X-ray flux from flare history alone.

    python network_models/xray_flux_forecast/history_only.py                     (virtual Sun)
    python network_models/xray_flux_forecast/history_only.py --data FLARES.csv   (real record)

The same command goes on where a killed one stopped, and shows a finished run again.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.command_line import (
    config_from,
    config_parser,
    option,
    part_of,
    quiet_start,
    run_script,
)

_SCRIPT = "network_models/xray_flux_forecast/history_only.py"


@dataclass(frozen=True)
class HistoryConfig:
    """Options of the training; the command line is made from these fields."""

    data: str = option(
        "", "flare list (CSV), GOES X-ray file or folder of them; the virtual Sun if not given"
    )
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
    width: int = option(128, "units per hidden layer")
    depth: int = option(2, "hidden layers")
    dropout: float = option(0.4, "share of units left out in training")
    epochs: int = option(25, "passes through the training set")
    batch_size: int = option(256, "samples per step")
    learning_rate: float = option(1e-3, "largest learning rate")
    weight_decay: float = option(1e-3, "decoupled weight decay")
    seed: int = option(0, "seed of weights, dropout, batch order and bootstrap")
    bootstrap_draws: int = option(1000, "resampled test sets")
    bootstrap_block_days: float = option(27.0, "length of a bootstrap block, days")
    skip_leak_table: bool = option(False, "do not show what a random split would have claimed")
    keep_epochs: int = option(0, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/xray_flux_forecast/trained_models", "where run folders are made"
    )
    new_run: bool = option(False, "start a new run even if this one exists")

    def __post_init__(self):
        for name in ("width", "depth", "epochs", "batch_size", "bootstrap_draws"):
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


_MOST_YEARS = 2000
SMOKE = {"virtual_years": 11.0, "epochs": 4, "bootstrap_draws": 200, "width": 32}


def main(argv: Sequence[str] | None = None) -> int:
    """Train, score and report; give the exit status."""
    started = time.time()
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = config_parser(HistoryConfig, __doc__.splitlines()[0])
    parser.add_argument(
        "--smoke", action="store_true", help="a small run of a minute, to see that all works"
    )
    if parser.parse_args(arguments).smoke:
        parser.set_defaults(**SMOKE)  # what is given on the command line still counts
    config = config_from(HistoryConfig, parser.parse_args(arguments))
    command = " ".join(["python", _SCRIPT, *(shlex.quote(a) for a in arguments)])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return _run(config, command, started)


def _run(config: HistoryConfig, command: str, started: float) -> int:
    from dataset_models.GOES.flare_history import HistoryWindow
    from network_models.xray_flux_forecast.forecast_data import (
        DataOptions,
        default_split,
        open_data,
    )

    data = open_data(part_of(config, DataOptions), part_of(config, HistoryWindow))
    split = default_split(
        data.dataset, test_from=config.test_from, validation_years=config.validation_years
    )

    # keras and its backend take seconds to import; wrong input has been refused by now
    with quiet_start():
        from network_models.training_callbacks import TrainingStopped
        from network_models.xray_flux_forecast.experiment import ForecastNetwork, run_experiment
        from network_models.xray_flux_forecast.history_network import (
            build_history_network,
            novelty_features,
        )
        from network_models.xray_flux_forecast.report_sections import headline_figures

    kind = ForecastNetwork(
        name="flare history",
        build=lambda dataset, rows, bins: build_history_network(
            dataset,
            rows,
            bins,
            width=config.width,
            depth=config.depth,
            dropout=config.dropout,
        ),
        features=novelty_features,
    )
    try:
        run = run_experiment(config, data, split, kind, command=command, started=started)
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


if __name__ == "__main__":
    run_script(main)
