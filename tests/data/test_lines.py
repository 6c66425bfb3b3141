"""Files with one message a line."""

import pytest

from rasa_compressed_bert.data.lines import read_lines
from rasa_compressed_bert.errors import DataError


@pytest.mark.parametrize(
    "content",
    ["hello\nplay it\n\nhello\n", "\ufeffhello\r\n  play it \r\n \r\nhello"],
    ids=["Unix", "Windows, with a byte order mark"],
)
def test_each_message_is_read_once(content, tmp_path):
    (tmp_path / "lines.txt").write_bytes(content.encode("utf-8"))
    assert read_lines(str(tmp_path / "lines.txt"), option="x") == ["hello", "play it"]


def test_only_line_ends_end_a_message(tmp_path):
    (tmp_path / "lines.txt").write_text("one\u2028message\x85\nand\x0cone\n", encoding="utf-8")
    assert read_lines(str(tmp_path / "lines.txt"), option="x") == ["one\u2028message", "and\x0cone"]


def test_a_file_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lines.txt").write_text("hello")
    assert read_lines("~/lines.txt", option="x") == ["hello"]


def test_what_is_no_text_names_the_option(tmp_path):
    (tmp_path / "lines.txt").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "lines.txt", tmp_path / "none.txt", tmp_path):
        with pytest.raises(DataError, match="^out_of_scope.messages: .* cannot be read"):
            read_lines(str(path), option="out_of_scope.messages")


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_a_file_without_messages_is_refused(content, tmp_path):
    (tmp_path / "lines.txt").write_text(content)
    with pytest.raises(DataError, match="^augmentation.unlabelled: .*lines.txt' has no message; write one per line"):
        read_lines(str(tmp_path / "lines.txt"), option="augmentation.unlabelled")
