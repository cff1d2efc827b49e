"""Train the small network on tiles of eight AIA channels of the virtual Sun (synthetic).

    python network_models/image_classification/aia_regions.py [--smoke]

Classes: quiet Sun, coronal hole, active region, flare, off limb. Whole images make the sets, with
two rotations between any two images. Beside the network stands a logistic regression on the mean
logarithm of each channel, which knows all brightnesses and no shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from network_models.training.command import run_training
from tools.command_line import option, run_script

SMOKE = {"images": 24, "epochs": 2, "bootstrap_draws": 100}


@dataclass(frozen=True)
class RegionConfig:
    """Options of the training; the command line is made from these fields."""

    images: int = option(240, "images of the virtual Sun; every other one after a flare")
    image_size: int = option(256, "pixels along a side of an image")
    tile: int = option(32, "pixels along a side of a tile")
    per_class: int = option(4, "tiles of each class from an image at most")
    virtual_seed: int = option(5, "seed of the virtual Sun")
    dropout: float = option(0.2, "share of units left out in training")
    epochs: int = option(12, "passes through the training set")
    batch_size: int = option(32, "tiles per step")
    learning_rate: float = option(2e-3, "largest learning rate")
    weight_decay: float = option(1e-3, "decoupled weight decay")
    bootstrap_draws: int = option(1000, "draws of images for 95 % intervals")
    seed: int = option(0, "seed of weights, split and batch order")
    keep_epochs: int = option(2, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/image_classification/trained_models", "where run folders are made"
    )
    new_run: bool = option(False, "start a new run even if this one exists")

    def __post_init__(self):
        for name in ("images", "image_size", "tile", "per_class", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
        if self.images < 10:
            raise ValueError("--images must be 10 or more: whole images make the three sets")
        if self.tile < 32:
            raise ValueError(f"--tile must be 32 pixels or more, got {self.tile}")
        if not 0 < self.learning_rate < 1 or not 0 <= self.dropout < 1:
            raise ValueError("--learning-rate and --dropout must be below 1 and not negative")


def main(argv: Sequence[str] | None = None) -> int:
    """Train and give the exit status."""
    return run_training(
        RegionConfig,
        _experiment,
        argv,
        script="network_models/image_classification/aia_regions.py",
        description=__doc__.splitlines()[0],
        smoke=SMOKE,
        smoke_text="a small run of half a minute",
    )


def _experiment() -> Callable:
    from network_models.image_classification.training.region_experiment import run_region_experiment

    return run_region_experiment


if __name__ == "__main__":
    run_script(main)
