"""A journal of finished work: lines of JSON that are only ever added, each with its checksum.

A record counts from the moment ``append`` returns. A kill leaves at most a torn last line, which
the next opening cuts off.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Journal", "read_records"]


class Journal:
    """A journal, opened to be read and gone on with; use it in ``with``.

    Parameters
    ----------
    path : str or Path
        Made if it is not there; one process at a time.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._cut_torn_line()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    def append(self, records: Sequence[dict]) -> None:
        """Add records and wait until they are on the disk.

        Raises
        ------
        OSError
            If they could not be written, the disk being full for instance.
        """
        lines = b"".join(_line(record) for record in records)
        view = memoryview(lines)
        try:
            while len(view):
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError as error:
            reason = f"can't be written ({error.strerror}); what was there is kept"
            raise OSError(error.errno, reason, str(self.path)) from None

    def entries(self) -> Iterator[tuple[int, dict]]:
        """Yield the place in bytes and the content of every record that is whole, in order."""
        return read_records(self.path)

    def read(self, places: Iterator[int] | Sequence[int]) -> Iterator[dict]:
        """Yield the records at some places, one at a time."""
        with open(self.path, "rb") as file:
            for place in places:
                file.seek(place)
                record = _record(file.readline())
                if record is None:
                    raise OSError(f"{self.path}: changed by another program while it was read")
                yield record

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._descriptor).st_size
        end, block = size, 1 << 16
        while end:
            start = max(end - block, 0)
            last = os.pread(self._descriptor, end - start, start).rfind(b"\n")
            if last >= 0:
                end = start + last + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._descriptor, end)


def read_records(path: str | Path) -> Iterator[tuple[int, dict]]:
    """Yield the place in bytes and the content of every record that is whole, in order.

    Nothing is written, so the journal may lie on a read-only disk. Where there is none, there are
    no records.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return
    with file:
        place = 0
        for line in file:
            record = _record(line)
            if record is not None:
                yield place, record
            place += len(line)


def _line(record: dict) -> bytes:
    text = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> dict | None:
    """Return the record of a line, None if it is damaged.

    A line that is JSON alone was written by a store before 2026-12, which had no checksums.
    """
    if line.startswith(b"{"):
        try:
            found = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            return None
        return found if isinstance(found, dict) else None
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    return json.loads(text)
