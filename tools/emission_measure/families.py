"""Shapes of emission measure over log T: those that networks learn from, and those they never see.

Solvers and networks are compared on both. The shapes that are out of prior are named in
``out_of_prior.json``; its hash stands here, and who trains must ask ``require_in_prior`` first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

__all__ = [
    "FAMILIES",
    "FINE_LOG_T",
    "FROZEN_HASH",
    "LOG_T_EDGES",
    "OUT_OF_PRIOR",
    "profile",
    "require_in_prior",
]

LOG_T_EDGES = np.round(5.45 + 0.1 * np.arange(19), 10)  # 18 bins about log T 5.5 to 7.2
_STEP = 0.01
FINE_LOG_T = LOG_T_EDGES[0] + _STEP * (np.arange(180) + 0.5)
_LIST = Path(__file__).with_name("out_of_prior.json")
FROZEN_HASH = "01e0407603df772ce7844d9278a92da48fd6cb757f9473965bcc86e7ca251aaf"


def _lognormal(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * (x / width) ** 2)


def _box(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    return (np.abs(x) <= np.maximum(1.7 * width, 0.6 * _STEP)).astype(float)


def _power_law(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    return np.exp(np.where(x < 0, x / (1.5 * width), -x / (0.5 * width)))


def _isothermal(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x) / _STEP, 0)  # shared by the two nearest points


def _tent(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x) / np.maximum(2.4 * width, 1.5 * _STEP), 0)


def _heavy_tails(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    return (1 + (x / width) ** 2) ** -1.5


def _loop(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    # DEM of a loop in balance of heating and radiation (Rosner, Tucker & Vaiana 1978), roughly:
    # a rise with the temperature, a cusp and a sharp end at the loop's top
    below = np.clip(1 - 10.0 ** np.minimum(2.25 * (x - 2 * _STEP), 0), 0.02, 1)
    rise = np.exp(np.minimum(x, 0) / (2 * width))
    return np.where(x <= 0, rise / np.sqrt(below), 0.0)


FAMILIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "log-normal": _lognormal,
    "box": _box,
    "power law": _power_law,
    "isothermal": _isothermal,
    "tent": _tent,
    "heavy tails": _heavy_tails,
    "loop": _loop,
}


def _read_list() -> tuple[str, ...]:
    return tuple(sorted(json.loads(_LIST.read_text())["families"]))


OUT_OF_PRIOR = _read_list()


def profile(family: str, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Give emission measure of unit sum on the fine grid.

    Parameters
    ----------
    family : str
        One of ``FAMILIES``.
    centre : (...) float
        log10 of K.
    width : (...) float
        dex; what it means depends on the family (a log-normal's standard deviation), such that
        all are about as wide as a log-normal.

    Returns
    -------
    (..., 180) float64
        At ``FINE_LOG_T``; the sum is 1, or 0 where nothing lies on the grid.

    Raises
    ------
    ValueError
        If there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"no family {family!r}; there are {', '.join(FAMILIES)}")
    away = FINE_LOG_T - np.asarray(centre, float)[..., None]
    shape = FAMILIES[family](away, np.broadcast_to(np.asarray(width, float)[..., None], away.shape))
    return shape / np.maximum(shape.sum(axis=-1, keepdims=True), 1e-300)


def require_in_prior(families: Iterable[str]) -> None:
    """Refuse to let networks learn from what they are judged on.

    Raises
    ------
    ValueError
        If a family is out of prior, or the list of these was changed since it was frozen.
    """
    digest = hashlib.sha256(_LIST.read_bytes()).hexdigest()
    if digest != FROZEN_HASH:
        raise ValueError(
            f"{_LIST.name} has the hash {digest[:12]}, frozen was {FROZEN_HASH[:12]}: the families "
            "that networks are judged on were changed; restore the file"
        )
    both = sorted(set(families) & set(_read_list()))
    if both:
        raise ValueError(f"networks are judged on {', '.join(both)}; they must not learn from them")
