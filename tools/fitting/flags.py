"""Flags of a fitted pixel: bits that say why its answer is missing or must be read with care."""

from __future__ import annotations

import enum

import numpy as np

__all__ = ["NO_ANSWER", "FitFlag", "flag_shares", "flag_text"]


class FitFlag(enum.IntFlag):
    """What is wrong with a pixel; 0 where nothing is."""

    OK = 0
    NO_DATA = 1
    SATURATED = 2
    NOT_CONVERGED = 4
    POOR_FIT = 8
    AT_BOUND = 16
    DEGENERATE = 32
    NEGATIVE_CONTINUUM = 64
    UNRESOLVED = 128
    PRIOR_DECIDED = 256


_TEXTS = {
    FitFlag.NO_DATA: "no usable data",
    FitFlag.SATURATED: "saturated values left out",
    FitFlag.NOT_CONVERGED: "the fit did not converge",
    FitFlag.POOR_FIT: "the model does not reach the noise",
    FitFlag.AT_BOUND: "a parameter stands at its bound",
    FitFlag.DEGENERATE: "the data do not determine all parameters",
    FitFlag.NEGATIVE_CONTINUUM: "the continuum is not positive",
    FitFlag.UNRESOLVED: "the line's width is not resolved",
    FitFlag.PRIOR_DECIDED: "the prior decided more than the data",
}
NO_ANSWER = FitFlag.NO_DATA | FitFlag.NEGATIVE_CONTINUUM  # parameters of these pixels are NaN


def flag_text(flags: int) -> str:
    """Return what a pixel's flags say, "solved" where none is set."""
    texts = [text for flag, text in _TEXTS.items() if flags & flag]
    return "; ".join(texts) or "solved"


def flag_shares(flags: np.ndarray) -> dict[str, float]:
    """Return the share of pixels with each flag that occurs, and of those without any.

    Parameters
    ----------
    flags : (...) integer
    """
    flags = np.asarray(flags)
    shares = {"solved": float(np.mean(flags == 0))}
    for flag, text in _TEXTS.items():
        share = float(np.mean((flags & flag) != 0))
        if share:
            shares[text] = share
    return shares
