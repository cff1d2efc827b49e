"""What the options of a training of scenes name: scenes, sets, network, optimizer."""

from __future__ import annotations

from collections.abc import Callable

import keras

from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.splits import Split, grouped
from network_models.image_classification.slic.slic_lite import build_slic_lite
from network_models.training.fitting import TrainingOptions
from tools.command_line import part_of
from tools.random_streams import random_stream

__all__ = [
    "builder_of",
    "open_scenes",
    "optimizer_of",
    "options_of",
    "scene_split",
    "small_network",
]

_SETS = {"validation_share": 0.12, "test_share": 0.16}


def open_scenes(config) -> SolarData:
    """Give the scenes that a configuration names."""
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


def scene_split(dataset: SolarData, seed: int) -> Split:
    """Put whole observations into training, validation and test."""
    return grouped(dataset.table, **_SETS, generator=random_stream(seed, "split of scenes"))


def options_of(config) -> TrainingOptions:
    """Give the training options of a configuration."""
    return part_of(config, TrainingOptions)


def builder_of(config) -> Callable[[], keras.Model]:
    """Give what builds the network."""
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


def small_network(config) -> keras.Model:
    """Build slic_lite in a configuration's size."""
    return build_slic_lite(
        widths=_scaled(config, (24, 48, 96)),
        n_maps=config.maps,
        n_blocks=config.blocks,
        dropout=config.dropout,
    )


def _scaled(config, numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(round(config.width * n), 1) for n in numbers)


def optimizer_of(config) -> Callable[[], keras.optimizers.Optimizer] | None:
    """Give what makes the optimizer, or None for the suite's own."""
    if config.optimizer == "adamw":
        return None
    return lambda: keras.optimizers.SGD(config.learning_rate, momentum=0.9, nesterov=True)
