"""Captum's maps of a network; run by ``benchmarks/attribution.py`` in captum's environment.

KERAS_BACKEND=torch python benchmarks/peer_captum.py NETWORK GIVEN.npz MADE.npz
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients, NoiseTunnel, Occlusion, Saliency

from network_models.differentiation.gradients import log_odds
from network_models.files.safe_loading import load_network

_STEPS, _SAMPLES, _NOISE, _BLOCKS = 64, 16, 0.1, 16


def main() -> None:
    """Write one array of maps per method; those of derivatives end in ``:slope``."""
    network = load_network(sys.argv[1])
    with np.load(sys.argv[2]) as given:
        images, head = given["images"], log_odds(given["weights"])
    name = max(network.inputs, key=lambda tensor: len(tensor.shape)).name

    def ask(batch: torch.Tensor) -> torch.Tensor:
        others = {
            t.name: torch.ones((len(batch), *t.shape[1:])) for t in network.inputs if t.name != name
        }
        return head(network({name: batch, **others}, training=False))

    methods = {
        "gradient:slope": lambda x, b: Saliency(ask).attribute(x, abs=False),
        "gradient-x-input": lambda x, b: InputXGradient(ask).attribute(x),
        "integrated-gradients": lambda x, b: IntegratedGradients(ask).attribute(
            x, baselines=b, n_steps=_STEPS, internal_batch_size=32
        ),
        "smoothgrad:slope": lambda x, b: NoiseTunnel(Saliency(ask)).attribute(
            x,
            nt_type="smoothgrad",
            nt_samples=_SAMPLES,
            stdevs=_NOISE * float(x.detach().std()),
            abs=False,
        ),
        "occlusion": lambda x, b: Occlusion(ask).attribute(
            x,
            sliding_window_shapes=_window(x),
            strides=_window(x),
            baselines=b,
            perturbations_per_eval=32,
        ),
    }
    torch.manual_seed(0)
    made: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    for one in images:
        x = torch.tensor(one[None])
        median = x.flatten(2, 3).median(dim=2).values[:, :, None, None, :].expand_as(x).contiguous()
        for method, way in methods.items():
            made[method].append(way(x.clone().requires_grad_(), median).detach().numpy()[0])
    np.savez(sys.argv[3], **{method: np.stack(maps) for method, maps in made.items()})


def _window(x: torch.Tensor) -> tuple[int, ...]:
    return (1, x.shape[2] // _BLOCKS, x.shape[3] // _BLOCKS, x.shape[4])


if __name__ == "__main__":
    main()
