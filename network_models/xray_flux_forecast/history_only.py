"""Train a forecast of the coming peak X-ray flux from flare history alone.

    python network_models/xray_flux_forecast/history_only.py                     (virtual Sun)
    python network_models/xray_flux_forecast/history_only.py --data FLARES.csv   (real record)

The same command goes on where a killed one stopped, and shows a finished run again.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_models.training.problem import ProblemData
from network_models.xray_flux_forecast.forecast_problem import ForecastConfig, forecast_problem
from tools.command_line import run_script
from tools.options import option, part_of
from tools.search_range import among

SMOKE = {"virtual_years": 11.0, "epochs": 4, "bootstrap_draws": 200, "width": 32}


@dataclass(frozen=True)
class HistoryConfig(ForecastConfig):
    """Options of the training; the command line is made from these fields."""

    data: str = option(
        "", "flare list (CSV), GOES X-ray file or folder of them; the virtual Sun if not given"
    )
    depth: int = option(2, "hidden layers", search=among(1, 2, 3, 4), least=1)


def _prepare(config: HistoryConfig) -> ProblemData:
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
    return ProblemData(data.dataset, split, data.limit)


def _network(config: HistoryConfig):
    from network_models.xray_flux_forecast.forecast_network import ForecastNetwork
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


PROBLEM = forecast_problem(
    "flux forecast from flare history",
    script=__file__,
    description=__doc__.splitlines()[0],
    config=HistoryConfig,
    prepare=_prepare,
    network=_network,
    smoke=SMOKE,
    dataset="dataset_models/GOES/flare_history.py",
)

main = PROBLEM.main

if __name__ == "__main__":
    run_script(main)
