"""What an architecture search has to know of a training script, without importing keras."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SearchProblem", "TooLarge", "open_problem", "searchable_scripts"]

_ROOT = Path(__file__).parents[2]
_SCRIPTS = (
    "network_models/xray_flux_forecast/fdl1/aia_only.py",
    "network_models/xray_flux_forecast/fdl1/aia_and_goes.py",
    "network_models/xray_flux_forecast/history_only.py",
    "network_models/dem_regression/train.py",
    "network_models/image_classification/slic/train.py",
)


class TooLarge(ValueError):
    """A network has more parameters than a search allows."""


@dataclass(frozen=True)
class SearchProblem:
    """A training script that can be searched; the script calls it ``SEARCH``.

    Attributes
    ----------
    script : str
        Its path in the suite.
    config_class : type
        Its options, some of which say what may be tried.
    task : str
        ``package.module:Class`` of its ``SearchTask``; imports keras, so only trials load it.
    score : str
        What is minimised, in words and with its unit.
    crash_cost : float
        Finite cost of a trial without a score: worse than the constant answer.
    training_share : float
        Of the training set that a trial learns from.
    options : dict
        Options of trials that differ from the script's defaults and do not make the network: their
        data. The best is trained with the script's own.
    architecture : dict
        Options of the network that is searched around, where it is not the script's default one;
        trials and trainings have them.
    smoke : dict
        Of a search of a minute.
    """

    script: str
    config_class: type
    task: str
    score: str
    crash_cost: float
    training_share: float = 1.0
    options: Mapping[str, object] = field(default_factory=dict)
    architecture: Mapping[str, object] = field(default_factory=dict)
    smoke: Mapping[str, object] = field(default_factory=dict)


def searchable_scripts() -> tuple[str, ...]:
    """Give the paths of the suite's training scripts that can be searched."""
    return _SCRIPTS


def open_problem(script: str) -> SearchProblem:
    """Give the search problem of a training script.

    Parameters
    ----------
    script : str
        Path of the script: one of the suite's, or any module of an installed package
        (``my_package.my_training``) that has a ``SEARCH``.

    Raises
    ------
    ValueError
        If there is no such script, or it can't be searched.
    """
    path = Path(script)
    inside = path.resolve()
    if path.suffix != ".py":
        module = script
    elif inside.is_relative_to(_ROOT):
        module = ".".join(inside.relative_to(_ROOT).with_suffix("").parts)
    else:
        module = ".".join(path.with_suffix("").parts)
    try:
        problem = getattr(importlib.import_module(module), "SEARCH", None)
    except (ModuleNotFoundError, ValueError, TypeError) as error:
        raise ValueError(f"there is no training script {script} ({error}); {_known()}") from None
    if not isinstance(problem, SearchProblem):
        raise ValueError(f"{script} can't be searched: it has no SEARCH; {_known()}")
    return problem


def _known() -> str:
    return f"scripts that can be searched: {', '.join(_SCRIPTS)}"
