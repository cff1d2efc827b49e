"""Train a network of emission measure on simulated pixels, calibrate it, and report.

    python network_models/dem_regression/train.py [--size fast] [--smoke]

The run's folder holds ``network.keras``, calibrated, which ``science/dem/invert.py --method network
--run RUN`` takes. The same command goes on where a stopped one was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from network_models.training.command import run_training
from network_models.training.search import SearchProblem
from tools.command_line import option, run_script
from tools.search_range import among, between

SMOKE = {"epochs": 2, "steps_per_epoch": 20, "library": 200, "calibration_pixels": 20000}


@dataclass(frozen=True)
class EmissionConfig:
    """Options of the training of our networks; the command line is made from these fields."""

    size: str = option("accurate", "size of the network", choices=("fast", "accurate"))
    width: int = option(
        0,
        "units of a dense layer; the size's own if 0",
        search=among(16, 32, 40, 48, 64, 96, 128, 192),
    )
    first_layers: int = option(
        0, "dense layers before the first proposal; the size's own if 0", search=among(1, 2, 3)
    )
    steps: int = option(
        -1, "corrections by what the channels miss; the size's own if -1", search=among(0, 1, 2, 3)
    )
    step_layers: int = option(
        0,
        "dense layers of each; the size's own if 0",
        search=among(1, 2, 3, when=("steps", ">=", 1)),
    )
    activation: str = option(
        "",
        "of the dense layers; the size's own if empty",
        choices=("", "relu", "silu", "gelu"),
        search=among("relu", "silu", "gelu", is_ordered=False),
    )
    epochs: int = option(16, "epochs")
    steps_per_epoch: int = option(500, "batches in an epoch")
    block_pixels: int = option(1024, "pixels of a block")
    blocks: int = option(4, "blocks of pixels in a batch")
    library: int = option(12000, "parts of each family and place that pixels are mixed from")
    rough_share: float = option(
        0.15, "share of pixels whose shapes are multiplied by smooth random curves"
    )
    learning_rate: float = option(
        1e-2, "largest learning rate", search=between(1e-3, 3e-2, is_log=True)
    )
    warmup_steps: int = option(200, "steps in which it rises")
    weight_decay: float = option(1e-5, "decoupled weight decay")
    shape_weight: float = option(2.0, "of the earth mover's distance in the loss, per dex")
    misfit_weight: float = option(0.05, "of the misfit to the data in the loss")
    brightness_weight: float = option(2.0, "of the true brightness in the loss")
    interval_weight: float = option(0.02, "of the intervals in the loss")
    calibration_pixels: int = option(400000, "pixels that intervals are calibrated on, and as many")
    seed: int = option(0, "seed of pixels, weights and batch order")
    keep_epochs: int = option(2, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/dem_regression/trained_models", "where run folders are made"
    )
    new_run: bool = option(False, "start a new run even if this one exists")

    def __post_init__(self):
        counts = ("epochs", "steps_per_epoch", "block_pixels", "blocks", "library", "warmup_steps")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
        if not 0 <= self.rough_share <= 1:
            raise ValueError("--rough-share is a share, 0 to 1")
        if min(self.width, self.first_layers, self.step_layers) < 0 or self.steps < -1:
            raise ValueError("--width, --first-layers, --steps and --step-layers: see --help")
        if not 0 < self.learning_rate < 1:
            raise ValueError("--learning-rate must be positive and below 1")
        for name in ("shape_weight", "misfit_weight", "brightness_weight", "interval_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"--{name.replace('_', '-')} must not be negative")
        if self.calibration_pixels < 10000:
            raise ValueError("--calibration-pixels must be 10000 or more, for the tails")
        if self.keep_epochs < 0 or not 0 <= self.weight_decay < float("inf"):
            raise ValueError("--keep-epochs and --weight-decay must not be negative")
        if not 0 <= self.seed < 2**32:
            raise ValueError("--seed takes 0 to 2^32 - 1")


SEARCH = SearchProblem(
    script="network_models/dem_regression/train.py",
    config_class=EmissionConfig,
    task="network_models.dem_regression.emission_search:EmissionTask",
    score="mean loss of validation pixels (relative L1, distance along log T, misfit), no unit",
    crash_cost=20.0,  # an emission measure of 0 has about 6
    # other pixels than a training has, whose own size is given in numbers
    options={"seed": 1001, "steps_per_epoch": 60, "library": 2000},
    architecture={
        "size": "fast",
        "width": 40,
        "first_layers": 2,
        "steps": 2,
        "step_layers": 1,
        "activation": "relu",
    },
    smoke={"steps_per_epoch": 10, "library": 200},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Train and give the exit status."""
    return run_training(
        EmissionConfig,
        _experiment,
        argv,
        script="network_models/dem_regression/train.py",
        description=__doc__.splitlines()[0],
        smoke=SMOKE,
        smoke_text="a small run of a minute",
    )


def _experiment() -> Callable:
    from network_models.dem_regression.experiment import run_emission_experiment

    return run_emission_experiment


if __name__ == "__main__":
    run_script(main)
