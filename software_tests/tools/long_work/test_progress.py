"""Lines of progress: now and then, with the time that is left, never a last one."""

import io
import logging

import pytest

from tools.long_work import progress
from tools.long_work.progress import Progress, duration


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_when_the_last_one_is_old(clock, caplog):
    caplog.set_level(logging.INFO)
    told = Progress(100, "images")
    for done, seconds in ((1, 4), (3, 11), (4, 15), (50, 40), (100, 90)):
        clock[0] = seconds
        told.done(done)
    # 3 in 11 s: 97 take 355.7 s; 50 in 40 s: 50 take 40 s
    assert caplog.messages == ["  3 of 100 images; 6 min left", "  50 of 100 images; 40 s left"]


def test_the_pace_is_that_of_this_process(clock, caplog):
    caplog.set_level(logging.INFO)
    told = Progress(100, "times")
    clock[0] = 20.0
    told.done(90, new=5, note="2 failed")  # 85 were there before: 4 s each
    assert caplog.messages == ["  90 of 100 times, 2 failed; 40 s left"]


def test_a_stream_that_is_no_terminal_gets_lines(clock):
    stream = io.StringIO()
    told = Progress(10, "files", stream=stream)
    clock[0] = 11.0
    told.done(5)
    told.close()
    assert stream.getvalue() == "5 of 10 files; 11 s left\n"


def test_a_terminal_gets_one_line_that_is_written_over(clock):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    told = Progress(10, "files", stream=stream)
    for done in (2, 4):
        clock[0] += 1.0
        told.done(done)
    told.close()
    assert stream.getvalue().count("\r") == 2
    assert stream.getvalue().endswith("4 of 10 files; 3 s left\n")


def test_durations_in_words():
    assert [duration(s) for s in (5, 200, 9000)] == ["5 s", "3 min", "2.5 h"]
