"""Tiles of stores: the right pixels of the right image, and sentences for lines that can't be."""

import numpy as np
import pytest

from dataset_models.audit import audit
from dataset_models.SDO.fits_image import FIELD_ARCSEC
from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.solar_scenes.labelled_scenes import open_labelled_scenes
from dataset_models.solar_scenes.store_scenes import StoreScenes
from dataset_models.splits import grouped
from dataset_models.store import build_store
from software_tests.dataset_models.toy_source import ToySource
from tools.channels import AIA_CHANNELS

SIDE = 128


class Images(ToySource):
    """Images ten days apart, bright and noisy; the third has no 171 A, the fourth is bad."""

    channels = AIA_CHANNELS
    pixels_averaged, problems = 16.0, []
    size = SIDE

    def __init__(self, n=8):
        days = np.arange(n) * np.timedelta64(10, "D")
        self.times = np.datetime64("2014-01-01T00:00:00") + days

    def __len__(self):
        return len(self.times)

    def image(self, index):
        generator = np.random.default_rng(index)
        image = generator.uniform(100, 200, (8, SIDE, SIDE)).astype(np.float32)
        if index == 2:
            image[AIA_CHANNELS.index(171)] = np.nan
        return image

    def is_bad(self, index):
        return index == 3

    def describe(self):
        return {"source": "test"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    build_store(folder / "sun", Images())
    return folder


def listed(place, *lines, head="store,time,channel,label,x,y,side,group"):
    path = place / "labels.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_a_tile_is_where_its_middle_says(place):
    """Pixels are 1/128 of the field; the middle of the grid, 0 arcsec, lies between 63 and 64."""
    step = FIELD_ARCSEC / SIDE
    line = f"sun,2014-01-11T00:00:00,193,sunspot,{10 * step},{-20 * step},40,"
    dataset = open_labelled_scenes(listed(place, line), size=40)
    assert isinstance(dataset, StoreScenes)
    given = dataset.read(np.array([0]))
    assert given["image"].shape == (1, 40, 40, 1)
    whole = Images().image(1)[AIA_CHANNELS.index(193)]
    middle = 63.5
    rows, columns = (int(middle - 19.5 + shift) for shift in (-20, 10))
    expected = whole[rows : rows + 40, columns : columns + 40]
    # the store codes brightness to a tenth of the photon noise
    np.testing.assert_allclose(given["image"][0, ..., 0], expected, atol=0.5)
    assert given["label"][0].tolist() == [float(name == "sunspots") for name in OUTPUTS]


def test_a_whole_image_and_a_larger_tile_are_averaged(place):
    lines = ["sun,2014-01-01,171,none,,,,", "sun,2014-01-01,171,quiet,0,0,64,"]
    dataset = StoreScenes(listed(place, *lines), size=32)
    given = dataset.read(np.arange(2))["image"][..., 0]
    whole = Images().image(0)[AIA_CHANNELS.index(171)]
    np.testing.assert_allclose(given[0], whole.reshape(32, 4, 32, 4).mean((1, 3)), atol=0.5)
    inner = whole[32:96, 32:96].reshape(32, 2, 32, 2).mean((1, 3))
    np.testing.assert_allclose(given[1], inner, atol=0.5)


def test_what_the_store_lacks_is_left_out_and_said(place):
    times = [str(time) for time in Images().times]
    lines = [f"sun,{time},171,quiet,0,0,64," for time in times]
    dataset = StoreScenes(listed(place, *lines), size=32)
    assert len(dataset) == 6
    assert len(dataset.skipped) == 2
    assert "line 4: sun 2014-01-21T00:00:00: 100% of its pixels are missing" in dataset.skipped[0]
    assert "line 5: its store calls the image bad" in dataset.skipped[1]
    with pytest.raises(DataIntegrityError, match="no tile can be used"):
        StoreScenes(listed(place, lines[3]), size=32)


def test_places_and_times_make_observations(place):
    """Tiles that share no pixel, or images ten days apart, are other observations."""
    days = [str(time) for time in Images().times[4:]]
    lines = [f"sun,{day},193,quiet,{x},0,32," for day in days for x in (-400, -100, 700)]
    lines += [f"sun,{day},193,spot,200,-800,32,mine" for day in days]
    dataset = StoreScenes(listed(place, *lines), size=32)
    groups = dataset.table.group.tolist()
    assert groups[0] == groups[1] != groups[2]
    assert groups[0] != groups[3]
    assert set(groups[12:]) == {"mine"}
    split = grouped(
        dataset.table, validation_share=0.2, test_share=0.2, generator=np.random.default_rng(0)
    )
    checks = audit(dataset, split).checks
    assert len(checks) > 3  # it can be audited: tiles that overlap are found in one group


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("sun,2014-01-02,171,quiet,,,,", "line 2: sun has no image of 2014-01-02"),
        ("sun,soon,171,quiet,,,,", "line 2: expected a time such as"),
        ("sun,2014-01-01,172,quiet,,,,", "line 2: sun has no channel '172'"),
        ("sun,2014-01-01,171,moon,,,,", "line 2: unknown class 'moon'"),
        ("sun,2014-01-01,171,quiet,1200,0,64,", "line 2: a tile of 64 pixels .* does not lie"),
        ("sun,2014-01-01,171,quiet,here,0,,", "line 2: expected x and y in arcsec"),
    ],
)
def test_wrong_lines_get_a_sentence(place, line, text):
    with pytest.raises(ValueError, match=text):
        StoreScenes(listed(place, line), size=32)


def test_missing_columns_are_named(place):
    with pytest.raises(ValueError, match="time and channel not found"):
        StoreScenes(listed(place, "sun,quiet", head="store,label"))
