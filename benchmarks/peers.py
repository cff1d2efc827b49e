"""What other packages give, made in environments of their own (``make peers``)."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

__all__ = [
    "INVERSION_PEERS",
    "PEERS",
    "peer_inversion",
    "peer_maps",
    "peer_python",
    "peer_slic",
]

PEERS = {"captum": "torch", "xplique": "tensorflow"}  # and Keras' backend beneath them
# scripts for inversions, and the environments in which they run
INVERSION_PEERS = {
    "demregpy": "demregpy",
    "emtoolkit": "emtoolkit",
    "utu": "utu",
    "deepem_torch": "captum",
}
_ROOT = Path(__file__).parents[1]

logger = logging.getLogger(__name__)


def peer_python(peers: str | Path, environment: str) -> Path | None:
    """Give the Python of a peer's environment, or None (and say so) where there is none."""
    python = Path(peers) / environment / "bin" / "python"
    if python.is_file():
        return python.absolute()  # the environment's own, not what its link points to
    logger.info("%s is left out: make peers", environment)
    return None


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
    given = {"images": images, "weights": np.array(weights)}
    environment = {"KERAS_BACKEND": PEERS[peer], "TF_CPP_MIN_LOG_LEVEL": "3"}
    found = _ask(peer, python, given, str(opened.path), environment=environment)
    return {name.split(":")[0]: (maps, name.endswith(":slope")) for name, maps in found.items()}


def peer_inversion(
    peer: str, python: Path, arrays: dict[str, np.ndarray | float | str], *, n_jobs: int
) -> dict[str, np.ndarray]:
    """Let a peer invert pixels.

    Parameters
    ----------
    peer : str
        One of ``INVERSION_PEERS``.
    python : Path
        Of its environment.
    arrays : dict
        ``dn`` and ``sigma`` (pixel, channel), DN s-1 pix-1; ``response`` (channel, bin), DN cm5 s-1
        pix-1; ``log_temperature_edges`` (bin + 1,); and options: demregpy's ``floor`` under the
        data, in sigma, or the file of DeepEM's ``weights``.
    n_jobs : int
        Threads, where the peer lets itself be told (demregpy takes all cores, EMToolKit one).

    Returns
    -------
    dict
        ``em`` (pixel, bin), cm-5; ``error`` alike where it gives errors; ``seconds`` that it took,
        without its start.

    Raises
    ------
    RuntimeError
        If the peer fails; with what it said.
    """
    given = {name: np.asarray(values) for name, values in arrays.items()}
    environment = {"NUMBA_NUM_THREADS": str(n_jobs), "OMP_NUM_THREADS": str(n_jobs)}
    return _ask(peer, python, {**given, "threads": np.array(n_jobs)}, environment=environment)


def peer_slic(python: Path, arrays: dict[str, np.ndarray | str], *, n_jobs: int) -> dict:
    """Let PyTorch run and train Slic's network.

    Parameters
    ----------
    python : Path
        Of an environment with PyTorch.
    arrays : dict
        ``image`` (batch, y, x) float32; ``label`` (batch,) int; ``repeats`` of each; ``weights``:
        the file for them, which is written if it is not there.
    n_jobs : int
        Threads.

    Returns
    -------
    dict
        ``logits`` (batch, 5); ``forward`` and ``step``, seconds of each repeat.

    Raises
    ------
    RuntimeError
        If the peer fails; with what it said.
    """
    given = {name: np.asarray(values) for name, values in arrays.items()}
    environment = {"OMP_NUM_THREADS": str(n_jobs)}
    given["threads"] = np.array(n_jobs)
    return _ask("slic_torch", python, given, environment=environment)


def _ask(
    peer: str, python: Path, arrays: dict, *arguments: str, environment: dict[str, str]
) -> dict[str, np.ndarray]:
    """Run a peer's script on arrays; give those that it makes."""
    script = _ROOT / "benchmarks" / f"peer_{peer}.py"
    everything = dict(os.environ, PYTHONPATH=str(_ROOT), CUDA_VISIBLE_DEVICES="", **environment)
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, **arrays)
        command = [str(python), str(script), *arguments, str(given), str(made)]
        done = subprocess.run(
            command, env=everything, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
            raise RuntimeError(f"{script.name} failed in {python}:\n{said}")
        with np.load(made) as found:
            return {name: found[name] for name in found.files}
