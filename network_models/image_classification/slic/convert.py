"""Turn Slic's PyTorch weights into a network of this suite, without PyTorch.

    python network_models/image_classification/slic/convert.py WEIGHTS.pth [--output NETWORK.keras]

WEIGHTS.pth is a state dictionary as Slic's training writes one for each epoch (sol_class_4.pth).
The network that is written takes frames of any size, scales them as Slic's training images were,
and gives probabilities, so that classify.py and the explanations take it; with --bare it takes
prepared images of 256 x 256 and gives Slic's five logits. Nothing that the file brings is run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

if TYPE_CHECKING:
    import keras

__all__ = ["slic_from_torch"]

_LARGEST_MIB = 1024  # Slic's weights are 594 MiB
_PARALLEL = "module."  # before each name, where several GPUs trained the network
_COUNTER = ".num_batches_tracked"
_LISTED = 4
_CONVOLUTIONS = 8
_MATRICES = {"dense_1": 0, "dense_2": 3, "logits": 6}  # their places in Slic's classifier


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("weights", metavar="WEIGHTS.pth", help="PyTorch state dictionary")
    parser.add_argument("--output", default="slic.keras", help="file to write")
    parser.add_argument("--bare", action="store_true", help="without scaling and probabilities")
    arguments = parser.parse_args(argv)
    output = Path(arguments.output)
    if output.suffix != ".keras":
        raise ValueError(f"--output must end in .keras, got {output.name}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_start():
        from network_models.image_classification.slic.vgg13 import as_classifier
        from network_models.training.checkpoint import save_network
    network = slic_from_torch(arguments.weights)
    if not arguments.bare:
        network = as_classifier(network)
    save_network(output, network)
    print(f"Slic's network with the weights of {Path(arguments.weights).name}: {output}")
    return 0


def slic_from_torch(path: str | Path, network: keras.Model | None = None) -> keras.Model:
    """Return Slic's network with the weights of a PyTorch state dictionary.

    Parameters
    ----------
    path : str or Path
    network : keras.Model, optional
        One of ``build_slic_vgg13`` to fill, if not of Slic's size; its convolutions are tied.

    Returns
    -------
    keras.Model
        ``{"image": (batch, 256, 256, 1)}`` to (batch, 5) logits.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it can't be read, lacks a tensor, or holds one of another name or shape, or one that is
        not finite.
    """
    from network_models.files.torch_weights import read_state_dictionary
    from network_models.image_classification.slic.vgg13 import build_slic_vgg13

    tensors = read_state_dictionary(path, with_counters=True, largest_mib=_LARGEST_MIB)
    tensors = {
        name.removeprefix(_PARALLEL): values
        for name, values in tensors.items()
        if not name.endswith(_COUNTER)
    }
    network = network or build_slic_vgg13()
    expected = {name: shape for *_, shapes in _layers(network) for name, shape in shapes.items()}
    _require(tensors, expected, Path(path).name)
    for layer, turn, names in _layers(network):
        first, *rest = (tensors.pop(name) for name in names)
        layer.set_weights([turn(first), *rest])
    return network


def _layers(network: keras.Model) -> Iterator[tuple[keras.Layer, Callable, dict[str, tuple]]]:
    """Yield each layer with weights, how its first array turns, and its tensors' shapes in PyTorch.

    They come in the order in which Keras keeps them: kernel and bias; a norm's factor, offset,
    mean, variance.
    """
    for place in range(1, _CONVOLUTIONS + 1):
        convolution = network.get_layer(f"convolution_{place}")
        side, _, n_in, n_out = convolution.kernel.shape
        name = f"layer{place}."
        shapes = {f"{name}0.weight": (n_out, n_in, side, side), f"{name}0.bias": (n_out,)}
        yield convolution, _kernel, shapes
        parts = ("weight", "bias", "running_mean", "running_var")
        norm = network.get_layer(f"norm_{place}")
        yield norm, np.asarray, {f"{name}1.{part}": (n_out,) for part in parts}
    maps = network.get_layer("flat").input.shape[1:]
    for layer_name, place in _MATRICES.items():
        dense = network.get_layer(layer_name)
        n_in, n_out = dense.kernel.shape
        shapes = {f"classifier.{place}.weight": (n_out, n_in), f"classifier.{place}.bias": (n_out,)}
        turn = partial(_first_matrix, maps) if place == 0 else np.transpose
        yield dense, turn, shapes


def _kernel(values: np.ndarray) -> np.ndarray:
    """Turn (out, in, y, x) into (y, x, in, out)."""
    return values.transpose(2, 3, 1, 0)


def _first_matrix(maps: tuple[int, int, int], values: np.ndarray) -> np.ndarray:
    """Turn (out, channel y x) into (y x channel, out): PyTorch flattens channels first."""
    height, width, channels = maps
    by_place = values.reshape(-1, channels, height, width)
    return by_place.transpose(2, 3, 1, 0).reshape(height * width * channels, -1)


def _require(tensors: dict[str, np.ndarray], expected: dict[str, tuple], file: str) -> None:
    """Check names, shapes and values."""
    faults = [f"{name} is lacking" for name in expected if name not in tensors]
    faults += [f"{name} is none of its tensors" for name in tensors if name not in expected]
    faults += [
        f"{name} is {values.shape}, not {expected[name]}"
        for name, values in tensors.items()
        if name in expected and values.shape != expected[name]
    ]
    if not faults:
        faults = [f"{n} is not finite" for n, v in tensors.items() if not np.isfinite(v).all()]
    if not faults:
        names = [name for name in tensors if name.endswith(".running_var")]
        faults = [f"{name} is negative" for name in names if tensors[name].min() < 0]
    if faults:
        more = f" and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise ValueError(
            f"{file}: expected the {len(expected)} tensors of Slic's network, layer1.0.weight to "
            f"classifier.6.bias; {'; '.join(faults[:_LISTED])}{more}"
        )


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
