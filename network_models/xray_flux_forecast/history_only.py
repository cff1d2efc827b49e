"""Train a forecast of the coming peak X-ray flux from flare history alone.

    python network_models/xray_flux_forecast/history_only.py                     (virtual Sun)
    python network_models/xray_flux_forecast/history_only.py --data FLARES.csv   (real record)

The same command goes on where a killed one stopped, and shows a finished run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from network_models.xray_flux_forecast.training_script import (
    ForecastConfig,
    ForecastScript,
    forecast_search,
    run_training_script,
)
from tools.command_line import option, part_of, run_script
from tools.search_range import among

SMOKE = {"virtual_years": 11.0, "epochs": 4, "bootstrap_draws": 200, "width": 32}


@dataclass(frozen=True)
class HistoryConfig(ForecastConfig):
    """Options of the training; the command line is made from these fields."""

    data: str = option(
        "", "flare list (CSV), GOES X-ray file or folder of them; the virtual Sun if not given"
    )
    depth: int = option(2, "hidden layers", search=among(1, 2, 3, 4))

    def __post_init__(self):
        super().__post_init__()
        if self.depth < 1:
            raise ValueError("--depth must be 1 or more")


def main(argv: Sequence[str] | None = None) -> int:
    """Train, score and report; give the exit status."""
    return run_training_script(SCRIPT, argv)


def _prepare(config: HistoryConfig):
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
    return data, split


def _make_network(config: HistoryConfig):
    from network_models.xray_flux_forecast.experiment import ForecastNetwork
    from network_models.xray_flux_forecast.history_network import (
        build_history_network,
        novelty_features,
    )

    return ForecastNetwork(
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


SCRIPT = ForecastScript(
    HistoryConfig,
    script="network_models/xray_flux_forecast/history_only.py",
    description=__doc__.splitlines()[0],
    smoke=SMOKE,
    prepare=_prepare,
    make_network=_make_network,
)
SEARCH = forecast_search(SCRIPT)

if __name__ == "__main__":
    run_script(main)
