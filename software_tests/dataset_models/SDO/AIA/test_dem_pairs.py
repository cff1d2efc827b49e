"""Pairs of image and emission measure: files, the virtual Sun's truth, teachers, rotations."""

import numpy as np
import pytest

from dataset_models.audit import audit
from dataset_models.SDO.AIA.dem_pairs import DEMPairs, split_by_rotation
from dataset_models.SDO.AIA.dem_sources import PairFolder, StorePairs, VirtualPairs
from dataset_models.solar_data import DataIntegrityError
from dataset_models.store import StoreError, build_store
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.plasma import LOG_T_EDGES
from dataset_models.virtual_sun.process import simulate_record
from software_tests.dataset_models.toy_source import ToySource
from tools.emission_measure.families import LOG_T_EDGES as BIN_EDGES
from tools.emission_measure.response import bin_response

SEED_DATES = ("2011-01-27", "2011-02-22", "2011-03-20")  # 26 days apart


def write_folder(folder, *, dates=SEED_DATES, size=(6, 8), seed=0):
    """Write the seed's layout: known emission measure, and the brightness that it gives."""
    generator = np.random.default_rng(seed)
    response = bin_response(BIN_EDGES)
    cubes = []
    for date in dates:
        em = generator.lognormal(np.log(1e26), 1.0, (18, *size))
        np.save(folder / f"AIA_DEM_{date}.emcube.npy", em)
        np.save(folder / f"AIA_DEM_{date}.aia.npy", np.tensordot(response, em, axes=1))
        cubes.append(em)
    return np.array(cubes)


@pytest.fixture(scope="module")
def virtual():
    # cycle minimum: no pixel is saturated
    record = simulate_record(FlareProcessParameters(), years=4, seed=1)
    return VirtualPairs(record, n_images=3, start_day=0, size=64)


def test_folder_gives_channels_last_in_order_of_time(tmp_path):
    cubes = write_folder(tmp_path, dates=SEED_DATES)
    data = DEMPairs(PairFolder(tmp_path))
    arrays = data.read(np.array([2, 0]))
    assert arrays["aia"].shape == (2, 6, 8, 6)
    assert arrays["emission_measure"].shape == (2, 6, 8, 18)
    np.testing.assert_allclose(
        np.moveaxis(arrays["emission_measure"][0], -1, 0), cubes[2], rtol=1e-6
    )
    # the images were made as response times emission measure
    again = arrays["emission_measure"].astype(float) @ bin_response(BIN_EDGES).T
    np.testing.assert_allclose(arrays["aia"], again, rtol=1e-5)  # float32
    assert [str(t)[:10] for t in data.table.time] == list(SEED_DATES)
    assert data.verify() == []


def test_the_seeds_dates_split_into_its_sets(tmp_path):
    write_folder(tmp_path)
    data = DEMPairs(PairFolder(tmp_path))
    split = split_by_rotation(data.table.time)
    assert [list(rows) for rows in (split.training, split.validation, split.test)] == [
        [0],
        [1],
        [2],
    ]
    assert audit(data, split).passed


def test_a_copied_image_in_another_set_fails_the_audit(tmp_path):
    write_folder(tmp_path)
    for end in ("aia", "emcube"):
        copy = (tmp_path / f"AIA_DEM_2011-01-27.{end}.npy").read_bytes()
        (tmp_path / f"AIA_DEM_2011-03-20.{end}.npy").write_bytes(copy)
    data = DEMPairs(PairFolder(tmp_path))
    assert not audit(data, split_by_rotation(data.table.time)).passed


def times_of_days(days):
    return np.datetime64("2011-01-01T00:00:00") + np.array(days, int) * np.timedelta64(86400, "s")


def test_images_between_the_sets_are_left_out():
    split = split_by_rotation(times_of_days([0, 1, 20, 30, 50, 60]))
    # 60 tests; the last one 26 days before is 30; those 26 days before that are 0 and 1
    assert list(split.test) == [5]
    assert list(split.validation) == [3]
    assert list(split.training) == [0, 1]
    assert split.n_purged == 2


@pytest.mark.parametrize("days", [[0], [0, 30], [0, 10, 30], []])
def test_too_few_rotations_are_refused(days):
    with pytest.raises(ValueError, match="three images at least 26 days apart"):
        split_by_rotation(times_of_days(days))


