"""Make a network of pixels into one of images, which the explanation commands take.

    python network_models/dem_regression/image_network.py --height 64 --width 64 --output FOLDER
    python science/saliency/saliency.py FOLDER IMAGE.npy --target "log T 6.95-7.05"

The network takes brightness (y, x, 6) alone and gives the mean emission measure of the image in
every bin. Since pixels are independent of one another, its map shows for every pixel which channel
set its emission measure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.command_line import make_parser, quiet_start, run_script

if TYPE_CHECKING:
    import keras

__all__ = ["build_image_network", "main"]


def build_image_network(
    size: str, shape: tuple[int, int], *, pixels_averaged: float, version: str
) -> keras.Model:
    """Build a network of images from a packaged network of pixels.

    Parameters
    ----------
    size : str
        Of the packaged network.
    shape : (y, x)
    pixels_averaged : float
        Full-resolution pixels in a pixel: the noise that the brightness is taken to have.
    version : str
        Of the responses.

    Returns
    -------
    keras.Model
        Input (batch, y, x, 6) in DN s-1 pix-1; output (batch, 18), 1e26 cm-5.
    """
    import keras
    import numpy as np

    from network_models.dem_regression.inversion import packaged_network
    from network_models.layers.emission import BrightnessError
    from tools.channels import CAMERA
    from tools.emission_measure.families import LOG_T_EDGES
    from tools.emission_measure.response import RESPONSE_CHANNELS, RESPONSE_VERSIONS

    pixels = packaged_network(size, version)
    cameras = [CAMERA[channel] for channel in RESPONSE_CHANNELS]
    table = [
        [c.dn_per_photon / c.exposure_s / pixels_averaged for c in cameras],
        [(c.read_noise_dn**2 + 1 / 12) / c.exposure_s**2 / pixels_averaged for c in cameras],
    ]
    image = keras.Input((*shape, len(cameras)), name="image")
    error = BrightnessError(table, RESPONSE_VERSIONS.index(version), name="error")
    columns = error(keras.layers.Reshape((-1, len(cameras)), name="pixels")(image))
    found = pixels({"brightness": columns})
    em = keras.layers.GlobalAveragePooling1D(name="mean")(found)
    n_bins = len(LOG_T_EDGES) - 1
    first = keras.layers.Dense(n_bins, use_bias=False, trainable=False, name="bins")
    network = keras.Model({"image": image}, first(em), name="emission_measure_of_images")
    first.set_weights([np.eye(em.shape[-1], n_bins, dtype=np.float32)])
    return network


def main(argv: Sequence[str] | None = None) -> int:
    """Write the network as a run folder and give the exit status."""
    from tools.emission_measure.families import LOG_T_EDGES
    from tools.emission_measure.response import RESPONSE_CHANNELS, RESPONSE_VERSIONS

    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--size", default="accurate", help="packaged network")
    parser.add_argument("--height", type=int, required=True, help="pixels")
    parser.add_argument("--width", type=int, required=True, help="pixels")
    parser.add_argument("--pixels-averaged", type=float, default=1.0, help="in every pixel")
    parser.add_argument("--response", default="v10_evenorm_chiantifix", choices=RESPONSE_VERSIONS)
    parser.add_argument("--output", required=True, help="folder to make")
    arguments = parser.parse_args(argv)
    if min(arguments.height, arguments.width) < 1 or not arguments.pixels_averaged > 0:
        raise ValueError("--height, --width and --pixels-averaged must be positive")
    folder = Path(arguments.output)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; give another --output")
    with quiet_start():
        from network_models.training.checkpoint import save_network
        from network_models.training.fitting import describe_network
    from tools.atomic_files import write_json
    from tools.run_folder import RunFolder, software_versions

    network = build_image_network(
        arguments.size,
        (arguments.height, arguments.width),
        pixels_averaged=arguments.pixels_averaged,
        version=arguments.response,
    )
    folder.mkdir(parents=True, exist_ok=True)
    n = len(LOG_T_EDGES) - 1
    targets = {
        f"log T {LOG_T_EDGES[k]:.2f}-{LOG_T_EDGES[k + 1]:.2f}": {
            "unit": "1e26 cm-5",
            "weights": [float(j == k) for j in range(n)],
        }
        for k in range(n)
    }
    run = RunFolder(folder)
    save_network(run.best_network, network)
    describe_network(network, run)
    write_json(
        folder / "config.json",
        {
            "targets": targets,
            "options": vars(arguments),
            "data": {"channels": list(RESPONSE_CHANNELS)},
            "versions": software_versions(),
        },
    )
    print(f"Network of images: {folder}")
    print(f'python science/saliency/saliency.py {folder} IMAGE.npy --target "{list(targets)[15]}"')
    return 0


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
