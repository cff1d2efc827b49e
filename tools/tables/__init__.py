"""Tables of numbers, each with its source, date and unit."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ["read_table"]


def read_table(name: str) -> tuple[list[str], list[list[str]]]:
    """Read a table of this folder.

    Parameters
    ----------
    name : str
        File name without ``.csv``.

    Returns
    -------
    columns : list of str
        Names with units.
    rows : list of list of str
        Lines that begin with ``#`` tell the source and are left out.
    """
    with open(Path(__file__).parent / f"{name}.csv", newline="", encoding="utf-8") as file:
        columns, *rows = csv.reader(line for line in file if not line.startswith("#"))
    return columns, rows