def test_negative_and_missing_values(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "AIA_DEM_2011-01-27.aia.npy"
    image = np.load(path)
    image[:3, 0, 0] = -1.5  # an odd number of negative channels
    image[1, 2, 3], image[2, 2, 3] = np.nan, np.inf
    np.save(path, image)
    data = DEMPairs(PairFolder(tmp_path))
    read = data.read(np.array([0]))["aia"][0]
    assert (read[0, 0, :3] == -1.5).all()  # negative data are data
    assert (read[2, 3, 1:3] == 0).all()
    assert data.repairs["missing channel values set to 0"] == 2
    assert data.verify() == []


def test_a_teachers_negative_and_missing_bins_are_zero_and_counted(tmp_path):
    cubes = write_folder(tmp_path)
    cubes[0, :4, 1, 1] = [-1e25, np.nan, np.inf, 1e39]  # the last is no float32
    path = tmp_path / "AIA_DEM_2011-01-27.emcube.npy"
    np.save(path, cubes[0])
    with np.errstate(over="ignore"):
        data = DEMPairs(PairFolder(tmp_path))
    em = data.read(np.array([0]))["emission_measure"][0]
    assert (em[1, 1, :4] == 0).all()
    assert np.isfinite(em).all()
    assert data.repairs["teacher's bins set to 0"] == 4


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (lambda f: [p.unlink() for p in f.glob("*.aia.npy")], "holds no file"),
        (lambda f: (f / "AIA_DEM_2011-02-22.emcube.npy").unlink(), "let a solver make"),
        (lambda f: np.save(f / "AIA_DEM_2011-02-22.aia.npy", np.ones((5, 6, 8))), "expected num"),
        (lambda f: np.save(f / "AIA_DEM_2011-02-22.aia.npy", np.ones((6, 6, 9))), "one size"),
        (lambda f: np.save(f / "AIA_DEM_2011-02-22.emcube.npy", np.ones((18, 6, 8))), "1e26"),
        (lambda f: (f / "AIA_DEM_2011-02-22.aia.npy").write_bytes(b"x"), "can't be read"),
        (lambda f: np.save(f / "spring.aia.npy", np.ones((6, 6, 8))), "ends in its date"),
        (lambda f: np.save(f / "x_2011-13-41.aia.npy", np.ones((6, 6, 8))), "ends in its date"),
        (lambda f: np.save(f / "other_2011-02-22.aia.npy", np.ones((6, 6, 8))), "of one time"),
        (
            lambda f: np.save(f / "AIA_DEM_2011-02-22.aia.npy", np.array([{}] * 6, object)),
            "can't be read",
        ),
    ],
)
def test_bad_folders_get_a_sentence(tmp_path, harm, text):
    write_folder(tmp_path)
    harm(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=text):
        DEMPairs(PairFolder(tmp_path))


def test_no_folder_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        PairFolder(tmp_path / "none")


def test_status_files_are_read(tmp_path):
    write_folder(tmp_path)
    status = np.arange(48).reshape(6, 8) % 3
    np.save(tmp_path / "AIA_DEM_2011-01-27.status.npy", status)
    data = DEMPairs(PairFolder(tmp_path))
    np.testing.assert_array_equal(data.pair(0).status, status)
    assert (data.pair(1).status == 0).all()


def test_virtual_truth_gives_the_image(virtual):
    # response times plasma is the image before noise; photons of 4096 averaged pixels leave little
    pair = virtual.pair(0)
    clean = np.tensordot(bin_response(LOG_T_EDGES), virtual.plasma(0), axes=1)
    away = (pair.dn - np.moveaxis(clean, 0, -1)) / pair.sigma
    away = away[~pair.saturated]
    assert abs(away.mean()) < 0.05  # 24,576 values of spread 1: 0.0064
    assert 0.9 < away.std() < 1.1
    np.testing.assert_allclose(pair.em, np.moveaxis(virtual.plasma(0)[:18], 0, -1), rtol=1e-6)


def test_virtual_images_lie_one_rotation_apart_and_pass_the_audit(virtual):
    data = DEMPairs(virtual)
    split = split_by_rotation(data.table.time)
    days = np.diff(data.table.time) / np.timedelta64(86400, "s")
    np.testing.assert_allclose(days, 27, atol=2)  # later by hours where a frame is bad
    report = audit(data, split)
    assert report.passed, report.text()


def test_a_virtual_record_that_is_too_short_is_refused():
    record = simulate_record(FlareProcessParameters(), years=0.2, seed=1)
    with pytest.raises(ValueError, match="3 rotations from day 30 need"):
        VirtualPairs(record, n_images=3, start_day=30, size=32)


@pytest.mark.parametrize("method", ["basis-pursuit", "tikhonov", "plowman-caspi"])
def test_solvers_teach(virtual, method):
    data = DEMPairs(virtual, teacher=method)
    pair = data.pair(0)
    model = pair.em.astype(float) @ data.response.T
    away = np.abs((model - pair.dn) / pair.sigma).max(axis=-1)
    solved = (pair.status == 0) & (pair.dn > 0).all(axis=-1)
    assert solved.mean() > 0.5
    # basis pursuit's widest tolerance is 3.15 sigma (float32 emission measure: a little more); the
    # others reach chi2 = 1 over six channels, so that none is off by more than sqrt(6)
    assert away[solved].max() < 3.16
    assert method in data.provenance()["teacher"]


def test_solutions_from_a_file_or_folder_teach(tmp_path):
    cubes = write_folder(tmp_path)
    own = DEMPairs(PairFolder(tmp_path))
    np.save(tmp_path / "mine.npy", 2 * cubes)
    other = tmp_path / "other"
    other.mkdir()
    for date, cube in zip(SEED_DATES, cubes, strict=True):
        np.save(other / f"AIA_DEM_{date}.emcube.npy", 2 * cube)
    source = PairFolder(tmp_path, solutions=False)
    rows = np.arange(3)
    for teacher in (tmp_path / "mine.npy", other):
        data = DEMPairs(source, teacher=str(teacher))
        doubled = data.read(rows)["emission_measure"]
        np.testing.assert_allclose(doubled, 2 * own.read(rows)["emission_measure"], rtol=1e-6)
        assert data.fingerprint() != own.fingerprint()


