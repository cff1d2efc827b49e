"""Journals keep what was finished, whatever kills the writer."""

import os

import pytest

import tools.long_work.journal
from software_tests.network_models.training.faulty_disk import FaultyDisk, SimulatedKill
from tools.long_work.journal import Journal

RECORDS = [{"file": f"frame {k}", "rows": [{"p": k / 7, "reason": "a\nb ü"}]} for k in range(5)]


def content(path):
    with Journal(path) as journal:
        return [record for _, record in journal.entries()]


def test_records_come_back(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append(RECORDS[:2])
        journal.append(RECORDS[2:])
        places = [place for place, _ in journal.entries()]
        assert list(journal.read(places[::-1])) == RECORDS[::-1]
    assert content(path) == RECORDS


def test_a_torn_or_damaged_line_does_not_count(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append(RECORDS)
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        assert content(path) == RECORDS[:4]
        assert path.read_bytes() == whole[:last]
    path.write_bytes(whole[:30] + b"x" + whole[31:])
    assert content(path) == RECORDS[1:]
    path.write_bytes(b"\0" * 100_000)
    assert content(path) == []
    assert path.read_bytes() == b""


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_kill_at_any_write_loses_nothing_that_was_appended(tmp_path, monkeypatch, n):
    path, done = tmp_path / "journal", []

    def write():
        with Journal(path) as journal:
            for k in range(0, 4, 2):
                journal.append(RECORDS[k : k + 2])
                done.append(k + 2)

    with monkeypatch.context() as patch:
        patch.setattr(tools.long_work.journal, "os", FaultyDisk(n))
        with pytest.raises(SimulatedKill):
            write()
    found = content(path)
    assert found == RECORDS[: len(found)]
    assert len(found) >= max(done, default=0)
    with Journal(path) as journal:
        journal.append(RECORDS[len(found) :])
    assert content(path) == RECORDS


def test_a_full_disk_gets_a_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    with Journal(tmp_path / "journal") as journal:
        monkeypatch.setattr(tools.long_work.journal.os, "write", full)
        with pytest.raises(OSError, match="what was there is kept"):
            journal.append(RECORDS)
