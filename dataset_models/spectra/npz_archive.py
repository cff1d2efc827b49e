"""Opens .npz archives of arrays without running anything that a stranger stored in them."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset_models.solar_data import DataIntegrityError

__all__ = ["opened_npz"]


@contextlib.contextmanager
def opened_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an archive of arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If it is damaged, no archive, or holds Python objects.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            yield arrays
    except (DataIntegrityError, FileNotFoundError):
        raise
    except (ValueError, TypeError, AttributeError, OSError, EOFError, KeyError) as error:
        raise DataIntegrityError(
            f"{path.name}: expected an .npz archive of plain arrays, got {error}; save it with "
            "numpy.savez"
        ) from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataIntegrityError(
            f"{path.name}: a damaged .npz archive ({error}); copy it again"
        ) from None
