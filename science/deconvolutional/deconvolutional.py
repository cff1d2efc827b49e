"""Show what the filters of a network look for: deconvolution maps, and the images that excite them.

    python science/deconvolutional/deconvolutional.py MODEL [DATASET] IMAGE [--layer NAME] [--top 4]

MODEL and IMAGE as for saliency.py. For each of the filters that the image excites most (or for
``--filter K``) its signal is brought back to the pixels, and beside it stand the images of the
run's own data that excite the filter most. Writes one page, FITS files and JSON, into the run's
features/ and its report. The pass is compared with the backend's own gradient before it is used.
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

_LARGEST_ERROR = 1e-5  # of the pass in gradient mode, relative to the largest gradient


def main(argv: Sequence[str] | None = None) -> int:
    """Make the page and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    with quiet_start():
        from network_models.differentiation.graph_walk import MODES
        from network_models.differentiation.layer_outputs import layer_shapes, require_layer
        from network_models.training.reopen import open_network
        from science.opening import add_arguments, open_sample

    add_arguments(parser)
    parser.add_argument("--mode", default="deconvolution", choices=MODES)
    parser.add_argument("--layer", default="", help="layer of maps; the last one by default")
    parser.add_argument("--list-layers", action="store_true", help="show them and leave")
    parser.add_argument("--filter", type=int, default=None, help="one filter of it")
    parser.add_argument("--top", type=int, default=4, help="or so many, most excited first")
    parser.add_argument("--examples", type=int, default=3, help="exciting images beside each map")
    parser.add_argument("--check", action="store_true", help="see whether maps may be read")
    parser.add_argument("--search", type=int, default=400, help="images to look for them among")
    arguments = parser.parse_args(argv)
    for name in ("top", "search"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be 1 or more")
    if arguments.examples < 0:
        raise ValueError("--examples must be 0 or more")
    opened = open_network(arguments.model)
    if arguments.list_targets or arguments.list_layers:
        _list(opened, arguments)
        return 0
    target = opened.target(arguments.target)
    shapes = layer_shapes(opened.network)
    layer = arguments.layer or _last_filters(opened.network)
    require_layer(opened.network, layer)
    n_filters = shapes[layer][-1]
    if arguments.filter is not None and not 0 <= arguments.filter < n_filters:
        raise ValueError(f"{layer} has the filters 0 to {n_filters - 1}, not {arguments.filter}")
    with ExitStack() as stack:
        sample = open_sample(
            opened, arguments.where, stack, flares=arguments.flares, regions=arguments.regions
        )
        return _explain(opened, sample, target, layer, arguments)


def _list(opened, arguments: argparse.Namespace) -> None:
    from network_models.differentiation.layer_outputs import layer_shapes
    from science.opening import show_targets

    if arguments.list_targets:
        show_targets(opened)
    if arguments.list_layers:
        for name, shape in layer_shapes(opened.network).items():
            print(f"{name}  {' x '.join(str(n) for n in shape[1:])}")


def _explain(opened, sample, target, layer: str, arguments: argparse.Namespace) -> int:
    from network_models.differentiation.layer_outputs import LayerOutput
    from network_models.differentiation.reverse_pass import ReversePass

    walk = ReversePass(opened.network, wrt=opened.image)
    error = walk.error_against_autograd(sample.inputs, target.head)
    if error >= _LARGEST_ERROR:
        raise ValueError(
            f"the reverse pass differs from the backend's gradient by {error:.1e} of its largest "
            f"value (allowed: {_LARGEST_ERROR:g}): its maps of this network can't be trusted"
        )
    outputs_of = LayerOutput(opened.network, layer)
    output = outputs_of(sample.inputs)
    strongest = output[0].reshape(-1, output.shape[-1]).max(axis=0)
    if arguments.filter is None:
        filters = np.argsort(-strongest, kind="stable")[: arguments.top].tolist()
    else:
        filters = [arguments.filter]
    found = {k: walk.of_filter(sample.inputs, layer, k, mode=arguments.mode) for k in filters}
    examples = _examples(opened, walk, outputs_of, layer, filters, arguments)
    checks = {}
    if arguments.check:
        checks = {k: _check(opened, sample, layer, k, one, arguments) for k, one in found.items()}
    _write(opened, sample, layer, found, examples, error, checks, arguments)
    return 0 if all(check.passed for check in checks.values()) else 1


def _check(opened, sample, layer: str, k: int, found, arguments: argparse.Namespace):
    """Bring the same place of the filter back through random weights."""
    from network_models.differentiation.reverse_pass import ReversePass
    from science.trust import randomise_in_cascade

    walks = {}
    place = tuple(int(p) for p in found.position[0]) if found.extent else None

    def map_of(network) -> np.ndarray:
        if id(network) not in walks:
            walks[id(network)] = ReversePass(network, wrt=opened.image)
        walk = walks[id(network)]
        return walk.of_filter(sample.inputs, layer, k, mode=arguments.mode, position=place).maps[0]

    return randomise_in_cascade(opened.network, map_of, where=sample.observed(opened.image))


def _last_filters(network) -> str:
    """Return the last convolution whose filters are switched on and off, or the hidden layer."""
    import keras

    from network_models.differentiation.layer_outputs import hidden_layer

    switched = [
        layer.name
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D)
        and layer.activation in (keras.activations.relu, keras.activations.gelu)
    ]
    return switched[-1] if switched else hidden_layer(network, with_places=True)


