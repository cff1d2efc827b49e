"""The array of a store: a zarr whose chunks are read without zarr's scheduling.

Zarr version 3, one chunk per image (or several small ones): int16, Blosc LZ4 (high compression)
with bit shuffle, then a CRC-32C. Any zarr reader opens it. To a network that trains on the same
cores zarr's own reading costs three times what unpacking a chunk does, so chunks are read as files
here, with the same checks; a missing or damaged one raises and never reads as zeros.
"""

from __future__ import annotations

import os
from pathlib import Path

import google_crc32c
import numpy as np
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec

__all__ = ["ChunkError", "ChunkFiles"]

_ALL_CHUNKS = {"write_empty_chunks": True}  # one without any value is there, too
_CODECS = ("bytes", "blosc", "crc32c")
_CRC_BYTES = 4
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, OverflowError)  # what zarr raises


class ChunkError(ValueError):
    """A chunk is damaged, or the array is not as it was written."""


class ChunkFiles:
    """A folder of chunks of images, (image, channel, y, x) int16.

    Parameters
    ----------
    path : Path
        The array's folder.
    shape : (4,) int
        Of the whole array.
    length : int
        Images in a chunk.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], length: int):
        self.path, self.shape, self.length = path, tuple(shape), length

    def open(self) -> None:
        """Check that the array on disk is the one that is expected.

        Raises
        ------
        ChunkError
            If its description can't be read or says something else.
        """
        try:
            array = zarr.open_array(self.path, mode="r")
            codecs = tuple(codec["name"] for codec in array.metadata.to_dict()["codecs"])
        except _UNREADABLE as error:
            raise ChunkError(f"{self.path.name} can't be opened ({error})") from error
        found = (array.shape, array.chunks, array.dtype, codecs)
        expected = (self.shape, (self.length, *self.shape[1:]), np.dtype("int16"), _CODECS)
        if found != expected:
            raise ChunkError(
                f"{self.path.name} can't be opened (expected shape, chunks, type and codecs "
                f"{expected}, found {found})"
            )

    def open_or_create(self, fill_value: int) -> zarr.Array:
        """Open the array for writing, or write its description; chunks that are there stay."""
        try:
            return zarr.open_array(self.path, mode="r+", config=_ALL_CHUNKS)
        except _UNREADABLE:  # none yet, or cut off by a kill
            (self.path / "zarr.json").unlink(missing_ok=True)
        return zarr.create_array(
            self.path,
            shape=self.shape,
            chunks=(self.length, *self.shape[1:]),
            dtype="int16",
            fill_value=fill_value,
            serializer=BytesCodec(),
            compressors=[
                BloscCodec(cname="lz4hc", clevel=9, shuffle="bitshuffle", typesize=2),
                Crc32cCodec(),
            ],
            dimension_names=("time", "channel", "y", "x"),
            config=_ALL_CHUNKS,
        )

    def file(self, k: int) -> Path:
        """Give the file of a chunk."""
        return self.path / "c" / str(k) / "0" / "0" / "0"

    def sync(self, k: int) -> None:
        """Bring a chunk to the disk, and its name."""
        file = self.file(k)
        for place in (file, file.parent):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read(self, k: int, out: np.ndarray | None = None) -> np.ndarray:
        """Read the images of a chunk.

        Parameters
        ----------
        k : int
        out : (image, channel, y, x) int16, optional
            Contiguous, and as long as a chunk; filled and given back.

        Raises
        ------
        OSError
            If the file can't be read.
        ChunkError
            If it is not what was written.
        """
        if out is None:
            out = np.empty((self.length, *self.shape[1:]), np.int16)
        content = self.file(k).read_bytes()
        packed, checksum = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
        checksum_found = google_crc32c.value(packed)
        if len(content) < _CRC_BYTES or checksum_found != int.from_bytes(checksum, "little"):
            raise ChunkError("its checksum is another one")
        n_bytes = int.from_bytes(packed[4:8], "little")  # Blosc's header: what is packed
        if n_bytes != out.nbytes:
            raise ChunkError(f"expected {out.nbytes} bytes, found {n_bytes}")
        try:
            Blosc().decode(packed, out)
        except (RuntimeError, ValueError) as error:  # of another size
            raise ChunkError(str(error)) from error
        return out[: self.shape[0] - k * self.length]
