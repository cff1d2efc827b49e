"""A layer's features over a whole dataset: streamed, and resumable part by part."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import keras
import numpy as np

from dataset_models.solar_data import SolarData
from network_models.differentiation.layer_outputs import LayerOutput
from tools.atomic_files import write_arrays, write_json
from tools.long_work.progress import Progress

__all__ = ["extract_features", "vectors"]

logger = logging.getLogger(__name__)

_PART = 512  # samples of a file


def vectors(output: np.ndarray) -> np.ndarray:
    """Return one vector per sample: maps are averaged over their places.

    Parameters
    ----------
    output : (batch, ..., feature)

    Returns
    -------
    (batch, feature) float32
    """
    axes = tuple(range(1, output.ndim - 1))
    return (output.mean(axis=axes) if axes else output).astype(np.float32)


def extract_features(
    network: keras.Model,
    layer: str,
    dataset: SolarData,
    rows: np.ndarray,
    folder: str | Path,
    *,
    identity: dict,
) -> np.ndarray:
    """Return a layer's features of many samples, and keep them part by part.

    A part counts from the moment its file is there, so that an extraction which was stopped goes
    on where it was.

    Parameters
    ----------
    layer : str
    rows : (sample,) int
        Of the dataset.
    folder : path
        Where the parts are kept.
    identity : dict
        What the features depend on: parts of another identity are made anew.

    Returns
    -------
    (sample, feature) float32
    """
    folder = Path(folder)
    digest = hashlib.sha256(json.dumps(identity | {"layer": layer}, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(rows, np.int64).tobytes())
    name = digest.hexdigest()[:16]
    outputs_of = LayerOutput(network, layer)
    parts = np.array_split(rows, max(-(-len(rows) // _PART), 1))
    found: list[np.ndarray] = []
    progress = Progress(len(rows), "samples")
    folder.mkdir(parents=True, exist_ok=True)
    for k, part in enumerate(parts):
        path = folder / f"features-{name}-{k:05d}.npz"
        values = _kept(path, len(part))
        if values is None:
            batches = np.array_split(part, max(-(-len(part) // dataset.rows_at_once), 1))
            values = np.concatenate([vectors(outputs_of(dataset.read(b))) for b in batches])
            write_arrays(path, {"features": values})
        found.append(values)
        progress.done(sum(map(len, found)))
    write_json(folder / f"features-{name}.json", identity | {"layer": layer, "parts": len(parts)})
    return np.concatenate(found)


def _kept(path: Path, n: int) -> np.ndarray | None:
    """Return a part that an earlier extraction made, if it is whole."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            values = saved["features"]
    except (OSError, ValueError, KeyError, EOFError):
        return None
    except Exception as error:  # a damaged zip raises what its reader likes
        logger.warning("%s is damaged and is made anew (%s)", path.name, error)
        return None
    return values if len(values) == n else None
