"""Train DeepEM: a perceptron on every pixel, from six AIA channels to the emission measure.

    python network_models/dem_regression/deepem/train.py                     (virtual Sun)
    python network_models/dem_regression/deepem/train.py --data FOLDER       (.npy pairs, a store)
    python network_models/dem_regression/deepem/train.py --teacher NAME|FILE (other solutions)

The same command goes on where a killed one stopped, and shows a finished run again.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.command_line import config_from, config_parser, option, quiet_start, run_script

SCRIPT = "network_models/dem_regression/deepem/train.py"
SMOKE = {"size": 64, "epochs": 12, "learning_rate": 1e-3}
_RESPONSES = "v10 v10_evenorm v10_evenorm_chiantifix v10_evenorm_noblend v9_evenorm".split()


@dataclass(frozen=True)
class DeepEMConfig:
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
    size: int = option(512, "pixels along a side of a virtual image")
    images: int = option(
        3, "images of the virtual Sun or a store, a rotation apart: the last two validate and test"
    )
    virtual_seed: int = option(1, "seed of the virtual Sun")
    start_day: int = option(1000, "day of the first virtual image, from a cycle's start")
    apart_days: float = option(26.0, "least distance of two sets: a solar rotation, days")
    epochs: int = option(500, "passes through the training images")
    batch_size: int = option(1, "images per step")
    learning_rate: float = option(1e-4, "constant learning rate of Adam")
    weight_decay: float = option(1e-9, "L2 penalty in the gradient, as PyTorch's Adam has it")
    seed: int = option(0, "seed of weights and batch order")
    jobs: int = option(0, "threads of a solver as teacher; all processors if 0")
    keep_epochs: int = option(5, "newest networks to keep in epochs/; 0 keeps all")
    output: str = option(
        "network_models/dem_regression/trained_models", "where run folders are made"
    )
    new_run: bool = option(False, "start a new run even if this one exists")

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
        if self.images < 3:
            raise ValueError(
                f"--images must be 3 or more (training, validation, test), got {self.images}"
            )
        if not 16 <= self.size <= 4096:
            raise ValueError(f"--size takes 16 to 4096 pixels, got {self.size}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError("--learning-rate must be positive and finite")
        if not 0 < self.apart_days < float("inf"):
            raise ValueError("--apart-days must be positive and finite")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError("--weight-decay must not be negative")
        for name in ("start_day", "jobs", "keep_epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} must not be negative")
        for name in ("seed", "virtual_seed"):
            if not 0 <= getattr(self, name) < 2**32:
                raise ValueError(f"--{name.replace('_', '-')} takes 0 to 2^32 - 1")


def main(argv: Sequence[str] | None = None) -> int:
    """Train, score and report; give the exit status."""
    started = time.time()
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = config_parser(DeepEMConfig, __doc__.splitlines()[0])
    parser.add_argument(
        "--smoke", action="store_true", help="a small run of a minute, to see that all works"
    )
    if parser.parse_args(arguments).smoke:
        parser.set_defaults(**SMOKE)
    config = config_from(DeepEMConfig, parser.parse_args(arguments))
    command = " ".join(["python", SCRIPT, *(shlex.quote(a) for a in arguments)])
    # 3: TensorFlow 2.21 reports its own failed attempt to fuse LeakyReLU's gradient as an error
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    dataset, split = open_pairs(config)

    # keras and its backend take seconds to import; wrong input has been refused by now
    with quiet_start():
        from network_models.dem_regression.deepem.experiment import run_experiment
        from network_models.training.callbacks import TrainingStopped

    try:
        run = run_experiment(
            config, dataset, split, script=SCRIPT, command=command, started=started
        )
    except TrainingStopped as stop:
        print(
            f"Stopped after {stop.epochs_done} finished epochs, all saved. "
            f"To go on, give the same command again:\n  {command}"
        )
        return 128 + stop.signal_number
    card = run.skill
    print(f"Solutions per second: {card['solutions_per_second']:,.0f}")
    print(f"Test image against its teacher ({card['teacher']}): loss {card['test']['loss']:.4f}")
    print(f"Report: {run / 'report.html'}")
    return 0


def open_pairs(config: DeepEMConfig):
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
    return dataset, split


if __name__ == "__main__":
    run_script(main)
