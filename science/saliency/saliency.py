"""Show which pixels of an image move a network's forecast.

    python science/saliency/saliency.py MODEL [DATASET] IMAGE [--target NAME] [--method METHOD]

MODEL is a run folder or a .keras file; IMAGE a time of the run's own data ("first", or
2014-01-11T08:00), STORE@TIME, FITS or .dat files, or an .npy array. Writes a figure, a FITS file
with one extension per channel, and a JSON file, into the run's maps/ and its report.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

DEFAULT_METHOD = "integrated-gradients"


def main(argv: Sequence[str] | None = None) -> int:
    """Make a map and give the exit status: 1 if a check says that it must not be read."""
    parser = make_parser(__doc__.splitlines()[0])
    with quiet_start():
        from science.opening import add_arguments, open_network, open_sample
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
        for target in opened.targets.values():
            print(f"{target.name} [{target.unit}]")
        return 0
    with ExitStack() as stack:
        sample = open_sample(opened, arguments.where, stack, flares=arguments.flares)
        return _explain(opened, sample, arguments)


def _explain(opened, sample, arguments: argparse.Namespace) -> int:
    from network_models.gradients import log_odds
    from science.saliency.attribution import (
        AttributionOptions,
        attribute,
        baseline_of,
        targets_of,
    )
    from science.trust import deletion_curves, randomise_in_cascade

    target = opened.target(arguments.target)
    head, name, unit = target.head, target.name, target.unit
    if arguments.log_odds:
        if not target.is_probability:
            raise ValueError(f"--log-odds is for probabilities, not for {target.name!r}")
        head, name = log_odds(target.weights), f"log-odds of {name}"
    fields = dataclasses.fields(AttributionOptions)
    options = AttributionOptions(**{f.name: getattr(arguments, f.name) for f in fields})

    def make(network):
        return attribute(
            network,
            sample.inputs,
            head,
            image=opened.image,
            method=arguments.method,
            options=options,
        )

    found = make(opened.network)
    if not np.isfinite(found.values).all():
        raise ValueError(f"the map of {sample.label} holds values that are not finite; not written")
    unit = "dex" if unit.startswith("log10(") else unit  # of changes
    if found.unit == "target per input":
        unit = f"{unit} / ({sample.unit})"
    facts = {
        "target": name,
        "value": found.target_value,
        "method": arguments.method,
        "unit": unit,
        "sample": sample.label,
        "source": sample.source,
        "model": str(opened.path),
        "model_hash": opened.model_hash,
        **found.notes,
    }
    image = sample.inputs[opened.image][0]
    verdicts, passed, curves = [], True, None
    gap = found.notes.get("completeness_gap")
    if gap is not None:
        kept = gap < 1e-3
        passed &= kept
        verdicts.append(
            f"Completeness: the pixels add up to the target's change to {gap:.1e} "
            + ("(allowed: 1e-3)." if kept else "(allowed: 1e-3): read its sums with care.")
        )
    if arguments.check:
        cascade = randomise_in_cascade(opened.network, lambda n: make(n).values)
        baseline = baseline_of(image, arguments.baseline)
        ask = targets_of(opened.network, sample.inputs, head, opened.image)
        curves = deletion_curves(image, baseline, _contributions(found, image, baseline), ask)
        facts["cascade"] = dict(zip(cascade.layers, cascade.correlations, strict=True))
        facts["deletion"] = {"difference": curves.difference, "interval": curves.interval}
        verdicts += [cascade.verdict, curves.verdict]
        passed = passed and cascade.passed and curves.passed
    facts["verdicts"] = verdicts
    _write(opened, sample, found, facts, curves, arguments)
    for verdict in verdicts:
        print(verdict)
    return 0 if passed or not arguments.check else 1


def _contributions(found, image: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Give a map as what each pixel adds: derivatives are taken times the way from the baseline."""
    if "per input" in found.unit:
        return found.values * (image - baseline)
    return found.values


