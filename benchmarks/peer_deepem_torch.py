"""DeepEM's network in PyTorch, in captum's environment; run by ``benchmarks/dem.py``.

python benchmarks/peer_deepem_torch.py GIVEN.npz MADE.npz

Without a file of weights they are random, and only the time means anything.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.peer_solutions import answer

_SIZES = (6, 300, 300, 18)  # channels, hidden, hidden, bins
_SLOPE = 0.01
_UNIT_CM5 = 1e25  # emission measure is this times the square of the output
_WIDTH = 512  # pixels in a row: solved as images, as it was made for


def _network(path: str) -> torch.nn.Sequential:
    """Give the network, with weights from a file that must hold six arrays of these shapes."""
    torch.manual_seed(0)
    convolutions = [torch.nn.Conv2d(a, b, 1) for a, b in zip(_SIZES, _SIZES[1:], strict=False)]
    first, second, last = convolutions
    leak = torch.nn.LeakyReLU(_SLOPE)
    network = torch.nn.Sequential(first, leak, second, leak, last).eval()
    if path:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = [value for value in state.values() if isinstance(value, torch.Tensor)]
        expected = list(network.parameters())
        if [value.shape for value in found] != [value.shape for value in expected]:
            shapes = [tuple(value.shape) for value in found]
            raise SystemExit(f"{path}: expected the six arrays of a {_SIZES} network, got {shapes}")
        with torch.no_grad():
            for mine, value in zip(expected, found, strict=True):
                mine.copy_(value)
    return network


def _solve(given: dict) -> np.ndarray:
    """Give emission measure, cm-5; what is not positive counts as dark."""
    torch.set_num_threads(int(given["threads"]))
    network = _network(str(given["weights"]) if "weights" in given else "")
    dn = given["dn"]
    n = len(dn)
    rows = -(-n // _WIDTH)
    image = np.zeros((rows * _WIDTH, _SIZES[0]), np.float32)
    image[:n] = np.sqrt(np.maximum(dn, 0))
    planes = np.ascontiguousarray(image.T).reshape(1, _SIZES[0], rows, _WIDTH)
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(planes[:, :, first : first + _WIDTH])).square()
            for first in range(0, rows, _WIDTH)
        ]
        found = torch.cat(parts, dim=2)[0].reshape(_SIZES[-1], -1)
    return found.numpy()[:, :n].T.astype(float) * _UNIT_CM5


def main() -> None:
    """Solve by the network."""
    answer(_solve)


if __name__ == "__main__":
    main()
