"""Progress: a bar on a terminal, lines elsewhere, nothing with `--quiet`."""

import io
import logging
import sys

import pytest

from rasa_compressed_bert.reporting import progress as module
from rasa_compressed_bert.reporting.progress import progress

LOGGER = logging.getLogger("rasa_compressed_bert.reporting.progress")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    """Seconds that pass with each look at it."""

    def __init__(self, seconds):
        self.now, self._seconds = 0.0, seconds

    def monotonic(self):
        self.now += self._seconds
        return self.now


def work_through(count):
    with progress("search", count, unit="trials") as work:
        for number in range(count):
            work.note(f"best score {number}")
            work.advance()


def test_a_pipe_gets_a_line_for_each_tenth(capsys, monkeypatch):
    monkeypatch.setattr(module, "time", Clock(6))
    work_through(50)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "search: 0 of 50 trials, 6 s, best score 0"
    assert lines[-1] == "search: 50 of 50 trials, 600 s, best score 49"


def test_quick_work_fills_no_log(capsys, monkeypatch):
    monkeypatch.setattr(module, "time", Clock(0.01))
    work_through(50)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "search: 0 of 50 trials",
        "search: 50 of 50 trials",
    ]


def test_work_that_is_done_already_counts_and_no_more_than_all_is_done(capsys):
    with progress("sensitivity", 10, unit="scores", done=4) as work:
        work.advance()
        work.reach(99)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "sensitivity: 5 of 10 scores",
        "sensitivity: 10 of 10 scores",
    ]


def test_nothing_is_shown_where_warnings_are_not(capsys):
    LOGGER.setLevel(logging.ERROR)
    try:
        work_through(3)
    finally:
        LOGGER.setLevel(logging.NOTSET)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns, bar", [(40, False), (100, True)])
def test_a_narrow_terminal_has_the_score_and_no_bar(monkeypatch, columns, bar):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    work_through(4)
    text = sys.stderr.getvalue()
    assert "4/4" in text and "best" in text and ("━" in text) is bar
