"""CSV files that people bring: read with sentences instead of tracebacks."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ["read_csv_rows", "read_csv_table"]


def read_csv_rows(
    path: str | Path, what: str, *, by_line: bool = False
) -> list[tuple[int, list[str]]]:
    """Read the rows of a CSV file that are not empty.

    Parameters
    ----------
    path : str or Path
        UTF-8, with or without byte-order mark.
    what : str
        What the file should be, such as ``flare list``; used in errors.
    by_line : bool
        Whether each line is a row by itself, so that damage costs one line: a quotation mark that
        nothing closes, a byte that is no UTF-8.

    Returns
    -------
    list of (line number, cells)
        The heading included.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no CSV text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such {what}: {path}")
    errors = "replace" if by_line else "strict"
    try:
        with open(path, newline="", encoding="utf-8-sig", errors=errors) as file:
            if by_line:
                lines = file.read().splitlines()
                if any("\0" in line for line in lines):
                    raise csv.Error("it holds NUL bytes")
                rows = [(k, next(csv.reader([line]), [])) for k, line in enumerate(lines, 1)]
                return [(k, row) for k, row in rows if any(row)]
            reader = csv.reader(file)
            return [(reader.line_num, row) for row in reader if any(row)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: expected a {what} as CSV text in UTF-8 ({error})") from None


def read_csv_table(path: str | Path, what: str) -> tuple[list[str], list[tuple[int, dict]]]:
    """Read a CSV file whose first line names its columns.

    Returns
    -------
    names : list of str
    rows : list of (line number, dict of str)

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no CSV text, a name stands twice, or a row has other columns.
    """
    path = Path(path)
    rows = read_csv_rows(path, what)
    names = [name.strip() for name in rows[0][1]] if rows else []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path.name}: these columns stand there twice: {', '.join(twice)}")
    table = []
    for number, row in rows[1:]:
        if len(row) != len(names):
            raise ValueError(
                f"{path.name}, line {number}: expected {len(names)} columns as in the heading, "
                f"got {len(row)}"
            )
        table.append((number, dict(zip(names, row, strict=True))))
    return names, table
