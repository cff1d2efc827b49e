"""Train a network that starts Milne-Eddington fits, on profiles of the model itself (synthetic).

    python network_models/milne_eddington_start/train.py [--smoke]

``package.py RUN`` puts a finished run's network where ``start.py`` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_models.training.problem import Problem
from tools.command_line import run_script
from tools.later import later
from tools.options import Trainable, option


@dataclass(frozen=True)
class StartConfig(Trainable):
    """Options of the training; the command line is made from these fields."""

    training_pixels: int = option(600000, "drawn pixels of the training set", least=64)
    validation_pixels: int = option(8000, "drawn pixels of the validation set", least=16)
    test_pixels: int = option(8000, "drawn pixels of the test set", least=64)
    width: int = option(224, "units of a hidden layer", least=1)
    hidden_layers: int = option(3, "hidden layers", least=1)
    epochs: int = option(22, "passes through the training set", least=1)
    batch_size: int = option(512, "pixels per step", least=1)
    learning_rate: float = option(2e-3, "largest learning rate", above=0, most=1)
    weight_decay: float = option(1e-4, "decoupled weight decay", least=0)
    seed: int = option(0, "seed of atmospheres, noise, weights and batch order", least=0)
    output: str = option(
        "network_models/milne_eddington_start/trained_models", "where run folders are made"
    )


PROBLEM = Problem(
    name="start of Milne-Eddington fits",
    script=__file__,
    description=__doc__.splitlines()[0],
    config=StartConfig,
    open=later("network_models.milne_eddington_start.experiment:open_data"),
    build=later("network_models.milne_eddington_start.experiment:build"),
    loss=later("network_models.milne_eddington_start.experiment:loss_of"),
    targets=later("network_models.milne_eddington_start.experiment:targets_of"),
    evaluate=later("network_models.milne_eddington_start.evaluation:evaluate_starts"),
    sample=later("network_models.milne_eddington_start.samples:ProfileSamples"),
    smoke={
        "training_pixels": 2000,
        "validation_pixels": 200,
        "test_pixels": 200,
        "width": 32,
        "epochs": 2,
        "batch_size": 64,
    },
)

main = PROBLEM.main

if __name__ == "__main__":
    run_script(main)
