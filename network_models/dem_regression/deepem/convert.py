"""Turn DeepEM's PyTorch weights into a network of this suite, without PyTorch.

    python network_models/dem_regression/deepem/convert.py WEIGHTS.pth [--output NETWORK.keras]

WEIGHTS.pth is a state dictionary of the three 1x1 convolutions. The network takes DN s-1 pix-1 and
gives emission measure in cm-5. Nothing that the file brings along is run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

__all__ = ["deepem_from_torch"]

_SHAPES = {
    "0.weight": (300, 6, 1, 1),
    "0.bias": (300,),
    "2.weight": (300, 300, 1, 1),
    "2.bias": (300,),
    "4.weight": (18, 300, 1, 1),
    "4.bias": (18,),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("weights", metavar="WEIGHTS.pth", help="PyTorch state dictionary")
    parser.add_argument("--output", default="deepem.keras", help="file to write")
    arguments = parser.parse_args(argv)
    output = Path(arguments.output)
    if output.suffix != ".keras":
        raise ValueError(f"--output must end in .keras, got {output.name}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_start():
        from network_models.training.checkpoint import save_network

        network = deepem_from_torch(arguments.weights)
    save_network(output, network)
    print(f"DeepEM with the weights of {Path(arguments.weights).name}: {output}")
    return 0


def deepem_from_torch(path: str | Path):
    """Return DeepEM with the weights of a PyTorch state dictionary.

    Returns
    -------
    keras.Model
        (batch, y, x, 6) in DN s-1 pix-1 to (batch, y, x, 18) in cm-5.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it can't be read, or holds another network's tensors.
    """
    from network_models.dem_regression.deepem.network import build_deepem, with_emission_measure
    from network_models.files.torch_weights import read_state_dictionary

    tensors = read_state_dictionary(path)
    shapes = {name: values.shape for name, values in tensors.items()}
    if shapes != _SHAPES:
        raise ValueError(
            f"{Path(path).name}: expected the tensors of DeepEM, {_listed(_SHAPES)}; got "
            f"{_listed(shapes)}"
        )
    if not all(np.isfinite(values).all() for values in tensors.values()):
        raise ValueError(f"{Path(path).name}: holds weights that are not finite")
    network = build_deepem()
    for number, layer in enumerate(("pixel_1", "pixel_2", "pixel_3")):
        # PyTorch's kernels are (out, in, y, x), Keras' (y, x, in, out)
        kernel = tensors[f"{2 * number}.weight"].transpose(2, 3, 1, 0)
        network.get_layer(layer).set_weights([kernel, tensors[f"{2 * number}.bias"]])
    return with_emission_measure(network)


def _listed(shapes: dict) -> str:
    """Name some tensors with their shapes."""
    parts = [f"{name} {shape}" for name, shape in list(shapes.items())[:8]]
    return ", ".join(parts) if parts else "none"


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