def _write(opened, sample, found, facts: dict, curves, arguments: argparse.Namespace) -> None:
    """Write figure, FITS, JSON and the report's section."""
    from science.map_files import half_field, write_map_fits
    from science.trust import channel_shares, off_disc_share
    from tools.atomic_files import write_json
    from tools.plotting.maps import plot_deletion, plot_history_map, plot_solar_maps
    from tools.plotting.style import save_figure

    name = "".join(c if c.isalnum() else "_" for c in f"{sample.label}_{facts['target']}")
    parent = Path(arguments.output) if arguments.output else _maps_folder(opened)
    folder = parent / f"{arguments.method}_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    image = sample.inputs[opened.image][0]
    values = found.values
    title = f"{facts['target']} = {found.target_value:.3g}, {sample.label}, {arguments.method}"
    if "synthetic" in sample.source:
        title += " (synthetic Sun)"
    if image.ndim < 3:
        figure = plot_history_map(values, sample.channels, unit=facts["unit"], title=title)
    else:
        newest = values[-1] if values.ndim == 4 else values
        shown = image[-1] if image.ndim == 4 else image
        figure = plot_solar_maps(
            np.moveaxis(shown, -1, 0),
            np.moveaxis(newest, -1, 0),
            sample.channels,
            unit=f"{facts['target']}, {'per pixel' if facts['unit'] == '1' else facts['unit']}",
            title=title,
            half_field=half_field(sample.wcs, newest.shape[-2]),
            tilt_deg=float(sample.wcs.get("CRLT_OBS", 0.0)),
        )
        if newest.shape[-1] == len(sample.channels):
            shares = channel_shares(newest)
            facts["channel_shares"] = dict(
                zip(map(str, sample.channels), shares.round(6).tolist(), strict=True)
            )
        radius = newest.shape[-2] / 2 / half_field(sample.wcs, newest.shape[-2])
        facts["off_disc_share"] = off_disc_share(newest, radius)
        write_map_fits(
            folder / "map.fits",
            newest,
            channels=sample.channels,
            wcs=sample.wcs,
            unit="" if facts["unit"] == "1" else facts["unit"],
            header={
                "METHOD": arguments.method,
                "TARGET": facts["target"],
                "VALUE": found.target_value,
                "MODEL": facts["model_hash"],
                "BASELINE": found.notes.get("baseline", "none"),
                "SOURCE": sample.source,
            },
        )
    save_figure(figure, folder / "map.png")
    if curves is not None:
        save_figure(
            plot_deletion(curves.share, curves.by_map, curves.at_random), folder / "deletion.png"
        )
    write_json(folder / "map.json", facts)
    _report(opened, folder, title, facts, curves is not None)
    print(f"{title}\nMap: {folder / 'map.png'}")


def _maps_folder(opened) -> Path:
    return opened.run / "maps" if opened.run else Path(__file__).parent / "maps"


def _report(opened, folder: Path, title: str, facts: dict, checked: bool) -> None:
    """Add the map to the run's report, if it is there."""
    from tools.report.report import Figure, Section, renew_report, write_section

    failed = [v for v in facts["verdicts"] if "do not read it" in v]
    figures = [
        Figure(
            "map.png",
            "Red speaks for the target, blue against it; solid and dotted lines hold 50 and 90 % "
            "of the absolute map, smoothed; circle: limb.",
        )
    ]
    if checked:
        figures.append(Figure("deletion.png", "How the target falls as pixels are deleted."))
    section = Section(
        title=f"Map: {title}",
        order=80,
        text=[f"Unit: {facts['unit']}. Images: {facts['source']}.", *facts["verdicts"]],
        figures=figures,
        warning=" ".join(failed),
    )
    write_section(folder, section)
    if opened.run and opened.run.is_finished and opened.run.path in folder.parents:
        renew_report(opened.run.path)


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
