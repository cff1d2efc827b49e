"""A file is whole or not there, whatever happens in between."""

import json
import resource

import numpy as np
import pytest

from tools.atomic_files import (
    commit_file,
    replace_folder,
    sweep_partial_files,
    write_arrays,
    write_bytes,
    write_json,
)


def test_content_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    write_bytes(path, b"new" * 1_000_000)
    assert path.read_bytes() == b"new" * 1_000_000
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_full_disk_keeps_the_old_content_and_says_how_much_was_needed(tmp_path):
    path = tmp_path / "state.npz"
    write_bytes(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="5000 bytes could not be written"):
            write_bytes(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_leftovers_of_killed_writers_are_swept(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in (".a.npz.77.partial", "sub/.best.partial.keras"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "kept.npz").write_bytes(b"whole")
    assert sweep_partial_files(tmp_path) == 2
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["kept.npz"]


def test_scratch_files_get_their_name_in_one_step(tmp_path):
    scratch = tmp_path / ".best.partial.keras"
    scratch.write_bytes(b"network")
    commit_file(scratch, tmp_path / "best.keras")
    assert [p.name for p in tmp_path.iterdir()] == ["best.keras"]


def test_json_refuses_nan_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "skill.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def test_arrays_come_back(tmp_path):
    arrays = {"network 0 w": np.arange(6.0).reshape(2, 3), "n": np.array(3)}
    write_arrays(tmp_path / "s.npz", arrays)
    with np.load(tmp_path / "s.npz") as saved:
        for name, value in arrays.items():
            np.testing.assert_array_equal(saved[name], value)


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "map"
    for text in ("old", "new"):
        with replace_folder(path) as place:
            (place / "a.txt").write_text(text)
        assert [p.name for p in tmp_path.iterdir()] == ["map"]
        assert (path / "a.txt").read_text() == text

    def interrupted():
        with replace_folder(path) as place:
            (place / "a.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["map"]
    assert (path / "a.txt").read_text() == "new"
    path.rename(tmp_path / ".map.99999999.old.partial")  # killed between the last two steps
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (path / "a.txt").read_text() == "new"
