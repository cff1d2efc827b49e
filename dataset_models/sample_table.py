"""What splits, audit and batches know of a dataset: a row per sample, and what its arrays are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np

__all__ = ["INPUT", "SIDE", "TARGET", "ArrayInfo", "DataIntegrityError", "SampleTable", "hash_rows"]

INPUT, SIDE, TARGET = "input", "side", "target"


class DataIntegrityError(ValueError):
    """A file is damaged, truncated, or not what its name says."""


@dataclass(frozen=True)
class ArrayInfo:
    """What one named array of a dataset is.

    Attributes
    ----------
    axes : tuple of str
        Names of the axes without the batch axis, such as ``("y", "x", "channel")``.
    shape : tuple of int
        Length of each axis.
    unit : str
        Unit in astropy's spelling, such as ``W m-2``.
    role : {"input", "side", "target"}
        Main input, side channel (also fed to the network), or what is to be predicted.
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    unit: str
    role: str


@dataclass(frozen=True)
class SampleTable:
    """One row per sample; everything that splits and audit may know.

    Attributes
    ----------
    time : (sample,) datetime64[s]
        Issue time, UTC.
    input_start, input_end : (sample,) datetime64[s]
        Span of the data that the input is made from.
    label_start, label_end : (sample,) datetime64[s]
        Span of the data that the target is made from.
    group : (sample,) str
        What must not be shared between sets: an active region, an event, a year.
    quality : (sample,) int
        0 is good; others are left out of every set.
    content_hash : (sample,) uint64
        Hash of the input's content.
    """

    time: np.ndarray
    input_start: np.ndarray
    input_end: np.ndarray
    label_start: np.ndarray
    label_end: np.ndarray
    group: np.ndarray
    quality: np.ndarray
    content_hash: np.ndarray

    def __post_init__(self):
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a sample table differ in length: {lengths}")
        if (self.input_end > self.time).any():
            raise ValueError("an input reaches past its issue time: that is a leak")
        if (self.label_start < self.time).any():
            raise ValueError("a label starts before its issue time: it is no forecast")

    def __len__(self) -> int:
        return len(self.time)

    @property
    def good(self) -> np.ndarray:
        """Indices of the samples of good quality."""
        return np.flatnonzero(self.quality == 0)


def hash_rows(*arrays: np.ndarray) -> np.ndarray:
    """Hash the content of each row: (row,) uint64, equal for rows with equal bytes."""
    out = np.empty(len(arrays[0]), np.uint64)
    for i, rows in enumerate(zip(*arrays, strict=True)):
        digest = hashlib.blake2b(digest_size=8)
        for row in rows:
            digest.update(np.ascontiguousarray(row).tobytes())
        out[i] = int.from_bytes(digest.digest(), "little")
    return out
