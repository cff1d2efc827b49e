"""What the options of a training of scenes name: scenes, sets, network, optimizer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from dataset_models.splits import Split, grouped
from network_models.image_classification.slic.slic_lite import build_slic_lite
from network_models.image_classification.training.scaled_scenes import scaled_before
from network_models.image_classification.training.turned_scenes import TurnedScenes
from network_models.training.problem import ProblemData, TrainingView
from network_models.training.targets import Target, class_targets
from tools.options import Trainable
from tools.random_streams import random_stream

if TYPE_CHECKING:
    from network_models.image_classification.slic.train import SceneConfig

__all__ = [
    "build",
    "builder_of",
    "cross_entropy",
    "observation_folds",
    "open_data",
    "optimizer_of",
    "small_network",
    "targets_of",
    "training_view",
]

logger = logging.getLogger(__name__)

_SETS = {"validation_share": 0.12, "test_share": 0.16}


def open_data(config: SceneConfig) -> ProblemData:
    """Open the scenes that a configuration names; whole observations make the sets."""
    dataset = _open_scenes(config)
    generator = random_stream(config.seed, "split of scenes")
    return ProblemData(dataset, grouped(dataset.table, **_SETS, generator=generator))


def build(config: SceneConfig, data: ProblemData | None) -> keras.Model:
    """Build the network of a configuration."""
    return builder_of(config)()


def cross_entropy(config: Trainable, data: ProblemData) -> keras.losses.Loss:
    """Return the cross-entropy of the classes."""
    return keras.losses.CategoricalCrossentropy()


def targets_of(config: SceneConfig, data: ProblemData | None) -> dict[str, Target]:
    """Return the probability of each class."""
    return class_targets(OUTPUTS)


def training_view(config: SceneConfig, data: ProblemData, is_trial: bool) -> TrainingView:
    """Draw generated scenes, and turn all in training; a run scales them once before."""
    dataset = data.dataset
    if not config.data:
        logger.info("Drawing %d scenes (synthetic)", len(dataset.table))
        dataset.draw()
    if is_trial:
        return TrainingView(TurnedScenes(dataset))
    _require_classes(dataset, data.split)
    if config.data:  # files are read as they are needed
        return TrainingView(TurnedScenes(dataset))
    seen, builder, as_saved = scaled_before(dataset, builder_of(config))
    return TrainingView(TurnedScenes(seen), builder, as_saved)


def observation_folds(config: SceneConfig, data: ProblemData, k: int, n: int) -> Split:
    """Validate on one of n parts of the observations that are not in the test set.

    Raises
    ------
    ValueError
        If there are too few observations.
    """
    split, group = data.split, data.dataset.table.group
    known = np.sort(np.concatenate([split.training, split.validation]))
    groups = np.unique(group[known])
    if len(groups) < 2 * n:
        raise ValueError(
            f"{n} folds need at least {2 * n} observations outside the test set; there are "
            f"{len(groups)}"
        )
    order = random_stream(config.seed, "folds of observations").permutation(len(groups))
    chosen = np.isin(group[known], groups[order[k::n]])
    return replace(split, training=known[~chosen], validation=known[chosen])


def _require_classes(dataset: SolarData, split: Split) -> None:
    """Refuse sets of whole observations in which classes are missing.

    Raises
    ------
    ValueError
        If training lacks a class that there is, or another set has fewer than two of the five.
    """
    held = {name: set(dataset.primary[rows].tolist()) for name, rows in split.sets.items()}
    there = set().union(*held.values())
    missing = [OUTPUTS[k] for k in sorted(there - held["training"])]
    five = set(range(len(CLASSES)))
    poor = [name for name in ("validation", "test") if len(held[name] & five) < 2]
    if missing or poor:
        n = len(np.unique(dataset.table.group))
        lack = f"training lacks {', '.join(missing)}" if missing else ""
        few = f"{' and '.join(poor)} have fewer than two classes" if poor else ""
        raise ValueError(
            f"whole observations make the sets, and with {n} observations "
            f"{' and '.join(filter(None, [lack, few]))}: give more observations of each class, or "
            "a CSV whose column group names the observation of each file"
        )


def _open_scenes(config: SceneConfig) -> SolarData:
    """Return the scenes that a configuration names."""
    from dataset_models.solar_scenes.generated import GeneratedScenes
    from dataset_models.solar_scenes.labelled_scenes import open_labelled_scenes

    size = config.size if config.network == "slic_lite" else 256
    if not config.data:
        return GeneratedScenes(
            config.scene_seed,
            n_observations=config.observations,
            frames_per_observation=config.frames,
            size=size,
            difficulty=config.difficulty,
        )
    return open_labelled_scenes(config.data, size=size)


def builder_of(config: SceneConfig) -> Callable[[], keras.Model]:
    """Return what builds the network."""
    if config.network == "slic_lite":
        return lambda: small_network(config)
    from network_models.image_classification.slic.vgg13 import as_classifier, build_slic_vgg13

    slic = {
        "tied": config.network == "vgg13",
        "widths": _scaled(config, (64, 128, 256, 512)),
        "hidden": _scaled(config, (4096,))[0],
        "n_outputs": len(OUTPUTS),
    }
    return lambda: as_classifier(build_slic_vgg13(**slic))


def small_network(config: SceneConfig) -> keras.Model:
    """Build slic_lite in a configuration's size."""
    return build_slic_lite(
        widths=_scaled(config, (24, 48, 96)),
        n_maps=config.maps,
        n_blocks=config.blocks,
        dropout=config.dropout,
    )


def _scaled(config: SceneConfig, numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(round(config.width * n), 1) for n in numbers)


def optimizer_of(config: SceneConfig, n_steps: int) -> keras.optimizers.Optimizer | None:
    """Return Slic's optimizer where it is asked for, or None for the suite's own."""
    if config.optimizer == "adamw":
        return None
    return keras.optimizers.SGD(config.learning_rate, momentum=0.9, nesterov=True)
