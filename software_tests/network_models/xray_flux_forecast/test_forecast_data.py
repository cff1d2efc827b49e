"""The default split follows the samples, which may cover less than the record of flares."""

import numpy as np

from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import virtual_flare_record
from network_models.xray_flux_forecast.forecast_data import default_split

DAY = np.timedelta64(86400, "s")


def years(dataset, rows):
    return sorted(set(dataset.times[rows].astype("datetime64[Y]").astype(int) + 1970))


def test_samples_of_a_part_of_the_record_are_split_within_that_part():
    record = virtual_flare_record(simulate_record(FlareProcessParameters(), years=22, seed=3))
    first = np.datetime64("2113-05-01T00:00:00")
    times = first + np.arange(0, 9 * 365, 3) * DAY
    dataset = FlareHistory(record, HistoryWindow(history_h=24), times=times)
    split = default_split(dataset)
    assert years(dataset, split.test) == [2119, 2120, 2121, 2122]
    assert years(dataset, split.validation) == [2117]
    assert years(dataset, split.training) == [2113, 2114, 2115, 2116, 2118]
    few = FlareHistory(record, HistoryWindow(history_h=24), times=times[:400])
    split = default_split(few)
    assert min(len(rows) for rows in split.sets.values()) > 40
    assert dataset.times[split.training].max() < dataset.times[split.test].min()


def test_samples_of_the_whole_record_are_split_by_the_record():
    record = virtual_flare_record(simulate_record(FlareProcessParameters(), years=11, seed=3))
    dataset = FlareHistory(record, HistoryWindow(cadence_h=24))
    assert years(dataset, default_split(dataset).test) == [2108, 2109, 2110, 2111]
