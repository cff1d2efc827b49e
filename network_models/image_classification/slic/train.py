"""Train a classifier of solar scenes, calibrate it, and report it beside hand-made features.

    python network_models/image_classification/slic/train.py [--network vgg13] [--data FOLDER]

Without ``--data`` the scenes are the embedded generator's (synthetic). The run's folder holds
``best_performing.keras``, calibrated, which ``classify.py`` takes. The same command goes on where a
stopped one was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from network_models.training.command import run_training
from network_models.training.search import SearchProblem
from tools.command_line import option, run_script
from tools.search_range import among, between

SMOKE = {"observations": 240, "epochs": 2, "bootstrap_draws": 100, "leak_observations": 60}
NETWORKS = ("slic_lite", "vgg13", "vgg13_untied")


@dataclass(frozen=True)
class SceneConfig:
    """Options of the training; the command line is made from these fields."""

    network: str = option("slic_lite", "which network", choices=NETWORKS)
    data: str = option(
        "", "class folders, CSV of files or of tiles of stores, Slic's .npz; else the generator"
    )
    observations: int = option(13000, "observations that the generator draws")
    frames: int = option(1, "frames of each observation")
    difficulty: str = option("standard", "of the generator: standard, harder, or a JSON file")
    scene_seed: int = option(58, "seed of the generator")
    size: int = option(96, "pixels along a side; the vgg13 networks always take 256")
    width: float = option(
        1.0,
        "times the feature maps (and Slic's hidden numbers)",
        search=among(0.5, 0.75, 1.0, 1.25),
    )
    blocks: int = option(
        3,
        "separable residual blocks of slic_lite",
        search=among(1, 2, 3, 4, when=("network", "==", "slic_lite")),
    )
    maps: int = option(
        128,
        "maps of slic_lite before the means and maxima",
        search=among(32, 64, 128, 192, when=("network", "==", "slic_lite")),
    )
    dropout: float = option(
        0.2,
        "share of units left out in training",
        search=between(0, 0.6, when=("network", "==", "slic_lite")),
    )
    epochs: int = option(19, "passes through the training set")
    batch_size: int = option(32, "scenes per step; Slic's 2", search=among(8, 16, 32, 64))
    learning_rate: float = option(
        2e-3, "largest learning rate", search=between(3e-4, 2e-2, is_log=True)
    )
    weight_decay: float = option(
        1e-3,
        "decoupled weight decay",
        search=between(1e-5, 1e-1, is_log=True, when=("optimizer", "==", "adamw")),
    )
    optimizer: str = option(
        "adamw",
        "adamw, or Slic's plain SGD with Nesterov momentum 0.9",
        choices=("adamw", "sgd"),
        search=among("adamw", "sgd", is_ordered=False),
    )
    leak_observations: int = option(
        240, "observations of the harder scenes that show what a leak is worth; 0 leaves it out"
    )
    bootstrap_draws: int = option(1000, "draws of events for 95 % intervals")
    seed: int = option(0, "seed of weights, split and batch order")
    keep_epochs: int = option(2, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/image_classification/slic/trained_models", "where run folders are made"
    )
    new_run: bool = option(False, "start a new run even if this one exists")

    def __post_init__(self):
        for name in ("observations", "frames", "epochs", "batch_size", "bootstrap_draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
        if self.blocks < 0 or self.maps < 1:
            raise ValueError("--blocks must not be negative and --maps must be 1 or more")
        if self.size < 32:
            raise ValueError(f"--size must be 32 pixels or more, got {self.size}")
        if not 0 < self.learning_rate < 1:
            raise ValueError("--learning-rate must be positive and below 1")
        if not 0 <= self.dropout < 1:
            raise ValueError("--dropout must be at least 0 and below 1")
        if not 0.01 <= self.width <= 4:
            raise ValueError("--width must be 0.01 to 4")
        if self.keep_epochs < 0 or not 0 <= self.weight_decay < float("inf"):
            raise ValueError("--keep-epochs and --weight-decay must not be negative")
        if self.leak_observations and self.leak_observations < 30:
            raise ValueError("--leak-observations must be 30 or more, or 0")
        if not 0 <= self.seed < 2**32 or not 0 <= self.scene_seed < 2**32:
            raise ValueError("--seed and --scene-seed take 0 to 2^32 - 1")


SEARCH = SearchProblem(
    script="network_models/image_classification/slic/train.py",
    config_class=SceneConfig,
    task="network_models.image_classification.training.scene_search:SceneTask",
    score="mean cross-entropy of validation observations, nats",
    crash_cost=8.0,  # the constant answer has about 1.8
    # other scenes than a training has
    options={"scene_seed": 1021, "observations": 3000, "size": 64},
    smoke={"observations": 400, "leak_observations": 60, "bootstrap_draws": 100},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Train and give the exit status."""
    return run_training(
        SceneConfig,
        _experiment,
        argv,
        script="network_models/image_classification/slic/train.py",
        description=__doc__.splitlines()[0],
        smoke=SMOKE,
        smoke_text="a small run of a minute",
    )


def _experiment() -> Callable:
    from network_models.image_classification.training.experiment import run_scene_experiment

    return run_scene_experiment


if __name__ == "__main__":
    run_script(main)
