"""Raw .dat files: told by name and length, averaged, refused one by one; sources told apart."""

import gzip

import numpy as np
import pytest

from dataset_models.SDO.AIA.dat_folder import DatFolder, read_dat
from dataset_models.SDO.sources import folder_source
from dataset_models.solar_data import DataIntegrityError
from dataset_models.store import build_store

NAME = "20140111_0800_AIA_08_64_64.dat"


def write(path, data=None):
    if data is None:
        data = np.random.default_rng(1).gamma(2, 50, (8, 64, 64))
    path.write_bytes(np.asarray(data, "<f4").tobytes())
    return path


def test_a_file_is_read_as_it_lies_and_known_at_the_end_of_its_minute(tmp_path):
    data = np.arange(8 * 64 * 64, dtype=np.float32).reshape(8, 64, 64)
    path = write(tmp_path / NAME, data)
    np.testing.assert_array_equal(read_dat(path), data)
    source = DatFolder(tmp_path, 64)
    np.testing.assert_array_equal(source.image(0), data)
    assert source.times.astype(str).tolist() == ["2014-01-11T08:01:00"]


def test_averaging_keeps_the_mean_and_leaves_out_what_is_not_a_number(tmp_path):
    data = np.arange(8 * 64 * 64, dtype=np.float32).reshape(8, 64, 64)
    data[3, :4, :4] = np.nan
    data[4, 0, 0] = np.nan
    write(tmp_path / NAME, data)
    image = DatFolder(tmp_path, 16).image(0)
    expected = np.nanmean(data[5].reshape(16, 4, 16, 4), axis=(1, 3))
    np.testing.assert_allclose(image[5], expected, rtol=1e-6)
    assert np.isnan(image[3, 0, 0])
    assert np.isfinite(image[3]).sum() == 255
    assert image[4, 0, 0] == pytest.approx(np.nanmean(data[4, :4, :4]))


def test_a_bad_folder_is_read_item_by_item(tmp_path):
    write(tmp_path / NAME)
    for minute, change in ((12, "cut"), (24, "nan"), (36, "gz"), (48, "bad gz"), (50, "swapped")):
        name = f"20140111_08{minute}_AIA_08_64_64.dat"
        data = np.random.default_rng(minute).gamma(2, 50, (8, 64, 64)).astype("<f4")
        if change == "nan":
            data[:] = np.nan
        raw = data.tobytes()
        if change == "swapped":
            raw = data.astype(">f4").tobytes()
        if change == "cut":
            raw = raw[:-100]
        if "gz" in change:
            name, raw = name + ".gz", gzip.compress(raw)
        if change == "bad gz":
            raw = raw[:-500]
        (tmp_path / name).write_bytes(raw)
    write(tmp_path / "20140111_0900_AIA_08_32_64.dat")
    write(tmp_path / "20140111_0912_AIA_07_64_64.dat")
    write(tmp_path / "20141341_0912_AIA_08_64_64.dat")
    write(tmp_path / "20140111_0924_AIA_08_48_48.dat")
    (tmp_path / "notes.dat").write_text("no image")
    source = DatFolder(tmp_path, 32)
    assert len(source.problems) == 5
    store = build_store(tmp_path / "store", source)
    problems = "\n".join(source.problems)
    assert "expected 8 x 64 x 64 float32 values, 131072 bytes, got 130972" in problems
    for text in ("no finite value", "can't be unpacked", "little-endian", "is no time"):
        assert text in problems
    assert "48 pixels can't be averaged to 32" in problems
    assert (~store.is_bad).sum() == 2


def test_whole_numbers_in_the_wrong_byte_order_are_refused(tmp_path, generator):
    data = generator.integers(0, 5000, (8, 64, 64))
    (tmp_path / NAME).write_bytes(data.astype(">f4").tobytes())
    with pytest.raises(DataIntegrityError, match="no brightness in DN s-1 pix-1"):
        read_dat(tmp_path / NAME)


def test_folders_are_told_by_what_lies_in_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected an image store, or a folder"):
        folder_source(tmp_path / "none", 32)
    with pytest.raises(DataIntegrityError, match="holds no FITS file"):
        folder_source(tmp_path, 32)
    write(tmp_path / NAME)
    assert isinstance(folder_source(tmp_path, 32), DatFolder)
    with pytest.raises(ValueError, match=r"raw .dat files hold AIA's channels only"):
        folder_source(tmp_path, 32, with_hmi=True)
    (tmp_path / "a.fits").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds both .dat files"):
        folder_source(tmp_path, 32)
