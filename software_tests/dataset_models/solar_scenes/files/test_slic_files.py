"""Slic's prepared sets, stored and compressed, of any type of number."""

import numpy as np
import pytest

from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.files.slic_files import SlicFiles, SlicWriter

N_PIXELS = 256**2


@pytest.fixture
def rows(generator):
    """Six rows: two scenes of class 1, then one of class 4; three, two and one frames."""
    scenes = [np.kron(generator.integers(0, 200, (32, 32)), np.ones((8, 8))) for _ in range(3)]
    images = [scenes[k] + generator.integers(0, 20, (256, 256)) for k in (0, 0, 0, 1, 1, 2)]
    labels = np.array([1, 1, 1, 1, 1, 4])
    return np.column_stack([labels, np.stack(images).reshape(6, -1)])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["uint8", "float64", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_come_back(tmp_path, rows, save, dtype, order):
    save(tmp_path / "a.npz", data=np.asarray(rows, dtype, order=order))
    dataset = SlicFiles(tmp_path / "a.npz")
    batch = dataset.read(np.array([5, 0]))
    assert batch["image"].dtype == np.float32
    assert np.array_equal(batch["image"].reshape(2, -1), rows[[5, 0], 1:])
    assert batch["label"].argmax(axis=1).tolist() == [4, 1]
    assert dataset.table.group.tolist() == 3 * ["rows 0"] + 2 * ["rows 3"] + ["rows 5"]
    assert (np.diff(dataset.table.time) > np.timedelta64(0)).all()
    assert dataset.verify() == []
    assert dataset.thumbnails(np.arange(2)).shape == (2, 24 * 24)
    assert not [p for p in tmp_path.iterdir() if p.name != "a.npz"]


def test_copies_have_equal_hashes(tmp_path, rows):
    np.savez(tmp_path / "a.npz", data=np.concatenate([rows, rows[:1]]))
    hashes = SlicFiles(tmp_path / "a.npz").table.content_hash
    assert hashes[0] == hashes[6]
    assert len(set(hashes.tolist())) == 6


def test_pickled_headers_are_never_read(tmp_path, rows):
    np.savez(tmp_path / "a.npz", data=rows, header=np.array([{"a": 1}] * 6, object))
    dataset = SlicFiles(tmp_path / "a.npz")
    assert not dataset.headers_are_read
    assert len(dataset.table) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"pixels": np.zeros((2, 5))}, "expected the key data"),
        ({"data": np.zeros((2, 100))}, "expected rows of a label and 256 x 256"),
        ({"data": np.zeros(1 + N_PIXELS)}, "expected rows of a label"),
        ({"data": np.zeros((0, 1 + N_PIXELS))}, "expected rows of a label"),
        ({"data": np.zeros((2, 1 + N_PIXELS), complex)}, "expected rows of a label"),
        ({"data": np.full((2, 1 + N_PIXELS), 9)}, r"labels from 0 to 4 .* got \[9.0\]"),
        ({"data": np.full((1, 1 + N_PIXELS), 1.5)}, "labels from 0 to 4"),
        ({"data": np.array([[None]], object)}, "of object|can't be read"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, message):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(DataIntegrityError, match=rf"a\.npz: .*({message})"):
        SlicFiles(tmp_path / "a.npz")


def test_damaged_files_are_refused(tmp_path, rows):
    path = tmp_path / "a.npz"
    np.savez(path, data=rows.astype(np.uint8))
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[:5000], whole[:-100]):
        path.write_bytes(damaged)
        with pytest.raises(DataIntegrityError, match=r"a\.npz: can't be read as \.npz"):
            SlicFiles(path)
    flipped = bytearray(whole)
    flipped[200_000] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataIntegrityError, match="CRC"):
        SlicFiles(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        SlicFiles(tmp_path / "b.npz")


def test_written_sets_are_slics_layout(tmp_path, rows):
    headers = [{"time": f"2011-10-08T00:0{k}:00", "group": f"g{k // 2}"} for k in range(6)]
    for with_header in (False, True):
        writer = SlicWriter(tmp_path / "a.npz")
        for row, header in zip(rows, headers, strict=True):
            writer.add(int(row[0]), row[1:].reshape(256, 256), header)
        assert not (tmp_path / "a.npz").exists() or with_header
        writer.finish(with_header=with_header)
        with np.load(tmp_path / "a.npz") as archive:
            assert archive.files == (["data", "header"] if with_header else ["data"])
            assert np.array_equal(archive["data"], rows)
        dataset = SlicFiles(tmp_path / "a.npz")
        assert dataset.headers_are_read == with_header
    assert dataset.table.group.tolist() == ["g0", "g0", "g1", "g1", "g2", "g2"]
    assert str(dataset.table.time[5]) == "2011-10-08T00:05:00"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_equal_rows_give_equal_files(tmp_path, rows):
    for name in ("a.npz", "b.npz"):
        writer = SlicWriter(tmp_path / name)
        writer.add(1, rows[0, 1:].reshape(256, 256))
        writer.finish()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
