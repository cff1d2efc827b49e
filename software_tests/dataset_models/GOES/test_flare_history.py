"""Samples of flare history: what is in them, what is not, and where they come from."""

import numpy as np
import pytest

from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow
from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.GOES.side_columns import SideColumns, read_side_columns

T0 = np.datetime64("2012-01-01T00:00:00")
MINUTE = np.timedelta64(60, "s")
HOUR = np.timedelta64(3600, "s")
WINDOW = HistoryWindow(history_h=48, catch_h=24, cadence_h=6)


def make_record(minutes, fluxes, *, end_h=400, **fields):
    return FlareRecord(
        peak_time=T0 + np.asarray(minutes) * MINUTE,
        peak_flux=np.asarray(fluxes, float),
        region=np.zeros(len(minutes), int),
        start=T0,
        end=T0 + end_h * HOUR,
        class_scale="true",
        source="test",
        **fields,
    )


def random_record(generator, n=300, **fields):
    minutes = np.sort(generator.choice(400 * 60, n, replace=False))
    return make_record(minutes, 10 ** generator.uniform(-7, -4, n), **fields)


def test_hours_hold_what_happened_after_their_start_up_to_their_end():
    # peaks 60, 61 and 120 minutes after T0: the first belongs to hour 1, the others to hour 2
    data = FlareHistory(make_record([60, 61, 120], [1e-5, 2e-6, 5e-7]), WINDOW)
    assert data.table.time[0] == T0 + 48 * HOUR
    history = data.read(np.array([0]))["flare_history"][0]
    np.testing.assert_allclose(history[:3, 0], [1e-5, 2e-6, 0])
    np.testing.assert_array_equal(history[:3, 1], [1, 1, 0])  # B5 is no C flare
    assert (history[:, 2] == 1).all()


def test_history_equals_a_loop_over_flares(generator):
    record = random_record(generator)
    times = T0 + np.array([100 * 3600, 130 * 3600 + 17 * 60]).astype("timedelta64[s]")
    data = FlareHistory(record, WINDOW, times=times)
    history = data.read(np.arange(2))["flare_history"]
    for k, time in enumerate(times):
        for hour in range(48):
            end = time - (47 - hour) * HOUR
            inside = (record.peak_time > end - HOUR) & (record.peak_time <= end)
            expected = record.peak_flux[inside].max() if inside.any() else 0
            assert history[k, hour, 0] == np.float32(expected)
            assert history[k, hour, 1] == (record.peak_flux[inside] >= 1e-6).sum()


def test_target_is_log10_of_the_largest_flux_in_w_m2_not_below_the_floor():
    # regression: FlareNet trained "forecast" on a difference of fluxes times 1e6
    data = FlareHistory(make_record([50 * 60], [2.5e-5]), WINDOW)
    targets = data.read(np.arange(5))["log10_peak_flux"]
    assert targets[0] == pytest.approx(np.log10(2.5e-5))
    assert targets[2] == -7
    assert data.arrays["log10_peak_flux"].unit == "log10(W m-2)"


def test_gaps_lower_the_observed_share_and_leave_labels_undefined():
    gaps = np.array([[T0 + 60 * HOUR, T0 + 61 * HOUR + 30 * MINUTE]])
    data = FlareHistory(make_record([10], [1e-6], gaps=gaps), WINDOW)
    assert data.n_undefined > 0
    row = int(np.flatnonzero(data.table.time == T0 + 66 * HOUR)[0])
    share = data.read(np.array([row]))["flare_history"][0, :, 2]
    hours = 66 - 48 + np.arange(48)
    np.testing.assert_allclose(share[hours == 60], 0)
    np.testing.assert_allclose(share[hours == 61], 0.5)
    assert share.sum() == pytest.approx(46.5)


def test_history_before_the_record_is_not_observed():
    data = FlareHistory(
        make_record([30], [1e-6]), WINDOW, times=np.array([T0 + 10 * HOUR]), need_label=False
    )
    share = data.read(np.array([0]))["flare_history"][0, :, 2]
    assert share.sum() == 10


