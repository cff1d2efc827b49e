"""Times that people and headers write: every form by hand, and what is ambiguous refused."""

import numpy as np
import pytest

from tools.times import parse_time, parse_times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2011-10-08", "2011-10-08T00:00:00.000"),
        ("20111008", "2011-10-08T00:00:00.000"),
        ("2011-10-08T11", "2011-10-08T11:00:00.000"),
        ("2011-10-08T11:15", "2011-10-08T11:15:00.000"),
        ("2011-10-08T11:15:33Z", "2011-10-08T11:15:33.000"),
        ("2011-10-08 11:15:33.1 UTC", "2011-10-08T11:15:33.100"),
        ("2011-10-08T11:15:33+00:00", "2011-10-08T11:15:33.000"),
        ("2011/10/08 11:15:33.004", "2011-10-08T11:15:33.004"),
        ("20111008_111533", "2011-10-08T11:15:33.000"),
        ("20111008T1115", "2011-10-08T11:15:00.000"),
        (" 8-Oct-2011 11:15:33.10", "2011-10-08T11:15:33.100"),
        ("08-OCT-11 11:15:33", "2011-10-08T11:15:33.000"),
        ("01-Jan-98 00:00", "1998-01-01T00:00:00.000"),
        # TAI was 34 s ahead of UTC in 2011
        ("2011.02.15_02:00:34_TAI", "2011-02-15T02:00:00.000"),
        ("2012-06-30T23:59:60.62", "2012-07-01T00:00:00.620"),  # POSIX has no leap second
        ("2016-12-31T23:59:60", "2017-01-01T00:00:00.000"),
    ],
)
def test_forms_that_the_field_writes(text, expected):
    assert str(parse_time(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *["now", "today", "NaT", "", "2017", "2017-05", "201705", "1318072533", "55000.5"],
        *["2011-02-30", "2011-13-01", "2011-10-08T24:00", "11:15"],
        *["2011-06-30T23:59:60", "2012-06-30T22:59:60", "2012-06-30T23:59:61"],
        *["2011-10-08T11:15:33+02:00", "8-Okt-2011 11:15", "2011-10/08", "20111008111533"],
    ],
)
def test_what_is_ambiguous_or_no_time_is_refused(text):
    with pytest.raises(ValueError, match="--at"):
        parse_time(text, what="--at")


def test_a_header_s_scale_and_need_of_a_clock():
    assert str(parse_time("2011-02-15T02:00:34", scale="TAI")) == "2011-02-15T02:00:00.000"
    # TT is 32.184 s ahead of TAI
    assert str(parse_time("2011-02-15T02:01:06.184", scale="TT")) == "2011-02-15T02:00:00.000"
    with pytest.raises(ValueError, match="day without a time of day"):
        parse_time("2011-02-15", needs_clock=True)


def test_several_at_once():
    times = parse_times(["20111008", "2011-10-09"])
    assert times.dtype == np.dtype("datetime64[ms]")
    assert (times[1] - times[0]) / np.timedelta64(1, "h") == 24
