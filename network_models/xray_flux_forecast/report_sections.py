"""The sections of a forecast's report, made from a run's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.SDO.fits_image import FIELD_ARCSEC
from dataset_models.virtual_sun.corona import SUN_RADIUS_ARCSEC
from network_models.xray_flux_forecast.evaluation import Evaluation
from network_models.xray_flux_forecast.misses import Miss
from tools.binned_distribution import FluxBins
from tools.plotting.forecasts import (
    plot_band,
    plot_learning_curves,
    plot_reliability,
    plot_roc,
)
from tools.plotting.style import save_figure
from tools.plotting.sun import plot_channels
from tools.report.report import Figure, Section, Table, write_section
from tools.score_card import EVENTS

__all__ = [
    "headline_figures",
    "score_tables",
    "write_band_section",
    "write_data_section",
    "write_misses_section",
    "write_repeat_section",
    "write_scores_section",
    "write_training_section",
]

_EXPLAINED = (
    "TSS = hit rate - false alarm rate; HSS = share right beyond chance; BSS = 1 - Brier / Brier "
    "of climatology (of the test set; BSS_train: of the training set, which flatters where the "
    "base rate drifts); log = mean -ln of the probability given to what came; ROC = area. In "
    "brackets: 95 % interval by block bootstrap, not defined with fewer than 10 blocks or where "
    "more than 2.5 % of the draws hold no event."
)
_MISSES_DRAWN = 3
_COLUMNS = ("TSS", "HSS", "BSS", "BSS_train", "Brier", "log", "ROC")


def write_data_section(folder: Path, config: dict) -> None:
    """Tell where the data are from, how they were split, what the audit checked."""
    data, split = config["data"], config["split"]
    repairs = [[name, str(count)] for name, count in data["repairs"].items()] or [["none", ""]]
    sets = [
        [name, str(split[name]["samples"]), split[name]["first"][:16], split[name]["last"][:16]]
        for name in ("training", "validation", "test")
    ]
    checks = [
        ["passed" if c["passed"] else "FAILED", c["name"], c["detail"]] for c in config["audit"]
    ]
    o = config["options"]
    text = [
        f"Source: {data['source']}, {data['start'][:10]} to {data['end'][:10]}, "
        f"{data['flares']:,} flares, classes on the {data['class_scale']} scale, labels from "
        f"{data['label_kind']}, {data['gaps']} gaps; {data['undefined_labels']} label windows that "
        "touch a gap or the end of the record are not used. Data fingerprint "
        f"{data['fingerprint']}.",
        f"A sample: {data['sample']}. Its label: log10 of the largest 1-8 A flux in (t + "
        f"{o['delay_h']} h, t + {o['delay_h'] + o['catch_h']} h], not below "
        f"{o['floor_flux']:g} W m-2.",
        f"Split by {split['scheme']}; {split['purged']} samples between the sets were left out.",
    ]
    if "store" in data:
        text.insert(
            1,
            f"Images: {data['image_source']}, {data['images']:,} of {data['size']} x "
            f"{data['size']} pixels, {data['bad_images']} marked as bad; "
            f"{data['samples_without_all_frames']} times without all frames are not used. Store "
            f"{Path(data['store']).name}, fingerprint {data['store_fingerprint']}.",
        )
    section = Section(
        title="Data, split and audit",
        order=20,
        text=text,
        tables=[
            Table("What the reader repaired or left out.", ["repair", "count"], repairs),
            Table("The three sets.", ["set", "samples", "first", "last"], sets),
            Table("What the audit checked before training.", ["result", "check", "found"], checks),
        ],
    )
    write_section(folder, section)


def write_training_section(folder: Path, config: dict, history: list[dict], best: int) -> None:
    """Show learning curves and architecture."""
    save_figure(plot_learning_curves(history).figure, folder / "learning_curves.png")
    o = config["options"]
    drawing = folder / "architecture.png"
    drawing.write_bytes((folder.parents[1] / "architecture.png").read_bytes())
    section = Section(
        title="Network and training",
        order=30,
        text=[
            f"Trained by the logarithmic score of the binned distribution, {o['epochs']} epochs, "
            f"AdamW, learning rate {o['learning_rate']:g} falling along a cosine, batch "
            f"{o['batch_size']}, seed {o['seed']}, backend {config['backend']}. The best epoch by "
            f"validation is {best}; all scores below are its."
        ],
        figures=[
            Figure(
                "learning_curves.png",
                "Training and validation log score; dropout acts on the training curve only.",
            ),
            Figure("architecture.png", "The network; all scaling lies inside."),
        ],
    )
    write_section(folder, section)


def write_scores_section(folder: Path, evaluation: Evaluation) -> None:
    """Show the full score card with reliability and ROC."""
    card = evaluation.card
    drawn = [n for n in ("network", "logistic", "exact", "simulated") if n in card["forecasters"]]
    events = {
        name: {k: v for k, v in event["reliability"].items() if k in drawn}
        for name, event in card["events"].items()
        if event["events"]
    }
    figures = []
    if events:
        save_figure(plot_reliability(events)[0].figure, folder / "reliability.png")
        figures.append(
            Figure("reliability.png", "Reliability on the test set, with forecasts per bin below.")
        )
    curves = evaluation.roc_curves([*drawn, "persistence"])
    if curves:
        save_figure(plot_roc(curves)[0].figure, folder / "roc.png")
        figures.append(Figure("roc.png", "Receiver operating characteristic on the test set."))
    b = card["bootstrap"]
    notes = [f"{name}: {f['note']}" for name, f in card["forecasters"].items() if f["note"]]
    section = Section(
        title="Scores on the test set",
        order=40,
        text=[
            f"{card['samples']:,} forecasts, {card['first'][:10]} to {card['last'][:10]}. "
            f"{_EXPLAINED} {b['draws']} draws of {b['blocks']} blocks of {b['block_days']:g} days; "
            "differences are paired.",
            "; ".join(notes) + ".",
        ],
        figures=figures,
        tables=score_tables(card),
    )
    write_section(folder, section)


def score_tables(card: dict) -> list[Table]:
    """Give one table per event, one of paired differences, one of errors in dex."""
    tables = []
    for name, event in card["events"].items():
        rows = [
            [
                forecaster,
                _text(event["thresholds"][forecaster]),
                *(_with_interval(scores[c]) for c in _COLUMNS),
            ]
            for forecaster, scores in event["scores"].items()
        ]
        few = "" if event["episodes"] >= 30 else " Too few to rank forecasters: an anecdote."
        caption = (
            f"{name}: {event['events']} windows with the event, in {event['episodes']} separate "
            f"episodes; base rate {event['base_rate']:.4f} (training "
            f"{event['training_rate']:.4f}).{few}"
        )
        tables.append(Table(caption, ["forecaster", "yes from", *_COLUMNS], rows))
    rows = [
        [
            event,
            pair,
            *(_with_interval(scores[c], 4) for c in ("Brier", "log")),
            *(_with_interval(scores[c]) for c in ("BSS", "TSS", "HSS")),
        ]
        for event, entry in card["events"].items()
        for pair, scores in entry["differences"].items()
    ]
    tables.append(
        Table(
            "Differences, first minus second, with paired intervals: a negative Brier or log "
            "difference says that the first is better.",
            ["event", "pair", "Brier", "log", "BSS", "TSS", "HSS"],
            rows,
        )
    )
    flux = card["flux"]
    rows = [
        [name, *(_with_interval(s[c]) if c in s else "" for c in ("CRPS", "MAE"))]
        for name, s in [*flux["scores"].items(), *flux["differences"].items()]
    ]
    tables.append(
        Table(
            "log10 of the peak flux, in dex: CRPS of the distribution and mean absolute error of "
            "the median; below, paired differences.",
            ["forecaster", "CRPS", "MAE"],
            rows,
        )
    )
    return tables


def write_band_section(
    folder: Path,
    times: np.ndarray,
    quantiles: np.ndarray,
    log10_flux: np.ndarray,
    bins: FluxBins,
) -> None:
    """Show a year of forecasts with what came: the test year with the most M flares."""
    year = times.astype("datetime64[Y]").astype(int) + 1970
    strong = log10_flux >= np.log10(EVENTS[">=M1"]) - 1e-9
    years, index = np.unique(year, return_inverse=True)
    chosen = year == years[np.argmax(np.bincount(index, strong))]
    axes = plot_band(
        times[chosen],
        quantiles[chosen],
        log10_flux[chosen],
        floor=bins.floor,
        title=f"{year[chosen][0]}: forecast of the coming peak flux",
    )
    save_figure(axes.figure, folder / "band.png")
    low, high = quantiles[:, 1], quantiles[:, 3]
    inside = ((log10_flux >= low) & (log10_flux <= high))[log10_flux > bins.floor + 1e-9].mean()
    section = Section(
        title="A year of forecasts",
        order=50,
        text=[
            "The test year with the most M flares. Where a flare came at all, "
            f"{100 * inside:.0f} % of the peaks of the whole test set lie in the 68 % band."
        ],
        figures=[Figure("band.png", "Median, 68 % and 90 % band, and what came true.")],
    )
    write_section(folder, section)


def write_misses_section(folder: Path, misses: list[Miss], *, dataset: FDL1 | None = None) -> None:
    """Show the worst misses with their cause; the first ones also as images, where there are."""
    figures = (
        []
        if dataset is None
        else [
            _draw_miss(folder / f"miss_{k}.png", miss, dataset)
            for k, miss in enumerate(misses[:_MISSES_DRAWN], start=1)
        ]
    )
    rows = [[m.time, m.median, m.observed, f"{m.surprise:.1f}", m.cause] for m in misses]
    section = Section(
        title="Worst misses",
        order=60,
        text=["The forecasts with the largest log score, at most one in two days."],
        figures=figures,
        tables=[
            Table(
                "Surprise is -ln of the probability that the bin which came true was given.",
                ["issued (UTC)", "median", "came", "surprise (nats)", "cause"],
                rows,
            )
        ],
    )
    write_section(folder, section)


def _draw_miss(path: Path, miss: Miss, dataset: FDL1) -> Figure:
    """Draw the images that a missed forecast was made from, with the guilty region marked."""
    sample = dataset.read(np.array([miss.row]))
    there = sample["aia_present"][0, -1] > 0
    images = np.moveaxis(np.where(there, sample["aia"][0, -1], np.nan), -1, 0)
    shown = f"{miss.time.replace('T', ' ')}: median {miss.median}, came {miss.observed}"
    field = dataset.store.manifest["source"].get("field_arcsec", FIELD_ARCSEC)
    axes = plot_channels(
        images,
        dataset.store.channels,
        title=shown,
        mark=miss.place,
        half_field=field / 2 / SUN_RADIUS_ARCSEC,
    )
    save_figure(axes[0].figure, path)
    circle = " The circle marks that region." if miss.place is not None else ""
    return Figure(path.name, f"What the network saw. {miss.cause}.{circle}")


def write_repeat_section(folder: Path, config: dict, command: str) -> None:
    """Give versions, and the command that repeats the run."""
    rows = [[name, version] for name, version in config["versions"].items()]
    section = Section(
        title="Versions and how to repeat this",
        order=90,
        text=[
            "The same command on the same data gives the same run; on the same machine to the last "
            "digit. Not for operations: a research forecast, judged on the past."
        ],
        tables=[Table("Software.", ["what", "version"], rows)],
        commands=[command],
    )
    write_section(folder, section)


def headline_figures(card: dict) -> list[str]:
    """Give the three figures that a command prints."""
    lines = []
    for event in (">=C1", ">=M1"):
        scores = card["events"][event]["scores"]
        others = [
            f"{name} {scores[name]['BSS'][0]:.3f}"
            for name in ("exact", "simulated", "logistic", "persistence")
            if name in scores and isinstance(scores[name]["BSS"][0], float)
        ]
        lines.append(
            f"Brier skill {event}: network {_with_interval(scores['network']['BSS'])}; "
            + ", ".join(others)
        )
    flux = card["flux"]["scores"]
    others = [
        f"{name} {flux[name]['CRPS'][0]:.3f}"
        for name in ("exact", "simulated", "persistence", "climatology (training)")
        if name in flux
    ]
    lines.append(
        f"CRPS of log10 peak flux (dex): network {_with_interval(flux['network']['CRPS'])}; "
        + ", ".join(others)
    )
    return lines


def _with_interval(score: list[float | str | None], digits: int = 3) -> str:
    """Write ``value [low, high]``; an interval that is not defined is said to be so."""
    value, low, high = (_text(v, digits) for v in score)
    if not isinstance(score[0], float):
        return value
    return f"{value} [not defined]" if None in score else f"{value} [{low}, {high}]"


def _text(value: float | str | None, digits: int = 3) -> str:
    """Write a number, without the sign of a rounded zero; None stands for what is not defined."""
    if value is None:
        return "not defined"
    if isinstance(value, str):
        return value
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
