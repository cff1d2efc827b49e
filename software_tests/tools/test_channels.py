"""What is left of AIA's throughput, against the table read by hand."""

import numpy as np
import pytest

from tools.channels import AIA_CHANNELS, CAMERA, aia_degradation


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
def test_throughput_of_known_days(day, expected):
    found = [aia_degradation(channel, date(day))[0] for channel in AIA_CHANNELS]
    np.testing.assert_allclose(found, expected, atol=6e-4)


def test_several_times_at_once_and_epochs_in_order():
    times = np.array(["2017-09-06", "2010-06-01"], "datetime64[s]")
    late, early = aia_degradation(304, times)
    assert (late, early) == (
        pytest.approx(aia_degradation(304, times[:1])[0]),
        pytest.approx(aia_degradation(304, times[1:])[0]),
    )
    assert late < 0.05 < early


def test_unknown_channels_and_times_before_the_mission_are_refused():
    with pytest.raises(ValueError, match="no calibration for 195"):
        aia_degradation(195, date("2014-01-01"))
    with pytest.raises(ValueError, match="begins at 2010-03-24"):
        aia_degradation(171, date("2004-03-01"))


def test_every_channel_has_a_camera():
    assert set(CAMERA) == set(AIA_CHANNELS)
    assert AIA_CHANNELS == (94, 131, 171, 193, 211, 304, 335, 1600)
