"""Make captum_maps.npz: captum's maps of the five networks, ported to torch in float64.

Run from the repository's root where torch, captum and Keras are installed (made with captum 0.9.0,
torch 2.13.0, Keras 3.15.1):

    KERAS_BACKEND=torch PYTHONPATH=. python software_tests/network_models/tables/make_captum_maps.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from captum.attr import Deconvolution, GuidedBackprop, Saliency
from torch import nn

from software_tests.network_models.architectures import ARCHITECTURES, build, images

SIDE = 24
WEIGHTS = torch.tensor([1.0, -0.5], dtype=torch.float64)


class Port(nn.Module):
    """One of the networks in torch; every ReLU is a module of its own, as captum wants it."""

    def __init__(self, name: str):
        super().__init__()
        network = build(name, side=SIDE)
        self.layers = [inner for outer in network.layers for inner in _inner(outer)]
        self.relus = nn.ModuleList()
        self.way = getattr(self, name)
        self.dense = [x for x in self.layers if type(x).__name__ == "Dense"]
        self.convolutions = [x for x in self.layers if "Conv2D" in type(x).__name__]
        self.norms = [x for x in self.layers if type(x).__name__ == "BatchNormalization"]
        for _ in range(6):
            self.relus.append(nn.ReLU())

    def forward(self, image):
        """Give the head's value of images (n, y, x, channel)."""
        self.used = 0
        out = self.way(image.permute(0, 3, 1, 2))
        return self.linear(out, -1) @ WEIGHTS

    def relu(self, x):
        """Use the next ReLU."""
        self.used += 1
        return self.relus[self.used - 1](x)

    def linear(self, x, k):
        """Use a dense layer."""
        kernel, bias = (_tensor(v) for v in self.dense[k].get_weights())
        return x @ kernel + bias

    def convolve(self, x, k, padding="same", **options):
        """Use a convolution; a strided one is padded as TensorFlow does it."""
        kernel, bias = (_tensor(v) for v in self.convolutions[k].get_weights())
        if type(self.convolutions[k]).__name__ == "DepthwiseConv2D":
            kernel = kernel.permute(2, 3, 0, 1)
        else:
            kernel = kernel.permute(3, 2, 0, 1)
        if padding == "same":
            stride, size = options.get("stride", 1), x.shape[-1]
            total = max((-(-size // stride) - 1) * stride + kernel.shape[-1] - size, 0)
            sides = (total // 2, total - total // 2)
            x = nn.functional.pad(x, (*sides, *sides))
        return nn.functional.conv2d(x, kernel, bias, **options)

    def normalise(self, x, k):
        """Use a norm as after training."""
        gamma, beta, mean, variance = (_tensor(v) for v in self.norms[k].get_weights())
        scale = gamma / torch.sqrt(variance + self.norms[k].epsilon)
        return (x - mean[:, None, None]) * scale[:, None, None] + beta[:, None, None]

    def plain(self, x):
        """Port ``architectures.plain``."""
        x = nn.functional.max_pool2d(self.relu(self.convolve(x, 0)), 2)
        x = nn.functional.max_pool2d(self.relu(self.convolve(x, 1, padding="valid")), 2)
        return _flat(x)

    def residual(self, x):
        """Port ``architectures.residual``."""
        skip = self.convolve(x, 0)
        x = self.relu(self.relu(self.convolve(skip, 1)) + skip)
        x = torch.cat([x, self.relu(self.convolve(x, 2))], dim=1)
        return x.mean(dim=(2, 3))

    def dilated(self, x):
        """Port ``architectures.dilated``."""
        x = self.relu(self.convolve(x, 0, stride=2))
        x = self.relu(self.convolve(x, 1, padding="valid", dilation=2))
        return _flat(nn.functional.avg_pool2d(nn.functional.max_pool2d(x, 3, stride=2), 2))

    def normalised(self, x):
        """Port ``architectures.normalised``."""
        x = self.relu(self.normalise(self.convolve(x, 0), 0))
        x = self.relu(self.convolve(x, 1, padding="valid", groups=8))
        x = self.relu(self.convolve(x, 2, padding="valid", groups=2))
        return self.normalise(x, 1).mean(dim=(2, 3))

    def vgg(self, x):
        """Port ``architectures.vgg``."""
        for k in (0, 2):
            x = self.relu(self.convolve(self.relu(self.convolve(x, k)), k + 1))
            x = nn.functional.max_pool2d(x, 2)
        return self.relu(self.linear(_flat(x), 0))


def _inner(layer) -> list:
    return layer.layers if hasattr(layer, "layers") else [layer]


def _tensor(values) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def _flat(x):
    return x.permute(0, 2, 3, 1).flatten(1)  # channels last, as Keras flattens


def main() -> None:
    """Write one array for each network and mode."""
    given = torch.tensor(images(1, side=SIDE)["image"], dtype=torch.float64)
    made = {}
    for name in ARCHITECTURES:
        expected = np.asarray(build(name, side=SIDE)(given.float().numpy()).detach())
        port = Port(name)
        assert np.allclose(port(given).numpy(), expected @ WEIGHTS.numpy(), rtol=1e-4), name
        ways = {
            "gradient": lambda x, net: Saliency(net).attribute(x, abs=False),
            "guided": lambda x, net: GuidedBackprop(net).attribute(x),
            "deconvolution": lambda x, net: Deconvolution(net).attribute(x),
        }
        for mode, way in ways.items():
            found = way(given.clone().requires_grad_(), Port(name))
            made[f"{name} {mode}"] = found.detach().numpy().astype(np.float32)[0]
    np.savez_compressed(Path(__file__).with_name("captum_maps.npz"), **made)


if __name__ == "__main__":
    main()
