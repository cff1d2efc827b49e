"""Train the small network on tiles of eight AIA channels of the virtual Sun (synthetic).

    python network_models/image_classification/aia_regions.py [--smoke]

Classes: quiet Sun, coronal hole, active region, flare, off limb. Whole images make the sets, with
two rotations between any two images. Beside the network stands a logistic regression on the mean
logarithm of each channel, which knows all brightnesses and no shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_models.training.problem import Problem
from tools.command_line import run_script
from tools.later import later
from tools.options import LARGEST_SEED, Trainable, option

SMOKE = {"images": 24, "epochs": 2, "bootstrap_draws": 100}


@dataclass(frozen=True)
class RegionConfig(Trainable):
    """Options of the training; the command line is made from these fields."""

    images: int = option(240, "images of the virtual Sun; every other one after a flare", least=10)
    image_size: int = option(256, "pixels along a side of an image", least=64)
    tile: int = option(32, "pixels along a side of a tile", least=32)
    per_class: int = option(4, "tiles of each class from an image at most", least=1)
    virtual_seed: int = option(5, "seed of the virtual Sun", least=0, most=LARGEST_SEED)
    dropout: float = option(0.2, "share of units left out in training", least=0, below=1)
    epochs: int = option(12, "passes through the training set")
    batch_size: int = option(32, "tiles per step", least=1)
    learning_rate: float = option(2e-3, "largest learning rate")
    weight_decay: float = option(1e-3, "decoupled weight decay")
    bootstrap_draws: int = option(1000, "draws of images for 95 % intervals", least=1)
    seed: int = option(0, "seed of weights, split and batch order")
    output: str = option(
        "network_models/image_classification/trained_models", "where run folders are made"
    )


PROBLEM = Problem(
    name="regions of the Sun in AIA tiles",
    script=__file__,
    description=__doc__.splitlines()[0],
    config=RegionConfig,
    open=later("network_models.image_classification.training.region_experiment:open_data"),
    build=later("network_models.image_classification.training.region_experiment:build"),
    loss=later("network_models.image_classification.training.scene_setup:cross_entropy"),
    evaluate=later("network_models.image_classification.training.region_experiment:evaluate_tiles"),
    targets=later("network_models.image_classification.training.region_experiment:targets_of"),
    sample=later("network_models.training.samples:SampleSource"),
    datasets=("dataset_models/SDO/AIA/region_tiles.py",),
    smoke=SMOKE,
    smoke_text="a small run of half a minute",
)

main = PROBLEM.main

if __name__ == "__main__":
    run_script(main)
