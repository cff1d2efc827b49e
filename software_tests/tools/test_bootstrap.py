"""The block bootstrap against closed forms."""

import numpy as np
import pytest

from tools.bootstrap import BlockBootstrap, interval

DAY = np.timedelta64(1, "D")


def times(n, step=DAY):
    return np.datetime64("2011-01-01T00:00:00") + np.arange(n) * step


def test_independent_samples_give_the_normal_interval(generator):
    values = generator.normal(size=5000)
    bootstrap = BlockBootstrap(times(5000), generator=generator, block_days=1, n_draws=2000)
    low, high = interval(bootstrap.mean(values))
    error = values.std() / np.sqrt(5000)
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)  # 2000 draws
    assert low < values.mean() < high


def test_correlated_samples_need_blocks(generator):
    # 100 independent storms of 50 days: the mean has the error of 100 values, not of 5000
    values = np.repeat(generator.normal(size=100), 50)
    single = BlockBootstrap(times(5000), generator=generator, block_days=1)
    blocks = BlockBootstrap(times(5000), generator=generator, block_days=50)
    narrow, wide = (np.diff(interval(b.mean(values)))[0] for b in (single, blocks))
    assert wide > 5 * narrow
    assert blocks.n_blocks == 100


def test_differences_are_paired(generator):
    storm = np.repeat(generator.normal(size=100), 27)
    noise = generator.normal(size=2700) * 0.01
    bootstrap = BlockBootstrap(times(2700), generator=generator)
    difference = bootstrap.mean(storm + noise + 0.05) - bootstrap.mean(storm)
    low, high = interval(difference)
    assert 0.045 < low < high < 0.055


def test_statistic_sees_whole_blocks(generator):
    bootstrap = BlockBootstrap(times(54), generator=generator, block_days=27, n_draws=50)
    weight_of_first = bootstrap.statistic(lambda w: w[:, :27].mean(axis=1))
    assert set(weight_of_first) <= {0.0, 1.0, 2.0}
    sums = bootstrap.sums(np.ones(54))
    assert (sums == 54).all()


def test_gaps_in_time_make_no_empty_blocks(generator):
    gappy = np.r_[times(10), times(10) + 15 * 27 * DAY]
    assert BlockBootstrap(gappy, generator=generator).n_blocks == 2


@pytest.mark.parametrize(("n", "days"), [(0, 27), (10, 0), (10, -1)])
def test_impossible_blocks_are_refused(n, days, generator):
    with pytest.raises(ValueError, match="at least one sample|longer than 0"):
        BlockBootstrap(times(n), generator=generator, block_days=days)


def test_undefined_draws_are_left_out():
    assert interval(np.r_[np.nan, np.ones(99)]) == (1.0, 1.0)
    assert np.isnan(interval(np.array([np.nan]))).all()


def test_no_interval_where_many_draws_hold_no_event():
    assert np.isnan(interval(np.r_[np.full(3, np.nan), np.ones(97)])).all()
    assert interval(np.r_[np.full(2, np.nan), np.ones(98)]) == (1.0, 1.0)
