"""Flare catalogues with their known faults, each by hand and in the real lists."""

import numpy as np
import pytest

from dataset_models.GOES.flare_list import read_flare_list

HEADER = "Flare Class,Start Time,Peak Time,End Time,Active Region Number"
MEASURED = (
    "Year,Month,Day,Hour Start,Minute Start,Hour End,Minute End,Hour Peak,Minute Peak,"
    "Hour Peak,Minute Peak,Peak Flux"
)


def read(tmp_path, *rows, header=HEADER):
    path = tmp_path / "flares.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return read_flare_list(path)


def test_a_plain_flare(tmp_path):
    record = read(tmp_path, "M2.5,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,11226")
    assert str(record.peak_time[0]) == "2011-06-07T06:41:00"
    assert record.peak_flux[0] == pytest.approx(2.5e-5)
    assert record.region.tolist() == [11226]
    assert record.class_scale == "operational"
    assert (str(record.start), str(record.end)) == ("2011-06-07T00:00:00", "2011-06-08T00:00:00")
    assert record.faults == {}


def test_peak_and_end_after_midnight_belong_to_the_next_day(tmp_path):
    # the defect of FlareNet's list: start date + peak hour is 24 h early
    record = read(tmp_path, "C5.5,1997-08-10T23:42Z,1997-08-10T00:03Z,1997-08-10T00:19Z,0")
    assert str(record.peak_time[0]) == "1997-08-11T00:03:00"
    assert record.faults["peak times carried over midnight"] == 1


def test_an_unreadable_peak_is_put_at_the_end(tmp_path):
    record = read(tmp_path, "M1.2,2004-07-26T23:46Z,2004-07-26T//://Z,2004-07-26T00:11Z,10652")
    assert str(record.peak_time[0]) == "2004-07-27T00:11:00"
    assert record.faults["unreadable peak times replaced by the end"] == 1


def test_a_peak_outside_its_flare_is_put_at_the_end(tmp_path):
    record = read(tmp_path, "B1.7,1997-04-15T23:43Z,1997-04-15T11:57Z,1997-04-15T00:03Z,0")
    assert str(record.peak_time[0]) == "1997-04-16T00:03:00"
    assert record.faults["peak times outside the flare replaced by the end"] == 1


def test_repeats_and_twins_count_once(tmp_path):
    row = "C2.9,2000-03-09T18:33Z,2000-03-09T18:38Z,2000-03-09T18:41Z"
    record = read(tmp_path, f"{row},0", f"{row},18906", f"{row},18906")
    assert record.region.tolist() == [8906]
    assert record.faults["repeated flares dropped"] == 1
    assert record.faults["twins of one flare merged"] == 1


def test_different_flares_of_one_minute_stay_apart(tmp_path):
    record = read(
        tmp_path,
        "C1.0,2000-03-09T18:33Z,2000-03-09T18:38Z,2000-03-09T18:41Z,8906",
        "C9.0,2000-03-09T18:33Z,2000-03-09T18:38Z,2000-03-09T18:41Z,8907",
    )
    assert len(record.peak_time) == 2


def test_flares_are_sorted_by_peak_and_classes_by_flux(tmp_path):
    record = read(
        tmp_path,
        "X13.0,2003-11-04T10:00Z,2003-11-04T10:20Z,2003-11-04T10:30Z,486",
        "X9.0,2003-11-03T10:00Z,2003-11-03T10:20Z,2003-11-03T10:30Z,486",
    )
    np.testing.assert_allclose(record.peak_flux, [9e-4, 1.3e-3])


def test_a_class_without_number_is_its_lower_limit(tmp_path):
    record = read(tmp_path, "C,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,0")
    assert record.peak_flux[0] == pytest.approx(1e-6)
    assert sum(record.faults.values()) == 1


def test_measured_list_uses_its_second_peak_and_carries_over_midnight(tmp_path):
    record = read(tmp_path, "2012,3,7,23,50,0,40,0,24,0,25,0.00054109", header=MEASURED)
    assert str(record.peak_time[0]) == "2012-03-08T00:25:00"
    assert record.peak_flux[0] == 0.00054109


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "the flare list is empty"),
        (
            ("Q1,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,0",),
            "line 2: expected a flare",
        ),
        (("M1,2011-06-07T06:16Z,2011-06-07T06:41Z,yesterday,0",), "line 2"),
        (("M1,2011-06-07T06:16Z",), "line 2"),
        (("nan,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,0",), "line 2"),
        (("M1,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-09T06:59Z,0",), "starts at"),
    ],
)
def test_bad_lists_are_refused_with_their_line(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, *rows)


def test_nan_flux_in_a_measured_list_is_refused(tmp_path):
    with pytest.raises(ValueError, match="line 2: expected a positive peak flux"):
        read(tmp_path, "2012,3,7,0,2,0,40,0,24,0,24,nan", header=MEASURED)


@pytest.mark.parametrize("text", ["", "a,b,c\n1,2,3\n"])
def test_unknown_columns_are_refused(tmp_path, text):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="expected the columns Flare Class"):
        read_flare_list(path)


def test_the_real_event_list(shared):
    # counted in the file: 37,792 rows, 24 exact repeats, 21 unreadable peaks, 235 peaks before the
    # start of which 4 are misprints even after midnight is taken care of
    record = read_flare_list(shared / "flare/catalogues/goes_flares_1996_2018.csv")
    faults = record.faults
    assert faults["unreadable peak times replaced by the end"] == 21
    assert faults["end times carried over midnight"] == 460
    assert faults["peak times carried over midnight"] == 231
    dropped = faults["repeated flares dropped"] + faults["twins of one flare merged"]
    assert faults["repeated flares dropped"] >= 24
    assert len(record.peak_time) == 37792 - dropped
    letters = np.searchsorted([1e-8, 1e-7, 1e-6, 1e-5, 1e-4], record.peak_flux * 1.0001)
    assert abs((letters == 5).sum() - 174) <= 1  # X
    assert (record.peak_time[1:] >= record.peak_time[:-1]).all()
    day = record.peak_time.astype("datetime64[D]") == np.datetime64("2011-06-07")
    assert record.peak_flux[day].max() == pytest.approx(2.5e-5)


def test_the_real_measured_list(shared):
    # 8,249 rows; 80 of them have their peak after midnight (read off the file)
    record = read_flare_list(shared / "flare/flarenet/flares_CMX_Flux_2010_2017.csv")
    assert record.faults["peak times carried over midnight"] == 80
    assert record.peak_flux.max() == pytest.approx(6.2067e-4)  # the first row is not eaten
    assert str(record.peak_time[np.argmax(record.peak_flux)]) == "2011-08-09T08:04:00"
