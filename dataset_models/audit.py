"""The audit that stands between data and training: it looks for leaks, prints what it checked.

A leak fails the run. The audit knows the sample table, thumbnails and ``read`` only, so every
dataset passes through the same checks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dataset_models.solar_data import INPUT, SIDE, TARGET, SampleTable, SolarData
from dataset_models.splits import Split, required_gap
from tools.random_streams import random_stream
from tools.skill import roc_area

__all__ = ["AuditCheck", "AuditReport", "LeakError", "audit"]

_CAUSAL_SAMPLES = 24
_COMPARED_SAMPLES = 2000
_NEAR_DUPLICATE = 0.02  # distance of two thumbnails, relative to the larger norm
_SIDE_RANK_CORRELATION = 0.98
_SIDE_ROC_AREA = 0.995
_FEWEST_EVENTS = 10


class LeakError(ValueError):
    """The data or the split would let the future, or the test set, into training."""


@dataclass(frozen=True)
class AuditCheck:
    """One thing that was looked for: its name, whether it is absent, and what was compared."""

    name: str
    passed: bool
    detail: str

    def __post_init__(self):
        object.__setattr__(self, "passed", bool(self.passed))  # plain, for JSON


@dataclass(frozen=True)
class AuditReport:
    """What the audit checked."""

    checks: tuple[AuditCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether no leak was found."""
        return all(check.passed for check in self.checks)

    def text(self) -> str:
        """Give one line per check."""
        return "\n".join(
            f"  {'passed' if c.passed else 'FAILED'}  {c.name}: {c.detail}" for c in self.checks
        )

    def to_dict(self) -> list[dict]:
        """Give the checks for config.json."""
        return [asdict(check) for check in self.checks]

    def require(self, purpose: str = "this training, because it leaks") -> None:
        """Raise LeakError unless all checks passed; ``purpose`` says what is refused."""
        failed = [check for check in self.checks if not check.passed]
        if failed:
            reasons = "; ".join(f"{check.name}: {check.detail}" for check in failed)
            raise LeakError(f"the audit refuses {purpose}. {reasons}")


def audit(dataset: SolarData, split: Split, *, seed: int = 0) -> AuditReport:
    """Look for leaks between the sets of a split, and from the future into inputs.

    Parameters
    ----------
    dataset : SolarData
    split : Split
    seed : int
        Draws the samples that are looked at where looking at all would take too long.

    Returns
    -------
    AuditReport
        Call ``require()`` on it to fail.
    """
    table, generator = dataset.table, random_stream(seed, "audit")
    checks = [_disjoint(table, split)]
    if split.by_time:
        checks.append(_windows_apart(table, split))
    checks.append(_groups_apart(table, split))
    checks.append(_content_apart(dataset, split, generator))
    checks.append(_inputs_are_causal(dataset, split, generator))
    checks.extend(_side_columns_are_no_answers(dataset, split))
    return AuditReport(tuple(checks))


def _pairs(split: Split) -> list[tuple[str, str]]:
    return [("training", "validation"), ("training", "test"), ("validation", "test")]


def _disjoint(table: SampleTable, split: Split) -> AuditCheck:
    shared = sum(len(np.intersect1d(split.sets[a], split.sets[b])) for a, b in _pairs(split))
    twice = sum(len(rows) - len(np.unique(rows)) for rows in split.sets.values())
    bad = sum(int((table.quality[rows] != 0).sum()) for rows in split.sets.values())
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in split.sets.items())
    detail = f"{sizes} samples; {shared} shared, {twice} repeated, {bad} of bad quality"
    return AuditCheck("sets are disjoint", shared + twice + bad == 0, detail)


def _windows_apart(table: SampleTable, split: Split) -> AuditCheck:
    """Check that no span of data, from input start to label end, is used by two sets."""
    touched, nearest = np.zeros(len(table), bool), None
    for a, b in _pairs(split):
        rows_a, rows_b = split.sets[a], split.sets[b]
        touched[rows_a] |= _overlapping(table, rows_a, rows_b)
        touched[rows_b] |= _overlapping(table, rows_b, rows_a)
        distance = _smallest_distance(table.time[rows_a], table.time[rows_b])
        nearest = distance if nearest is None else min(nearest, distance)
    gap, overlapping = required_gap(table), int(touched.sum())
    detail = (
        f"{overlapping} samples share data with another set; nearest issue times of two sets are "
        f"{_days(nearest)} apart, at least {_days(gap)} (label window + input span) are needed"
    )
    return AuditCheck("windows do not overlap", overlapping == 0 and nearest >= gap, detail)