def test_light_curves_add_a_channel_of_mean_flux():
    minutes = np.arange(400 * 60)
    flux = 1e-7 + 1e-9 * (minutes // 60)
    record = make_record([], [], flux_time=T0 + (minutes + 1) * MINUTE, flux=flux)
    history = FlareHistory(record, WINDOW).read(np.array([0]))["flare_history"]
    assert history.shape == (1, 48, 4)
    np.testing.assert_allclose(history[0, :, 3], 1e-7 + 1e-9 * np.arange(48), rtol=1e-6)


def test_baseline_features_use_the_past_only(generator):
    record = random_record(generator)
    data = FlareHistory(record, WINDOW)
    for row in (0, 17, 40):
        time = data.table.time[row]
        inside = (record.peak_time > time - 24 * HOUR) & (record.peak_time <= time)
        expected = record.peak_flux[inside].max() if inside.any() else 0
        assert data.past_peak(24)[row] == expected
        assert data.past_count(24, 1e-6)[row] == (record.peak_flux[inside] >= 1e-6).sum()


def test_altered_futures_change_labels_but_not_inputs(generator):
    data = FlareHistory(random_record(generator), WINDOW)
    altered, original = data.read_altered(20, seed=1), data.read(np.array([20]))
    np.testing.assert_array_equal(altered["flare_history"], original["flare_history"])
    assert altered["log10_peak_flux"] != original["log10_peak_flux"]


def test_other_data_give_another_fingerprint(generator):
    record = random_record(generator)
    assert FlareHistory(record, WINDOW).fingerprint() == FlareHistory(record, WINDOW).fingerprint()
    other = FlareHistory(random_record(generator), WINDOW)
    assert other.fingerprint() != FlareHistory(record, WINDOW).fingerprint()


def test_verify_finds_nothing_wrong_with_good_data(generator):
    assert FlareHistory(random_record(generator), WINDOW).verify() == []


def test_too_short_a_record_says_what_is_needed():
    with pytest.raises(ValueError, match="48 h of history and 24 h after it"):
        FlareHistory(make_record([10], [1e-6], end_h=60), WINDOW)


@pytest.mark.parametrize("field", ["history_h", "catch_h", "cadence_h"])
def test_windows_need_at_least_an_hour(field):
    with pytest.raises(ValueError, match=field):
        HistoryWindow(**{field: 0})


@pytest.mark.parametrize(
    "change",
    [
        {"peak_flux": np.array([np.nan])},
        {"peak_flux": np.array([0.0])},
        {"class_scale": "science"},
        {"end": T0},
        {"region": np.array([1, 2])},
    ],
)
def test_impossible_records_are_refused(change):
    fields = {
        "peak_time": np.array([T0 + HOUR]),
        "peak_flux": np.array([1e-6]),
        "region": np.array([0]),
        "start": T0,
        "end": T0 + 10 * HOUR,
        "class_scale": "true",
        "source": "test",
    }
    with pytest.raises(ValueError, match="test"):
        FlareRecord(**{**fields, **change})


class TestSideColumns:
    def test_the_newest_row_at_or_before_the_issue_time_counts(self):
        side = SideColumns(T0 + np.array([10, 60]) * HOUR, np.array([[1.0], [2.0]]), ("spots",))
        data = FlareHistory(make_record([10], [1e-6]), WINDOW, side=side)
        values = data.read(np.arange(4))["side"][:, 0]  # issued 48, 54, 60, 66 h after T0
        np.testing.assert_array_equal(values, [1, 1, 2, 2])

    def test_samples_before_the_first_row_are_left_out(self):
        side = SideColumns(T0 + np.array([60]) * HOUR, np.array([[2.0]]), ("spots",))
        data = FlareHistory(make_record([10], [1e-6]), WINDOW, side=side)
        assert data.table.quality[:3].tolist() == [1, 1, 0]

    def test_files_are_read(self, tmp_path):
        path = tmp_path / "side.csv"
        path.write_text("time,spots,f107\n2012-01-01T00:00Z,10,100\n2012-01-02,20,110\n")
        side = read_side_columns(path)
        assert side.names == ("spots", "f107")
        np.testing.assert_array_equal(side.at(np.array([T0 + 30 * HOUR])), [[20, 110]])
        assert np.isnan(side.at(np.array([T0 - HOUR]))).all()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "column 'time'"),
            ("time\n2012-01-01\n", "at least one other"),
            ("time,a\n2012-01-02,1\n2012-01-01,1\n", "must increase"),
            ("time,a\n2012-01-01,nan\n", "line 2: every side value"),
            ("time,a\n2012-01-01,x\n", "line 2"),
            ("time,a\n", "not be empty"),
        ],
    )
    def test_bad_files_are_refused(self, tmp_path, text, message):
        path = tmp_path / "side.csv"
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_side_columns(path)
