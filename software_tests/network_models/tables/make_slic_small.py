"""Make slic_small.pth and slic_small.npz: Slic's network, but small, trained a little in PyTorch.

Run from the repository's root where PyTorch is installed (made with 2.13.0):

    PYTHONPATH=. python software_tests/network_models/tables/make_slic_small.py

The names are those of Slic's state dictionary; the eighth convolution is applied three times. After
some steps of training the norms' statistics are far from 0 and 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

SIDE, WIDTHS, HIDDEN, CLASSES = 64, (3, 4, 5, 6), 7, 5


class SmallSlic(nn.Module):
    """Eight convolutions with norms, the last used thrice, and three matrices."""

    def __init__(self):
        super().__init__()
        n_in = 1
        for place in range(8):
            n_out = WIDTHS[place // 2]
            block = nn.Sequential(
                nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()
            )
            setattr(self, f"layer{place + 1}", block)
            n_in = n_out
        n_flat = n_in * (SIDE // 32) ** 2
        self.classifier = nn.Sequential(
            nn.Linear(n_flat, HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, CLASSES),
        )

    def forward(self, image):
        """Give logits of (batch, 1, y, x)."""
        for k, place in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 8, 8)):
            image = getattr(self, f"layer{place}")(image)
            if k % 2:
                image = nn.functional.max_pool2d(image, 2)
        return self.classifier(image.flatten(1))


def main() -> None:
    """Train a little, and write weights, images and logits."""
    torch.manual_seed(6)
    network = SmallSlic()
    optimiser = torch.optim.SGD(network.parameters(), 0.02, momentum=0.9, nesterov=True)
    for _ in range(40):
        label = torch.randint(0, CLASSES, (16,))
        image = 40.0 * torch.rand(16, 1, SIDE, SIDE) + 50.0 * label[:, None, None, None]
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(image), label).backward()
        optimiser.step()
    image = 255 * torch.rand(4, 1, SIDE, SIDE)
    image[:, :, : SIDE // 2] *= torch.linspace(0, 1, 4)[:, None, None, None]
    network.eval()
    with torch.no_grad():
        for matrix in network.classifier[::3]:  # so that the logits of images differ by about 1
            matrix.weight *= 4
    with torch.inference_mode():
        logits = network(image)
    folder = Path(__file__).parent
    torch.save(network.state_dict(), folder / "slic_small.pth")
    torch.save(
        network.state_dict(), folder / "slic_small_old.pth", _use_new_zipfile_serialization=False
    )
    np.savez_compressed(
        folder / "slic_small.npz",
        image=image.numpy()[:, 0].astype(np.float32),
        logits=logits.numpy(),
    )


if __name__ == "__main__":
    main()
