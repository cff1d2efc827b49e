"""Files that are either whole or not there: temporary file, fsync, replace, fsync of the folder.

A kill at any moment leaves the old content or the new one, never a part. What a killed writer left
behind ends in ``.partial`` and is swept by the next one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

__all__ = [
    "commit_file",
    "replace_folder",
    "sweep_partial_files",
    "write_arrays",
    "write_bytes",
    "write_json",
    "write_text",
]

_CHUNK = 1 << 20


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` in one step that a kill can't split."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except OSError as error:
        reason = f"can't be written ({error.strerror}); does the folder exist?"
        raise OSError(error.errno, reason, str(path)) from None
    try:
        view = memoryview(data)
        while len(view):
            view = view[os.write(descriptor, view[:_CHUNK]) :]
        os.fsync(descriptor)
    except BaseException as error:
        os.close(descriptor)
        partial.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise OSError(
            error.errno,
            f"{len(data)} bytes could not be written ({error.strerror}); what was there is kept",
            str(path),
        ) from error
    os.close(descriptor)
    _replace(partial, path)


def commit_file(scratch: str | Path, path: str | Path) -> None:
    """Give a finished scratch file its final name in one step, for writers that need a path.

    The scratch file must lie in the same folder; call it ``.NAME.partial`` so that it is swept.
    """
    descriptor = os.open(scratch, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _replace(Path(scratch), Path(path))


@contextlib.contextmanager
def replace_folder(path: str | Path) -> Iterator[Path]:
    """Fill a folder out of sight, then give it its name; an earlier one of that name goes.

    If the filling fails or is interrupted, the earlier folder stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (path.with_name(f".{path.name}.{kind}.partial") for kind in ("new", "old"))
    if old.is_dir() and not path.exists():  # killed between the two steps below
        os.replace(old, path)
    for left in (partial, old):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if path.exists():
        os.replace(path, old)
    os.replace(partial, path)
    shutil.rmtree(old, ignore_errors=True)


def _replace(partial: Path, path: Path) -> None:
    try:
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, f"can't be written ({error.strerror})", str(path)) from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # makes the new name itself durable
    finally:
        os.close(folder)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text in one step."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Write JSON in one step; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz archive (its entries carry CRC-32 checksums) in one step."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getbuffer())


def sweep_partial_files(folder: str | Path) -> int:
    """Remove what killed writers left in ``folder`` and below; give the number of files.

    Unfinished folders are left to ``replace_folder``, which may still need them.
    """
    left = sorted(p for p in Path(folder).rglob(".*.partial*") if not p.is_dir())
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
