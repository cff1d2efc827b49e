"""Train DeepEM: a perceptron on every pixel, from six AIA channels to the emission measure.

    python network_models/dem_regression/deepem/train.py                     (virtual Sun)
    python network_models/dem_regression/deepem/train.py --data FOLDER       (.npy pairs, a store)
    python network_models/dem_regression/deepem/train.py --teacher NAME|FILE (other solutions)

The same command goes on where a killed one stopped, and shows a finished run again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from network_models.training.problem import Problem, ProblemData
from tools.command_line import run_script
from tools.later import later
from tools.options import LARGEST_SEED, Trainable, option

SMOKE = {"size": 64, "epochs": 12, "learning_rate": 1e-3}
_RESPONSES = "v10 v10_evenorm v10_evenorm_chiantifix v10_evenorm_noblend v9_evenorm".split()


@dataclass(frozen=True)
class DeepEMConfig(Trainable):
    """Options of the training; the command line is made from these fields."""

    data: str = option(
        "",
        "folder with NAME_2011-01-27.aia.npy (6, y, x) and NAME_2011-01-27.emcube.npy (18, y, x) "
        "for each date, or an image store (with a --teacher); the virtual Sun if not given",
    )
    teacher: str = option(
        "own",
        "own (what comes with the images: the folder's solutions, the virtual Sun's truth), "
        "basis-pursuit, tikhonov, plowman-caspi, or a file (image, 18, y, x) or folder of "
        "solutions in cm-5",
    )
    response: str = option(
        "v10_evenorm_chiantifix",
        "temperature response of solvers and of the synthesis",
        choices=_RESPONSES,
    )
    size: int = option(512, "pixels along a side of a virtual image", least=16, most=4096)
    images: int = option(
        3,
        "images of the virtual Sun or a store, a rotation apart: the last two validate and test",
        least=3,
    )
    virtual_seed: int = option(1, "seed of the virtual Sun", least=0, most=LARGEST_SEED)
    start_day: int = option(1000, "day of the first virtual image, from a cycle's start", least=0)
    apart_days: float = option(26.0, "least distance of two sets: a solar rotation, days", above=0)
    epochs: int = option(500, "passes through the training images")
    batch_size: int = option(1, "images per step", least=1)
    learning_rate: float = option(1e-4, "constant learning rate of Adam")
    weight_decay: float = option(1e-9, "L2 penalty in the gradient, as PyTorch's Adam has it")
    seed: int = option(0, "seed of weights and batch order")
    jobs: int = option(0, "threads of a solver as teacher; all processors if 0", least=0)
    keep_epochs: int = option(5, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/dem_regression/trained_models", "where run folders are made"
    )


def open_pairs(config: DeepEMConfig) -> ProblemData:
    """Open the images with their teacher, and split them."""
    from dataset_models.SDO.AIA.dem_pairs import OWN_SOLUTIONS, DEMPairs, split_by_rotation
    from dataset_models.SDO.AIA.dem_sources import PairFolder, StorePairs, VirtualPairs
    from dataset_models.SDO.sources import is_store

    if config.data and is_store(config.data):
        source = StorePairs(config.data, n_images=config.images, apart_days=config.apart_days)
    elif config.data:
        source = PairFolder(config.data, solutions=config.teacher == OWN_SOLUTIONS)
    else:
        from dataset_models.virtual_sun.parameters import FlareProcessParameters
        from dataset_models.virtual_sun.process import simulate_record

        years = (config.start_day + 27 * config.images + 3) / 365.25
        record = simulate_record(FlareProcessParameters(), years=years, seed=config.virtual_seed)
        source = VirtualPairs(
            record, n_images=config.images, start_day=config.start_day, size=config.size
        )
    split = split_by_rotation(source.times, apart_days=config.apart_days)
    dataset = DEMPairs(
        source,
        teacher=config.teacher,
        response_version=config.response,
        n_jobs=config.jobs or os.cpu_count() or 1,
    )
    return ProblemData(dataset, split)


PROBLEM = Problem(
    name="DeepEM",
    script=__file__,
    description=__doc__.splitlines()[0],
    config=DeepEMConfig,
    open=open_pairs,
    build=later("network_models.dem_regression.deepem.experiment:build"),
    loss=later("network_models.dem_regression.deepem.experiment:loss_of"),
    evaluate=later("network_models.dem_regression.deepem.experiment:evaluate_deepem"),
    targets=later("network_models.dem_regression.deepem.experiment:targets_of"),
    sample=later("network_models.dem_regression.samples:PairSamples"),
    optimizer=later("network_models.dem_regression.deepem.experiment:optimizer_of"),
    training_view=later("network_models.dem_regression.deepem.experiment:training_view"),
    notes=later("network_models.dem_regression.deepem.experiment:notes_of"),
    datasets=("dataset_models/SDO/AIA/dem_pairs.py",),
    smoke=SMOKE,
    # TensorFlow 2.21 reports its own failed attempt to fuse LeakyReLU's gradient as an error
    log_level="3",
)

main = PROBLEM.main

if __name__ == "__main__":
    run_script(main)
