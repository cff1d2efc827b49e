"""Draw Slic's network or its small successor: cnn.png and classifier.png.

    python network_models/image_classification/slic/draw.py [--network vgg13] --output FOLDER

Both are drawn from the graph of the network itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tools.command_line import make_parser, quiet_start, run_script

if TYPE_CHECKING:
    import keras

    from tools.plotting.network_blocks import MapBlock, VectorColumn

__all__ = ["classifier_columns", "map_blocks"]

NETWORKS = {
    "vgg13": "Slic's VGG-13 as its code has it",
    "untied": "VGG-13 as Slic's figure has it",
    "slic_lite": "slic_lite",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--network", default="vgg13", choices=list(NETWORKS), help="which one")
    parser.add_argument("--side", type=int, default=96, help="of slic_lite's image, pixels")
    parser.add_argument("--output", default=".", help="folder for both pictures")
    arguments = parser.parse_args(argv)
    if arguments.side < 32:
        raise ValueError(f"--side must be 32 pixels or more, got {arguments.side}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_start():
        network = _build(arguments.network, arguments.side)
    from tools.plotting.network_blocks import draw_classifier, draw_stages

    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    title = NETWORKS[arguments.network]
    blocks, skips = map_blocks(network)
    print(draw_stages(blocks, skips, folder / "cnn.png", title=title))
    columns = classifier_columns(network)
    print(draw_classifier(columns, folder / "classifier.png", title=f"{title}: classifier"))
    return 0


def map_blocks(network: keras.Model) -> tuple[list[MapBlock], list[tuple[int, int]]]:
    """Return the maps of a network in their order, and which of them are added up.

    Raises
    ------
    ValueError
        If the network takes images of any size, so that its maps have none.
    """
    from tools.plotting.network_blocks import MapBlock

    (image,) = network.inputs
    if None in image.shape[1:]:
        raise ValueError(f"{network.name} takes images of any size; build it with a side to draw")
    blocks = [MapBlock("image", image.shape[-1], tuple(image.shape[1:3]))]
    made_by, skips, seen = {id(image): 0}, [], set()
    for layer, given, output in _nodes(network):
        sources = sorted(made_by[id(tensor)] for tensor in given if id(tensor) in made_by)
        if not sources or len(output.shape) != 4:
            continue
        kind = _KINDS.get(type(layer).__name__)
        if kind == "convolution" and layer.name in seen:
            kind = "shared"
        seen.add(layer.name)
        if kind is not None:
            blocks.append(MapBlock(kind, output.shape[-1], tuple(output.shape[1:3])))
            sources = [len(blocks) - 1]
        if len(sources) == 2:
            skips.append((sources[0], sources[1]))
        made_by[id(output)] = sources[-1]
    return blocks, skips


def classifier_columns(network: keras.Model) -> list[VectorColumn]:
    """Return the numbers after a network's maps, in their order."""
    from dataset_models.solar_scenes.classes import CLASS_TITLES, NONE
    from tools.plotting.network_blocks import VectorColumn

    columns: list[VectorColumn] = []
    before: list[str] = []
    for layer, given, output in _nodes(network):
        name = type(layer).__name__
        if name in ("Flatten", "Concatenate") and len(output.shape) == 2:
            maps = given[0].shape[1:]
            text = "means and maxima\nof each map"
            if name == "Flatten":
                text = " x ".join(str(n) for n in maps)
            columns.append(VectorColumn(output.shape[1], text))
        elif name == "Dense":
            text = f"{layer.count_params():,}\nweights"
            label = "logits" if layer.name == "logits" else "numbers"
            between = "\n".join([*before, text])
            columns.append(VectorColumn(output.shape[1], label, before=between))
            before = []
        elif name == "Dropout":
            before.append(f"dropout {layer.rate:g}")
        elif name == "ReLU" and columns:
            before.append("ReLU")
        elif name == "ClassProbabilities":
            columns.append(
                VectorColumn(output.shape[1], "probabilities", before="softmax", has_weights=False)
            )
    names = (*CLASS_TITLES, NONE)[: columns[-1].n]
    return [*columns[:-1], replace(columns[-1], names=names)]


_KINDS = {
    "SceneScaling": "scaling",
    "Conv2D": "convolution",
    "SeparableConv2D": "separable",
    "MaxPooling2D": "pool",
}


def _build(name: str, side: int) -> keras.Model:
    """Build a network without filling its weights, of which Slic's have 623 MB."""
    import keras

    from network_models.image_classification.slic.slic_lite import build_slic_lite
    from network_models.image_classification.slic.vgg13 import build_slic_vgg13

    with keras.StatelessScope(initialize_variables=False):
        if name == "slic_lite":
            return build_slic_lite(side=side)
        return build_slic_vgg13(tied=name == "vgg13")


def _nodes(network: keras.Model) -> Iterator[tuple]:
    """Yield each use of a layer: the layer, the tensors that go in, and the one that comes out."""
    from network_models.differentiation.keras_graph import uses_of

    for use in uses_of(network):
        yield use.operation, use.inputs, use.outputs[0]


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
