"""Bounds of options are declared once, beside the option, and hold wherever one is made."""

from dataclasses import dataclass

import numpy as np
import pytest

from network_models.training.problem import open_problem, problem_scripts
from tools.options import Options, Trainable, from_plain, option, part_of


@dataclass(frozen=True)
class Some(Options):
    whole: int = option(3, "a number", least=1, most=9)
    share: float = option(0.5, "a share", least=0, below=1)
    rate: float = option(0.1, "a rate", above=0)
    years: tuple[int, ...] = option((), "years", least=1990)
    kind: str = option("a", "which", choices=("a", "b"))
    any_number: float = option(0.0, "any")
    maybe: int | None = option(None, "perhaps", least=1)
    is_on: bool = option(False, "a switch", least=5)


@dataclass(frozen=True)
class More(Some):
    whole: int = option(4, "the same with another default")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"whole": 0}, "--whole must be 1 to 9, got 0"),
        ({"whole": 10}, "--whole must be 1 to 9"),
        ({"whole": np.int64(10)}, "--whole must be 1 to 9"),
        ({"share": -0.1}, "--share must be 0 or more and below 1, got -0.1"),
        ({"share": 1.0}, "--share must be 0 or more and below 1"),
        ({"rate": 0.0}, "--rate must be above 0, got 0.0"),
        ({"rate": float("inf")}, "--rate must be above 0, got inf"),
        ({"rate": float("nan")}, "--rate must be above 0, got nan"),
        ({"years": (2011, 1989)}, "--years must be 1990 or more, got 1989"),
        ({"kind": "c"}, "--kind is one of a, b, got 'c'"),
        ({"any_number": float("nan")}, "--any-number must be a finite number"),
        ({"maybe": 0}, "--maybe must be 1 or more"),
    ],
)
@pytest.mark.parametrize("kind", [Some, More])
def test_what_lies_outside_is_a_sentence(kind, values, says):
    with pytest.raises(ValueError, match=says):
        kind(**values)


def test_what_lies_inside_is_taken():
    made = Some(whole=9, share=0, rate=1e-300, years=(1990,), kind="b", maybe=1, is_on=True)
    assert (made.whole, made.share, made.years) == (9, 0, (1990,))


def test_a_new_default_keeps_the_bounds_of_the_base():
    assert More().whole == 4
    with pytest.raises(ValueError, match="--whole must be 1 to 9"):
        More(whole=12)


@pytest.mark.parametrize("script", problem_scripts())
@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"learning_rate": 1.5},
        {"weight_decay": -1.0},
        {"weight_decay": float("inf")},
        {"seed": -1},
        {"seed": 2**32},
        {"keep_epochs": -1},
    ],
)
def test_every_training_has_the_same_bounds(script, bad):
    config = open_problem(script).config
    assert issubclass(config, Trainable)
    (name,) = bad
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} must be"):
        config(**bad)


def test_plain_values_become_a_configuration_and_unknown_names_are_left_out():
    made = from_plain(Some, {"whole": 2, "years": [2000, 2001], "of_an_earlier_version": 1})
    assert made == Some(whole=2, years=(2000, 2001))


def test_a_part_of_a_configuration_has_its_values():
    @dataclass(frozen=True)
    class Part:
        whole: int
        kind: str

    assert part_of(Some(whole=7), Part) == Part(7, "a")
