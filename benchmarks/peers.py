"""Maps of other packages, made in environments of their own (``make peers``)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

__all__ = ["PEERS", "peer_maps"]

PEERS = {"captum": "torch", "xplique": "tensorflow"}  # and Keras' backend beneath them
_ROOT = Path(__file__).parents[1]


def peer_maps(
    peer: str, python: Path, opened, images: np.ndarray, weights: tuple[float, ...]
) -> dict[str, tuple[np.ndarray, bool]]:
    """Let a peer make its maps of the log-odds of a probability.

    Parameters
    ----------
    peer : str
        One of ``PEERS``.
    python : Path
        Of its environment.
    opened : OpenedNetwork
    images : (image, frame, y, x, channel) float32
        With all channels present.
    weights : tuple of float
        Of the network's outputs in the probability.

    Returns
    -------
    dict of (maps, is_slope)
        By the method's name: the images' shape, and whether they are derivatives.
    """
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, images=images, weights=np.array(weights))
        environment = dict(os.environ, KERAS_BACKEND=PEERS[peer], PYTHONPATH=str(_ROOT))
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        script = _ROOT / "benchmarks" / f"peer_{peer}.py"
        # the environment's own python, not what its link points to
        command = [str(python.absolute()), str(script), str(opened.path), str(given), str(made)]
        subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL)
        with np.load(made) as found:
            return {n.split(":")[0]: (found[n], n.endswith(":slope")) for n in found.files}
