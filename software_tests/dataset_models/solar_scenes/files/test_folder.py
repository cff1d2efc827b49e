"""Folders of labelled frames: nothing good is lost, everything bad is named."""

import gzip
import logging

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.audit import audit
from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.classes import CLASSES, NONE, OUTPUTS
from dataset_models.solar_scenes.files import folder as folder_module
from dataset_models.solar_scenes.files.folder import SceneFolder
from dataset_models.solar_scenes.files.header_scan import scan_frame
from dataset_models.solar_scenes.files.scene_table import class_index
from dataset_models.splits import grouped
from software_tests.dataset_models.solar_scenes.scene_files import (
    class_folders,
    texture,
    write_frame,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Filament", "filaments"),
        ("FLARES", "flares"),
        ("flare ribbon", "flares"),
        ("Quiet_Sun", "quiet"),
        ("quiet-sun", "quiet"),
        ("sunspot", "sunspots"),
        ("prominence", "prominences"),
        ("none", NONE),
        ("none of these", NONE),
    ],
)
def test_names_of_classes(name, expected):
    assert OUTPUTS[class_index(name)] == expected


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown class 'coronal hole'.*filaments, flares"):
        class_index("coronal hole")


def test_a_folder_of_classes(tmp_path):
    dataset = SceneFolder(class_folders(tmp_path), size=32)
    assert len(dataset) == 24
    assert dataset.skipped == []
    batch = dataset.read(np.array([0, 23]))
    assert batch["image"].shape == (2, 32, 32, 1)
    assert batch["image"].dtype == np.float32
    assert batch["label"].tolist() == [
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
    ]
    assert len(np.unique(dataset.table.group)) == 6  # 2 classes of 3 observations
    for name in np.unique(dataset.table.group):
        rows = np.flatnonzero(dataset.table.group == name)
        assert len({dataset.paths[k].name[:2] for k in rows}) == 1
    assert dataset.table.time[0] == np.datetime64("2011-10-08T00:00:00")
    assert dataset.provenance()["classes"]["sunspots"] == 12
    assert dataset.verify() == []


def test_it_passes_through_a_grouped_split_and_the_audit(tmp_path, generator):
    dataset = SceneFolder(class_folders(tmp_path), size=32)
    split = grouped(dataset.table, validation_share=0.2, test_share=0.2, generator=generator)
    report = audit(dataset, split)
    assert report.passed, report.text()


def test_copies_have_equal_hashes(tmp_path):
    path = write_frame(tmp_path / "quiet" / "a.fits", texture(1))
    (tmp_path / "quiet" / "b.fits").write_bytes(path.read_bytes())
    write_frame(tmp_path / "quiet" / "c.fits", texture(2))
    a, b, c = SceneFolder(tmp_path).table.content_hash
    assert a == b != c


def test_broken_files_are_skipped_listed_and_counted(tmp_path):
    class_folders(tmp_path, n_scenes=1)
    bad = tmp_path / "quiet"
    good = (bad / "000.fits").read_bytes()
    (bad / "cut.fits").write_bytes(good[:-9000])
    packed = gzip.compress(np.random.default_rng(1).bytes(50) + good)
    (bad / "no_fits.fits.gz").write_bytes(packed)
    (bad / "torn.fits.gz").write_bytes(gzip.compress(good)[:-3000])
    (bad / "text.fits").write_text("hello")
    (bad / "empty.fits").write_bytes(b"")
    (bad / "notes.txt").write_text("hello")
    fits.PrimaryHDU(np.zeros((5, 64, 64))).writeto(bad / "cube.fits")
    fits.PrimaryHDU(np.zeros((64, 64, 3))).writeto(bad / "colours.fits")
    fits.PrimaryHDU(texture(1)[:20]).writeto(bad / "small.fits")
    fits.PrimaryHDU(np.ones((64, 64))).writeto(bad / "constant.fits")
    (tmp_path / "README.md").write_text("hello")
    dataset = SceneFolder(tmp_path)
    assert len(dataset) == 8
    reasons = {path.name: reason for path, reason in dataset.skipped}
    assert len(dataset.skipped) == len(reasons) == 11
    for name, words in {
        "cut.fits": "cut off",
        "no_fits.fits.gz": "no FITS file",
        "torn.fits.gz": "can't be read",
        "text.fits": "no FITS file",
        "empty.fits": "no FITS file",
        "notes.txt": "not FITS, by its name",
        "cube.fits": "a cube",
        "colours.fits": "a colour picture",
        "small.fits": "expected 32 x 32",
        "constant.fits": "shows nothing",
        "README.md": "lies in no class folder",
    }.items():
        assert words in reasons[name], reasons[name]
        assert name in reasons[name]
    assert dataset.provenance()["skipped"] == 11


