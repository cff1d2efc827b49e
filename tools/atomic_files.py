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
    "is_scratch_of",
    "replace_folder",
    "scratch_path",
    "sweep_partial_files",
    "write_arrays",
    "write_bytes",
    "write_json",
    "write_text",
]

_CHUNK = 1 << 20
_TRIES = 20


def scratch_path(path: str | Path, *, ending: str = "") -> Path:
    """Return where a writer that needs a path may write before ``commit_file``.

    It lies beside the final path, belongs to this process, and is swept if the process is killed.

    Parameters
    ----------
    path : path
        The final one.
    ending : str
        What the name has to end in, for writers that insist on it.
    """
    path = Path(path)
    return path.with_name(f".{path.name}.{os.getpid()}.partial{ending}")


def is_scratch_of(path: Path, name: str) -> bool:
    """Whether a file is what a killed writer of a file of this name left behind."""
    return path.match(f".{name}.*.partial*")


def write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Write ``data`` to ``path`` in one step that a kill can't split."""
    path = Path(path)
    partial = scratch_path(path)
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
    """Return a finished scratch file its final name in one step, for writers that need a path.

    The scratch file must lie in the same folder; take ``scratch_path``.
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
    _bring_back(path)
    partial, old = (
        path.with_name(f".{path.name}.{os.getpid()}.{kind}.partial") for kind in ("new", "old")
    )
    partial.mkdir()
    try:
        yield partial
        for _ in range(_TRIES):  # another process may give the name in between
            try:
                if path.exists():
                    os.replace(path, old)
                os.replace(partial, path)
                break
            except OSError:
                shutil.rmtree(old, ignore_errors=True)
        else:
            raise OSError(f"{path} is being written by other processes; give the command again")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _bring_back(path: Path) -> None:
    """Sweep what killed processes left of a folder; if it is gone, the last good one comes back."""
    for left in path.parent.glob(f".{path.name}.*.partial"):
        owner = left.name.split(".")[-3]
        if owner.isdigit() and int(owner) != os.getpid() and Path(f"/proc/{owner}").exists():
            continue  # still being written
        if left.name.endswith(".old.partial") and not path.exists():
            with contextlib.suppress(OSError):
                os.replace(left, path)
        shutil.rmtree(left, ignore_errors=True)


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
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes a name for an option
    write_bytes(path, buffer.getbuffer())


def sweep_partial_files(folder: str | Path) -> int:
    """Remove what killed writers left in ``folder`` and below; give the number of files.

    Unfinished folders are left to ``replace_folder``, which may still need them.
    """
    left = sorted(p for p in Path(folder).rglob(".*.partial*") if not p.is_dir())
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
