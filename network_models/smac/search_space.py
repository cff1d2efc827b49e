"""The search space of a training script: made from its options, and from nothing else.

An option is searched if its field says by ``tools.search_range`` what may be tried, so nothing can
be searched that the script doesn't have. Integers are chosen among steps: ConfigSpace 1.2.2's
``Integer(log=True)`` and normal distributions differ from their own pickled copies.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping

from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float, InCondition

from tools.options import Trainable
from tools.search_range import SearchRange

__all__ = [
    "build_space",
    "count_configurations",
    "plain_values",
    "require_enough",
    "searchable_options",
    "vector_of",
]

_COUNTED = 10_000
_FEWEST = (
    30  # configurations: Hyperband's first round of three draws 9, and ends where none is left
)


def searchable_options(config_class: type) -> dict[str, SearchRange]:
    """Give the options of a training script that can be searched, in the script's order."""
    fields = dataclasses.fields(config_class)
    found = {field.name: field.metadata.get("search") for field in fields}
    return {name: search for name, search in found.items() if search is not None}


def build_space(
    base: Trainable, *, names: Iterable[str] = (), fixed: Iterable[str] = (), seed: int = 0
) -> ConfigurationSpace:
    """Make the space of a training script's configuration.

    Parameters
    ----------
    base : Trainable
        The configuration that is searched around: its values are the space's default.
    names : iterable of str
        Search these options alone; all that can be searched, if empty.
    fixed : iterable of str
        Keep these as they are in ``base``.
    seed : int

    Raises
    ------
    ValueError
        If an option can't be searched, a default is outside its range, or a condition can never
        hold.
    """
    known = searchable_options(type(base))
    names, fixed = list(dict.fromkeys(names)), set(fixed)
    _require_known(type(base), known, names, fixed)
    ranges = {n: r for n, r in known.items() if n not in fixed and (not names or n in names)}
    for name in list(ranges):
        if not _can_count(name, ranges, base, is_asked_for=name in names):
            del ranges[name]
    if not ranges:
        raise ValueError(
            f"nothing is left to search: {', '.join(sorted(fixed)) or 'all'} are given their "
            f"values. Leave some out of {', '.join(known)}"
        )
    space = ConfigurationSpace(seed=seed)
    space.add([_parameter(name, getattr(base, name), r) for name, r in ranges.items()])
    conditions = [
        InCondition(space[name], space[r.when.name], list(held))
        for name, r in ranges.items()
        if r.when is not None and r.when.name in ranges
        for held in [_held(name, r, ranges[r.when.name])]
        if len(held) < len(ranges[r.when.name].values)
    ]
    if conditions:
        space.add(conditions)
    return space


def count_configurations(ranges: Mapping[str, SearchRange]) -> int | None:
    """Count the configurations of a space; None where there are endless or very many."""
    if any(not r.values for r in ranges.values()):
        return None
    if math.prod(len(r.values) for r in ranges.values()) > _COUNTED:
        return None
    found = set()
    for chosen in itertools.product(*(r.values for r in ranges.values())):
        values = dict(zip(ranges, chosen, strict=True))
        active = {
            name: value
            for name, value in values.items()
            if (when := ranges[name].when) is None
            or when.name not in values
            or when.holds(values[when.name])
        }
        found.add(tuple(active.items()))
    return len(found)


def require_enough(space: ConfigurationSpace, base: Trainable) -> None:
    """Refuse a space that Hyperband would use up.

    Raises
    ------
    ValueError
        If it has fewer than 30 configurations.
    """
    ranges = {n: r for n, r in searchable_options(type(base)).items() if n in space}
    count = count_configurations(ranges)
    if count is not None and count < _FEWEST:
        raise ValueError(
            f"{', '.join(ranges)} make only {count} configurations, and Hyperband needs {_FEWEST} "
            "or more: use --mode blackbox, which tries every one of them, or search more options"
        )


def plain_values(configuration: Configuration) -> dict[str, int | float | str]:
    """Give the values of a configuration as Python's own types; inactive options are left out."""
    return {
        name: value.item() if hasattr(value, "item") else value
        for name, value in sorted(dict(configuration).items())
    }


def vector_of(
    values: Mapping[str, object], ranges: Mapping[str, SearchRange], base: Trainable
) -> list[float]:
    """Give numbers for a forest or a plot: the place of each value in its range, 0 to 1.

    An option that does not count has its default's place.
    """
    places = []
    for name, r in ranges.items():
        value = values.get(name, getattr(base, name))
        if r.values:
            places.append(r.values.index(value) / (len(r.values) - 1))
        elif r.is_log:
            places.append(math.log(value / r.low) / math.log(r.high / r.low))
        else:
            places.append((value - r.low) / (r.high - r.low))
    return places


def _require_known(config_class: type, known: dict, names: list[str], fixed: set[str]) -> None:
    if not known:
        raise ValueError(f"{config_class.__name__} has no option that can be searched")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"can't search {', '.join(unknown)}: expected some of {', '.join(known)}")
    both = sorted(fixed.intersection(names))
    if both:
        raise ValueError(f"{', '.join(both)}: searched and given a value; do one of the two")


def _can_count(name: str, ranges: dict, base: Trainable, *, is_asked_for: bool) -> bool:
    """Say whether an option can count at all, given what is fixed."""
    condition = ranges[name].when
    if condition is None or condition.name in ranges:
        return True
    if not hasattr(base, condition.name):
        raise ValueError(f"{name} counts where {condition}, but there is no such option")
    value = getattr(base, condition.name)
    if condition.holds(value):
        return True
    if is_asked_for:
        raise ValueError(
            f"{name} counts only where {condition}, but {condition.name} is fixed at {value}: "
            f"search {condition.name} as well, give it another value, or leave {name} out"
        )
    return False


def _held(name: str, r: SearchRange, parent: SearchRange) -> tuple:
    """Give the values of the other option with which this one counts."""
    if not parent.values:
        raise ValueError(f"{name} counts where {r.when}, but {r.when.name} is no choice")
    held = tuple(value for value in parent.values if r.when.holds(value))
    if not held:
        raise ValueError(
            f"{name} counts only where {r.when}, which none of "
            f"{', '.join(map(str, parent.values))} is: an impossible condition"
        )
    return held


def _parameter(name: str, default: object, r: SearchRange) -> Categorical | Float:
    if r.values:
        if default not in r.values:
            raise ValueError(
                f"{name} is {default}, but is searched among {', '.join(map(str, r.values))}: "
                "give it one of these, or fix it and search the others"
            )
        return Categorical(name, list(r.values), ordered=r.is_ordered, default=default)
    if not r.low <= default <= r.high:
        raise ValueError(
            f"{name} is {default}, but is searched between {r.low:g} and {r.high:g}: "
            "give it a value inside, or fix it and search the others"
        )
    return Float(name, (r.low, r.high), log=r.is_log, default=default)
