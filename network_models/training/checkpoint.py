"""Exact training state in two slots: kill the training at any moment and go on bit for bit.

A state is one .npz with every variable of the network (batch statistics and random seeds too) and
of its optimizer, the number of finished epochs and the history. It is written in one step
(``tools.atomic_files``), alternately to ``state-0.npz`` and ``state-1.npz``, so that even a slot
damaged on disk leaves the epoch before it.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from tools.atomic_files import commit_file, scratch_path, write_arrays

__all__ = ["CheckpointError", "Progress", "load_state", "restore_state", "save_network"]
__all__ += ["save_state"]

logger = logging.getLogger(__name__)

_SLOTS = ("state-0.npz", "state-1.npz")


class CheckpointError(ValueError):
    """A checkpoint is unreadable, or belongs to another network."""


@dataclass
class Progress:
    """How far a training has come.

    Attributes
    ----------
    epochs_done : int
    best_score, best_epoch : float, int
        Smallest validation loss so far and its epoch, counted from 1.
    history : list of dict
        One row of logs per finished epoch.
    """

    epochs_done: int
    best_score: float
    best_epoch: int
    history: list[dict]


def save_state(folder: str | Path, network: keras.Model, progress: Progress) -> None:
    """Write the state after an epoch; this is the moment at which the epoch counts as done."""
    arrays = {name: keras.ops.convert_to_numpy(v.value) for name, v in _variables(network).items()}
    notes = json.dumps(progress.__dict__)
    arrays["progress"] = np.frombuffer(notes.encode(), np.uint8)
    write_arrays(Path(folder) / _SLOTS[progress.epochs_done % 2], arrays)


def load_state(folder: str | Path) -> tuple[dict[str, np.ndarray], Progress] | None:
    """Read the newest whole state, or give None if none was written yet.

    Raises
    ------
    CheckpointError
        If slots exist and none can be read.
    """
    found, broken = [], []
    for name in _SLOTS:
        path = Path(folder) / name
        if not path.exists():
            continue
        try:
            # opened here: np.load forgets to close a file that is no archive
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
            progress = Progress(**json.loads(arrays.pop("progress").tobytes()))
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
            broken.append(f"{name}: {error}")
            continue
        found.append((progress.epochs_done, arrays, progress))
    if broken and not found:
        raise CheckpointError(
            f"no state in {folder} can be read ({'; '.join(broken)}); start again with --new-run"
        )
    for problem in broken:
        logger.warning("damaged checkpoint left aside: %s", problem)
    if not found:
        return None
    _, arrays, progress = max(found, key=lambda entry: entry[0])
    return arrays, progress


def restore_state(network: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Put a saved state into a compiled network.

    Raises
    ------
    CheckpointError
        If names or shapes of the variables differ.
    """
    if not network.optimizer.built:
        network.optimizer.build(network.trainable_variables)
    variables = _variables(network)
    if list(variables) != list(arrays):
        differing = sorted(set(variables) ^ set(arrays))[:4]
        raise CheckpointError(
            f"the checkpoint belongs to another network (differing: {', '.join(differing)}); "
            "start again with --new-run"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointError(
                f"the checkpoint's {name} has shape {arrays[name].shape}, the network's "
                f"{tuple(variable.shape)}; start again with --new-run"
            )
        variable.assign(arrays[name])


def save_network(path: str | Path, network: keras.Model) -> None:
    """Write a .keras file in one step."""
    if hasattr(network, "jax_state_sync"):
        network.jax_state_sync()
    scratch = scratch_path(path, ending=".keras")  # Keras insists on it
    network.save(scratch)
    commit_file(scratch, path)


def _variables(network: keras.Model) -> dict:
    """Return all variables of network and optimizer under names that are unique and in order."""
    if hasattr(network, "jax_state_sync"):
        network.jax_state_sync()  # JAX keeps the live state outside the variables
    owners = {"network": network.variables, "optimizer": network.optimizer.variables}
    return {
        # Keras numbers unnamed parts through the whole process, which says nothing of the network
        f"{owner} {i} {re.sub(r'_[0-9]+(?=/|$)', '', variable.path)}": variable
        for owner, variables in owners.items()
        for i, variable in enumerate(variables)
    }
