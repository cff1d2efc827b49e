"""A finished forecast run opened again: its options, its samples, its split, its network."""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from dataset_models.splits import Split
    from network_models.xray_flux_forecast.forecast_data import ForecastData
    from network_models.xray_flux_forecast.training_script import ForecastConfig
    from tools.binned_distribution import FluxBins

__all__ = ["OpenedRun", "bins_of_run", "reopen_run"]


_FOLDER = "network_models/xray_flux_forecast"
_SCRIPTS = tuple(
    f"{_FOLDER}/{name}.py" for name in ("history_only", "fdl1/aia_only", "fdl1/aia_and_goes")
)


@dataclass(frozen=True)
class OpenedRun:
    """A run with the data that it was trained on.

    Attributes
    ----------
    run : RunFolder
    config : ForecastConfig
    data : ForecastData
    split : Split
    bins : FluxBins
    """

    run: RunFolder
    config: ForecastConfig
    data: ForecastData
    split: Split
    bins: FluxBins

    def network(self) -> keras.Model:
        """Load the best network."""
        from network_models.files.safe_loading import load_network

        return load_network(self.run.best_network)


def bins_of_run(run: RunFolder) -> FluxBins:
    """Give the flux bins of a run's forecasts."""
    from tools.binned_distribution import FluxBins

    bins = run.config.get("bins")
    if not isinstance(bins, dict):
        raise ValueError(f"{run.path} is no flux forecast: its config.json names no flux bins")
    return FluxBins(tuple(bins["edges"]), tail_index=bins["tail_index"])


def reopen_run(path: str) -> OpenedRun:
    """Open a finished run with the data that its options name.

    Raises
    ------
    FileNotFoundError
        If there is no such run, or real data are gone; the virtual Sun is rendered again.
    ValueError
        If it is no finished flux forecast, or its data are no longer what they were.
    """
    run = RunFolder(path)
    config = run.config
    script = config.get("script", "")
    if "members" in config:
        raise ValueError(f"{run.path} is an ensemble; give its members instead")
    if script not in _SCRIPTS:
        raise ValueError(
            f"{run.path} is no flux forecast: expected one of {', '.join(_SCRIPTS)} as the script "
            f"in its config.json, got {script!r}"
        )
    if not run.is_finished:
        raise ValueError(f"{run.path} is not finished; give its training command again")
    kind = importlib.import_module(script.removesuffix(".py").replace("/", ".")).SCRIPT
    names = {field.name for field in dataclasses.fields(kind.config_class)}
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config["options"].items()
        if name in names
    }
    options = kind.config_class(**options)
    data, split = kind.open(options)
    if data.dataset.fingerprint() != config["data"]["fingerprint"]:
        raise ValueError(
            f"{run.path}: its data are no longer what it was trained on (fingerprint "
            f"{data.dataset.fingerprint()}, then {config['data']['fingerprint']}); train it again"
        )
    return OpenedRun(run, options, data, split, bins_of_run(run))
