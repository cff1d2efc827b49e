"""Networks of emission measure as a search tries them: fresh simulated pixels, scored on others."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from dataset_models.splits import Split
from network_models.dem_regression.emission_network import build_emission_network
from network_models.dem_regression.experiment import (
    loss_of,
    open_pixels,
    optimizer_of,
    options_of,
    size_of,
)
from network_models.dem_regression.simulated_pixels import SimulatedPixels
from network_models.smac.search_task import SearchTask
from network_models.training.fitting import TrainingOptions
from network_models.training.search import SearchProblem

__all__ = ["EmissionTask"]


class EmissionTask(SearchTask):
    """Simulated pixels and networks; a fold leaves out every n-th block.

    Parameters
    ----------
    problem : SearchProblem
    config : EmissionConfig
    """

    dataset: SimulatedPixels

    def __init__(self, problem: SearchProblem, config: object):
        self.dataset = open_pixels(config)
        self.split = self.dataset.split()

    def build(self, config: object, split: Split) -> keras.Model:
        """Build the network of a configuration."""
        return build_emission_network(size_of(config))

    def loss(self, config: object) -> keras.losses.Loss:
        """Give the training's loss."""
        return loss_of(config)

    def options(self, config: object) -> TrainingOptions:
        """Give the training options of a configuration."""
        return options_of(config)

    def optimizer(self, config: object, n_steps: int) -> keras.optimizers.Optimizer:
        """Give the training's optimizer."""
        return optimizer_of(config, n_steps)

    def fold(self, k: int, n: int) -> Split:
        """Validate on every n-th block that is not in the test set."""
        known = np.sort(np.concatenate([self.split.training, self.split.validation]))
        chosen = np.arange(len(known)) % n == k
        return replace(self.split, training=known[~chosen], validation=known[chosen])
