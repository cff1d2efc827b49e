"""Keep a finished run's start network in the suite, as Keras file and as layers for NumPy.

python network_models/milne_eddington_start/package.py RUN
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from network_models.milne_eddington_start.start import LAYERS_FILE, PACKAGED
from tools.command_line import make_parser, quiet_start, run_script

if TYPE_CHECKING:
    import keras

_LARGEST_BYTES = 2_000_000
_NETWORK_FILE = "network.keras"


def main(argv: Sequence[str] | None = None) -> int:
    """Package and return the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="finished run of train.py")
    parser.add_argument("--output", default=str(PACKAGED), help="folder of the network")
    arguments = parser.parse_args(argv)
    with quiet_start():
        from network_models.files.safe_loading import load_network
        from network_models.training.checkpoint import save_network
    from tools.atomic_files import write_json
    from tools.run_folder import RunFolder

    run = RunFolder(arguments.run)
    if not run.is_finished:
        raise ValueError(f"expected a finished run, {run.path} has no report.html; finish training")
    config, network = run.config, load_network(run.best_network)
    if network.count_params() * 8 > _LARGEST_BYTES:  # twice in float32
        raise ValueError(
            f"expected at most {_LARGEST_BYTES // 8:,} parameters, {run.path} has "
            f"{network.count_params():,}; train with a smaller --width"
        )
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    save_network(folder / _NETWORK_FILE, network)
    np.savez(folder / LAYERS_FILE, **folded_layers(network))
    options = {name: value for name, value in config["options"].items() if name != "output"}
    names = ("problem", "script", "versions", "data", "targets", "figures")
    kept = {name: config[name] for name in names}
    write_json(folder / "config.json", {"packaged": True, "options": options, **kept})
    print(f"Packaged: {folder}")
    return 0


def folded_layers(network: keras.Model) -> dict[str, np.ndarray]:
    """Return a network's dense layers for ``start.network_answers``, float32.

    Profiles are multiplied by ``units``, go through arsinh, and lose ``mean``. The features'
    spread is folded into the first layer, whose rows are sorted (stokes, wavelength), and the
    answer's scaling into the last. Folding in the mean as well would cost a digit of float32.
    """
    dense = [layer for layer in network.layers if layer.name.startswith("hidden_")]
    dense.append(network.get_layer("answer"))
    weights = [[np.asarray(w, float) for w in layer.get_weights()] for layer in dense]
    standard, atmosphere = network.get_layer("standard"), network.get_layer("atmosphere")
    mean = np.ravel(np.asarray(standard.mean, float))
    spread = np.sqrt(np.ravel(np.asarray(standard.variance, float)))
    kernel, bias = weights[0]
    rows = kernel.reshape(-1, len(mean), kernel.shape[1]) / spread[:, None]
    weights[0] = [np.swapaxes(rows, 0, 1).reshape(kernel.shape), bias]
    scale, offset = np.asarray(atmosphere.scale, float), np.asarray(atmosphere.offset, float)
    weights[-1] = [weights[-1][0] * scale, weights[-1][1] * scale + offset]
    arrays = {"units": np.asarray(network.get_layer("units").scale), "mean": mean}
    for k, (kernel, bias) in enumerate(weights):
        arrays |= {f"kernel_{k}": kernel, f"bias_{k}": bias}
    return {name: np.asarray(values, np.float32) for name, values in arrays.items()}


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
