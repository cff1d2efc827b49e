"""Named random streams: one base seed, an independent generator for each purpose.

A stream depends only on the seed and on its name, never on which streams were drawn from before it,
so that adding a new use of randomness leaves all others as they were.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["random_stream"]


def random_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Give the generator of one named stream.

    Parameters
    ----------
    seed : int
        Base seed, 0 or larger.
    *names : str or int
        Name of the stream, most general part first, such as ``"virtual sun", "lives"``.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        If the seed is negative or no name is given.
    """
    if seed < 0:
        raise ValueError(f"a seed must be 0 or larger, got {seed}")
    if not names:
        raise ValueError("a random stream needs a name, such as random_stream(1, 'batch order')")
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    key = np.frombuffer(digest[:16], dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(int(k) for k in key)))
