"""A problem that trains nothing: its score is a formula, and it can fail in every way."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from network_models.training.problem import Problem, SearchSettings, TooLarge
from tools.command_line import config_from, config_parser, run_script
from tools.options import option
from tools.search_range import among, between

NAME = "software_tests.network_models.smac.toy_problem"
BEHAVIOURS = ("fine", "sleep", "memory", "exit", "raise", "nan", "large")


@dataclass(frozen=True)
class ToyConfig:
    """Options of the problem."""

    depth: int = option(2, "layers", search=among(0, 1, 2, 3))
    width: int = option(32, "units", search=among(8, 16, 32, 64, when=("depth", ">=", 1)))
    rate: float = option(1e-2, "rate", search=between(1e-4, 1.0, is_log=True))
    optimizer: str = option("adam", "which", search=among("adam", "sgd", is_ordered=False))
    momentum: float = option(
        0.9, "of sgd", search=between(0.0, 0.99, when=("optimizer", "==", "sgd"))
    )
    behaviour: str = option("fine", "what a trial does", choices=BEHAVIOURS)
    first_behaviour: str = option("fine", "what trials of the default do", choices=BEHAVIOURS)
    pause_s: float = option(0.0, "length of a trial, s")
    judged_s: float = option(0.0, "how long judging takes, s")
    data_file: str = option("", "a file whose content is the data")
    broken_data: bool = option(False, "whether the data can't be opened")
    epochs: int = option(5, "passes")
    output: str = option("runs", "where runs are made")


def formula(config: ToyConfig, budget: float, fold: int | None) -> float:
    """Return the score: smallest at depth 3, width 64, rate 0.1, sgd with momentum 0.5."""
    import math

    cost = (3 - config.depth) ** 2 / 9 + abs(math.log10(config.rate) + 1) / 3
    if config.depth:
        cost += abs(math.log2(config.width / 64)) / 3
    cost += 0.3 if config.optimizer == "adam" else abs(config.momentum - 0.5)
    return cost + 1 / budget + (0 if fold is None else 0.01 * fold)


class ToyTask:
    """Obeys ``behaviour``."""

    def __init__(self, problem, config):
        if config.broken_data:
            raise ValueError("sun.fits can't be read: expected an image, got a table")
        self.config = config

        class Nothing:
            sets = {"training": [0] * 3, "validation": [0], "test": [0]}
            scheme = "none"

            def fingerprint(self):
                return Path(config.data_file).read_text() if config.data_file else "0"

            def provenance(self):
                return {"source": "a formula"}

        self.dataset = self.split = Nothing()

    def fold(self, k, n):
        if n > 5:
            raise ValueError(f"{n} folds need at least {2 * n} years; there are 10")
        return self.split

    def audit(self, split):
        pass

    def run(self, config, *, epochs, share, fold, seed, max_parameters):
        behaviour = config.behaviour
        if config.depth == ToyConfig.depth and config.rate == ToyConfig.rate:
            behaviour = max(behaviour, config.first_behaviour, key=BEHAVIOURS.index)
        time.sleep(config.pause_s)
        if behaviour == "sleep":
            time.sleep(600)
        if behaviour == "memory":
            held = [bytes(b"x" * (1 << 24)) for _ in range(64)]  # 1 GiB
            time.sleep(600 + len(held))
        if behaviour == "exit":
            print("the driver of the camera is gone", flush=True)
            os._exit(3)
        if behaviour == "raise":
            raise RuntimeError("the third layer has no input")
        if behaviour == "nan":
            raise FloatingPointError("the loss became nan")
        if behaviour == "large":
            raise TooLarge(f"more than {max_parameters} parameters")
        fold = None if fold is None else fold[0]
        return {"cost": formula(config, epochs, fold), "parameters": config.width * config.depth}

    def test_losses(self, network, config):
        import numpy as np

        time.sleep(config.judged_s)
        value = float(Path(network).read_text())
        return value + np.arange(40) % 4, np.repeat(np.arange(10), 4)


def _never(*_):
    raise NotImplementedError("this problem trains nothing")


PROBLEM = Problem(
    name="toy",
    script=NAME,
    description="a toy",
    config=ToyConfig,
    open=_never,
    build=_never,
    loss=_never,
    evaluate=_never,
    targets=_never,
    search=SearchSettings(score="formula, no unit", crash_cost=9.0, task=f"{NAME}:ToyTask"),
)


def main() -> int:
    """Make a run folder whose network is its score."""
    parser = config_parser(ToyConfig, "a toy")
    config = config_from(ToyConfig, parser.parse_args())
    run = Path(config.output) / str(len(list(Path(config.output).glob("*"))))
    run.mkdir(parents=True)
    (run / "best_performing.keras").write_text(str(formula(config, config.epochs, None)))
    (run / "report.html").write_text("done")
    print("a line of scores")
    print(f"Report: {run / 'report.html'}")
    return 0


if __name__ == "__main__":
    run_script(main)
