"""The contract of every dataset: a table of samples, and a reader of named arrays.

Splits, audit and baselines see only the table and small thumbnails; networks see what ``read``
gives. Full-disc images, single pixels, spectra and flare lists all fit.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from dataset_models.sample_table import (
    INPUT,
    SIDE,
    TARGET,
    ArrayInfo,
    DataIntegrityError,
    SampleTable,
    hash_rows,
)

if TYPE_CHECKING:
    from dataset_models.splits import Split
    from dataset_models.streaming import Batches

__all__ = [
    "INPUT",
    "SIDE",
    "TARGET",
    "ArrayInfo",
    "DataIntegrityError",
    "SampleTable",
    "SolarData",
    "hash_rows",
]


class SolarData(ABC):
    """A dataset: ``table`` says which samples there are, ``read`` gives their arrays.

    Attributes
    ----------
    rows_at_once : int
        Samples that are best read together, where nothing else decides.
    """

    rows_at_once = 64

    @property
    @abstractmethod
    def table(self) -> SampleTable:
        """The table of samples."""

    @property
    @abstractmethod
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """What each array that ``read`` gives is."""

    @abstractmethod
    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read samples.

        Parameters
        ----------
        indices : (batch,) int
            Rows of the table.

        Returns
        -------
        dict of (batch, ...) float32
            One array for each entry of ``arrays``.
        """

    @abstractmethod
    def provenance(self) -> dict:
        """Return where the data are from: source, span, scale, repairs; JSON types only."""

    def thumbnails(self, indices: np.ndarray) -> np.ndarray | None:
        """Return small (batch, feature) float32 vectors for the search of near-duplicates.

        Rows of NaN have too little content to be compared; None means that content is not compared.
        """
        return None

    def read_altered(self, index: int, seed: int) -> dict[str, np.ndarray] | None:
        """Read one sample made from data that were changed after its issue time, or None.

        The audit compares it with ``read``: the inputs must be the same, the target need not.
        """
        return None

    def dimensions(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array without the batch axis."""
        return {name: info.shape for name, info in self.arrays.items()}

    def names(self, *roles: str) -> list[str]:
        """Return the names of the arrays with these roles."""
        return [name for name, info in self.arrays.items() if info.role in roles]

    def training_batches(self, split: Split, *, batch_size: int, seed: int) -> Batches:
        """Stream the training set, in an order that depends on seed and epoch only."""
        return self._batches(split.training, batch_size=batch_size, seed=seed)

    def validation_batches(self, split: Split, *, batch_size: int) -> Batches:
        """Stream the validation set in order of time."""
        return self._batches(split.validation, batch_size=batch_size)

    def test_batches(self, split: Split, *, batch_size: int) -> Batches:
        """Stream the test set in order of time."""
        return self._batches(split.test, batch_size=batch_size)

    def _batches(self, indices: np.ndarray, **options) -> Batches:
        from dataset_models.streaming import Batches  # keras is imported only where data are fed

        return Batches(self, indices, **options)

    def download(self) -> str:
        """Fetch what the dataset needs; say what was done."""
        return "nothing to download: the data are embedded or were given as files"

    def verify(self) -> list[str]:
        """Check the data as they are now; give one sentence per problem."""
        table, problems = self.table, []
        if len(table) == 0:
            problems.append("the dataset holds no samples")
            return problems
        sample = np.unique(np.linspace(0, len(table) - 1, 16).astype(int))
        for name, values in self.read(sample).items():
            if name in self.names(INPUT, SIDE) and not np.isfinite(values).all():
                problems.append(f"the array {name!r} holds values that are not finite")
            expected = (len(sample), *self.arrays[name].shape)
            if values.shape != expected:
                problems.append(f"the array {name!r} has shape {values.shape}, not {expected}")
        return problems

    def fingerprint(self) -> str:
        """Return a hash of the table: other data, another fingerprint."""
        digest = hashlib.sha256()
        for field in fields(self.table):
            column = getattr(self.table, field.name)
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:16]
