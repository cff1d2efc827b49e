"""What is left of AIA's throughput, against the table read by hand."""

import numpy as np
import pytest

from tools.channels import AIA_CHANNELS, CAMERA, aia_degradation, is_extrapolated


def date(text):
    return np.array([text], "datetime64[s]")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # area (1 + p1 d) of the epoch over the first epoch's area, from the calibration file
        ("2010-06-01", [1.000, 0.978, 0.989, 0.996, 0.991, 0.889, 0.937, 0.992]),
        ("2014-01-11", [0.815, 0.787, 0.854, 1.29020 / 1.42839, 0.807, 0.252, 0.354, 0.664]),
        ("2017-09-06", [0.742, 0.638, 0.767, 0.814, 0.711, 0.044, 0.186, 0.508]),
    ],
)
def test_throughput_of_known_days_in_version_8(day, expected):
    found = [aia_degradation(channel, date(day), "v8")[0] for channel in AIA_CHANNELS]
    np.testing.assert_allclose(found, expected, atol=6e-4)


def test_version_10_is_the_default_and_agrees_with_the_instrument_team_s_table():
    # 2014-01-01, 319.5 days after 2013-02-15T12 in the 94 A epoch: 0.27933 (1 - 0.000078 319.5) /
    # 0.29808 = 0.914; the other channels as quoted beside the table
    expected = {94: 0.914, 131: 0.753, 171: 0.876, 193: 0.887, 211: 0.825, 335: 0.443}
    for channel, left in expected.items():
        assert aia_degradation(channel, date("2014-01-01"))[0] == pytest.approx(left, abs=6e-4)


def test_a_date_after_the_issue_is_extrapolated():
    days = np.array(["2017-12-11", "2020-11-18", "2020-11-20"], "datetime64[s]")
    assert is_extrapolated(days).tolist() == [False, False, True]
    assert is_extrapolated(days, "v8").tolist() == [True, True, True]
    with pytest.raises(ValueError, match="expected a calibration of v10, v8, got 'v9'"):
        aia_degradation(171, days, "v9")


def test_version_10_equals_the_file_where_it_is(shared):
    path = shared / "aia_calibration/aia_V10_20201119_190000_response_table.txt"
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    for channel in AIA_CHANNELS:
        own = sorted(row for row in rows if int(row[5]) == channel)
        own.sort(key=lambda row: row[1])
        for row in own:
            start = np.datetime64(row[1][:19], "s")
            later = start + np.timedelta64(30, "D")
            area, p1 = float(row[8]), float(row[10])
            if later < np.datetime64(row[2][:19], "s"):
                expected = area * (1 + 30 * p1 + 900 * float(row[11]) + 27000 * float(row[12]))
                found = aia_degradation(channel, np.array([later]))[0]
                assert found == pytest.approx(expected / float(own[0][8]), rel=1e-9)


def test_several_times_at_once_and_epochs_in_order():
    times = np.array(["2017-09-06", "2010-06-01"], "datetime64[s]")
    late, early = aia_degradation(304, times)
    assert (late, early) == (
        pytest.approx(aia_degradation(304, times[:1])[0]),
        pytest.approx(aia_degradation(304, times[1:])[0]),
    )
    assert late < 0.07 < early


def test_unknown_channels_and_times_before_the_mission_are_refused():
    with pytest.raises(ValueError, match="no calibration for 195"):
        aia_degradation(195, date("2014-01-01"))
    with pytest.raises(ValueError, match="begins at 2010-03-24"):
        aia_degradation(171, date("2004-03-01"))


def test_every_channel_has_a_camera():
    assert set(CAMERA) == set(AIA_CHANNELS)
    assert AIA_CHANNELS == (94, 131, 171, 193, 211, 304, 335, 1600)
