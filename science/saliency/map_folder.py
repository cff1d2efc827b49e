"""A finished map on disk: figure, FITS, JSON, and its section of the run's report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from network_models.training.reopen import OpenedNetwork
from network_models.training.sample import Sample
from science.map_files import half_field, write_map_fits, write_own_grid_fits
from science.saliency.question import Attribution
from science.trust import Exchange, channel_shares, off_disc_share
from tools.atomic_files import replace_folder, write_json
from tools.plotting.maps import plot_exchanges, plot_series_map, plot_solar_maps
from tools.plotting.style import save_figure
from tools.report.report import Figure, Section, renew_report, write_section

__all__ = ["write_map_folder"]


def write_map_folder(
    opened: OpenedNetwork,
    sample: Sample,
    found: Attribution,
    facts: dict,
    curves: list[Exchange],
    output: str,
) -> Path:
    """Write a map's folder in one step, renew the run's report, and say where it lies.

    Parameters
    ----------
    facts : dict
        What map.json says: target, value, method, unit, sample, source, model, verdicts.
    curves : list of Exchange
        Of the checks, if they were made.
    output : str
        Parent folder; empty for the run's maps/, or that beside the script.
    """
    name = "".join(c if c.isalnum() else "_" for c in f"{sample.label}_{facts['target']}")
    parent = opened.run / "maps" if opened.run else Path(__file__).parent / "maps"
    folder = (Path(output) if output else parent) / f"{facts['method']}_{name}"
    title = f"{facts['target']} = {found.target_value:.3g}, {sample.label}, {facts['method']}"
    title += sample.synthetic_note
    image = sample.inputs[opened.image][0]
    facts = dict(facts)
    text = [f"Unit: {facts['unit']}. Images: {sample.source}."]
    text += [sample.warning] if sample.warning else []
    with replace_folder(folder) as place:
        if image.ndim < 3:
            series = found.values if image.ndim == 2 else found.values[:, None]
            figure = plot_series_map(
                series,
                sample.channels if image.ndim == 2 else ("input",),
                unit=facts["unit"],
                title=title,
                along=opened.samples.along_series,
            )
        else:
            frames = image if image.ndim == 4 else image[None]
            maps = found.values if found.values.ndim == 4 else found.values[None]
            facts |= _shares(sample, maps)
            if len(maps) > 1:
                share = 100 * facts["frame_shares"][-1]
                title += f"; newest of {len(maps)} frames, {share:.0f} % of the map"
            if "off_disc_share" in facts:
                share = 100 * facts["off_disc_share"]
                text.append(f"{share:.0f} % of the absolute map lies beyond the limb.")
            figure = _figure(sample, frames[-1], maps[-1], facts, title)
            _write_fits(place, sample, found, maps, facts)
        save_figure(figure, place / "map.png")
        if curves:
            parts = [(c.kind, c.share, c.by_map, c.at_random) for c in curves]
            save_figure(plot_exchanges(parts, unit=facts["target"]), place / "exchange.png")
        write_json(place / "map.json", facts)
        write_section(place, _section(title, text, facts, bool(curves), bool(sample.regions)))
    if opened.run and opened.run.is_finished and opened.run.path in folder.parents:
        renew_report(opened.run.path)
    print("\n".join([title, *text[1:], f"Map: {folder / 'map.png'}"]))
    return folder


def _shares(sample: Sample, maps: np.ndarray) -> dict:
    """Return the shares of the absolute map by channel, frame, and beyond the limb."""
    shares = {}
    if maps.shape[-1] == len(sample.channels):
        by_channel = channel_shares(maps).round(6).tolist()
        names = map(str, sample.channels)
        shares["channel_shares"] = dict(zip(names, by_channel, strict=True))
    if len(maps) > 1:
        mass = np.abs(maps).reshape(len(maps), -1).sum(axis=1)
        shares["frame_shares"] = (mass / max(mass.sum(), np.finfo(float).tiny)).round(6).tolist()
    if not sample.wcs:
        return shares
    radius = maps.shape[-2] / 2 / half_field(sample.wcs, maps.shape[-2])
    return shares | {"off_disc_share": off_disc_share(maps, radius)}


def _figure(sample: Sample, image: np.ndarray, values: np.ndarray, facts: dict, title: str):
    return plot_solar_maps(
        np.moveaxis(image, -1, 0),
        np.moveaxis(values, -1, 0),
        sample.channels,
        unit=f"{facts['target']}, {'per pixel' if facts['unit'] == '1' else facts['unit']}",
        title=title,
        half_field=half_field(sample.wcs, values.shape[-2]),
        has_disc=bool(sample.wcs),
        tilt_deg=float(sample.wcs.get("CRLT_OBS", 0.0)),
        boxes=[(b.name, b.x, b.y, b.half_width, b.half_height) for b in sample.regions],
    )


def _write_fits(
    place: Path, sample: Sample, found: Attribution, maps: np.ndarray, facts: dict
) -> None:
    """Write the map on the network's grid, and on the files' own where that is another."""
    header = {
        "METHOD": facts["method"],
        "TARGET": facts["target"],
        "VALUE": found.target_value,
        "MODEL": facts["model_hash"],
        "BASELINE": found.notes.get("baseline", "none"),
        "SOURCE": sample.source,
    }
    unit = facts["unit"]
    frames = sample.with_coordinates(maps)
    write_map_fits(place / "map.fits", frames, channels=sample.channels, unit=unit, header=header)
    if sample.grids:
        write_own_grid_fits(
            place / "map_on_image.fits",
            maps[-1],
            sample.grids,
            channels=sample.channels,
            unit=unit,
            header=header,
        )


def _section(title: str, text: list[str], facts: dict, checked: bool, has_boxes: bool) -> Section:
    figures = [
        Figure(
            "map.png",
            "Red speaks for the target, blue against it; solid and dotted lines hold 50 and 90 % "
            "of the absolute map, smoothed; circle: limb"
            + ("; boxes: active regions." if has_boxes else "."),
        )
    ]
    if checked:
        figures.append(
            Figure("exchange.png", "How the target changes as pixels are deleted and inserted.")
        )
    failed = [v for v in facts["verdicts"] if "do not read it" in v]
    return Section(
        title=f"Map: {title}",
        order=80,
        text=[*text, *facts["verdicts"]],
        figures=figures,
        warning=" ".join(failed),
    )
