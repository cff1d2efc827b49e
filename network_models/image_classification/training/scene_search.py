"""Classifiers of scenes as a search tries them: scored on whole observations of their own."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from dataset_models.solar_data import SolarData
from dataset_models.splits import Split
from network_models.image_classification.training.scene_setup import (
    builder_of,
    open_scenes,
    optimizer_of,
    options_of,
    scene_split,
)
from network_models.image_classification.training.turned_scenes import TurnedScenes
from network_models.smac.search_task import SearchTask
from network_models.training.fitting import TrainingOptions
from network_models.training.search import SearchProblem
from tools.random_streams import random_stream

__all__ = ["SceneTask"]


class SceneTask(SearchTask):
    """Labelled scenes and classifiers; folds are of whole observations.

    Parameters
    ----------
    problem : SearchProblem
    config : SceneConfig
    """

    def __init__(self, problem: SearchProblem, config: object):
        self.dataset = open_scenes(config)
        if not config.data:
            self.dataset.draw()
        self.split = scene_split(self.dataset, config.seed)
        self._seed = config.seed

    def build(self, config: object, split: Split) -> keras.Model:
        """Build the network of a configuration."""
        return builder_of(config)()

    def loss(self, config: object) -> keras.losses.Loss:
        """Give the cross-entropy."""
        return keras.losses.CategoricalCrossentropy()

    def options(self, config: object) -> TrainingOptions:
        """Give the training options of a configuration."""
        return options_of(config)

    def optimizer(self, config: object, n_steps: int) -> keras.optimizers.Optimizer | None:
        """Give the training's optimizer."""
        make = optimizer_of(config)
        return None if make is None else make()

    def fold(self, k: int, n: int) -> Split:
        """Validate on one of n parts of the observations that are not in the test set."""
        known = np.sort(np.concatenate([self.split.training, self.split.validation]))
        groups = np.unique(self.dataset.table.group[known])
        if len(groups) < 2 * n:
            raise ValueError(
                f"{n} folds need at least {2 * n} observations outside the test set; there are "
                f"{len(groups)}"
            )
        order = random_stream(self._seed, "folds of observations").permutation(len(groups))
        chosen = np.isin(self.dataset.table.group[known], groups[order[k::n]])
        return replace(self.split, training=known[~chosen], validation=known[chosen])

    def training_data(self) -> SolarData:
        """Give scenes that are turned in training."""
        return TurnedScenes(self.dataset)
