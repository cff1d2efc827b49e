"""The data of a problem, and what a training sees of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from dataset_models.solar_data import SolarData
    from dataset_models.splits import Split

__all__ = ["ProblemData", "TrainingView"]


@dataclass(frozen=True)
class ProblemData:
    """The data of a problem, opened.

    Attributes
    ----------
    dataset : SolarData
    split : Split
    more : object
        What only the problem itself knows of: the best possible forecast, for instance.
    """

    dataset: SolarData
    split: Split
    more: Any = None


@dataclass(frozen=True)
class TrainingView:
    """What a training sees where that is not the dataset as it stands.

    Attributes
    ----------
    dataset : SolarData
        Batches come from it: augmented, or scaled before.
    build : callable or None
        Builds the network for such batches; the problem's own if None.
    as_saved : callable or None
        From the trained network to the one that is saved, on the same weights.
    """

    dataset: SolarData
    build: Callable[[], keras.Model] | None = None
    as_saved: Callable[[keras.Model], keras.Model] | None = None
