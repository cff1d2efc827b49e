"""Options of a command, declared once: default, meaning, choices, bounds, what a search may try.

An option is a field of a frozen dataclass that derives from ``Options``; its bounds stand beside it
and are checked when a configuration is made, by a command line, a search or a script.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import typing
from collections.abc import Sequence
from dataclasses import dataclass

from tools.search_range import SearchRange

__all__ = [
    "LARGEST_SEED",
    "Options",
    "Trainable",
    "flag_of",
    "from_plain",
    "option",
    "part_of",
]

LARGEST_SEED = 2**32 - 1
_BOUNDS = ("least", "most", "above", "below")


def option(
    default: object,
    text: str,
    *,
    choices: Sequence | None = None,
    search: SearchRange | None = None,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> typing.Any:
    """Declare an option: its default, its meaning with unit, its choices and bounds.

    Parameters
    ----------
    default : object
        Not a list or dict: configurations are frozen.
    text : str
        For ``--help``.
    choices : sequence, optional
    search : SearchRange, optional
        What an architecture search may try; without, it is not searched.
    least, most : float, optional
        Smallest and largest value, included; of each number of a tuple.
    above, below : float, optional
        Bounds that are not included. Numbers that are not finite are always refused.
    """
    if isinstance(default, (list, dict)):
        raise TypeError("use a tuple: configurations are frozen")
    bounds = {"least": least, "most": most, "above": above, "below": below}
    info = {"help": text, "choices": choices, "search": search, "bounds": bounds}
    return dataclasses.field(default=default, metadata=info)


@dataclass(frozen=True)
class Options:
    """Base of all configurations: each value is held to its declared bounds.

    Bounds are declared once: a class that gives an option another default keeps its base's bounds.
    One with rules of its own between options calls ``super().__post_init__()`` first.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, bounds = getattr(self, field.name), _bounds_of(type(self), field.name)
            if field.type in ("int", "float") and not isinstance(value, numbers.Real):
                raise ValueError(f"{flag_of(field.name)} must be a number, got {value!r}")
            for one in value if isinstance(value, tuple) else (value,):
                _require_within(field.name, one, bounds)
            choices = field.metadata.get("choices")
            if choices and value not in choices:
                listed = ", ".join(map(str, choices))
                raise ValueError(f"{flag_of(field.name)} is one of {listed}, got {value!r}")


@dataclass(frozen=True)
class Trainable(Options):
    """Options that every training has, whatever it trains; a script gives its own defaults."""

    epochs: int = option(10, "passes through the training set", least=1)
    learning_rate: float = option(1e-3, "largest learning rate", above=0, most=1)
    weight_decay: float = option(0.0, "decoupled weight decay", least=0)
    seed: int = option(0, "seed of weights and batch order", least=0, most=LARGEST_SEED)
    keep_epochs: int = option(2, "newest networks to keep in epochs/; 0 keeps all", least=0)
    output: str = option("trained_models", "where run folders are made")
    new_run: bool = option(False, "start a new run even if this one exists")
    legacy_format: bool = option(
        False, "also write best_performing.hdf5, which Keras 2 and older programs read"
    )


def part_of(config: object, kind: type) -> typing.Any:
    """Make a dataclass from the fields of the same names of a larger configuration."""
    return kind(**{field.name: getattr(config, field.name) for field in dataclasses.fields(kind)})


def from_plain(kind: type, values: typing.Mapping[str, object]) -> typing.Any:
    """Make a configuration from plain values, as JSON has them; lists become tuples.

    Names that the class does not have are left out, so that a configuration which was written by
    an earlier version can still be read.
    """
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name in names
        }
    )


def flag_of(name: str) -> str:
    """Write a field's name as the command line has it: ``batch_size`` as ``--batch-size``."""
    return "--" + name.replace("_", "-")


@functools.cache
def _bounds_of(kind: type, name: str) -> dict[str, float | None]:
    """Return the bounds of an option: its own, and those that a base class declared before it."""
    bounds: dict[str, float | None] = dict.fromkeys(_BOUNDS)
    for base in kind.__mro__:
        field = base.__dict__.get("__dataclass_fields__", {}).get(name)
        own = {} if field is None else field.metadata.get("bounds", {})
        bounds = {key: own.get(key) if value is None else value for key, value in bounds.items()}
    return bounds


def _require_within(name: str, value: object, bounds: typing.Mapping[str, float | None]) -> None:
    """Raise a ValueError that names the option and its bounds if a number lies outside."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return
    number = float(value)
    least, most, above, below = (bounds[key] for key in ("least", "most", "above", "below"))
    fits = (
        math.isfinite(number)
        and (least is None or number >= least)
        and (most is None or number <= most)
        and (above is None or number > above)
        and (below is None or number < below)
    )
    if not fits:
        raise ValueError(f"{flag_of(name)} must be {_bounds_text(bounds)}, got {value}")


def _bounds_text(bounds: typing.Mapping[str, float | None]) -> str:
    least, most, above, below = (bounds[key] for key in ("least", "most", "above", "below"))
    if least is not None and most is not None:
        return f"{least:,} to {most:,}" if abs(most) < 10_000 else f"{least} to {most}"
    parts = []
    if least is not None:
        parts.append(f"{least:g} or more")
    if above is not None:
        parts.append(f"above {above:g}")
    if most is not None:
        parts.append(f"at most {most:g}")
    if below is not None:
        parts.append(f"below {below:g}")
    return " and ".join(parts) or "a finite number"
