"""What other packages give, made in environments of their own (``make peers``)."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = [
    "INVERSION_PEERS",
    "PEERS",
    "PeerSolution",
    "peer_inversions",
    "peer_maps",
    "peer_python",
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


@dataclass(frozen=True)
class PeerSolution:
    """What a peer found.

    Attributes
    ----------
    em : (pixel, bin) float64
        cm-5.
    error : (pixel, bin) float64 or None
        Its error bars of one sigma, cm-5.
    seconds : float
        That it took, all its threads together running.
    """

    em: np.ndarray
    error: np.ndarray | None
    seconds: float


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


def peer_inversions(
    peer: str,
    python: Path,
    dn: np.ndarray,
    sigma: np.ndarray,
    *,
    response: np.ndarray,
    log_temperature_edges: np.ndarray,
    n_jobs: int,
    weights: str = "",
) -> dict[str, PeerSolution]:
    """Let a peer invert pixels.

    Parameters
    ----------
    peer : str
        One of ``INVERSION_PEERS``.
    python : Path
        Of its environment.
    dn, sigma : (pixel, channel) float
        DN s-1 pix-1.
    response : (channel, bin) float
        DN cm5 s-1 pix-1, for emission measure in each bin.
    log_temperature_edges : (bin + 1,) float
    n_jobs : int
        Threads, where the peer lets itself be told.
    weights : str
        A file of DeepEM's; random ones if left out.

    Returns
    -------
    dict of PeerSolution
        By the solver's name.

    Raises
    ------
    RuntimeError
        If the peer fails; with what it said.
    """
    given = {
        "dn": dn,
        "sigma": sigma,
        "response": response,
        "log_temperature_edges": log_temperature_edges,
        "threads": np.array(n_jobs),
    }
    if weights:
        given["weights"] = np.array(str(Path(weights).resolve()))
    environment = {"NUMBA_NUM_THREADS": str(n_jobs), "OMP_NUM_THREADS": str(n_jobs)}
    found = _ask(peer, python, given, environment=environment)
    names = [name.removesuffix(":em") for name in found if name.endswith(":em")]
    return {
        name: PeerSolution(
            found[f"{name}:em"], found.get(f"{name}:error"), float(found[f"{name}:seconds"])
        )
        for name in names
    }


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
