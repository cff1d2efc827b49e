"""Splits leave a gap of label window + input span between the sets, and lose nothing in silence."""

import numpy as np
import pytest

from dataset_models.splits import (
    by_years,
    chronological,
    grouped,
    leaky_random_split,
    required_gap,
    slic_every_nth,
)
from software_tests.dataset_models.toy_data import HOUR, T0, ToyData

DAY = 24 * HOUR


def nearest(table, a, b):
    return np.abs(table.time[a][:, None] - table.time[b]).min()


def test_the_gap_is_label_window_plus_input_span():
    assert required_gap(ToyData().table) == 48 * HOUR  # 24 h of input, 24 h of label


def test_chronological_sets_are_apart_and_in_order():
    table = ToyData(600).table  # 150 days
    split = chronological(table, validation_from=T0 + 90 * DAY, test_from=T0 + 120 * DAY)
    for a, b in (("training", "validation"), ("validation", "test"), ("training", "test")):
        assert nearest(table, split.sets[a], split.sets[b]) >= 48 * HOUR
        assert table.time[split.sets[a]].max() < table.time[split.sets[b]].min()
    kept = sum(len(rows) for rows in split.sets.values())
    assert kept + split.n_purged == 600
    # at each border the earlier set loses the samples of the last 48 h: 7 of 6-hourly ones
    assert split.n_purged == 14


def test_samples_of_bad_quality_are_in_no_set():
    data = ToyData(600, bad=(3, 500))
    split = chronological(data.table, validation_from=T0 + 90 * DAY, test_from=T0 + 120 * DAY)
    assert not set(np.concatenate(list(split.sets.values()))) & {3, 500}


def test_years_are_whole_and_purged_on_both_sides():
    table = ToyData(6 * 366, step_h=24).table
    split = by_years(table, validation_years=[2003], test_years=[2005, 2006])
    year = table.time.astype("datetime64[Y]").astype(int) + 1970
    assert set(year[split.validation]) == {2003}
    assert set(year[split.test]) == {2005, 2006}
    assert set(year[split.training]) == {2001, 2002, 2004, 2007}
    assert nearest(table, split.training, split.validation) >= 48 * HOUR
    assert nearest(table, split.training, split.test) >= 48 * HOUR
    assert "2005-2006" in split.scheme


def test_groups_stay_whole(generator):
    group = np.repeat([f"region {k}" for k in range(30)], 20)
    data = ToyData(600, group=group)
    split = grouped(data.table, validation_share=0.2, test_share=0.2, generator=generator)
    members = [set(group[rows]) for rows in split.sets.values()]
    assert not members[0] & members[1]
    assert not members[0] & members[2]
    assert not members[1] & members[2]
    assert [len(m) for m in members] == [18, 6, 6]


def test_a_random_split_is_named_as_what_it_is(generator):
    split = leaky_random_split(
        ToyData().table, validation_share=0.2, test_share=0.2, generator=generator
    )
    assert "demonstration of a leak" in split.scheme


def test_a_record_too_short_for_the_split_says_so():
    table = ToyData(16).table  # four days
    with pytest.raises(ValueError, match="too short"):
        chronological(table, validation_from=T0 + 2 * DAY, test_from=T0 + 3 * DAY)


@pytest.mark.parametrize("group", [None, ["a"] * 300 + ["b"] * 300])
def test_grouped_splits_need_groups(group, generator):
    data = ToyData(600, group=group)
    with pytest.raises(ValueError, match="group"):
        grouped(data.table, validation_share=0.2, test_share=0.2, generator=generator)


def test_contradictory_dates_are_refused():
    table = ToyData().table
    with pytest.raises(ValueError, match="validation must begin before"):
        chronological(table, validation_from=T0 + 120 * DAY, test_from=T0 + 90 * DAY)
    with pytest.raises(ValueError, match="in validation and in test"):
        by_years(table, validation_years=[2001], test_years=[2001])


def test_every_nth_sample_is_counted_within_each_class():
    data = ToyData(60)
    kinds = np.repeat([0, 1], [25, 35])
    split = slic_every_nth(data.table, 10, kinds=kinds)
    # by hand: 0, 10, 20 of the first class, 25, 35, 45, 55 of the second; validation 5 later
    assert split.test.tolist() == [0, 10, 20, 25, 35, 45, 55]
    assert split.validation.tolist() == [5, 15, 30, 40, 50]
    assert len(split.training) == 60 - 12
    with pytest.raises(ValueError, match="below 3"):
        slic_every_nth(data.table, 2)