def _examples(
    opened, walk, outputs_of, layer: str, filters: list[int], arguments
) -> dict[int, list]:
    """Find the images of the run's own data that excite each filter most, with their maps."""
    if not opened.has_data or not arguments.examples:
        return {k: [] for k in filters}
    source = opened.samples
    data = source.as_explained(opened.data)
    dataset, rows = data.dataset, data.split.test
    rows = rows[:: max(len(rows) // arguments.search, 1)]
    logger.info("Looking for exciting images among %d of the test set", len(rows))
    strongest = []
    for part in np.array_split(rows, max(len(rows) // 16, 1)):
        output = outputs_of(dataset.read(part))
        strongest.append(output.reshape(len(part), -1, output.shape[-1]).max(axis=1))
    strongest = np.concatenate(strongest)
    out = {}
    for k in filters:
        order = np.argsort(-strongest[:, k], kind="stable")[: arguments.examples]
        out[k] = []
        for row in rows[order]:
            one = source.of_row(opened, data, int(row))
            out[k].append((one, walk.of_filter(one.inputs, layer, k, mode=arguments.mode)))
    return out


def _write(opened, sample, layer, found, examples, error, checks, arguments) -> None:
    """Write the page of filters, FITS, JSON and the report's section, in one step."""
    from tools.atomic_files import replace_folder, write_json
    from tools.report.report import Figure, Section, renew_report, write_section

    name = "".join(c if c.isalnum() else "_" for c in f"{layer}_{sample.label}")
    parent = Path(__file__).parent / "features"
    if arguments.output or opened.run:
        parent = Path(arguments.output) if arguments.output else opened.run / "features"
    folder = parent / f"{arguments.mode}_{name}"
    facts = {
        "layer": layer,
        "mode": arguments.mode,
        "sample": sample.label,
        "source": sample.source,
        "model": str(opened.path),
        "model_hash": opened.model_hash,
        "error_against_autograd": error,
        "filters": {
            k: {
                "excitation": float(one.excitation[0]),
                "position": one.position[0].tolist(),
                "exciting images": [
                    {"sample": s.label, "excitation": float(m.excitation[0])}
                    for s, m in examples[k]
                ],
            }
            for k, one in found.items()
        },
    }
    title = f"What excites the layer {layer}: {sample.label}"
    title += sample.synthetic_note
    caption = (
        f"{arguments.mode} of the filters that the first image excites most, over the channel in "
        "which each map is strongest; beside it the test images that excite the filter most. A "
        "ring marks the place where the filter is strongest. Maps have no unit."
    )
    text = f"The pass equals the backend's gradient to {error:.1e} of its largest value."
    if np.isnan(error):
        text = "The target's gradient is 0 everywhere, so the pass could not be compared with it."
        facts["error_against_autograd"] = None
    verdicts = {f"filter {k}": f"Filter {k}: {check.verdict}" for k, check in checks.items()}
    facts["verdicts"] = list(verdicts.values())
    warning = " ".join(v for v in verdicts.values() if "do not read it" in v)
    with replace_folder(folder) as place:
        for k, one in found.items():
            _write_fits(place, k, one, sample, facts)
        _draw(place / "filters.png", opened, sample, found, examples, title)
        write_json(place / "filters.json", facts)
        lines = [text, *([sample.warning] if sample.warning else []), *verdicts.values()]
        figures = [Figure("filters.png", caption)]
        write_section(place, Section(title, 85, lines, figures, warning=warning))
    if opened.run and opened.run.path in folder.parents:
        renew_report(opened.run.path)
    print(text)
    for k, entry in facts["filters"].items():
        print(f"filter {k}: {entry['excitation']:.3g} at {entry['position']}")
    print("\n".join([*verdicts.values(), f"Page: {folder / 'filters.png'}"]))


def _draw(path: Path, opened, sample, found, examples, title: str) -> None:
    """Draw one row per filter: the image, then those that excite it most."""
    from science.map_files import half_field
    from tools.plotting.maps import plot_filters
    from tools.plotting.style import save_figure

    rows = []
    for k, one in found.items():
        cells = [(sample, one), *examples[k]]
        shown = [(_newest(s, opened.image), _newest_map(m), _middle(m), s.label) for s, m in cells]
        rows.append((f"filter {k}", shown))
    figure = plot_filters(
        rows,
        sample.channels,
        title=title,
        half_field=half_field(sample.wcs, _newest(sample, opened.image).shape[0]),
        has_disc=bool(sample.wcs),
        tilt_deg=float(sample.wcs.get("CRLT_OBS", 0.0)),
    )
    save_figure(figure, path)


def _write_fits(place: Path, k: int, found, sample, facts: dict) -> None:
    """Write a filter's map, of all frames, and on the files' own grid where that is another."""
    from science.map_files import write_map_fits, write_own_grid_fits

    maps = found.maps[0]
    if maps.ndim < 3:
        return
    maps = maps if maps.ndim == 4 else maps[None]
    header = {"METHOD": facts["mode"], "LAYER": facts["layer"], "FILTER": k}
    header |= {"MODEL": facts["model_hash"], "SOURCE": sample.source}
    common = {"channels": sample.channels, "unit": "1", "header": header}
    frames = sample.with_coordinates(maps)
    write_map_fits(place / f"filter_{k}.fits", frames, **common)
    if sample.grids:
        path = place / f"filter_{k}_on_image.fits"
        write_own_grid_fits(path, maps[-1], sample.grids, **common)


def _middle(found) -> np.ndarray:
    """Return where a filter is strongest, as shares of the image's height and width."""
    places, extent = found.position[0], found.extent
    image = found.maps[0].shape[-3:-1]
    if len(extent) == 1 and len(image) == 2 and extent[0] == np.prod(image):  # pixels in a row
        places, extent = np.array(np.unravel_index(places[0], image)), image
    if len(extent) < 2:
        return np.full(2, np.nan)
    return (places[-2:] + 0.5) / np.array(extent[-2:])


def _newest(sample, image: str) -> np.ndarray:
    values = sample.inputs[image][0]
    return values[-1] if values.ndim == 4 else values


def _newest_map(found) -> np.ndarray:
    values = found.maps[0]
    return values[-1] if values.ndim == 4 else values


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