def test_a_teacher_of_another_shape_or_none_is_refused(tmp_path):
    write_folder(tmp_path)
    np.save(tmp_path / "mine.npy", np.ones((2, 18, 6, 8)))
    source = PairFolder(tmp_path, solutions=False)
    with pytest.raises(DataIntegrityError, match=r"shape \(3, 18, 6, 8\)"):
        DEMPairs(source, teacher=str(tmp_path / "mine.npy"))
    with pytest.raises(FileNotFoundError, match="no teacher 'basis-pursiut'"):
        DEMPairs(source, teacher="basis-pursiut")
    with pytest.raises(ValueError, match="no solutions come with these images"):
        DEMPairs(source)


SIX = (94, 131, 171, 193, 211, 335)
IN_STORE = (304, *reversed(SIX))


class KnownImages(ToySource):
    """A store's source whose images are response times known emission measure, by day."""

    size, pixels_averaged, problems = 16, 4.0, []

    def __init__(self, days, bad=(), lacking=(), channels=IN_STORE):
        self.times = np.datetime64("2011-01-01", "s") + np.array(days) * np.timedelta64(86400, "s")
        self._bad, self._lacking, self.channels = bad, lacking, channels
        response = bin_response(BIN_EDGES)
        self.em = np.random.default_rng(4).lognormal(np.log(1e26), 0.5, (len(days), 18, 16, 16))
        self.dn = np.einsum("ct,ntyx->ncyx", response, self.em)

    def __len__(self):
        return len(self.times)

    def image(self, index):
        image = np.ones((len(self.channels), 16, 16), np.float32)
        for k, channel in enumerate(self.channels):
            if channel in SIX:
                image[k] = self.dn[index, SIX.index(channel)]
                if index in self._lacking and channel == 131:
                    image[k] = np.nan
        return image

    def is_bad(self, index):
        return index in self._bad

    def describe(self):
        return {"source": "known images", "synthetic": False}


def test_a_store_gives_whole_images_that_lie_far_apart(tmp_path):
    source = KnownImages([0, 30, 58, 60, 90], bad=[3], lacking=[4])
    build_store(tmp_path / "store", source)
    pairs = StorePairs(tmp_path / "store", n_images=3, apart_days=26)
    # the last one lacks 131 angstrom, the one before is bad
    assert [str(t)[:10] for t in pairs.times] == ["2011-01-01", "2011-01-31", "2011-02-28"]
    for k, row in enumerate((0, 1, 2)):
        given = pairs.pair(k)
        # coded to 16 bits: a tenth of the photon noise at most
        away = np.moveaxis(given.dn, -1, 0) - source.dn[row]
        assert (np.abs(away) < 0.2 * np.moveaxis(given.sigma, -1, 0)).all()
        assert given.em is None
        assert not given.saturated.any()
    few = StorePairs(tmp_path / "store", n_images=2, apart_days=50)
    assert [str(t)[:10] for t in few.times] == ["2011-01-01", "2011-02-28"]
    split = split_by_rotation(pairs.times)
    assert [list(rows) for rows in (split.training, split.validation, split.test)] == [
        [0],
        [1],
        [2],
    ]


def test_a_store_needs_a_teacher_who_then_fits_its_images(tmp_path):
    build_store(tmp_path / "store", KnownImages([0, 30]))
    pairs = StorePairs(tmp_path / "store", n_images=2)
    with pytest.raises(ValueError, match="give a teacher"):
        DEMPairs(pairs)
    data = DEMPairs(pairs, teacher="basis-pursuit", response_version="v10_evenorm_chiantifix")
    assert data.provenance()["source"] == "known images"
    arrays = data.read(np.arange(2))
    response = bin_response(BIN_EDGES, version="v10_evenorm_chiantifix")
    again = arrays["emission_measure"].astype(float) @ response.T
    sigma = np.stack([pairs.pair(k).sigma for k in range(2)])
    solved = np.stack([data.pair(k).status for k in range(2)]) == 0
    assert solved.mean() > 0.9
    # basis pursuit asks for 1.4, then 2.1, at most 3.15 sigma in each channel
    assert (np.abs(again - arrays["aia"]) <= 3.2 * sigma)[solved].all()


def test_what_is_no_store_of_six_channels_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no store"):
        StorePairs(tmp_path, n_images=3)
    build_store(tmp_path / "few", KnownImages([0], channels=(171, 193)))
    with pytest.raises(ValueError, match="lacks the channels 94"):
        StorePairs(tmp_path / "few", n_images=3)
    build_store(tmp_path / "bad", KnownImages([0], bad=[0]))
    with pytest.raises(DataIntegrityError, match="holds no image"):
        StorePairs(tmp_path / "bad", n_images=3)
