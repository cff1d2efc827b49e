"""Train a classifier of solar scenes, calibrate it, and report it beside hand-made features.

    python network_models/image_classification/slic/train.py [--network vgg13] [--data FOLDER]

Without ``--data`` the scenes are the embedded generator's (synthetic). The run's folder holds
``best_performing.keras``, calibrated, which ``classify.py`` takes. The same command goes on where a
stopped one was.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_models.training.problem import Problem, SearchSettings
from tools.command_line import run_script
from tools.later import later
from tools.options import LARGEST_SEED, Trainable, option
from tools.search_range import among, between

SMOKE = {"observations": 240, "epochs": 2, "bootstrap_draws": 100, "leak_observations": 60}
NETWORKS = ("slic_lite", "vgg13", "vgg13_untied")


@dataclass(frozen=True)
class SceneConfig(Trainable):
    """Options of the training; the command line is made from these fields."""

    network: str = option("slic_lite", "which network", choices=NETWORKS)
    data: str = option(
        "", "class folders, CSV of files or of tiles of stores, Slic's .npz; else the generator"
    )
    observations: int = option(13000, "observations that the generator draws", least=1)
    frames: int = option(1, "frames of each observation", least=1)
    difficulty: str = option("standard", "of the generator: standard, harder, or a JSON file")
    scene_seed: int = option(58, "seed of the generator", least=0, most=LARGEST_SEED)
    size: int = option(96, "pixels along a side; the vgg13 networks always take 256", least=32)
    width: float = option(
        1.0,
        "times the feature maps (and Slic's hidden numbers)",
        search=among(0.5, 0.75, 1.0, 1.25),
        least=0.01,
        most=4,
    )
    blocks: int = option(
        3,
        "separable residual blocks of slic_lite",
        search=among(1, 2, 3, 4, when=("network", "==", "slic_lite")),
        least=0,
    )
    maps: int = option(
        128,
        "maps of slic_lite before the means and maxima",
        search=among(32, 64, 128, 192, when=("network", "==", "slic_lite")),
        least=1,
    )
    dropout: float = option(
        0.2,
        "share of units left out in training",
        search=between(0, 0.6, when=("network", "==", "slic_lite")),
        least=0,
        below=1,
    )
    epochs: int = option(19, "passes through the training set")
    batch_size: int = option(32, "scenes per step; Slic's 2", search=among(8, 16, 32, 64), least=1)
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
        240,
        "observations of the harder scenes that show what a leak is worth; 0 leaves it out",
        least=0,
    )
    bootstrap_draws: int = option(1000, "draws of events for 95 % intervals", least=1)
    seed: int = option(0, "seed of weights, split and batch order")
    output: str = option(
        "network_models/image_classification/slic/trained_models", "where run folders are made"
    )

    def __post_init__(self):
        super().__post_init__()
        if self.leak_observations and self.leak_observations < 30:
            raise ValueError("--leak-observations must be 30 or more, or 0")


PROBLEM = Problem(
    name="classes of solar scenes",
    script=__file__,
    description=__doc__.splitlines()[0],
    config=SceneConfig,
    open=later("network_models.image_classification.training.scene_setup:open_data"),
    build=later("network_models.image_classification.training.scene_setup:build"),
    loss=later("network_models.image_classification.training.scene_setup:cross_entropy"),
    evaluate=later("network_models.image_classification.training.experiment:evaluate_classifier"),
    targets=later("network_models.image_classification.training.scene_setup:targets_of"),
    sample=later("network_models.image_classification.samples:SceneSamples"),
    optimizer=later("network_models.image_classification.training.scene_setup:optimizer_of"),
    training_view=later("network_models.image_classification.training.scene_setup:training_view"),
    datasets=(
        "dataset_models/solar_scenes/generated.py",
        "dataset_models/solar_scenes/labelled_scenes.py",
        "dataset_models/solar_scenes/store_scenes.py",
    ),
    smoke=SMOKE,
    smoke_text="a small run of a minute",
    search=SearchSettings(
        score="mean cross-entropy of validation observations, nats",
        crash_cost=8.0,  # the constant answer has about 1.8
        # other scenes than a training has
        options={"scene_seed": 1021, "observations": 3000, "size": 64},
        smoke={"observations": 400, "leak_observations": 60, "bootstrap_draws": 100},
        folds=later("network_models.image_classification.training.scene_setup:observation_folds"),
    ),
)

main = PROBLEM.main

if __name__ == "__main__":
    run_script(main)
