"""Show which pixels of an image move a network's forecast.

    python science/saliency/saliency.py MODEL [DATASET] IMAGE [--target NAME] [--method METHOD]

MODEL is a run folder of any problem, packaged/NAME, a .keras or an old .hdf5 file; IMAGE a sample
of the run's own data ("first", a number, or 2014-01-11T08:00), STORE@TIME, FITS or .dat files, or
an .npy array. Writes a figure, FITS files with one extension per channel, and a JSON file, into the
run's maps/ and its report.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

DEFAULT_METHOD = "integrated-gradients"


def main(argv: Sequence[str] | None = None) -> int:
    """Make a map and give the exit status: 1 if a check says that it must not be read."""
    parser = make_parser(__doc__.splitlines()[0])
    with quiet_start():
        from network_models.training.reopen import open_network
        from science.opening import add_arguments, open_sample, show_targets
        from science.saliency.attribution import METHODS

    add_arguments(parser)
    parser.add_argument("--method", default=DEFAULT_METHOD, choices=list(METHODS))
    parser.add_argument("--log-odds", action="store_true", help="explain ln(P / (1 - P)) of a P")
    parser.add_argument("--baseline", default="median", choices=("median", "zero"))
    parser.add_argument("--samples", type=int, default=16, help="noisy images of smoothgrad")
    parser.add_argument("--noise", type=float, default=0.1, help="their noise, of the spread")
    parser.add_argument("--masks", type=int, default=500, help="masks of rise")
    parser.add_argument("--blocks", type=int, default=16, help="patches a side of occlusion")
    parser.add_argument("--layer", default="", help="layer of grad-cam")
    parser.add_argument("--views", type=int, default=1, choices=(1, 8), help="mean of 8 turns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="see whether the map may be read")
    arguments = parser.parse_args(argv)
    for name in ("samples", "masks", "blocks"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be 1 or more")
    if not 0 <= arguments.noise < float("inf"):
        raise ValueError(f"--noise must be a finite number, 0 or more, got {arguments.noise}")
    opened = open_network(arguments.model)
    if arguments.list_targets:
        show_targets(opened)
        return 0
    target = opened.target(arguments.target)
    target = target.log_odds if arguments.log_odds else target
    with ExitStack() as stack:
        sample = open_sample(
            opened, arguments.where, stack, flares=arguments.flares, regions=arguments.regions
        )
        return _explain(opened, sample, target, arguments)


def _explain(opened, sample, target, arguments: argparse.Namespace) -> int:
    """Make the map of a target."""
    from science.saliency.attribution import AttributionOptions, Explainer
    from science.saliency.map_folder import write_map_folder

    head, unit = target.head, target.unit_of_changes
    fields = dataclasses.fields(AttributionOptions)
    options = AttributionOptions(**{f.name: getattr(arguments, f.name) for f in fields})
    explainer = Explainer(opened.network, head, image=opened.image)
    found = explainer.explain(sample.inputs, arguments.method, options)
    if not np.isfinite(found.values).all() or not np.isfinite(found.target_value):
        raise ValueError(
            f"{sample.label}: the network's value ({found.target_value}) or its map is not finite; "
            "nothing is written"
        )
    if found.unit == "target per input":
        unit = unit if sample.unit == "1" else f"{unit} / ({sample.unit})"
    facts = {
        "target": target.name,
        "value": found.target_value,
        "method": arguments.method,
        "unit": unit,
        "sample": sample.label,
        "source": sample.source,
        "model": str(opened.path),
        "model_hash": opened.model_hash,
        **found.notes,
    }
    verdicts, passed, curves = [], True, []
    if np.ptp(found.values) == 0 and not arguments.check:
        verdicts.append("This map is the same everywhere: it says nothing, do not read it.")
    gap = found.notes.get("completeness_gap")
    if gap is not None:
        passed = gap < 1e-3
        verdicts.append(
            f"Completeness: the pixels add up to the target's change to {gap:.1e} "
            + ("(allowed: 1e-3)." if passed else "(allowed: 1e-3): read its sums with care.")
        )
    if arguments.check:
        cascade, curves = _checks(opened, sample, head, explainer, found, options, arguments)
        columns = (cascade.layers, cascade.correlations, cascade.outlines)
        facts["cascade"] = {
            layer: {"map": _or_none(value), "outline": _or_none(outline)}
            for layer, value, outline in zip(*columns, strict=True)
        }
        facts["random_weights"] = [round(float(v), 4) for v in cascade.of_random_weights]
        for curve in curves:
            facts[curve.kind] = {"difference": curve.difference, "interval": curve.interval}
        verdicts += [cascade.verdict, *(curve.verdict for curve in curves)]
        passed = passed and cascade.passed and all(curve.passed for curve in curves)
    facts["verdicts"] = verdicts
    write_map_folder(opened, sample, found, facts, curves, arguments.output)
    for verdict in verdicts:
        print(verdict)
    return 0 if passed or not arguments.check else 1


def _or_none(value: float) -> float | None:
    """Return a number as JSON has it."""
    return round(value, 4) if np.isfinite(value) else None


def _checks(opened, sample, head, explainer, found, options, arguments: argparse.Namespace):
    """Make the map again for random weights, and delete what it names."""
    from science.saliency.attribution import Explainer
    from science.saliency.question import baseline_of
    from science.trust import exchange_curves, randomise_in_cascade

    explainers = {id(opened.network): explainer}

    def values_of(network) -> np.ndarray:
        if id(network) not in explainers:
            explainers[id(network)] = Explainer(network, head, image=opened.image)
        return explainers[id(network)].explain(sample.inputs, arguments.method, options).values

    where = sample.observed(opened.image)
    cascade = randomise_in_cascade(opened.network, values_of, where=where)
    image = sample.inputs[opened.image][0]
    baseline = baseline_of(image, arguments.baseline)
    # a map as what each pixel adds: derivatives are taken times the way from the baseline
    adds = found.values * (image - baseline) if "per input" in found.unit else found.values
    curves = [
        exchange_curves(
            image,
            baseline,
            adds,
            lambda images: explainer.targets(sample.inputs, images),
            kind=kind,
            where=where,
        )
        for kind in ("deletion", "insertion")
    ]
    return cascade, curves


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
