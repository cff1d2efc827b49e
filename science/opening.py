"""What all explanations begin with: a network, and the named scalars of what it says."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from network_models.differentiation.gradients import weighted_sum
from network_models.files.safe_loading import load_network
from tools.run_folder import RunFolder

__all__ = ["OpenedNetwork", "Target", "add_arguments", "open_network"]


@dataclass(frozen=True)
class Target:
    """A named scalar of a network's output.

    Attributes
    ----------
    name, unit : str
    head : callable
        From the output (batch, ...) to the target (batch,), in ``keras.ops``.
    is_probability : bool
    weights : tuple of float
        Of the output's last axis.
    """

    name: str
    unit: str
    head: Callable
    is_probability: bool
    weights: tuple[float, ...]


@dataclass(frozen=True)
class OpenedNetwork:
    """A network to be explained.

    Attributes
    ----------
    network : keras.Model
    path : Path
        Of its file.
    targets : dict of Target
        By their names, the run's first one first.
    image : str
        Name of the input that maps are made of.
    run : RunFolder or None
        The finished run that it belongs to.
    """

    network: keras.Model
    path: Path
    targets: dict[str, Target]
    image: str
    run: RunFolder | None

    @property
    def model_hash(self) -> str:
        """Hash of the network's file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    def target(self, name: str) -> Target:
        """Give a target by its name, or the first.

        Raises
        ------
        ValueError
            If there is no such target.
        """
        if not name:
            return next(iter(self.targets.values()))
        if name not in self.targets:
            raise ValueError(f"no target {name!r}; this network has {', '.join(self.targets)}")
        return self.targets[name]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every explanation is asked for."""
    parser.add_argument("model", metavar="MODEL", help="run folder, or .keras, .hdf5 file")
    parser.add_argument(
        "where",
        nargs="*",
        metavar="[DATASET] IMAGE",
        help="a time of the run's own data (2014-01-11T08:00, or 'first'); or STORE@TIME, FITS or "
        ".dat files, an .npy array; before it a dataset's .py or a data folder",
    )
    parser.add_argument("--target", default="", help="scalar of the output; the first by default")
    parser.add_argument("--list-targets", action="store_true", help="show them and leave")
    parser.add_argument("--flares", default="", help="flare list, for runs that use the history")
    parser.add_argument(
        "--regions", default="", help="NOAA's Solar Region Summary of the day: boxes on the figure"
    )
    parser.add_argument("--output", default="", help="folder for what is made")


def open_network(model: str) -> OpenedNetwork:
    """Open a finished run or a network's file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it can't be explained.
    """
    path, run = Path(model), None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it warns of every new shape
    if path.is_dir():
        run, path = RunFolder(path), RunFolder(path).best_network
    elif (path.parent / "config.json").is_file():
        run = RunFolder(path.parent)
    elif path.parent.name == "epochs" and (path.parents[1] / "config.json").is_file():
        run = RunFolder(path.parents[1])
    named = run.config.get("targets", {}) if run else {}
    network = load_network(path)
    if len(network.outputs) != 1:
        raise ValueError(f"{path.name} has {len(network.outputs)} outputs; expected one")
    is_scalar = len(network.outputs[0].shape) == 1
    n = 1 if is_scalar else network.outputs[0].shape[-1]
    given = {name: (entry["unit"], entry["weights"]) for name, entry in named.items()}
    given = given or {f"output {k}": ("1", row) for k, row in enumerate(np.eye(n))}
    targets = {
        name: Target(
            name,
            unit,
            (lambda output: output) if is_scalar else weighted_sum(weights),
            name.startswith("P("),
            tuple(weights),
        )
        for name, (unit, weights) in given.items()
    }
    return OpenedNetwork(network, path, targets, _image_input(network), run)


def _image_input(network: keras.Model) -> str:
    """Give the input that maps are made of: the one with most axes."""
    return max(network.inputs, key=lambda tensor: len(tensor.shape)).name
