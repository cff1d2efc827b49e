"""The parts of docs/figures.md on inversions of spectra, and on derivatives of their models."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

from benchmarks.figure_text import listed, markdown
from benchmarks.running import ROOT, run
from tools.atomic_files import write_bytes
from tools.report.report import Table

__all__ = [
    "coherent_dem",
    "coupled_atmospheres",
    "derivatives",
    "gaussian_fit",
    "milne_eddington",
    "neural_field",
    "real_lines",
    "rows_of",
    "table_of",
    "weak_field",
]

_DATA = ROOT.parent / "shared" / "data"
_PICTURES = ROOT / "docs" / "pictures"
_WIDEST = 700  # pixels
_LARGEST_PICTURE = 150_000  # bytes: what a repository can bear


def weak_field(folder: Path, _: argparse.Namespace) -> list[str]:
    """Compare criteria for the prior's weight with the best weight; keep a picture."""
    lines, found = _measured("weak_field")
    lines.append(
        table_of(
            "rms errors of the field in gauss: without prior, with the best prior, and, for each "
            "criterion, its ratio to the best (median and worst map) and the seconds of the whole "
            "inversion (synthetic)",
            found["rows"],
        )
    )
    worst = {key: round(value, 3) for key, value in found["worst ratio of risk"].items()}
    return [
        *lines,
        listed({"worst ratio of risk": worst}),
        *_picture("weak_field", "field", folder, "--noise", "0.01", "--size", "128"),
    ]


def gaussian_fit(folder: Path, _: argparse.Namespace) -> list[str]:
    """Time Gaussian fits compared with other programs, and measure what the prior gains."""
    lines, found = _measured("gaussian_fit")
    prior = {
        name: dict(
            zip(("rms alone", "rms with it", "gain of rms", "gain of medians"), v, strict=True)
        )
        for name, v in found.pop("prior").items()
        if len(v) == 4
    }
    lines += [
        *_nested("Gaussian fits", found),
        table_of("What the prior gains (synthetic)", rows_of(prior, "map, prior")),
    ]
    options = ("--prior", "gradient", "--minimum-width", "0.03")
    return [*lines, *_picture("gaussian_fit", "maps", folder, *options)]


def milne_eddington(folder: Path, _: argparse.Namespace) -> list[str]:
    """Measure synthesis, convergence and coverage of Milne-Eddington fits; keep a picture."""
    lines, found = _measured("milne_eddington")
    coverage = rows_of(found.pop("coverage"), "")
    inversion = found.pop("inversion")
    starts = {name: row for name, row in inversion.items() if isinstance(row, dict)}
    rest = {name: value for name, value in inversion.items() if name not in starts}
    lines += [
        *_nested("Milne-Eddington synthesis", found | rest),
        table_of("Inversion by the number of starts, one value a seed", rows_of(starts, "")),
        table_of("Share of true values within one sigma, of pixels without a flag", coverage),
    ]
    return [*lines, *_picture("milne_eddington", "field", folder)]


def coupled_atmospheres(folder: Path, _: argparse.Namespace) -> list[str]:
    """Fit a map behind a telescope pixel by pixel and coupled; keep a picture."""
    picture, options, shown = folder / "coupled.png", [], ""
    psf = _DATA / "inversion" / "hinode_psf" / "hinode_psf_0.16.fits"
    if psf.is_file():
        options, shown = ["--psf", str(psf)], "--psf hinode_psf_0.16.fits"
    lines, found = _measured(
        "coupled_atmospheres", *options, "--picture", str(picture), shown=shown
    )
    rows = [{"map": k, **v} for k, v in found.items() if isinstance(v, dict)]
    rest = {k: v for k, v in found.items() if not isinstance(v, dict)}
    caption = "Quiet Sun and errors, pixel by pixel and coupled (synthetic)"
    return [*lines, listed(rest), table_of(caption, rows), *_kept("coupled_atmospheres", picture)]


def coherent_dem(_: Path, __: argparse.Namespace) -> list[str]:
    """Compare emission measure that is coherent in time with that of single frames."""
    lines, found = _measured("coherent_dem")
    families = rows_of(found.pop("families"), "family")
    caption = "Emission measure in time by family of flares (synthetic)"
    return [*lines, listed(found), table_of(caption, families)]