def test_what_breaks_later_is_replaced_and_listed(tmp_path, caplog):
    dataset = SceneFolder(class_folders(tmp_path, n_scenes=1), size=32)
    expected = dataset.read(np.array([1]))
    dataset.paths[0].unlink()
    for _ in range(2):
        found = dataset.read(np.array([0]))
    assert np.array_equal(found["image"], expected["image"])  # the next of its class and group
    assert [path for path, _ in dataset.skipped] == [dataset.paths[0]]
    assert "another frame of its class stands in" in caplog.text
    for path in dataset.paths[:4]:
        path.unlink(missing_ok=True)
    with pytest.raises(DataIntegrityError, match="nor can another frame of its class and group"):
        dataset.read(np.array([0]))


def test_only_headers_are_read_of_many(tmp_path, monkeypatch):
    class_folders(tmp_path, n_scenes=1)
    packed = tmp_path / "quiet" / "torn.fits.gz"
    packed.write_bytes(gzip.compress((tmp_path / "quiet" / "000.fits").read_bytes())[:-3000])
    assert len(SceneFolder(tmp_path, check_data=False)) == 9  # its header is whole
    monkeypatch.setattr(folder_module, "_READ_WHOLE", 5)
    assert len(SceneFolder(tmp_path)) == 9
    assert len(SceneFolder(tmp_path, check_data=True)) == 8


def test_wrong_places(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder or CSV"):
        SceneFolder(tmp_path / "nothing")
    with pytest.raises(DataIntegrityError, match="expected folders named by class"):
        SceneFolder(tmp_path)
    (tmp_path / "quiet").mkdir()
    with pytest.raises(DataIntegrityError, match="no frame can be used:\n  it holds no file"):
        SceneFolder(tmp_path)
    (tmp_path / "quiet" / "a.fits").write_text("x")
    with pytest.raises(DataIntegrityError, match="no frame can be used:\n  a.fits: no FITS file"):
        SceneFolder(tmp_path)
    (tmp_path / "plage").mkdir()
    with pytest.raises(ValueError, match="a folder of an unknown class 'plage'; expected one of"):
        SceneFolder(tmp_path)


def test_frames_without_time_or_place_count_as_one_by_folder(tmp_path, caplog):
    for seed, name in enumerate(("one/a.fits", "one/b.fits", "two/c.fits")):
        write_frame(tmp_path / "quiet" / name, texture(seed), centre=None)
    np.save(tmp_path / "quiet" / "two" / "d.npy", texture(5))
    with caplog.at_level(logging.WARNING):
        dataset = SceneFolder(tmp_path)
    assert dataset.table.group.tolist() == 2 * ["folder quiet/one"] + 2 * ["folder quiet/two"]
    assert "4 of 4 frames name no time or no place" in caplog.text
    assert dataset.table.time[3] == np.datetime64(0, "s")


def test_a_list_of_labels(tmp_path):
    for k in range(3):
        write_frame(tmp_path / "frames" / f"{k}.fits", texture(k), centre=(300.0 * k, 0.0))
    (tmp_path / "labels.csv").write_text(
        "file,label,group,time\n"
        "frames/0.fits,Sunspot,event 1,2014-01-01T00:00:00Z\n"
        "frames/1.fits,none,event 1,\n"
        "frames/2.fits,quiet,,\n"
        "frames/3.fits,quiet,,\n"
    )
    dataset = SceneFolder(tmp_path / "labels.csv", size=32)
    assert [OUTPUTS[k] for k in dataset.primary] == ["sunspots", NONE, "quiet"]
    assert dataset.table.group.tolist()[:2] == ["event 1", "event 1"]
    assert dataset.table.group[2].startswith("HINODE SOT/NB 2011-10-08T11:15:33.003")
    assert str(dataset.table.time[0]) == "2014-01-01T00:00:00"
    ((path, reason),) = dataset.skipped
    assert path.name == "3.fits"
    assert reason.startswith("labels.csv, line 5: no such file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.fits\n", "expected the columns file, label.*label not found"),
        ("", "file and label not found"),
        ("file,label\na.fits,plage\n", "line 2: unknown class 'plage'"),
        ("file,label\na.fits,quiet\na.fits,quiet\n", "line 3: expected a file that no line before"),
        ("file,label\n,quiet\n", "line 2: expected a file"),
        ("file,label,time\na.fits,quiet,noon\n", "line 2: expected a time such as .* got 'noon'"),
        ("file,label\na.fits,quiet,x\n", "line 2: expected 2 columns"),
    ],
)
def test_wrong_lists_of_labels(tmp_path, text, message):
    write_frame(tmp_path / "a.fits", texture(1))
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"labels\.csv.*{message}"):
        SceneFolder(tmp_path / "labels.csv")


