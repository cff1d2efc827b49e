"""Lay a dataset out as a network sees it: t-SNE of a layer's features, as pages and figures.

    python science/embedding/tsne.py MODEL [DATASET] [--layer NAME] [--like IMAGE]

MODEL is a run folder or a network's file; DATASET the run's own, a store, a folder of images, or a
folder of .npy arrays. Images that the network sees as similar lie side by side; distances between
groups mean nothing. Writes a folder for TensorBoard's projector (features and t-SNE, thumbnails,
metadata), a figure, and a page with a thumbnail for every point, into the run's embeddings/ and its
report. Features are kept part by part: a stopped extraction goes on.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

logger = logging.getLogger(__name__)

_FEWEST = 10  # samples


def main(argv: Sequence[str] | None = None) -> int:
    """Make the embedding and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", help="run folder, or .keras, .hdf5 file")
    parser.add_argument(
        "dataset", nargs="?", default="", help="the run's .py (the default), a store, a folder"
    )
    parser.add_argument("--layer", default="", help="the last one before the output by default")
    parser.add_argument("--list-layers", action="store_true", help="show them and leave")
    parser.add_argument("--list-targets", action="store_true", help="show them and leave")
    parser.add_argument("--target", default="", help="scalar to colour by; the first by default")
    parser.add_argument("--set", default="test", choices=("test", "validation", "training", "all"))
    parser.add_argument("--samples", type=int, default=5000, help="at most so many, evenly spread")
    parser.add_argument("--perplexity", type=float, default=30.0, help="neighbours that count")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--like", default="", metavar="IMAGE", help="list the images nearest to it")
    parser.add_argument("--nearest", type=int, default=10, help="how many")
    parser.add_argument("--flares", default="", help="flare list, for --like with the history")
    parser.add_argument("--output", default="", help="folder for what is made")
    arguments = parser.parse_args(argv)
    for name in ("samples", "nearest"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be 1 or more")
    if arguments.seed < 0:
        raise ValueError(f"--seed must be 0 or more, got {arguments.seed}")
    if not 1 < arguments.perplexity < float("inf"):
        raise ValueError(f"--perplexity must be above 1, got {arguments.perplexity:g}")
    with quiet_start():
        from network_models.differentiation.layer_outputs import (
            layer_shapes,
            require_layer,
        )
        from network_models.training.reopen import open_network
        from science.opening import show_targets

    opened = open_network(arguments.model)
    shapes = layer_shapes(opened.network)
    if arguments.list_targets:
        show_targets(opened)
        return 0
    if arguments.list_layers:
        for name, shape in shapes.items():
            print(f"{name}  {' x '.join(str(n) for n in shape[1:])}")
        return 0
    target = opened.target(arguments.target)
    layer = arguments.layer or _last_features(opened.network, shapes)
    require_layer(opened.network, layer)
    return _embed(opened, layer, target, arguments)


def _last_features(network, shapes: dict[str, tuple]) -> str:
    """Return the last layer of vectors before the output, or what maps are made of."""
    from network_models.differentiation.layer_outputs import hidden_layer

    flat = [
        name
        for name, shape in list(shapes.items())[:-1]
        if len(shape) == 2 and (shape[-1] or 0) > 1
    ]
    return flat[-1] if flat and len(network.outputs[0].shape) == 2 else hidden_layer(network)


def _embed(opened, layer: str, target, arguments: argparse.Namespace) -> int:
    from network_models.differentiation.layer_outputs import LayerOutput
    from science.embedding.features import extract_features, vectors
    from science.embedding.layout import lay_out
    from science.embedding.lots import open_lot
    from science.opening import open_sample

    with ExitStack() as stack:
        samples = open_lot(
            opened,
            arguments.dataset,
            target,
            stack,
            which=arguments.set,
            at_most=arguments.samples,
            flares=arguments.flares,
        )
        n = len(samples.rows)
        parent = opened.run / "embeddings" if opened.run else Path(__file__).parent / "embeddings"
        folder = Path(arguments.output) if arguments.output else parent
        folder = folder / layer.replace("/", "_")
        if n < _FEWEST:
            raise ValueError(f"{n} samples are too few for a layout; expected {_FEWEST} or more")
        if arguments.perplexity * 3 > n - 1:
            raise ValueError(
                f"{n} samples are too few for a perplexity of {arguments.perplexity:g}: give "
                f"--perplexity below {(n - 1) / 3:.0f}, or more samples"
            )
        identity = {"model": opened.model_hash, "data": samples.dataset.fingerprint()}
        features = extract_features(
            opened.network,
            layer,
            samples.dataset,
            samples.rows,
            folder / "parts",
            identity=identity,
        )
        if not np.isfinite(features).all():
            raise ValueError(
                f"the layer {layer} gives values that are not finite for these samples: choose "
                "another one (--list-layers)"
            )
        logger.info("t-SNE of %d x %d features", *features.shape)
        layout = lay_out(features, perplexity=arguments.perplexity, seed=arguments.seed)
        like = None
        if arguments.like:
            sample = open_sample(opened, [arguments.like], stack, flares=arguments.flares)
            vector = vectors(LayerOutput(opened.network, layer)(sample.inputs))
            like = (sample.label, layout.place(vector)[0], layout.nearest(vector[0]))
        _write(opened, samples, layer, features, layout, like, folder, arguments)
    return 0


def _write(opened, samples, layer, features, layout, like, folder, arguments) -> None:
    """Write the projector's folder, figure, page, JSON and the report's section."""
    from network_models.training.sample import synthetic_note
    from science.embedding.page import write_page
    from science.embedding.projector import write_projector
    from tools.atomic_files import write_json
    from tools.plotting.embedding import plot_embedding
    from tools.plotting.style import save_figure
    from tools.report.report import Figure, Section, renew_report, write_section

    metadata, thumbnails = samples.describe(), samples.thumbnails()
    n = len(samples.rows)
    write_projector(
        folder / "projector", features, layout.places, metadata, thumbnails, colour_by="class"
    )
    title = f"{n} samples as the layer {layer} sees them"
    title += synthetic_note(samples.source)
    figure = plot_embedding(
        layout.places,
        metadata["class"],
        thumbnails,
        title=title,
        legend=samples.colour_means,
        like=like[:2] if like else None,
    )
    save_figure(figure, folder / "embedding.png")
    write_page(
        folder / "embedding.html",
        layout.places,
        metadata,
        thumbnails,
        title=title,
        legend=samples.colour_means,
    )
    facts = {
        "layer": layer,
        "model": str(opened.path),
        "model_hash": opened.model_hash,
        "samples": n,
        "features": features.shape[1],
        "perplexity": arguments.perplexity,
        "seed": arguments.seed,
        "source": samples.source,
        "neighbours_kept": layout.neighbours_kept,
    }
    lines = [
        f"t-SNE of {features.shape[0]} x {features.shape[1]} features, perplexity "
        f"{arguments.perplexity:g}; of each sample's 10 nearest neighbours "
        f"{100 * layout.neighbours_kept:.0f} % are kept. Distances between groups mean nothing.",
    ]
    if like:
        label, _, (nearest, distances) = like
        facts["like"] = label
        near = nearest[: arguments.nearest]
        told = ["sample", "peak" if "peak" in metadata else "class"]
        facts["nearest"] = [
            {**{name: metadata[name][k] for name in told}, "distance": float(d)}
            for k, d in zip(near, distances[: arguments.nearest], strict=True)
        ]
        print(f"Nearest to {label}:")
        for entry in facts["nearest"]:
            print(f"  {'  '.join(entry[t] for t in told)}  distance {entry['distance']:.3g}")
    write_json(folder / "embedding.json", facts)
    command = f"tensorboard --logdir {folder / 'projector'}"
    section = Section(
        title=f"Embedding: {title}",
        order=90,
        text=[*lines, f"Data: {samples.source}."],
        figures=[Figure("embedding.png", f"Colour: {samples.colour_means}.")],
        commands=[command],
    )
    write_section(folder, section)
    if opened.run and opened.run.path in folder.parents:
        renew_report(opened.run.path)
    print("\n".join(lines))
    print(f"Page: {folder / 'embedding.html'}")
    print(f"Projector: {command}, then open http://localhost:6006/#projector")


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
