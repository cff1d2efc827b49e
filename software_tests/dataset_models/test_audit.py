"""The audit finds each kind of leak, and only it; and a real leak of a published data set."""

import csv

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from dataset_models.audit import LeakError, audit
from dataset_models.solar_data import SampleTable
from dataset_models.splits import Split, chronological, grouped, leaky_random_split
from software_tests.dataset_models.toy_data import HOUR, T0, ToyData

DAY = 24 * HOUR


def honest(data):
    return chronological(data.table, validation_from=T0 + 90 * DAY, test_from=T0 + 120 * DAY)


def failed(report):
    return [check.name for check in report.checks if not check.passed]


def test_honest_data_pass_and_all_checks_are_printed():
    data = ToyData()
    report = audit(data, honest(data))
    assert report.passed
    report.require()
    text = report.text()
    for name in ("disjoint", "overlap", "group", "near-duplicate", "later data change"):
        assert name in text


def test_overlapping_windows_are_found(generator):
    # regression: FlareNet and others split at random or by months without a gap
    data = ToyData()
    split = leaky_random_split(
        data.table, validation_share=0.2, test_share=0.2, generator=generator
    )
    report = audit(data, split)
    assert failed(report) == ["windows do not overlap"]
    with pytest.raises(LeakError, match="share data with another set"):
        report.require()


def test_neighbouring_months_without_a_gap_are_found():
    data = ToyData()
    rows = np.arange(600)
    split = Split(rows[:360], rows[360:480], rows[480:], "months without a gap")
    assert failed(audit(data, split)) == ["windows do not overlap"]


def test_a_gap_shorter_than_label_window_plus_input_span_is_found():
    data = ToyData()
    rows = np.arange(600)
    split = Split(rows[:353], rows[359:474], rows[480:], "gaps of 42 h")
    assert failed(audit(data, split)) == ["windows do not overlap"]
    split = Split(rows[:352], rows[359:473], rows[480:], "gaps of 48 h")
    assert audit(data, split).passed


def test_shared_samples_are_found():
    data = ToyData()
    split = honest(data)
    shared = Split(np.r_[split.training, split.test[:1]], split.validation, split.test, "shared")
    assert "sets are disjoint" in failed(audit(data, shared))


def test_shared_regions_are_found(generator):
    group = np.repeat([f"region {k}" for k in range(30)], 20)
    data = ToyData(group=group)
    split = grouped(data.table, validation_share=0.2, test_share=0.2, generator=generator)
    assert audit(data, split).passed
    rows = np.arange(600)
    torn = Split(rows[::3], rows[1::3], rows[2::3], "torn", by_time=False)
    assert failed(audit(data, torn)) == ["no group is shared"]


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_copies_and_near_copies_are_found(noise):
    data = ToyData()
    split = honest(data)
    original, copy = split.training[5], split.test[7]
    generator = np.random.default_rng(1)
    inputs = data._inputs

    def with_copy(series, indices):
        rows = inputs(series, indices)
        rows[np.asarray(indices) == copy] = inputs(series, [original]) * (
            1 + noise * generator.normal(size=8).astype(np.float32)
        )
        return rows

    data._inputs = with_copy
    assert failed(audit(data, split)) == ["no near-duplicate content"]


def test_inputs_that_look_ahead_are_found():
    # regression: in SuryaBench a column of the input at t is made from data after t
    data = ToyData(leak=True)
    assert "inputs do not change when later data change" in failed(audit(data, honest(data)))


def test_an_alteration_that_alters_nothing_fails_the_check():
    data = ToyData()
    data.read_altered = lambda index, seed: data.read(np.array([index]))
    assert "inputs do not change when later data change" in failed(audit(data, honest(data)))


@pytest.mark.parametrize("kind", ["target", "its rank", "its class", "noise", "weak"])
def test_side_columns_that_are_the_answer_are_found(kind, generator):
    data = ToyData()
    target = data.series[8 : 8 + data.n]
    side = {
        "target": target,
        "its rank": -np.argsort(np.argsort(target)).astype(float),
        "its class": np.digitize(target, np.quantile(target, [0.3, 0.8])).astype(float),
        "noise": generator.normal(size=data.n),
        "weak": target + generator.normal(size=data.n),
    }[kind]
    with_side = ToyData(side=side)
    found = failed(audit(with_side, honest(with_side)))
    assert found == ([] if kind in ("noise", "weak") else ["side column 1 is not the answer"])


@pytest.mark.parametrize("kind", ["parts", "curved parts", "noise"])
def test_side_columns_that_together_are_the_answer_are_found(kind, generator):
    data = ToyData(3000)
    target, noise = data.series[8 : 8 + data.n], generator.normal(size=(data.n, 2))
    side = {
        "parts": np.column_stack([noise, target - noise.sum(axis=1)]),
        "curved parts": np.stack([noise[:, 0], np.exp(target - 0.3 * noise[:, 0])], axis=1),
        "noise": noise,
    }[kind]
    with_side = ToyData(3000, side=side)
    found = failed(audit(with_side, honest(with_side)))
    assert [name for name in found if "together" not in name] == []
    assert len(found) == (kind != "noise")


def test_a_table_whose_inputs_or_labels_contradict_time_is_refused():
    columns = {name: getattr(ToyData(9).table, name) for name in SampleTable.__dataclass_fields__}
    with pytest.raises(ValueError, match="past its issue time"):
        SampleTable(**{**columns, "input_end": columns["time"] + HOUR})
    with pytest.raises(ValueError, match="no forecast"):
        SampleTable(**{**columns, "label_start": columns["time"] - HOUR})


def test_what_a_random_split_is_worth_on_a_published_data_set(shared):
    # reference: 5 nearest neighbours in flux and time, January 2014, log10 of the maximum in the
    # next 1-25 h: random split 0.020 dex, chronological with a gap 1.322 dex
    path = shared / "flare/flarenet/Flux_FeatherAIA2014.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    column = "Flux_1h_1d1h_top1"
    rows = [row for row in rows if row[column] not in ("", "NA")]
    time = np.array([np.datetime64(row["Time"].replace(" ", "T"), "s") for row in rows])
    y = np.log10([float(row[column]) for row in rows])
    hours = (time - time[0]) / HOUR
    x = np.column_stack([np.log10([float(row["Flux"]) for row in rows]), hours / 24])

    def error(train, test):
        model = KNeighborsRegressor(5).fit(x[train], y[train])
        return np.abs(model.predict(x[test]) - y[test]).mean()

    order = np.random.default_rng(0).permutation(len(y))
    cut = int(0.75 * len(y))
    border = hours[cut]
    random = error(order[:cut], order[cut:])
    apart = error(np.flatnonzero(hours < border - 25), np.flatnonzero(hours >= border))
    assert random == pytest.approx(0.020, abs=0.01)
    assert apart > 30 * random
