"""Training, validation and test sets that share no moment: chronological, by years, or by groups.

Between two sets lies a gap of at least label window + input span, so that no data are seen by both.
Samples inside a gap are left out and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.sample_table import SampleTable

__all__ = [
    "Split",
    "by_years",
    "chronological",
    "grouped",
    "leaky_random_split",
    "required_gap",
    "slic_every_nth",
]

DEMONSTRATION = "random (demonstration of a leak)"


@dataclass(frozen=True)
class Split:
    """Rows of the sample table in each set, in order of time.

    Attributes
    ----------
    training, validation, test : (sample,) int
    scheme : str
        How the sets were made, in words.
    n_purged : int
        Samples of good quality that belong to no set because they lie too near to another one.
    by_time : bool
        Whether the sets must not overlap in time (they need not where groups keep them apart).
    """

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    scheme: str
    n_purged: int = 0
    by_time: bool = True

    @property
    def sets(self) -> dict[str, np.ndarray]:
        """The three sets by name."""
        return {"training": self.training, "validation": self.validation, "test": self.test}

    def to_dict(self, table: SampleTable) -> dict:
        """Describe the split for config.json and the report."""
        out: dict = {"scheme": self.scheme, "purged": self.n_purged}
        for name, rows in self.sets.items():
            out[name] = {
                "samples": len(rows),
                "first": str(table.time[rows].min()) if len(rows) else None,
                "last": str(table.time[rows].max()) if len(rows) else None,
            }
        return out


def required_gap(table: SampleTable) -> np.timedelta64:
    """Return the least allowed distance of issue times in two sets: label window + input span."""
    label = (table.label_end - table.time).max()
    return label + (table.time - table.input_start).max()


def chronological(
    table: SampleTable, *, validation_from: np.datetime64, test_from: np.datetime64
) -> Split:
    """Train before, validate between, test after two dates, with purged borders."""
    if not validation_from < test_from:
        raise ValueError(
            f"validation must begin before the test set, got {validation_from} and {test_from}"
        )
    time = table.time[table.good]
    name = np.where(time < validation_from, 0, np.where(time < test_from, 1, 2))
    return _purged(table, name, f"chronological: validation {validation_from}, test {test_from}")


def by_years(table: SampleTable, *, validation_years: list[int], test_years: list[int]) -> Split:
    """Put whole calendar years into validation and test; train on the others, purged."""
    both = set(validation_years) & set(test_years)
    if both:
        raise ValueError(f"these years are in validation and in test: {sorted(both)}")
    year = table.time[table.good].astype("datetime64[Y]").astype(int) + 1970
    name = np.where(np.isin(year, test_years), 2, np.where(np.isin(year, validation_years), 1, 0))
    scheme = f"years: validation {_ranges(validation_years)}, test {_ranges(test_years)}"
    return _purged(table, name, scheme)


def grouped(
    table: SampleTable,
    *,
    validation_share: float,
    test_share: float,
    generator: np.random.Generator,
) -> Split:
    """Put whole groups (active regions, events) at random into each set.

    Raises
    ------
    ValueError
        If a sample has no group or there are fewer than three groups.
    """
    good = table.good
    groups, group_of_sample = np.unique(table.group[good], return_inverse=True)
    if "" in groups:
        raise ValueError("some samples have no group; use a split by time for full-disc samples")
    if len(groups) < 3:
        raise ValueError(f"a grouped split needs at least 3 groups, got {len(groups)}")
    order = generator.permutation(len(groups))
    n_test = max(round(test_share * len(groups)), 1)
    n_validation = max(round(validation_share * len(groups)), 1)
    name_of_group = np.zeros(len(groups), int)
    name_of_group[order[:n_test]] = 2
    name_of_group[order[n_test : n_test + n_validation]] = 1
    name = name_of_group[group_of_sample]
    return _checked(
        *(_in_time_order(table, good[name == k]) for k in range(3)),
        scheme=f"grouped: {len(groups)} groups, {n_validation} validation, {n_test} test",
        by_time=False,
    )


def leaky_random_split(
    table: SampleTable,
    *,
    validation_share: float,
    test_share: float,
    generator: np.random.Generator,
) -> Split:
    """Draw samples at random: a leak, kept for the demonstration of what it is worth.

    The audit refuses this split.
    """
    order = generator.permutation(table.good)
    n_test, n_validation = (round(s * len(order)) for s in (test_share, validation_share))
    test, validation = order[:n_test], order[n_test : n_test + n_validation]
    training = order[n_test + n_validation :]
    sets = (_in_time_order(table, rows) for rows in (training, validation, test))
    return _checked(*sets, scheme=DEMONSTRATION)


def slic_every_nth(table: SampleTable, n: int, *, kinds: np.ndarray | None = None) -> Split:
    """Test on every n-th sample, as Slic does, and validate on those half-way: a leak.

    Slic counts within each class, in order of time, and has no third set. The audit refuses this
    split, since neighbours of every test sample are in training.

    Parameters
    ----------
    table : SampleTable
    n : int
        3 or larger; Slic's is 10.
    kinds : (sample,) int, optional
        Class of each sample; they are counted together without it.

    Raises
    ------
    ValueError
        If n is below 3.
    """
    if n < 3:
        raise ValueError(f"every n-th sample leaves no training for n below 3, got {n}")
    good = table.good
    kinds = np.zeros(len(table), int) if kinds is None else np.asarray(kinds)
    parts: list[list[np.ndarray]] = [[], [], []]
    for kind in np.unique(kinds[good]):
        rows = _in_time_order(table, good[kinds[good] == kind])
        place = np.arange(len(rows)) % n
        name = np.where(place == 0, 2, np.where(place == n // 2, 1, 0))
        for k in range(3):
            parts[k].append(rows[name == k])
    sets = (_in_time_order(table, np.concatenate(part)) for part in parts)
    return _checked(*sets, scheme=f"every {n}th sample (demonstration of a leak)")


def _purged(table: SampleTable, name: np.ndarray, scheme: str) -> Split:
    """Make the three sets from 0, 1, 2 and leave out what lies too near to a later-named set."""
    good, gap = table.good, required_gap(table)
    sets = [_in_time_order(table, good[name == k]) for k in range(3)]
    n_before = sum(len(rows) for rows in sets)
    sets[1] = _away_from(table, sets[1], sets[2], gap)
    for kept in (sets[2], sets[1]):
        sets[0] = _away_from(table, sets[0], kept, gap)
    n_purged = n_before - sum(len(rows) for rows in sets)
    return _checked(*sets, scheme=scheme, n_purged=n_purged)


def _away_from(
    table: SampleTable, rows: np.ndarray, kept: np.ndarray, gap: np.timedelta64
) -> np.ndarray:
    """Return the rows whose time is at least ``gap`` from every time in ``kept``."""
    if len(rows) == 0 or len(kept) == 0:
        return rows
    time, other = table.time[rows], table.time[kept]
    after = np.searchsorted(other, time)
    to_next = np.abs(other[np.minimum(after, len(other) - 1)] - time)
    to_previous = np.abs(time - other[np.maximum(after - 1, 0)])
    return rows[np.minimum(to_next, to_previous) >= gap]


def _checked(training, validation, test, *, scheme, n_purged=0, by_time=True) -> Split:
    for name, rows in (("training", training), ("validation", validation), ("test", test)):
        if len(rows) == 0:
            raise ValueError(
                f"the {name} set is empty after the split ({scheme}; {n_purged} samples purged): "
                "the record is too short for it; move the dates or give more data"
            )
    return Split(training, validation, test, scheme, n_purged, by_time)


def _in_time_order(table: SampleTable, rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(table.time[rows], kind="stable")]


def _ranges(years: list[int]) -> str:
    """Write years as ``1999, 2003-2005``."""
    parts: list[list[int]] = []
    for year in sorted(years):
        if parts and parts[-1][1] == year - 1:
            parts[-1][1] = year
        else:
            parts.append([year, year])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