def neural_field(folder: Path, _: argparse.Namespace) -> list[str]:
    """Compare neural fields with pixels alone and with a prior; keep a picture."""
    lines, found = _measured("neural_field")
    return [
        *lines,
        *_nested("rms errors of the field in gauss, and seconds (synthetic)", found),
        *_picture("neural_field", "field", folder, "--noise", "0.01"),
    ]


def derivatives(_: Path, __: argparse.Namespace) -> list[str]:
    """Compare automatic, hand-written and numerical derivatives."""
    lines, found = _measured("derivatives")
    return [*lines, *_nested("Worst error, cost of a pixel, and cost over values alone", found)]


def real_lines(_: Path, __: argparse.Namespace) -> list[str]:
    """Fit real spectra, and compare with what is known of them."""
    if not _DATA.is_dir():
        return ["Left out: the real observations are not on this machine.\n"]
    lines, found = _measured("real_lines", "--data", str(_DATA), shown="--data FOLDER")
    return [*lines, listed(found)]


def rows_of(groups: Mapping[str, Mapping], name: str) -> list[dict]:
    """Return groups of numbers as rows, each with its name in the first column."""
    return [{name: group, **values} for group, values in groups.items()]


def table_of(caption: str, rows: Iterable[Mapping]) -> str:
    """Write rows as a Markdown table; nested values have a column each, missing ones are empty."""
    flat = [_flat(row) for row in rows]
    header = list(dict.fromkeys(name for row in flat for name in row))
    return markdown(
        Table(caption, header, [[row.get(name, "") for name in header] for row in flat])
    )


def _measured(name: str, *options: str, shown: str = "") -> tuple[list[str], dict]:
    """Run a benchmark; return the line that names its command, and its JSON object."""
    outcome = run(f"benchmarks/{name}.py", *options)
    command = " ".join(filter(None, (f"python benchmarks/{name}.py", shown)))
    return [f"`{command}`: {outcome.cost}.\n"], outcome.json


def _nested(caption: str, found: Mapping) -> list[str]:
    """Return an outcome: its lists of rows as tables, all else as a list."""
    tables = {k: v for k, v in found.items() if _is_rows(v)}
    rest = {k: v for k, v in found.items() if k not in tables}
    lines = [listed(rest)] if rest else []
    for name, rows in tables.items():
        lines.append(table_of(caption if name == "rows" else f"{caption}: {name}", rows))
    return lines


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _flat(row: Mapping, before: str = "") -> dict[str, str]:
    """Return a row's values as texts, those of nested groups as ``group, name``."""
    out: dict[str, str] = {}
    for name, value in row.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping):
            out |= _flat(value, f"{key}, ")
        elif isinstance(value, (list, tuple)):
            out[key] = ", ".join(map(_text, value))
        else:
            out[key] = _text(value)
    return out


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _picture(command: str, figure: str, folder: Path, *options: str) -> list[str]:
    """Run a command on its synthetic map, keep one figure, and return what it says."""
    script = f"science/inversion/{command}.py"
    outcome = run(script, *options, "--output", str(folder / command))
    lines = [
        f"`{' '.join(('python', script, *options))}`: {outcome.cost}.\n",
        f"```\n{_without_paths(outcome.text)}\n```\n",
    ]
    return [*lines, *_kept(command, folder / command / f"{figure}.png")]


def _kept(what: str, path: Path) -> list[str]:
    """Keep a small copy of a figure for the page, unless it would be too large."""
    picture = _small(path)
    if len(picture) > _LARGEST_PICTURE:
        return []
    name = f"inversion_{what}.png"
    write_bytes(_PICTURES / name, picture)
    return [f"![{what.replace('_', ' ')} (synthetic)](pictures/{name})\n"]


def _small(path: Path) -> bytes:
    """Return a figure as a PNG of at most 700 pixels along a side and 256 colours."""
    with Image.open(path) as figure:
        small = figure.convert("RGB")
    small.thumbnail((_WIDEST, _WIDEST))
    buffer = io.BytesIO()
    # median cut takes yellow for pink where it is rare
    small.quantize(256, method=Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _without_paths(text: str) -> str:
    """Leave out the lines that say where files are."""
    return "\n".join(line for line in text.strip().splitlines() if "/" not in line.split(":")[-1])
