"""The report of a run: one self-contained page from the sections that lie in its folder.

Whoever makes a figure drops a folder with ``section.json`` and PNG files; the report collects them
in order. The page holds no JavaScript and no outside links; figures are embedded.
"""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jinja2

from tools.atomic_files import write_json, write_text

__all__ = [
    "Figure",
    "Section",
    "Table",
    "read_sections",
    "renew_report",
    "write_report",
    "write_section",
]

_HEADING = "heading.json"


@dataclass(frozen=True)
class Figure:
    """A PNG in the section's folder, with what it shows."""

    file: str
    caption: str


@dataclass(frozen=True)
class Table:
    """A table: caption, header cells, rows of cells (text)."""

    caption: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes
    ----------
    title : str
    order : int
        Sections are sorted by it.
    text : list of str
        Paragraphs of plain text.
    figures, tables : lists
    commands : list of str
        Commands that the reader can copy.
    warning : str
        Shown on top in a frame, where the reader must not miss it.
    """

    title: str
    order: int
    text: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    warning: str = ""


def write_section(folder: str | Path, section: Section) -> None:
    """Write ``section.json`` into a folder, beside the figures that it names."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "section.json", asdict(section))


def read_sections(folder: str | Path) -> list[tuple[Path, Section]]:
    """Give all sections below a folder with the folders they lie in, in order.

    Raises
    ------
    ValueError
        If a ``section.json`` can't be read or lacks a figure.
    """
    found = []
    for path in sorted(Path(folder).rglob("section.json")):
        if path.parent.name.startswith("."):  # not finished
            continue
        try:
            raw = json.loads(path.read_text())
            figures = [Figure(**f) for f in raw.pop("figures", [])]
            tables = [Table(**t) for t in raw.pop("tables", [])]
            section = Section(**raw, figures=figures, tables=tables)
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path} can't be read as a section: {error}") from error
        found.append((path.parent, section))
    return sorted(found, key=lambda entry: (entry[1].order, str(entry[0])))


def write_report(
    folder: str | Path, *, title: str, subtitle: str, output: str | Path | None = None
) -> Path:
    """Collect the sections below a folder into one page.

    Parameters
    ----------
    title, subtitle : str
        Heading, and the line below it.
    output : path, optional
        By default ``report.html`` in the folder.

    Returns
    -------
    Path
        Of the page, written in one step.
    """
    folder = Path(folder)
    sections = []
    for place, section in read_sections(folder):
        figures = [{"data": _embed(place / f.file), "caption": f.caption} for f in section.figures]
        sections.append({**asdict(section), "figures": figures, "anchor": _anchor(section.title)})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        title=title, subtitle=subtitle, sections=sections
    )
    target = Path(output) if output else folder / "report.html"
    write_text(target, page)
    if output is None:
        write_json(folder / _HEADING, {"title": title, "subtitle": subtitle})
    return target


def renew_report(folder: str | Path) -> Path | None:
    """Collect the sections of a finished run's report again; None where there is none yet."""
    heading = Path(folder) / _HEADING
    if not heading.is_file():
        return None
    return write_report(folder, **json.loads(heading.read_text()))


def _embed(path: Path) -> str:
    try:
        return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise ValueError(f"a figure of the report is missing: {error}") from error


def _anchor(title: str) -> str:
    return html.escape(re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"))
