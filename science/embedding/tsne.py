"""Lay a dataset out as a network sees it: t-SNE of a layer's features, as pages and figures.

    python science/embedding/tsne.py MODEL [DATASET] [--layer NAME] [--like IMAGE]

MODEL is a run folder. Images that the network sees as similar lie side by side; distances between
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


def main(argv: Sequence[str] | None = None) -> int:
    """Make the embedding and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", help="run folder")
    parser.add_argument("dataset", nargs="?", default="", help="a dataset's .py: the run's own")
    parser.add_argument("--layer", default="", help="the last one before the output by default")
    parser.add_argument("--list-layers", action="store_true", help="show them and leave")
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
    if arguments.perplexity <= 1:
        raise ValueError(f"--perplexity must be above 1, got {arguments.perplexity:g}")
    with quiet_start():
        from network_models.graph_walk import layer_shapes
        from science.opening import open_network, require_dataset

    opened = open_network(arguments.model)
    shapes = layer_shapes(opened.network)
    if arguments.list_layers:
        for name, shape in shapes.items():
            print(f"{name}  {' x '.join(str(n) for n in shape[1:])}")
        return 0
    if opened.run is None:
        raise ValueError(f"{arguments.model} is no run folder; its data are not known")
    if arguments.dataset:
        require_dataset(arguments.dataset, opened.run)
    flat = [name for name, shape in list(shapes.items())[:-1] if len(shape) == 2]
    layer = arguments.layer or (flat[-1] if flat else list(shapes)[-1])
    return _embed(opened, layer, arguments)


def _embed(opened, layer: str, arguments: argparse.Namespace) -> int:
    from network_models.graph_walk import LayerOutput
    from network_models.xray_flux_forecast.run_data import reopen_run
    from science.embedding.features import extract_features, vectors
    from science.embedding.layout import lay_out
    from science.opening import open_sample

    reopened = reopen_run(str(opened.run.path))
    dataset, split = reopened.data.dataset, reopened.split
    rows = _rows(split, arguments)
    folder = Path(arguments.output) if arguments.output else opened.run / "embeddings"
    folder = folder / layer.replace("/", "_")
    if arguments.perplexity * 3 > len(rows) - 1:
        raise ValueError(
            f"{len(rows)} samples are too few for a perplexity of {arguments.perplexity:g}: give "
            f"--perplexity below {(len(rows) - 1) / 3:.0f}, or more --samples"
        )
    identity = {"model": opened.model_hash, "data": dataset.fingerprint()}
    features = extract_features(
        opened.network, layer, dataset, rows, folder / "parts", identity=identity
    )
    logger.info("t-SNE of %d x %d features", *features.shape)
    layout = lay_out(features, perplexity=arguments.perplexity, seed=arguments.seed)
    like = None
    with ExitStack() as stack:
        if arguments.like:
            sample = open_sample(opened, [arguments.like], stack, flares=arguments.flares)
            vector = vectors(LayerOutput(opened.network, layer)(sample.inputs))
            like = (sample.label, layout.place(vector)[0], layout.nearest(vector[0]))
    _write(opened, reopened, layer, rows, features, layout, like, folder, arguments)
    return 0


def _rows(split, arguments: argparse.Namespace) -> np.ndarray:
    if arguments.set == "all":
        rows = np.sort(np.concatenate([split.training, split.validation, split.test]))
    else:
        rows = getattr(split, arguments.set)
    if len(rows) == 0:
        raise ValueError(f"the run's {arguments.set} set is empty; give another --set")
    return rows[:: -(-len(rows) // arguments.samples)]


def _metadata(opened, reopened, rows: np.ndarray, arguments: argparse.Namespace) -> dict[str, list]:
    """Give time, observed flux and class, forecast, its error and the set of each sample."""
    from dataset_models.streaming import Batches
    from network_models.training import predict
    from tools.physics.flare_class import class_name

    dataset, split = reopened.data.dataset, reopened.split
    target = opened.target(arguments.target)
    output = predict(opened.network, Batches(dataset, rows, batch_size=dataset.rows_at_once))
    forecast = np.asarray(target.head(np.asarray(output)))
    observed = dataset.log10_peak_flux[rows]
    median = reopened.bins.quantile(output, 0.5)
    kinds = {"training": split.training, "validation": split.validation, "test": split.test}
    group = np.full(len(dataset.times), "purged", object)
    for name, members in kinds.items():
        group[members] = name
    classes = [class_name(10.0**v) if np.isfinite(v) else "none" for v in observed]
    return {
        "class": [c[0] if c != "none" else c for c in classes],
        "time": [str(t) for t in dataset.times[rows]],
        "peak": classes,
        "observed log10 flux": [f"{v:.2f}" for v in observed],
        f"forecast {target.name}": [f"{v:.3f}" for v in forecast],
        "error of the median (dex)": [
            f"{m - v:.2f}" for m, v in zip(median, observed, strict=True)
        ],
        "group": list(group[rows]),
    }


def _write(opened, reopened, layer, rows, features, layout, like, folder, arguments) -> None:
    """Write the projector's folder, figure, page, JSON and the report's section."""
    from dataset_models.SDO.AIA.fdl_1 import FDL1
    from science.embedding.page import write_page
    from science.embedding.projector import write_projector
    from tools.atomic_files import write_json
    from tools.plotting.embedding import plot_embedding, thumbnails_of
    from tools.plotting.style import save_figure
    from tools.report.report import Figure, Section, renew_report, write_section

    dataset = reopened.data.dataset
    metadata = _metadata(opened, reopened, rows, arguments)
    thumbnails = None
    if isinstance(dataset, FDL1):
        images = (dataset.newest_images(part) for part in np.array_split(rows, -(-len(rows) // 64)))
        thumbnails = thumbnails_of(images, dataset.store.channels)
    write_projector(
        folder / "projector", features, layout.places, metadata, thumbnails, colour_by="class"
    )
    source = dataset.record.source
    title = f"{len(rows)} samples as the layer {layer} sees them"
    if "synthetic" in source:
        title += " (synthetic Sun)"
    figure = plot_embedding(
        layout.places, metadata["class"], thumbnails, title=title, like=like[:2] if like else None
    )
    save_figure(figure, folder / "embedding.png")
    write_page(folder / "embedding.html", layout.places, metadata, thumbnails, title=title)
    facts = {
        "layer": layer,
        "model": str(opened.path),
        "model_hash": opened.model_hash,
        "samples": len(rows),
        "features": features.shape[1],
        "perplexity": arguments.perplexity,
        "seed": arguments.seed,
        "source": source,
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
        facts["nearest"] = [
            {"time": metadata["time"][k], "peak": metadata["peak"][k], "distance": float(d)}
            for k, d in zip(near, distances[: arguments.nearest], strict=True)
        ]
        print(f"Nearest to {label}:")
        for entry in facts["nearest"]:
            print(f"  {entry['time']}  {entry['peak']}  distance {entry['distance']:.3g}")
    write_json(folder / "embedding.json", facts)
    command = f"tensorboard --logdir {folder / 'projector'}"
    section = Section(
        title=f"Embedding: {title}",
        order=90,
        text=[*lines, f"Data: {source}."],
        figures=[Figure("embedding.png", "Colour: class of the coming peak flux, as observed.")],
        commands=[command],
    )
    write_section(folder, section)
    if opened.run.path in folder.parents:
        renew_report(opened.run.path)
    print("\n".join(lines))
    print(f"Page: {folder / 'embedding.html'}")
    print(f"Projector: {command}, then open http://localhost:6006/#projector")


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
