"""Frames of several channels grouped by time: a missing file shifts nothing, at any cadence."""

import numpy as np
import pytest

from dataset_models.fits_files.time_groups import group_by_time, one_per_channel

CHANNELS = (94, 131, 171, 193, 211, 335)
START = np.datetime64("2011-06-07T06:00:00", "ms")


def grouped(frames, spread=60.0):
    """Group (seconds, channel) frames; return the frames of each group."""
    times = START + np.array([round(s * 1000) for s, _ in frames]).astype("timedelta64[ms]")
    channels = [c for _, c in frames]
    return [
        [frames[k] for k in rows]
        for rows in group_by_time(times, channels, largest_spread_s=spread)
    ]


@pytest.mark.parametrize("cadence", [12, 24, 36, 45, 60, 720])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("missing", [(0, 94), (0, 335), (3, 171), (5, 94)])
def test_one_missing_file_leaves_one_gap(cadence, phase, missing, generator):
    frames = [
        (cycle * cadence + phase * k + generator.uniform(0, 0.3), channel)
        for cycle in range(6)
        for k, channel in enumerate(CHANNELS)
        if (cycle, channel) != missing
    ]
    generator.shuffle(frames)
    frames = [(float(s), int(c)) for s, c in frames]
    found = grouped(frames)
    assert len(found) == 6
    for cycle, group in enumerate(found):
        wanted = {c for c in CHANNELS if (cycle, c) != missing}
        assert {c for _, c in group} == wanted
        assert all(-1 < s - cycle * cadence < 11 for s, _ in group)


@pytest.mark.parametrize("missing", [(1, 335), (19, 335), (0, 94), (7, 193)])
def test_channels_that_fill_the_whole_cycle_are_not_shifted(missing):
    frames = [
        (12.0 * cycle + 2 * k, channel)
        for cycle in range(20)
        for k, channel in enumerate(CHANNELS)
        if (cycle, channel) != missing
    ]
    found = grouped(frames)
    assert [len(group) for group in found] == [5 if c == missing[0] else 6 for c in range(20)]


def test_a_second_frame_within_seconds_is_a_copy():
    frames = [(2.0 * k, channel) for k, channel in enumerate(CHANNELS)]
    assert [len(group) for group in grouped([*frames, (2.0 * 2 + 0.5, 171)])] == [7]


def test_the_whole_first_and_last_channels_may_lack_cycles():
    frames = [(24.0 * c, ch) for c in range(8) for ch in CHANNELS if ch != 94 or c % 2]
    assert [len(group) for group in grouped(frames)] == [5, 6] * 4


def test_channels_of_other_cadences_join_the_nearest():
    frames = [(12.0 * k, 171) for k in range(6)] + [(24.0 * k + 5, 1600) for k in range(3)]
    found = grouped(frames)
    assert [{c for _, c in group} for group in found] == [{171, 1600}, {171}] * 3


def test_frames_that_never_repeat_are_one_time_within_the_spread():
    frames = [(10.0 * k, channel) for k, channel in enumerate(CHANNELS)]
    assert [len(group) for group in grouped(frames)] == [6]
    assert max(s for group in grouped(frames, 25.0) for s, _ in group) == 50.0
    for group in grouped(frames, 25.0):
        assert group[-1][0] - group[0][0] <= 25


def test_copies_stay_together_and_none_is_lost(generator):
    frames = [(0.0, 171), (0.0, 171), (0.0, 193), (30.0, 171)]
    assert [len(group) for group in grouped(frames)] == [3, 1]
    times = START + generator.integers(0, 3000, 60).astype("timedelta64[s]")
    rows = group_by_time(times, generator.choice(CHANNELS, 60).tolist(), largest_spread_s=60)
    assert sorted(k for group in rows for k in group) == [*range(60)]
    assert group_by_time(times[:0], [], largest_spread_s=60) == []


def test_of_copies_the_first_good_one_is_kept_whatever_its_place():
    frames = [(171, "bad"), (193, "a"), (171, "good"), (171, "late"), (94, "bad"), (94, "worse")]
    kept, others = one_per_channel(
        frames, channel=lambda f: f[0], is_good=lambda f: f[1] in ("a", "good", "late")
    )
    assert kept == [(171, "good"), (193, "a"), (94, "bad")]
    assert others == [(171, "bad"), (171, "late"), (94, "worse")]