def _overlapping(table: SampleTable, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Say which rows' spans [input start, label end] overlap the span of any other row."""
    other = others[np.argsort(table.input_start[others])]
    start = table.input_start[other]
    latest_end = np.maximum.accumulate(table.label_end[other])
    before = np.searchsorted(start, table.label_end[rows], side="left") - 1
    return (before >= 0) & (latest_end[np.maximum(before, 0)] > table.input_start[rows])


def _smallest_distance(a: np.ndarray, b: np.ndarray) -> np.timedelta64:
    b = np.sort(b)
    after = np.searchsorted(b, a)
    to_next = np.abs(b[np.minimum(after, len(b) - 1)] - a)
    return np.minimum(to_next, np.abs(a - b[np.maximum(after - 1, 0)])).min()


def _groups_apart(table: SampleTable, split: Split) -> AuditCheck:
    shared: set[str] = set()
    for a, b in _pairs(split):
        both = np.intersect1d(table.group[split.sets[a]], table.group[split.sets[b]])
        shared |= set(both.tolist()) - {""}
    n_groups = len(np.unique(table.group[table.group != ""]))
    if n_groups == 0:
        detail = "samples have no groups (full disc); time alone keeps the sets apart"
    else:
        examples = ", ".join(sorted(shared)[:3])
        detail = f"{n_groups} groups, {len(shared)} shared {f'({examples} ...)' if shared else ''}"
    return AuditCheck("no group is shared", not shared, detail.strip())


def _content_apart(dataset: SolarData, split: Split, generator: np.random.Generator) -> AuditCheck:
    """Look for equal content by hash in all samples, and for near-duplicates in some."""
    name = "no near-duplicate content"
    rows = {s: _some(generator, v, _COMPARED_SAMPLES) for s, v in split.sets.items()}
    thumbnails = {s: dataset.thumbnails(r) for s, r in rows.items()}
    if any(t is None for t in thumbnails.values()):
        copies = sum(len(_of_equal_hash(dataset.table, split.sets, a, b)) for a, b in _pairs(split))
        detail = (
            f"{copies} samples equal one of another set; no thumbnails tell what is nearly equal"
        )
        return AuditCheck(name, copies == 0, detail)
    near = compared = 0
    for a, b in _pairs(split):
        left, right = (t[np.isfinite(t).all(axis=1)] for t in (thumbnails[a], thumbnails[b]))
        compared += len(left) * len(right)
        near += _n_near(right, left)
    copies = _n_equal(dataset, split)
    detail = (
        f"{copies} samples equal one of another set, {near} nearly equal one in {compared} pairs"
    )
    return AuditCheck(name, near + copies == 0, detail)


def _n_equal(dataset: SolarData, split: Split) -> int:
    """Count samples whose hash occurs in another set, unless they hold too little to tell."""
    n_equal = 0
    for a, b in _pairs(split):
        rows = _of_equal_hash(dataset.table, split.sets, a, b)
        if len(rows):
            n_equal += int(np.isfinite(dataset.thumbnails(rows)).all(axis=1).sum())
    return n_equal


def _of_equal_hash(table: SampleTable, sets: dict, a: str, b: str) -> np.ndarray:
    """Return the rows of set ``b`` whose content has the hash of one of set ``a``."""
    hashes = table.content_hash
    return sets[b][np.isin(hashes[sets[b]], hashes[sets[a]])]


def _n_near(rows: np.ndarray, others: np.ndarray) -> int:
    """Count rows that have a near-duplicate among ``others``, both (sample, feature)."""
    if len(rows) == 0 or len(others) == 0:
        return 0
    norm, other_norm = (rows**2).sum(axis=1), (others**2).sum(axis=1)
    distance = norm[:, None] + other_norm - 2 * rows @ others.T
    limit = _NEAR_DUPLICATE**2 * np.maximum(norm[:, None], other_norm)
    return int((distance < limit).any(axis=1).sum())


def _inputs_are_causal(
    dataset: SolarData, split: Split, generator: np.random.Generator
) -> AuditCheck:
    """Change all data after the issue time of some samples: their inputs must stay as they are."""
    name = "inputs do not change when later data change"
    rows = _some(generator, np.concatenate(list(split.sets.values())), _CAUSAL_SAMPLES)
    changed, labels_moved = [], 0
    for row in rows:
        altered = dataset.read_altered(int(row), seed=int(generator.integers(2**31)))
        if altered is None:
            return AuditCheck(
                name, True, "this dataset can't be remade from altered data: untested"
            )
        original = dataset.read(np.array([row]))
        for array in dataset.names(INPUT, SIDE):
            if not np.array_equal(original[array], altered[array], equal_nan=True):
                changed.append(f"{array} at {dataset.table.time[row]}")
        (target,) = dataset.names(TARGET)
        labels_moved += not np.array_equal(original[target], altered[target])
    detail = (
        f"{len(rows)} samples remade from data altered after their issue time; {len(changed)} "
        f"inputs changed{f' ({changed[0]} ...)' if changed else ''}, {labels_moved} labels moved"
    )
    # if no label moved the alteration did nothing, and the check says nothing
    return AuditCheck(name, not changed and labels_moved > 0, detail)


def _side_columns_are_no_answers(dataset: SolarData, split: Split) -> list[AuditCheck]:
    """Check that no side column gives the answer away, alone or with the others."""
    checks = []
    rows = np.concatenate([split.training, split.validation])
    arrays = dataset.read(rows) if dataset.names(SIDE) else {}
    (target_name,) = dataset.names(TARGET)
    for array in dataset.names(SIDE):
        target, columns = np.asarray(arrays[target_name], float), np.asarray(arrays[array], float)
        for column, values in enumerate(columns.T):
            label = f"{array} column {column + 1} is not the answer"
            checks.append(_is_no_answer(label, [values], target))
        if columns.shape[1] > 1:
            n = len(split.training)
            guesses = _guesses(columns[:n], target[:n], columns[n:])
            label = f"the {columns.shape[1]} columns of {array} together are not the answer"
            checks.append(_is_no_answer(label, guesses, target[n:]))
    return checks


def _is_no_answer(label: str, guesses: list[np.ndarray], target: np.ndarray) -> AuditCheck:
    """Check that none of some guesses (sample,) is the target, or separates its events."""
    levels = np.unique(np.quantile(target, np.linspace(0.05, 0.98, 12)))
    correlation = max(_rank_correlation(guess, target) for guess in guesses)
    area = max(_separation(guess, target >= level) for guess in guesses for level in levels)
    detail = (
        f"rank correlation with the label {correlation:.3f}, best ROC area {area:.3f}; whether "
        "the column's times are right can't be tested"
    )
    passed = correlation < _SIDE_RANK_CORRELATION and area < _SIDE_ROC_AREA
    return AuditCheck(label, passed, detail)


def _rank_correlation(values: np.ndarray, target: np.ndarray) -> float:
    """Give the size of Spearman's rank correlation, 0 where one of the two never changes."""
    if np.ptp(values) == 0 or np.ptp(target) == 0:
        return 0.0
    return abs(float(np.corrcoef(rankdata(values), rankdata(target))[0, 1]))


def _guesses(known: np.ndarray, answers: np.ndarray, asked: np.ndarray) -> list[np.ndarray]:
    """Guess the target from side columns, (sample, column), in three simple ways."""
    models = (
        LinearRegression(),
        make_pipeline(StandardScaler(), KNeighborsRegressor(5)),
        HistGradientBoostingRegressor(random_state=0),
    )
    return [model.fit(known, answers).predict(asked) for model in models]


def _separation(values: np.ndarray, event: np.ndarray) -> float:
    """Give how well a column separates events, 0.5 .. 1; 0 with too few events to tell."""
    if min(event.sum(), (~event).sum()) < _FEWEST_EVENTS:
        return 0.0
    area = roc_area(values, event)
    return max(area, 1 - area)


def _some(generator: np.random.Generator, rows: np.ndarray, n: int) -> np.ndarray:
    return rows if len(rows) <= n else np.sort(generator.choice(rows, n, replace=False))


def _days(step: np.timedelta64) -> str:
    return f"{step / np.timedelta64(86400, 's'):.2f} days"
