"""The parts of docs/figures.md on the classification of scenes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from astropy.io import fits

from benchmarks.figure_text import markdown
from benchmarks.peers import peer_python
from benchmarks.running import ROOT, Outcome, run
from dataset_models.solar_scenes.painting.full_disc import full_disc
from tools.atomic_files import write_bytes
from tools.report.report import read_sections

__all__ = ["regions", "scene_maps", "scenes", "slic_speed"]

_TRAIN = "network_models/image_classification/slic/train.py"
_REGIONS = "network_models/image_classification/aia_regions.py"
_CLASSIFY = "network_models/image_classification/classify.py"
_PICTURES = ROOT / "docs" / "pictures"


def scenes(folder: Path, _: argparse.Namespace) -> list[str]:
    """Train the classifier of scenes; its network is what ``package.py`` keeps in the suite."""
    outcome = run(_TRAIN, "--output", str(folder / "runs"))
    (trained,) = (folder / "runs").iterdir()
    lines = [f"`python {_TRAIN}`: {outcome.cost}.\n", *_said(outcome), *_tables(trained)]
    confusion = trained / "performance/scores/confusion.png"
    write_bytes(_PICTURES / "scene_confusion.png", confusion.read_bytes())
    return lines


def _real() -> list[str]:
    """Return the packaged network on fresh scenes and real frames, and its speed."""
    found = run("benchmarks/scenes.py").json
    lines = ["`python benchmarks/scenes.py`\n"]
    fresh = found["synthetic"]
    lines += [
        f"- balanced accuracy {fresh['balanced accuracy']}, ECE-15 {fresh['ECE-15']} of 2,000 "
        f"generated scenes (synthetic) of seed {fresh['seed']}, which nothing else had; answered "
        f"{100 * fresh['answered, of the five']:.1f} % of them, and "
        f"{100 * fresh['answered, of none of these']:.1f} % of 400 that are none of the five",
        f"- {found['frames of 512 x 512 per second']:.0f} frames of 512 x 512 pixels a second",
        f"- map of {found['pixels along a side']} x {found['pixels along a side']} pixels by "
        f"classify.py, start to files: {found['map, whole command, s']:.1f} s, "
        f"{found['map, largest memory, MiB']:.0f} MiB\n",
    ]
    lines += [
        "| scenes (synthetic) unlike the training | balanced accuracy | ECE-15 | answered |",
        "|---|---|---|---|",
    ]
    for name, row in found["shifted"].items():
        answered = f"{100 * row['answered, of the five']:.1f} %"
        lines.append(f"| {name} | {row['balanced accuracy']} | {row['ECE-15']} | {answered} |")
    lines.append("")
    if "real" not in found:
        return [*lines, "Real frames were not here.\n"]
    real = found["real"]
    lines += [
        "| real scene | truth | right | no answer | probability of the truth |",
        "|---|---|---|---|---|",
    ]
    for name, row in real["scenes"].items():
        lines.append(
            f"| {name} | {row['truth']} | {row['right']} of {row['frames or tiles']} | "
            f"{row['no answer']} | {row['mean probability of the truth']:.3f} |"
        )
    lines += [
        "",
        "| real scene that is none of the five | no answer | probability of none | else |",
        "|---|---|---|---|",
    ]
    for name, row in real["none"].items():
        lines.append(
            f"| {name} | {row['no answer']} of {row['frames']} | "
            f"{row['mean probability of none']:.3f} | {', '.join(row['likeliest of the five'])} |"
        )
    lines.append("")
    values = ", ".join(f"{key} {real[key]:.3f}" for key in ("balanced accuracy", "ECE-15", "Brier"))
    return [*lines, f"All frames and tiles together, two classes: {values}.\n"]


def scene_maps(folder: Path, _: argparse.Namespace) -> list[str]:
    """Try the packaged classifier, and say where its maps lie."""
    _draw_disc(folder)
    found = run("benchmarks/scene_localisation.py").json
    lines = [
        "The network that comes with the suite, made by the command of the part before.\n",
        *_real(),
        f"`python benchmarks/scene_localisation.py`: {found['images']} scenes (synthetic) of seed "
        f"202, {100 * found['named rightly']:.1f} % named rightly; masks cover "
        f"{100 * found['share of the image that masks cover']:.1f} % of the pixels. Energy is the "
        "squared positive part of a map.\n",
        "| map | energy inside the mask | filament, ribbon, prominence, spot | pointing game |",
        "|---|---|---|---|",
    ]
    energy, hits = found["energy inside the mask"], found["pointing game"]
    for name, row in sorted(energy.items(), key=lambda item: -item[1]["all"]):
        parts = ", ".join(f"{row[k]:.2f}" for k in row if k != "all")
        lines.append(f"| {name} | {row['all']:.3f} | {parts} | {hits[name]['all']:.3f} |")
    return [*lines, ""]


def slic_speed(_: Path, __: argparse.Namespace) -> list[str]:
    """Describe what VGG-13 costs beside PyTorch."""
    if peer_python(ROOT / ".peers", "captum") is None:
        return ["Not made: `make peers` was not run.\n"]
    speed = run("benchmarks/vgg13_speed.py").json
    return ["`python benchmarks/vgg13_speed.py`\n", f"```\n{json.dumps(speed)}\n```\n"]


def _draw_disc(folder: Path) -> None:
    """Keep a picture of the map of a generated disc (synthetic)."""
    disc = full_disc(1024, seed=3)
    path = folder / "synthetic disc.fits"
    fits.writeto(path, disc.image.astype(np.float32), fits.Header(disc.header), overwrite=True)
    run(_CLASSIFY, "packaged", str(path), "--map", "--output", str(folder / "catalogue"))
    (picture,) = (folder / "catalogue/maps").glob("*.png")
    write_bytes(_PICTURES / "scene_map.png", picture.read_bytes())


def regions(folder: Path, _: argparse.Namespace) -> list[str]:
    """Train the classifier of the virtual Sun's regions."""
    outcome = run(_REGIONS, "--output", str(folder / "runs"))
    (trained,) = (folder / "runs").iterdir()
    return [f"`python {_REGIONS}`: {outcome.cost}.\n", *_said(outcome), *_tables(trained)]


def _said(outcome: Outcome) -> list[str]:
    """Return what a training said, without the path of its report."""
    lines = [line for line in outcome.text.splitlines() if line and "report.html" not in line]
    return [f"- {line}" for line in lines] + [""]


def _tables(trained: Path) -> list[str]:
    """Return the tables of a run's report."""
    out: list[str] = []
    for _, section in read_sections(trained / "performance"):
        if section.title in ("Network and training", "Data, split and audit"):
            continue
        out += [f"{section.title}. {markdown(table)}" for table in section.tables]
    return out
