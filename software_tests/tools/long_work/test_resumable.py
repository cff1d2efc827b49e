"""Folders that are gone on with: one process, one set of options, nothing half-written."""

import pytest

from tools.long_work.resumable import claim, resumable_folder

NAMES = {"lock": "own.lock", "options_file": "own.json", "what": "series"}


def test_the_same_options_go_on_and_half_written_files_are_swept(tmp_path):
    with resumable_folder(tmp_path / "a", options={"step": 1}, **NAMES) as folder:
        (folder / "one.fits").write_text("done")
        (folder / ".two.fits.123.partial").write_text("half")
    with resumable_folder(tmp_path / "a", options={"step": 1}, **NAMES) as folder:
        assert {p.name for p in folder.iterdir()} == {"own.lock", "own.json", "one.fits"}


def test_other_options_and_other_files_are_refused(tmp_path):
    with resumable_folder(tmp_path / "a", options={"step": 1}, **NAMES):
        pass
    with (
        pytest.raises(ValueError, match=r"a series of other options \(step was 1, is 2\)"),
        resumable_folder(tmp_path / "a", options={"step": 2}, **NAMES),
    ):
        pass
    (tmp_path / "b").mkdir()
    (tmp_path / "b/photo.png").write_text("mine")
    with (
        pytest.raises(ValueError, match="holds other files"),
        resumable_folder(tmp_path / "b", options={"step": 1}, **NAMES),
    ):
        pass
    assert (tmp_path / "b/photo.png").read_text() == "mine"


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path):
    with (
        resumable_folder(tmp_path / "a", options={}, **NAMES) as folder,
        pytest.raises(ValueError, match="is being written by another process"),
        resumable_folder(folder, options={}, **NAMES),
    ):
        pass
    with claim(tmp_path / "a/own.lock") as is_mine:
        assert is_mine
