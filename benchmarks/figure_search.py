"""The parts of docs/figures.md on the search of architectures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.figure_text import listed, markdown
from benchmarks.running import ROOT, Outcome, run
from tools.atomic_files import write_bytes
from tools.report.report import Table, read_sections

__all__ = ["robust_search", "search", "searches"]

_OPTIMIZE = "network_models/smac/optimize.py"
_PICTURES = ROOT / "docs" / "pictures"
_SHORT = ("--trials", "30", "--minutes", "4", "--no-retrain")
_OTHERS = {
    "networks of emission measure": "network_models/dem_regression/train.py",
    "classifiers of scenes": "network_models/image_classification/slic/train.py",
}


def search(folder: Path, _: argparse.Namespace) -> list[str]:
    """Search the virtual Sun forecast, retrain, and judge on years that no trial saw."""
    here = ["--stores", str(folder / "stores"), "--output", str(folder / "runs")]
    outcome = run(_OPTIMIZE, "--output", str(folder / "search"), "--", *here)
    for name in ("anytime", "importance"):
        picture = folder / f"search/sections/{name}/{name}.png"
        if picture.exists():
            write_bytes(_PICTURES / f"search_{name}.png", picture.read_bytes())
    lines = [f"`network_models/smac/optimize.sh`: {outcome.cost}, with everything.\n"]
    return [*lines, *_tables(folder / "search", outcome)]


def searches(folder: Path, _: argparse.Namespace) -> list[str]:
    """Search the networks of emission measure and the classifiers."""
    lines = []
    for name, script in _OTHERS.items():
        output = folder / name.replace(" ", "_")
        outcome = run(_OPTIMIZE, script, *_SHORT, "--output", str(output))
        command = " ".join([script, *_SHORT])
        lines += [f"### {name.capitalize()}\n"]
        lines += [f"`network_models/smac/optimize.sh {command}`: {outcome.cost}.\n"]
        lines += _tables(output, outcome)
    return lines


def robust_search(folder: Path, _: argparse.Namespace) -> list[str]:
    """Kill workers and drivers."""
    outcome = run("benchmarks/search_robustness.py", "--stores", str(folder / "stores"))
    return [f"`python benchmarks/search_robustness.py`: {outcome.cost}.\n", listed(outcome.json)]


def _tables(folder: Path, outcome: Outcome) -> list[str]:
    """Give what a search found, as its report has it."""
    results = json.loads((folder / "results.json").read_text())
    said = [line for line in outcome.text.splitlines() if not line.startswith("Report: ")]
    lines = [*(f"- {line.strip()}" for line in said[: len(results["trials"])]), ""]
    sections = {s.title: s for _, s in read_sections(folder / "sections")}
    lines += [f"{line}\n" for line in sections["What was found"].text]
    lines += [markdown(table) for table in sections["What was found"].tables]
    if results["test set"]:
        seen = sections["On data that the search never saw"]
        (table,) = seen.tables
        rows = [row[:-1] for row in table.rows]  # without the folders
        lines += [f"{line}\n" for line in seen.text]
        lines += [markdown(Table(table.caption, table.header[:-1], rows))]
    if "What the score depends on" in sections:
        importance = sections["What the score depends on"]
        lines += [f"{line}\n" for line in importance.text]
        lines += [f"{figure.caption}\n" for figure in importance.figures]
    return lines
