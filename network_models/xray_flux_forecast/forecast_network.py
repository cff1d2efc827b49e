"""What distinguishes one forecast network from another: how it is built, what it has to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

    from dataset_models.GOES.flare_history import FlareHistory
    from network_models.training.fitting import TrainingOptions
    from tools.binned_distribution import FluxBins

__all__ = ["ForecastNetwork", "Rival"]


@dataclass(frozen=True)
class Rival:
    """A network on the flare history alone that a network on images has to beat.

    Attributes
    ----------
    build : callable
        ``build(dataset, training rows, bins)`` gives the network.
    options : TrainingOptions
    """

    build: Callable[[FlareHistory, np.ndarray, FluxBins], keras.Model]
    options: TrainingOptions


@dataclass(frozen=True)
class ForecastNetwork:
    """What distinguishes one forecast network from another.

    Attributes
    ----------
    name : str
        Shown in the report.
    build : callable
        ``build(dataset, training rows, bins)`` gives the network.
    features : callable
        ``features(dataset, rows)`` gives the vectors that "unlike training" is judged by.
    rival : Rival, optional
        Trained and scored beside it; it also shows what a leak is worth.
    """

    name: str
    build: Callable[[FlareHistory, np.ndarray, FluxBins], keras.Model]
    features: Callable[[FlareHistory, np.ndarray], np.ndarray]
    rival: Rival | None = None
