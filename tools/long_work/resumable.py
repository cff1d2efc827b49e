"""Folders of results that can be gone on with: by one process, always of the same options."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tools.atomic_files import sweep_partial_files, write_json

__all__ = ["claim", "locked_file", "require_same_options", "resumable_folder"]


@contextlib.contextmanager
def resumable_folder(
    folder: str | Path, *, lock: str, options_file: str, options: dict, what: str
) -> Iterator[Path]:
    """Make or open a folder of results, claimed for this process and swept of half-written files.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    lock : str
        Name of the lock in it.
    options_file : str
        Name of the file in it that holds the options.
    options : dict
        That decide the results, JSON types.
    what : str
        What the folder holds, for sentences.

    Raises
    ------
    ValueError
        If another process works in it, or it holds results of other options or something else.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with claim(folder / lock) as is_mine:
        if not is_mine:
            raise ValueError(f"{folder} is being written by another process")
        require_same_options(folder / options_file, options, what=what, lock=lock)
        sweep_partial_files(folder)
        yield folder


@contextlib.contextmanager
def claim(path: str | Path) -> Iterator[bool]:
    """Claim a lock file for this process; gives False where another process holds it."""
    lock = locked_file(Path(path))
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.close()


def locked_file(path: Path) -> IO | None:
    """Open and lock a file, held until it is closed or the process ends; None if it is taken."""
    lock = open(path, "a")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


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
