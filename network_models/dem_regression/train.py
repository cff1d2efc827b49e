"""Train a network of emission measure on simulated pixels, calibrate it, and report.

    python network_models/dem_regression/train.py [--size fast] [--smoke]

The run's folder holds ``network.keras``, calibrated, which ``science/dem/invert.py --method network
--run RUN`` takes. The same command goes on where a stopped one was.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_models.training.problem import Problem, SearchSettings
from tools.command_line import run_script
from tools.later import later
from tools.options import Trainable, option
from tools.search_range import among, between

SMOKE = {"epochs": 2, "steps_per_epoch": 20, "library": 200, "calibration_pixels": 20000}


@dataclass(frozen=True)
class EmissionConfig(Trainable):
    """Options of the training of our networks; the command line is made from these fields."""

    size: str = option("accurate", "size of the network", choices=("fast", "accurate"))
    width: int = option(
        0,
        "units of a dense layer; the size's own if 0",
        search=among(16, 32, 40, 48, 64, 96, 128, 192),
        least=0,
    )
    first_layers: int = option(
        0,
        "dense layers before the first proposal; the size's own if 0",
        search=among(1, 2, 3),
        least=0,
    )
    steps: int = option(
        -1,
        "corrections by what the channels miss; the size's own if -1",
        search=among(0, 1, 2, 3),
        least=-1,
    )
    step_layers: int = option(
        0,
        "dense layers of each; the size's own if 0",
        search=among(1, 2, 3, when=("steps", ">=", 1)),
        least=0,
    )
    activation: str = option(
        "",
        "of the dense layers; the size's own if empty",
        choices=("", "relu", "silu", "gelu"),
        search=among("relu", "silu", "gelu", is_ordered=False),
    )
    epochs: int = option(16, "epochs")
    steps_per_epoch: int = option(500, "batches in an epoch", least=1)
    block_pixels: int = option(1024, "pixels of a block", least=1)
    blocks: int = option(4, "blocks of pixels in a batch", least=1)
    library: int = option(
        12000, "parts of each family and place that pixels are mixed from", least=1
    )
    rough_share: float = option(
        0.15, "share of pixels whose shapes are multiplied by smooth random curves", least=0, most=1
    )
    learning_rate: float = option(
        1e-2, "largest learning rate", search=between(1e-3, 3e-2, is_log=True)
    )
    warmup_steps: int = option(200, "steps in which it rises", least=1)
    weight_decay: float = option(1e-5, "decoupled weight decay")
    shape_weight: float = option(2.0, "of the earth mover's distance in the loss, per dex", least=0)
    misfit_weight: float = option(0.05, "of the misfit to the data in the loss", least=0)
    brightness_weight: float = option(2.0, "of the true brightness in the loss", least=0)
    interval_weight: float = option(0.02, "of the intervals in the loss", least=0)
    calibration_pixels: int = option(
        400000, "pixels that intervals are calibrated on, and as many", least=10000
    )
    seed: int = option(0, "seed of pixels, weights and batch order")
    output: str = option(
        "network_models/dem_regression/trained_models", "where run folders are made"
    )


PROBLEM = Problem(
    name="emission measure of pixels",
    script=__file__,
    description=__doc__.splitlines()[0],
    config=EmissionConfig,
    open=later("network_models.dem_regression.experiment:open_data"),
    build=later("network_models.dem_regression.experiment:build"),
    loss=later("network_models.dem_regression.experiment:loss_of"),
    evaluate=later("network_models.dem_regression.experiment:evaluate_network"),
    targets=later("network_models.dem_regression.experiment:targets_of"),
    sample=later("network_models.dem_regression.samples:PixelSamples"),
    options=later("network_models.dem_regression.experiment:options_of"),
    optimizer=later("network_models.dem_regression.experiment:optimizer_of"),
    smoke=SMOKE,
    search=SearchSettings(
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
        folds=later("network_models.dem_regression.experiment:block_folds"),
    ),
)

main = PROBLEM.main

if __name__ == "__main__":
    run_script(main)
