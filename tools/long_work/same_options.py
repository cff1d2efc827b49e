"""A folder of results always comes from one set of options."""

from __future__ import annotations

import json
from pathlib import Path

from tools.atomic_files import write_json

__all__ = ["require_same_options"]


def require_same_options(file: Path, own: dict, *, what: str, lock: str) -> None:
    """Raise if a folder was made with other options; else write them down.

    Parameters
    ----------
    file : Path
        In the folder; holds the options.
    own : dict
        The options, JSON types.
    what : str
        What the folder holds, for the sentence.
    lock : str
        Name of the lock, which may lie in a new folder.

    Raises
    ------
    ValueError
        If the folder holds results of other options, or something else.
    """
    folder = file.parent
    if not file.exists():
        foreign = sorted(
            p.name for p in folder.iterdir() if p.name != lock and not p.name.endswith(".partial")
        )
        if foreign:
            raise ValueError(
                f"{folder} holds other files ({foreign[0]}, ...); give an empty --output"
            )
        write_json(file, own)
        return
    try:
        before = json.loads(file.read_text())
        changed = [key for key in own if before.get(key) != own[key]]
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{file} can't be read ({error}); give another --output") from None
    if changed:
        told = ", ".join(f"{key} was {before.get(key)}, is {own[key]}" for key in changed)
        raise ValueError(
            f"{folder} holds a {what} of other options ({told}); give another --output"
        )
