"""One image with its teacher's solution and the network's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Solved"]


@dataclass(frozen=True)
class Solved:
    """One image with both solutions and what they give in the channels.

    Attributes
    ----------
    dn : (y, x, 6) float32
        Observed, DN s-1 pix-1.
    teacher, network : (y, x, 18) float32
        Emission measure, cm-5 per bin.
    teacher_dn, network_dn : (y, x, 6) float32
        Synthesised from them, DN s-1 pix-1.
    is_solved : (y, x) bool
        Where the teacher says that it has a solution.
    time : str
        Of the image, UTC.
    """

    dn: np.ndarray
    teacher: np.ndarray
    network: np.ndarray
    teacher_dn: np.ndarray
    network_dn: np.ndarray
    is_solved: np.ndarray
    time: str