def test_the_fingerprint_knows_labels_and_size(tmp_path):
    class_folders(tmp_path, n_scenes=1)
    first = SceneFolder(tmp_path).fingerprint()
    assert SceneFolder(tmp_path).fingerprint() == first
    assert SceneFolder(tmp_path, size=64).fingerprint() != first
    (tmp_path / "quiet").rename(tmp_path / "flares")
    assert SceneFolder(tmp_path).fingerprint() != first


def test_headers_say_the_same_with_and_without_data(shared):
    (sharp,) = (shared / "sharp_ar11158").glob("*continuum.fits")
    scanned = scan_frame(sharp)
    assert scanned.region == 11158
    assert scanned.time == "2011-02-15T01:58:12.300"
    assert scanned.centre == pytest.approx((207.16, -242.97), abs=0.01)
    first = scan_frame(sorted((shared / "hinode_sot").glob("*.gz"))[0])
    assert first.region == 0
    # PROVENANCE.md: centre (60", 268")
    assert first.centre == pytest.approx((60, 268), abs=0.5)
    with pytest.raises(DataIntegrityError, match="a cube"):
        scan_frame(next((shared / "iris").glob("*.fits")))


def test_nine_frames_of_one_scan_are_one_scene(shared, tmp_path):
    (tmp_path / "sunspots").symlink_to(shared / "hinode_sot")
    dataset = SceneFolder(tmp_path)
    assert len(dataset) == 9
    assert len(set(dataset.table.group)) == 1
    assert CLASSES[dataset.primary[0]] == "sunspots"


def test_masks_lie_in_a_folder_of_their_own_and_are_resized_with_their_frames(tmp_path):
    class_folders(tmp_path, n_scenes=1, n_frames=3)
    inside = np.zeros((64, 64))
    inside[:32, 16:48] = 7  # any number but 0
    inside[0, 0] = np.nan
    write_frame(tmp_path / "masks/sunspots/100.fits", inside)
    write_frame(tmp_path / "masks/sunspots/999.fits", inside)
    np.save(tmp_path / "masks/sunspots/101.npy", inside[:32])
    dataset = SceneFolder(tmp_path, size=32)
    assert len(dataset) == 6  # no mask counts as a frame
    assert [(path.name, reason) for path, reason in dataset.skipped] == [
        ("999.fits", "sunspots/999: a mask of no frame")
    ]
    names = [path.name for path in dataset.paths]
    first, second = names.index("100.fits"), names.index("101.fits")
    assert np.flatnonzero(dataset.has_mask).tolist() == [first, second]
    masks = dataset.masks(np.array([first, 0]))
    spots = CLASSES.index("sunspots")
    expected = np.zeros((32, 32), bool)
    expected[:16, 8:24] = True  # half as many pixels along each side
    np.testing.assert_array_equal(masks[0, spots], expected)
    assert masks.sum() == expected.sum()
    with pytest.raises(DataIntegrityError, match="pixels of its frame, 64 x 64, not 32 x 64"):
        dataset.masks(np.array([second]))


def test_a_csv_names_masks(tmp_path):
    write_frame(tmp_path / "a.fits", texture(1))
    write_frame(tmp_path / "b.fits", texture(2))
    inside = np.zeros((64, 64), np.uint8)
    inside[40:] = 1
    np.save(tmp_path / "where.npy", inside)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label,mask\na.fits,filament,where.npy\nb.fits,quiet,\n")
    dataset = SceneFolder(labels, size=64)
    assert dataset.has_mask.tolist() == [True, False]
    masks = dataset.masks(np.arange(2))
    np.testing.assert_array_equal(masks[0, CLASSES.index("filaments")], inside > 0)
    assert not masks[1].any()
    labels.write_text("file,label,mask\na.fits,filament,nowhere.npy\n")
    with pytest.raises(ValueError, match="line 2: no such mask: .*nowhere.npy"):
        SceneFolder(labels)
