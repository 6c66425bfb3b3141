"""Reports on terminals of any width, in pipes and on code pages."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rasa_compressed_bert.reporting.blocks import Facts, Heading, Lines, Prose, Table
from rasa_compressed_bert.reporting.tables import without_repeated_units
from rasa_compressed_bert.reporting.terminal import as_text, show

ROOT = Path(__file__).parents[2]
ROWS = [
    ["model", "accuracy", "macro F1", "p50 ms", "HTTP/s, 1 worker"],
    ["pruned [bold]", "93.1 %", "", "1.20", "300"],
    ["天気 and a long name", "3.1 %", "81.0 %", "11.23", "30"],
]
BLOCKS = [
    Heading("A heading"),
    Prose("Some words. " * 30),
    Table(ROWS),
    Facts({"one": "a", "quantization": "b c " * 40}),
]


def test_a_pipe_has_a_line_for_each_row_with_units_in_heads_and_numbers_aligned():
    assert as_text([Table(ROWS)]) == (
        "model                 accuracy, %  macro F1, %  p50 ms  HTTP/s, 1 worker\n"
        "------------------------------------------------------------------------\n"
        "pruned [bold]                93.1                 1.20               300\n"
        "天気 and a long name          3.1         81.0   11.23                30\n"
    )


def test_untrusted_names_cannot_control_the_terminal():
    evil = "a\x1b]0;b\x07\x9b31m\rc"
    shown = as_text([Heading(evil), Prose(evil), Lines([evil]), Facts({evil: evil}), Table([["", evil], [evil, ""]])])
    assert shown.replace("\n", "").isprintable() and shown.count(r"a\x1b]0;b\x07\x9b31m\x0dc") == 7


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal_and_no_figure_is_broken(width):
    text = as_text(BLOCKS, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    words = text.split()
    for figure in ("93.1", "81.0", "11.23", "300"):
        assert figure in words
    assert "[bold]" in text


def test_a_table_that_is_too_wide_is_split_and_its_rows_are_named_again():
    text = as_text([Table(ROWS)], width=40)
    assert text.count("pruned [bold]") == text.count("model") > 1
    rows = [["model", "trial", *"abc"], ["best", "7", *3 * ["1" * 12]]]
    first, second = as_text([Table(rows, left=2)], width=40).split("\n\n")
    assert "best   7" in first and "best   7" in second and first.count("1" * 12) == 2


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=90)


@given(st.lists(NAMES, min_size=1, max_size=5), st.integers(30, 100))
def test_any_names_fit(names, width):
    text = as_text([Table([["name", "score", "ms"], *([name, "100.0", "12.34"] for name in names)])], width=width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert text.split().count("100.0") >= len(names) and text.split().count("12.34") >= len(names)


def test_paths_are_not_broken():
    path = "Written: " + "/a long folder" * 20
    assert as_text([Lines([path]), Lines(["second"])], width=40) == f"{path}\nsecond\n"


def test_a_unit_stays_where_one_cell_lacks_it():
    assert without_repeated_units([["a", "b"], ["x", "1.0 %"], ["y", "2"]]) == [["a", "b"], ["x", "1.0 %"], ["y", "2"]]
    assert without_repeated_units([["a", "b"], ["x", ""], ["y", ""]]) == [["a", "b"], ["x", ""], ["y", ""]]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize("environment, codes", [({}, True), ({"NO_COLOR": "1"}, True), ({"TERM": "dumb"}, False)])
def test_a_terminal_shows_heads_in_bold(monkeypatch, environment, codes):
    for name, value in {"COLUMNS": "40", "TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    show(BLOCKS)
    text = sys.stdout.getvalue()
    assert ("\x1b[1m" in text) is codes and "\x1b[3" not in text and "93.1" in text


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8"])
def test_code_pages_get_question_marks_for_what_they_do_not_have(encoding):
    code = "from rasa_compressed_bert.__main__ import _write_what_can_be_encoded as prepare; prepare(); "
    code += "from rasa_compressed_bert.reporting.blocks import Table; "
    code += f"from rasa_compressed_bert.reporting.terminal import show; show([Table({ROWS!r})])"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT), "PATH": "", "COLUMNS": "40"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    text = done.stdout.decode(encoding)
    assert "81.0" in text and ("天気" in text) is (encoding == "utf-8") and ("?? and" in text) is (encoding != "utf-8")
