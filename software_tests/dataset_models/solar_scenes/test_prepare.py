"""The seed's preparation: its split, its files, and what a score on them is worth."""

import numpy as np
import pytest

from dataset_models.solar_scenes.files.folder import SceneFolder
from dataset_models.solar_scenes.files.frames import read_frame
from dataset_models.solar_scenes.files.resize import legacy_slic
from dataset_models.solar_scenes.files.slic_files import SlicFiles
from dataset_models.solar_scenes.prepare import main, prepare_sets
from software_tests.dataset_models.solar_scenes.scene_files import class_folders, write_frame

SCRIPT = "dataset_models/solar_scenes/prepare.py"


@pytest.fixture
def frames(tmp_path):
    return class_folders(tmp_path / "frames")


def rows(path):
    with np.load(path) as archive:
        assert archive.files == ["data"]
        return archive["data"]


def test_every_nth_frame_of_each_class_in_order_of_time(tmp_path, frames):
    sets = prepare_sets(SceneFolder(frames), tmp_path / "out", percent_split=5)
    training, validation = rows(sets.training), rows(sets.validation)
    assert (len(training), len(validation)) == (18, 6)
    # 12 frames a class, numbers 0, 5 and 10 are for validation; names are in order of time
    expected = []
    for folder in ("quiet", "sunspots"):
        paths = sorted((frames / folder).iterdir())
        expected += [legacy_slic(read_frame(path).image) for path in paths[::5]]
    assert np.array_equal(validation[:, 1:], np.stack(expected).reshape(6, -1))
    assert validation[:, 0].tolist() == [3, 3, 3, 4, 4, 4]
    assert len(SlicFiles(sets.training).table) == 18


def test_what_the_split_is_worth(tmp_path, frames):
    sets = prepare_sets(SceneFolder(frames), tmp_path, percent_split=5)
    assert sets.n_shared == 6  # each observation has four frames
    assert sets.correlation.min() > 0.9  # frames of one scene differ by little noise
    assert sets.worth().startswith("warning: 6 of 6 validation frames show an observation")
    apart = prepare_sets(SceneFolder(frames), tmp_path, percent_split=3, by_groups=True)
    assert (apart.n_shared, apart.n_validation) == (0, 8)
    assert sorted(set(rows(apart.validation)[:, 0])) == [3, 4]
    assert apart.correlation.max() < 0.9
    assert "warning" not in apart.worth()


def test_the_command(tmp_path, frames, run_command):
    (frames / "quiet" / "broken.fits").write_text("x")
    options = ["--dataset", frames, "--percent_split", 4, "--save_dir", tmp_path / "out"]
    text = run_command(SCRIPT, *options, "--header").stdout
    assert "left out: broken.fits: no FITS file" in text
    assert "18 frames" in text
    assert "6 frames; 1 files left out" in text
    assert "warning: 6 of 6 validation frames" in text
    dataset = SlicFiles(tmp_path / "out" / "solar_test_data.npz")
    assert dataset.headers_are_read
    assert len(set(dataset.table.group)) == 6
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "solar_test_data.npz",
        "solar_train_data.npz",
    ]


def test_options_are_spelled_either_way(tmp_path, frames, capsys):
    options = ["--dataset", str(frames), "--save-dir", str(tmp_path), "--percent-split", "6"]
    assert main([*options, "--groups"]) == 0
    assert "0 of 8 validation frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "nothing"], "no such folder or CSV: nothing"),
        (["--dataset", "dataset_models"], "a folder of an unknown class"),
        (["--dataset", "FRAMES", "--percent_split", "1"], "percent_split takes 2 or more"),
        (["--dataset", "FRAMES", "--save_dir", "README.md/x"], "can't be written .*--save_dir"),
    ],
)
def test_wrong_options_get_a_sentence(frames, options, message):
    options = [str(frames) if option == "FRAMES" else option for option in options]
    with pytest.raises((ValueError, OSError), match=message):
        main(options)


def test_wrong_options_end_the_command_with_a_status(run_command):
    for options, message in (
        (["--dataset", "nothing"], "error: no such folder or CSV: nothing"),
        (["--dataset", "x", "--percent_split", "ten"], "invalid int value: 'ten'"),
    ):
        result = run_command(SCRIPT, *options, check=False)
        assert result.returncode == 2
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_too_few_frames(tmp_path):
    write_frame(tmp_path / "frames" / "quiet" / "a.fits", np.random.default_rng(1).random((64, 64)))
    with pytest.raises(ValueError, match="the training set would be empty: 1 frames of 1"):
        prepare_sets(SceneFolder(tmp_path / "frames"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_frames_that_slic_has_no_class_for_are_left_out(tmp_path, frames):
    write_frame(frames / "none" / "a.fits", np.random.default_rng(1).random((64, 64)))
    sets = prepare_sets(SceneFolder(frames), tmp_path / "out", percent_split=4)
    assert [reason for _, reason in sets.skipped] == ["a.fits: Slic knows no 'none of these'"]
    assert sets.n_training + sets.n_validation == 24
