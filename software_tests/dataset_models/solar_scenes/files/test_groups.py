"""Frames of one scene are one group: against a brute-force search over all pairs."""

import numpy as np
import pytest

from dataset_models.solar_scenes.files.groups import observation_groups

H = 3600.0
NONE = [0, 0, 0]


def groups(time_h, centre, region=None, instrument=None):
    n = len(time_h)
    region = np.zeros(n, int) if region is None else np.array(region)
    instrument = ["A"] * n if instrument is None else instrument
    found = observation_groups(instrument, np.array(time_h) * H, np.array(centre, float), region)
    return found.tolist()


@pytest.mark.parametrize(
    ("time_h", "x", "same"),
    [
        ([0, 1], [0, 59], True),
        ([0, 1], [0, 61], False),
        ([0, 47], [0, 0], True),
        ([0, 48], [0, 0], False),  # the gap is less than 48 h
        ([47, 0], [0, 0], True),
    ],
)
def test_two_frames(time_h, x, same):
    first, second = groups(time_h, [[x[0], 0], [x[1], 0]])
    assert (first == second) == same


def test_the_same_region_far_away_and_others():
    far = [[0, 0], [500, 0]]
    assert groups([0, 1], far, [11158, 11158]) == [0, 0]
    assert groups([0, 1], far, [11158, 11159]) == [0, 1]
    assert groups([0, 50], far, [11158, 11158]) == [0, 1]
    assert groups([0, 1], [[0, 0], [0, 0]], instrument=["A", "B"]) == [0, 1]


def test_partners_of_partners_are_joined():
    # a region drifts by 50 arcsec a day; neither the first and the last are near, nor within 48 h
    assert groups([0, 24, 48, 72], [[50 * k, 0] for k in range(4)]) == [0, 0, 0, 0]
    # two places are joined by a third one between them, later
    assert groups([0, 1, 2], [[0, 0], [100, 0], [50, 0]]) == [0, 0, 0]


def test_unknown_time_or_place():
    nan = np.nan
    assert groups([nan, 1, 2], [[0, 0], [nan, nan], [0, 0]]) == [-1, -1, 2]
    assert groups([1, 2], [[nan, nan], [nan, nan]], [11158, 11158]) == [0, 0]


def test_random_frames_as_by_all_pairs(generator):
    for _ in range(20):
        n = 120
        time_h = generator.uniform(0, 600, n)
        centre = generator.uniform(-300, 300, (n, 2))
        region = generator.integers(0, 3, n) * 11000 * (generator.random(n) < 0.1)
        instrument = generator.choice(["A", "B"], n)
        label = np.arange(n)
        near = np.hypot(*(centre[:, None] - centre[None]).transpose(2, 0, 1)) <= 60
        near |= (region[:, None] == region[None]) & (region[:, None] > 0)
        near &= np.abs(time_h[:, None] - time_h[None]) < 48
        near &= instrument[:, None] == instrument[None]
        for _ in range(n):  # labels spread over the pairs until nothing changes
            spread = np.where(near, label[None], n).min(axis=1)
            if np.array_equal(spread, label):
                break
            label = spread
        found = np.array(groups(time_h, centre, region, instrument))
        assert np.array_equal(found[:, None] == found[None], label[:, None] == label[None])
