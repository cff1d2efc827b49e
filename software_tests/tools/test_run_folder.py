"""Run folders are never shared, and are found again by what they were made from."""

import multiprocessing

import pytest

from tools.run_folder import RunFolder, find_run, new_run_folder


def _make(parent, barrier, names):
    barrier.wait()
    run = new_run_folder(parent)
    names.put(run.path.name)
    barrier.wait()  # hold the lock until all have theirs


def test_twenty_starts_in_one_second_get_twenty_folders(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, names = context.Barrier(20), context.Queue()
    processes = [context.Process(target=_make, args=(tmp_path, barrier, names)) for _ in range(20)]
    for process in processes:
        process.start()
    made = {names.get(timeout=100) for _ in processes}
    for process in processes:
        process.join()
    assert len(made) == 20 == len(list(tmp_path.iterdir()))


def test_a_new_folder_has_the_documented_parts(tmp_path):
    run = new_run_folder(tmp_path / "trained_models")
    parts = {"epochs", "performance", "maps", "features", "embeddings", "run.lock"}
    assert {p.name for p in run.path.iterdir()} == parts
    run.unlock()


def test_a_run_is_found_by_identity_unless_another_process_holds_it(tmp_path):
    run = new_run_folder(tmp_path)
    run.write_config({"identity": "abc"})
    assert find_run(tmp_path, "abc") is None  # still held
    run.unlock()
    found = find_run(tmp_path, "abc")
    assert found.path == run.path
    found.unlock()
    assert find_run(tmp_path, "other") is None


def test_a_broken_config_does_not_hide_other_runs(tmp_path):
    (tmp_path / "20990101T000000").mkdir()
    (tmp_path / "20990101T000000" / "config.json").write_text("{half")
    run = new_run_folder(tmp_path)
    run.write_config({"identity": "abc"})
    run.unlock()
    found = find_run(tmp_path, "abc")
    assert found.path == run.path
    found.unlock()


def test_a_folder_that_is_no_run_says_so(tmp_path):
    with pytest.raises(ValueError, match="no run folder"):
        _ = RunFolder(tmp_path).config
