"""Ranges that are declared beside options."""

import pytest

from tools.search_range import Condition, among, between


def test_a_condition_compares():
    condition = Condition("layers", ">=", 1)
    assert [condition.holds(n) for n in (0, 1, 2)] == [False, True, True]
    assert str(condition) == "layers >= 1"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: among(3), "two or more"),
        (lambda: among(3, 3), "two or more"),
        (lambda: among(4, 2), "must rise"),
        (lambda: between(1, 1), "expected an interval"),
        (lambda: between(0, 1, is_log=True), "above 0"),
        (lambda: among(1, 2, when=("layers", "~", 1)), "compares by one of"),
    ],
)
def test_wrong_ranges_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_names_need_no_order():
    assert among("sgd", "adam", is_ordered=False).values == ("sgd", "adam")
