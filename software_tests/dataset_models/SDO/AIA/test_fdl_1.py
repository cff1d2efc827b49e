"""Image samples: which image belongs to which time, in which order of axes, with what missing."""

import dataclasses

import numpy as np
import pytest

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.SDO.AIA.fdl_1 import FDL1, ImageFrames
from dataset_models.store import build_store
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record
from software_tests.dataset_models.toy_source import ToySource
from tools.channels import AIA_CHANNELS

HOUR = np.timedelta64(3600, "s")
WINDOW = HistoryWindow(history_h=48)


class ToyImages(ToySource):
    """Images whose brightness names their place: 1000 image + 100 channel + 10 y + x."""

    channels, size, pixels_averaged, problems = AIA_CHANNELS, 8, 65536.0, []

    def __init__(self, n=40):
        self.times = VIRTUAL_START + (48 + 6 * np.arange(n)) * HOUR

    def __len__(self):
        return len(self.times)

    def image(self, index):
        k, y, x = np.meshgrid(np.arange(8), np.arange(8), np.arange(8), indexing="ij")
        image = (1000.0 * (index % 4) + 100 * k + 10 * y + x).astype(np.float32)
        if index == 7:
            image[2] = np.nan
        return image

    def is_bad(self, index):
        return index == 12

    def describe(self):
        return {"source": "toy"}


@pytest.fixture(scope="module")
def record():
    return virtual_flare_record(simulate_record(FlareProcessParameters(), years=0.1, seed=4))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build_store(tmp_path_factory.mktemp("store"), ToyImages())


def test_axes_are_frame_y_x_channel_and_values_stay_in_place(store, record):
    data = FDL1(store, record, WINDOW, ImageFrames(2, 6))
    row = int(np.flatnonzero(data.times == store.times[2])[0])
    sample = data.read(np.array([row]))
    assert sample["aia"].shape == (1, *data.dimensions()["aia"]) == (1, 2, 8, 8, 8)
    f, y, x, k = np.meshgrid(*(np.arange(n) for n in (2, 8, 8, 8)), indexing="ij")
    expected = 1000.0 * (f + 1) + 100 * k + 10 * y + x  # images 1 and 2, the newest last
    np.testing.assert_allclose(sample["aia"][0], expected, atol=2)
    assert data.arrays["aia"].unit == "DN s-1 pix-1"
    assert data.verify() == []


def test_a_missing_channel_is_marked_and_holds_zeros(store, record):
    data = FDL1(store, record, WINDOW)
    row = int(np.flatnonzero(data.times == store.times[7])[0])
    sample = data.read(np.array([row]))
    np.testing.assert_array_equal(sample["aia_present"][0, 0], [1, 1, 0, 1, 1, 1, 1, 1])
    assert (sample["aia"][0, 0, :, :, 2] == 0).all()
    assert np.isnan(data.disc_totals[row, 2])
    assert np.isfinite(data.disc_totals[row, [0, 1, 3, 4, 5, 6, 7]]).all()


def test_bad_images_are_left_out_and_so_are_times_without_all_frames(store, record):
    one, two = FDL1(store, record, WINDOW), FDL1(store, record, WINDOW, ImageFrames(2, 6))
    bad = store.times[12]
    assert bad not in one.times
    assert bad not in two.times
    assert store.times[13] in one.times
    assert store.times[13] not in two.times  # its earlier frame is the bad one
    assert store.times[0] not in two.times
    assert two.n_without_frames == 3


def test_a_sample_never_holds_an_image_of_later_than_its_time(store, record):
    late = store.times[5] + np.array([-60, 0, 1200, 3000]).astype("timedelta64[s]")
    data = FDL1(store, record, WINDOW, times=late)
    # a minute too early there is none; half an hour later it still stands for the time
    assert data.times.tolist() == late[1:3].tolist()
    images = data.read(np.arange(2))["aia"]
    np.testing.assert_array_equal(images[0], images[1])


def test_an_image_counts_from_the_next_full_minute(record, tmp_path):
    images = ToyImages()
    images.times = images.times + np.timedelta64(1, "s")
    data = FDL1(build_store(tmp_path, images), record, WINDOW)
    assert data.times[0] == images.times[0] + np.timedelta64(59, "s")
    assert (data.times.astype(np.int64) % 60 == 0).all()


def test_inputs_do_not_change_when_later_data_change(store, record):
    data = FDL1(store, record, WINDOW, with_history=True)
    for row in (0, 9, 20):
        original, altered = data.read(np.array([row])), data.read_altered(row, seed=row)
        for name in ("aia", "aia_present", "flare_history"):
            np.testing.assert_array_equal(original[name], altered[name])


def test_frames_that_reach_back_further_than_the_history_widen_the_input_span(store, record):
    data = FDL1(store, record, HistoryWindow(history_h=24), ImageFrames(4, 12))
    oldest = data.times - 36 * HOUR - np.timedelta64(1800, "s")
    np.testing.assert_array_equal(data.table.input_start, oldest)


def test_the_causal_check_sees_a_sample_that_holds_a_later_image(store, record, monkeypatch):
    data = FDL1(store, record, WINDOW)
    plain = data._frame_rows
    monkeypatch.setattr(data, "_frame_rows", lambda times: plain(times) + 1)
    data._rows = data._frame_rows(data.times)
    original, altered = data.read(np.array([3])), data.read_altered(3, seed=3)
    assert not np.array_equal(original["aia"], altered["aia"])


def test_the_history_is_given_only_where_it_is_wanted(store, record):
    without, with_it = (FDL1(store, record, WINDOW, with_history=h) for h in (False, True))
    assert (
        set(without.read(np.array([0])))
        == set(without.arrays)
        == {
            "aia",
            "aia_present",
            "log10_peak_flux",
        }
    )
    assert set(with_it.read(np.array([0]))) == set(with_it.arrays)
    assert "flare_history" in with_it.arrays


def test_other_images_are_another_data_set(store, record, tmp_path):
    data = FDL1(store, record, WINDOW)
    others = ToyImages()
    others.is_bad = lambda index: index == 13
    second = FDL1(build_store(tmp_path, others), record, WINDOW)
    assert data.fingerprint() != second.fingerprint()
    assert data.fingerprint() == FDL1(store, record, WINDOW).fingerprint()


def test_totals_are_means_over_the_newest_frame(store, record):
    data = FDL1(store, record, WINDOW)
    means = data.read(np.arange(5))["aia"][:, 0].mean(axis=(1, 2))
    np.testing.assert_allclose(data.disc_totals[:5], np.log10(means), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"frames": 0}, "1 to 4 frames"), ({"frames": 5}, "1 to 4"), ({"frame_step_h": 0}, "1 hour")],
)
def test_impossible_frames_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImageFrames(**options)


def test_images_that_are_too_far_apart_are_refused(store, record):
    with pytest.raises(ValueError, match="no time has the 2 image.s. of a sample, 5 h apart"):
        FDL1(store, record, WINDOW, ImageFrames(2, 5))


def test_a_record_of_another_time_is_refused(store, record):
    later = dataclasses.replace(
        record,
        start=record.start + 100_000 * HOUR,
        end=record.end + 100_000 * HOUR,
        peak_time=record.peak_time + 100_000 * HOUR,
        known_time=None,
    )
    with pytest.raises(
        ValueError, match="the store reaches from|no forecast can be made|no time has"
    ):
        FDL1(store, later, WINDOW)
