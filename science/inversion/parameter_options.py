"""Reads what --tie and --fix say of a model's parameters; the commands of inversions share it."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["NUMBER", "fixed_parameters", "tied_parameters"]

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TIE = re.compile(rf"(\w+)=(?:({NUMBER})\*)?([A-Za-z]\w*)([+-](?:\d+\.?\d*|\.\d+))?")
_FIX = re.compile(rf"(\w+)=({NUMBER})")


def tied_parameters(texts: Sequence[str], example: str) -> dict[str, tuple[str, float, float]]:
    """Return ``{name: (other, scale, offset)}`` of texts as ``width_2=0.5*width_1+0.1``.

    Raises
    ------
    ValueError
        If a text is of another form; the sentence shows the example.
    """
    out = {}
    for text in texts:
        match = _TIE.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError(f"--tie {text!r} is not of the form {example}")
        name, factor, other, shift = match.groups()
        out[name] = (other, float(factor or 1), float(shift or 0))
    return out


def fixed_parameters(texts: Sequence[str], example: str) -> dict[str, float]:
    """Return ``{name: value}`` of texts as ``width=0.06``; raises as ``tied_parameters``."""
    out = {}
    for text in texts:
        match = _FIX.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError(f"--fix {text!r} is not of the form {example}")
        out[match[1]] = float(match[2])
    return out
