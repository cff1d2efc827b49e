"""What an architecture search may try for an option, declared beside the option itself.

A training script's options are the fields of a frozen dataclass; a field that carries one of these
can be searched, any other can't. Nothing here knows the optimizer that searches.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["SearchRange", "Condition", "among", "between"]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True)
class Condition:
    """When an option counts: while another one compares to a value.

    Attributes
    ----------
    name : str
        The other option.
    comparison : {"==", "!=", ">", ">=", "<", "<="}
    value : object
    """

    name: str
    comparison: str
    value: object

    def __post_init__(self):
        if self.comparison not in _COMPARISONS:
            raise ValueError(
                f"a condition compares by one of {', '.join(_COMPARISONS)}, got {self.comparison!r}"
            )

    def holds(self, value: object) -> bool:
        """Return whether the other option's value makes this one count."""
        return bool(_COMPARISONS[self.comparison](value, self.value))

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.value}"


@dataclass(frozen=True)
class SearchRange:
    """The values that a search may give an option; made by ``among`` or ``between``.

    Attributes
    ----------
    values : tuple
        To choose among; empty for an interval.
    is_ordered : bool
        Whether neighbours among the values are alike.
    low, high : float
        Ends of an interval.
    is_log : bool
        Whether an interval is searched by its logarithm.
    when : Condition or None
        When the option counts; always if None.
    """

    values: tuple = ()
    is_ordered: bool = True
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False
    when: Condition | None = None


def among(*values: Any, when: tuple | None = None, is_ordered: bool = True) -> SearchRange:
    """Let a search choose among some values.

    Integers are always searched so, by steps that mean something: 16, 32, 64.

    Parameters
    ----------
    *values : int, float or str
        Two or more, each once; numbers in rising order.
    when : (name, comparison, value), optional
        The option counts only while another one compares so: ``("layers", ">=", 1)``.
    is_ordered : bool
        False where neighbours have nothing in common, such as names.

    Raises
    ------
    ValueError
        If there are fewer than two values, one is there twice, or numbers don't rise.
    """
    if len(values) < 2 or len(set(values)) != len(values):
        raise ValueError(f"a search chooses among two or more different values, got {values}")
    if is_ordered and list(values) != sorted(values):
        raise ValueError(f"ordered values must rise, got {values}; or say is_ordered=False")
    return SearchRange(values=values, is_ordered=is_ordered, when=_condition(when))


def between(
    low: float, high: float, *, is_log: bool = False, when: tuple | None = None
) -> SearchRange:
    """Let a search choose a number of an interval, ends included.

    Raises
    ------
    ValueError
        If the interval is empty, or its logarithm is not defined.
    """
    if not low < high or (is_log and low <= 0):
        raise ValueError(f"expected an interval{' above 0' if is_log else ''}, got {low} to {high}")
    return SearchRange(low=float(low), high=float(high), is_log=is_log, when=_condition(when))


def _condition(when: tuple | None) -> Condition | None:
    return None if when is None else Condition(*when)
