"""Functions named by a text and imported when they are first called, so that scripts start fast."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

__all__ = ["later"]


@functools.cache
def later(place: str) -> Callable[..., Any]:
    """Return a function that stands elsewhere, without importing it yet.

    Parameters
    ----------
    place : str
        ``package.module:name``, written out: what a result depends on is found in the text of
        the code (``tools.code_dependencies``).
    """
    module, _, name = place.partition(":")
    if not module or not name.isidentifier():
        raise ValueError(f"expected package.module:name, got {place!r}")

    def call(*arguments, **options):
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    call.__name__ = call.__qualname__ = name
    call.__module__ = module
    return call
