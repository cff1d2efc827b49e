"""Flux forecasts as a search tries them: trained on known years, scored on validation years."""

from __future__ import annotations

import importlib
from dataclasses import replace

import keras
import numpy as np

from dataset_models.splits import Split, by_years
from network_models.smac.search_task import SearchTask
from network_models.training.fitting import TrainingOptions
from network_models.training.losses import BinnedLogScore
from network_models.training.search import SearchProblem
from network_models.xray_flux_forecast.flux_forecast import flux_bins
from network_models.xray_flux_forecast.training_script import ForecastConfig, ForecastScript
from tools.command_line import part_of

__all__ = ["ForecastTask"]


class ForecastTask(SearchTask):
    """A forecast's samples and networks; folds are of whole years.

    Parameters
    ----------
    problem : SearchProblem
        Of one of the scripts that train a forecast.
    config : ForecastConfig
        Names the data; all trials share it.
    """

    def __init__(self, problem: SearchProblem, config: ForecastConfig):
        module = problem.script.removesuffix(".py").replace("/", ".")
        self._script: ForecastScript = importlib.import_module(module).SCRIPT
        self._data, self.split = self._script.open(config)
        self.dataset = self._data.dataset
        self._bins = flux_bins(self.dataset.window.floor_flux)
        self._block_days = config.bootstrap_block_days

    def build(self, config: ForecastConfig, split: Split) -> keras.Model:
        """Build the network of a configuration."""
        kind = self._script.make_network(config)
        return kind.build(self.dataset, split.training, self._bins)

    def loss(self, config: ForecastConfig) -> keras.losses.Loss:
        """Give the log score."""
        return BinnedLogScore(list(self._bins.edges))

    def options(self, config: ForecastConfig) -> TrainingOptions:
        """Give the training options of a configuration."""
        return part_of(config, TrainingOptions)

    def fold(self, k: int, n: int) -> Split:
        """Validate on every n-th year before the test set, purged."""
        table = self.dataset.table
        year = table.time.astype("datetime64[Y]").astype(int) + 1970
        known = np.unique(year[np.concatenate([self.split.training, self.split.validation])])
        test = np.setdiff1d(np.unique(year[self.split.test]), known)
        known = np.setdiff1d(known, test)
        if len(known) < 2 * n:
            raise ValueError(
                f"{n} folds need at least {2 * n} years before the test set; there are {len(known)}"
            )
        split = by_years(table, validation_years=known[k::n].tolist(), test_years=test.tolist())
        inside = np.isin(split.training, self.split.test)  # of a test set that begins within a year
        return replace(split, training=split.training[~inside], test=self.split.test)

    def events(self, rows: np.ndarray) -> np.ndarray:
        """Give the block of the bootstrap, one solar rotation long, of each sample."""
        days = (self.dataset.times[rows] - self.dataset.times[0]) / np.timedelta64(1, "D")
        return (days // self._block_days).astype(int)
