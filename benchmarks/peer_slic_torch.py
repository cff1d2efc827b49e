"""Slic's network in PyTorch, in captum's environment; run by ``benchmarks/vgg13_speed.py``.

python benchmarks/peer_slic_torch.py GIVEN.npz MADE.npz

Eight convolutions with norms, the last of which is used three times, and three matrices; the names
are those of Slic's state dictionary. Weights come from a file, or are random and written to it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

_WIDTHS, _HIDDEN, _CLASSES, _POOLED = (64, 128, 256, 512), 4096, 5, 8
_RATE, _MOMENTUM = 1e-4, 0.9  # Slic's own


class Slic(nn.Module):
    """The network as its published code has it."""

    def __init__(self):
        super().__init__()
        n_in = 1
        for place in range(8):
            n_out = _WIDTHS[place // 2]
            parts = nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(True)
            setattr(self, f"layer{place + 1}", nn.Sequential(*parts))
            n_in = n_out
        matrices = [n_in * _POOLED**2, _HIDDEN, _HIDDEN, _CLASSES]
        parts = []
        for first, second in zip(matrices, matrices[1:], strict=False):
            parts += [nn.Linear(first, second), nn.ReLU(True), nn.Dropout()]
        self.classifier = nn.Sequential(*parts[:-2])

    def forward(self, image):
        """Give the logits of (batch, 1, y, x)."""
        for k, place in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 8, 8)):
            image = getattr(self, f"layer{place}")(image)
            if k % 2:
                image = nn.functional.max_pool2d(image, 2)
        return self.classifier(image.flatten(1))


def _network(path: Path) -> Slic:
    """Give the network with a file's weights; write the file where there is none."""
    torch.manual_seed(0)
    network = Slic()
    if path.is_file():
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network
    for values in network.parameters():
        if values.ndim > 1:  # He's, as Slic's code meant it; PyTorch's own gives logits near 0
            nn.init.kaiming_normal_(values, nonlinearity="relu")
    network.train()
    with torch.no_grad():  # statistics of norms that are not 0 and 1
        for _ in range(4):
            network(255 * torch.rand(2, 1, 32 * _POOLED, 32 * _POOLED))
    torch.save(network.state_dict(), path)
    return network


def _timed(function, repeats: int) -> np.ndarray:
    """Give the seconds of each run, after one that does not count."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


def main() -> None:
    """Run, train, time."""
    with np.load(sys.argv[1]) as given:
        torch.set_num_threads(int(given["threads"]))
        image = torch.from_numpy(given["image"])[:, None].contiguous()
        label = torch.from_numpy(given["label"].astype(np.int64))
        repeats, path = int(given["repeats"]), Path(str(given["weights"]))
    network = _network(path).eval()
    with torch.inference_mode():
        made = {"logits": network(image).numpy()}
        made["forward"] = _timed(lambda: network(image), repeats)
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), _RATE, momentum=_MOMENTUM, nesterov=True)

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(image), label).backward()
        optimiser.step()

    made["step"] = _timed(step, repeats)
    np.savez(sys.argv[2], **made)


if __name__ == "__main__":
    main()
