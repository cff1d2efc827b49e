"""The columns of a response table: their names and numbers, or a sentence on what is wrong."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["channel_names", "number_table"]


def channel_names(heading: list[str], name: str) -> tuple[str, ...]:
    """Return the names of the channels: the heading without its first column."""
    if len(heading) < 2:
        raise ValueError(f"{name}: expected a heading: log10 T, then a name for each channel")
    with_numbers = [cell for cell in heading[:1] if _is_number(cell)]
    if with_numbers:
        raise ValueError(
            f"{name}: its first line without # should name the columns, it begins with {heading[0]}"
        )
    first = re.sub(r"[^a-z]", "", heading[0].lower())
    if not first.startswith("log"):
        raise ValueError(f"{name}: the first column should be log10 T (of K), it is {heading[0]!r}")
    channels = tuple(heading[1:])
    strange = [text for text in (*channels, name) if not text.isascii()]
    if strange:
        raise ValueError(
            f"{name}: {strange[0]!r} has letters that FITS files can't hold; write it in ASCII, "
            "such as A for angstrom"
        )
    twice = sorted({c for c in channels if channels.count(c) > 1})
    if twice or "" in channels:
        raise ValueError(
            f"{name}: a channel has no name, or stands there twice: {', '.join(twice)}"
        )
    return channels


def number_table(rows: list[tuple[int, list[str]]], n_columns: int, name: str) -> np.ndarray:
    """Return the (temperature, column) numbers of some rows, each with its line's number."""
    if len(rows) < 2:
        raise ValueError(f"{name}: expected two temperatures or more, got {len(rows)}")
    values = []
    for number, cells in rows:
        if len(cells) != n_columns:
            raise ValueError(
                f"{name}, line {number}: expected {n_columns} columns as in the heading, got "
                f"{len(cells)}"
            )
        wrong = [cell for cell in cells if not _is_number(cell)]
        if wrong:
            raise ValueError(f"{name}, line {number}: expected finite numbers, got {wrong[0]!r}")
        values.append([float(cell) for cell in cells])
    return np.array(values)


def _is_number(text: str) -> bool:
    """Return whether a text is a finite number."""
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
