import logging
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data import documents
from rasa_compressed_bert.data.documents import Document, passages_of, read_documents
from rasa_compressed_bert.data.html import without_html
from rasa_compressed_bert.errors import DataError

SENTENCE = "Warsaw stands on the Vistula River in east-central Poland. "
TEXTS = st.text(st.sampled_from("ab .!?\n#。今é🌍<>/"), max_size=400)


def texts_of(text):
    return [text[passage.start : passage.end] for passage in passages_of([Document("a.md", text)])]


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_md", ".md").replace("_txt", ".txt")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return str(folder)


def read(folder):
    return read_documents(str(folder), option="documents")


@pytest.mark.parametrize("shut", ["", "sub", ".git"])
def test_a_folder_without_read_permission(shut, tmp_path, monkeypatch):
    """Its documents must not be missing without a word. Root, which may run the tests, can read everything."""
    write(tmp_path, a_md="a", sub__b_md="b")
    (tmp_path / ".git").mkdir()
    scan = documents.os.scandir

    def refuse(path):
        if str(path) == str(tmp_path / shut):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(documents.os, "scandir", refuse)
    if shut == ".git":
        assert len(read(tmp_path)) == 2
        return
    with pytest.raises(DataError, match=f"documents: '{tmp_path / shut}' cannot be read: Permission denied."):
        read(tmp_path)


def test_markdown_and_text_files(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    folder = write(tmp_path, b_md="# Hours\n9 to 5", sub__a_txt="\ufeffCafé", notes="x", hidden__x="y")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "c.md").write_text("hidden")
    assert read(folder) == [Document("b.md", "# Hours\n9 to 5"), Document("sub/a.txt", "Café")]
    assert (
        "documents: 2 files are not read, as their names do not end with .md or .txt: hidden/x, notes." in caplog.text
    )


def test_links_to_files_of_the_folder_are_followed_and_others_are_named(tmp_path, caplog):
    """Documents that are missing must not be missing without a word, and no other file becomes an answer."""
    caplog.set_level(logging.WARNING)
    write(tmp_path, docs__a_md="a", secret__b_md="b", docs__sub__c_md="c")
    (tmp_path / "docs" / "..data").mkdir()
    (tmp_path / "docs" / "..data" / "d.md").write_text("d")  # as Kubernetes mounts files
    links = {"d.md": "..data/d.md", "again.md": str(tmp_path / "docs" / "a.md"), "sub/up.md": "../a.md"}
    links = {**links, "b.md": "../secret/b.md", "sub/b.md": str(tmp_path / "secret" / "b.md")}
    links = {**links, "faq": "../secret", "lost.md": "nowhere.md", ".faq": "../secret", "loop.md": "loop.md"}
    for name, target in links.items():
        (tmp_path / "docs" / name).symlink_to(target)
    (tmp_path / "link").symlink_to("docs")
    for folder in ("docs", "link"):
        caplog.clear()
        found = dict(read(tmp_path / folder))
        assert found == {"a.md": "a", "again.md": "a", "d.md": "d", "sub/c.md": "c", "sub/up.md": "a"}
        assert (
            "documents: 5 links are not followed, as only links to files of the folder are: b.md, faq, " in caplog.text
        )


def test_empty_documents_are_left_out(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    # an index ignores accents
    folder = write(tmp_path, a_md=" \n", b_md="text", c_md="<br>", d_md="\u0301 \u0302", e_md="\u00b4")
    assert [one.name for one in read(folder)] == ["b.md"]
    assert "4 documents have no text: a.md, c.md, d.md, ...." in caplog.text


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="documents: '.*nowhere' is not a folder"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("files", [{}, {"a": "text"}, {"a_md": ""}])
def test_a_folder_without_a_text(tmp_path, files):
    with pytest.raises(DataError, match="has no file with text whose name ends with .md or .txt"):
        read(write(tmp_path, **files))


@pytest.mark.parametrize("content, words", [(b"\xff\xfe\x00", "cannot be read as UTF-8"), (b"a\0b", "zero byte")])
def test_what_is_no_text(tmp_path, content, words):
    with pytest.raises(DataError, match=f"documents: '.*b.md' .*{words}"):
        read(write(tmp_path, a_md="text", b_md=content))


def test_documents_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LARGEST_DOCUMENTS", 10)
    assert read(write(tmp_path, a_md="x" * 10))
    with pytest.raises(DataError, match="have 15 bytes; at most 10 can be indexed"):
        read(write(tmp_path, b_txt="x" * 5))


def test_100_megabytes_are_not_read(tmp_path):
    with (tmp_path / "a.md").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(DataError, match="have 100,000,000 bytes; at most 10,000,000"):
        read(tmp_path)


def test_paragraphs_are_joined_up_to_the_limit():
    paragraph = (SENTENCE * 5).strip()
    assert texts_of("\n\n".join([paragraph] * 3)) == [f"{paragraph}\n\n{paragraph}", paragraph]
    assert texts_of("one\n\ntwo\n \nthree") == ["one\n\ntwo\n \nthree"]


def test_a_heading_begins_a_passage_unless_what_is_before_it_is_short():
    long = (SENTENCE * 5).strip()
    assert texts_of(f"# A\n\n{long}\n\n# B\nshort\n\n# C\n{long}") == [f"# A\n\n{long}", f"# B\nshort\n\n# C\n{long}"]


def test_a_long_paragraph_is_cut_between_sentences():
    passages = texts_of(SENTENCE * 30)
    assert len(passages) > 2 and all(text.endswith("Poland.") for text in passages)


@pytest.mark.parametrize("text, count", [("a " * 1000, 3), ("a" * 1700, 3), ("今天天气很热。" * 200, 2)])
def test_other_long_paragraphs(text, count):
    passages = texts_of(text)
    assert len(passages) == count and max(map(len, passages)) <= 800


@given(TEXTS, st.integers(1, 3))
def test_passages_cover_all_that_is_written(text, times):
    text *= times
    found = passages_of([Document("a.md", "first"), Document("b.md", text)])
    spans = [(one.start, one.end) for one in found if one.document == 1]
    assert all(start < end <= start + 800 for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:]))
    assert "".join(text[start:end] for start, end in spans).split() == text.split() or re.sub(
        r"\s", "", "".join(text[start:end] for start, end in spans)
    ) == re.sub(r"\s", "", text)


@pytest.mark.parametrize(
    "text, kept",
    [
        ("a <b>bold</b> word", "a    bold     word"),
        ("<p class='x'>one</p><br/>two", "\n            one\n   \n    two"),
        ("<script>alert('x')</script>a", "                           a"),
        ("a<!-- not\nthis -->b", "a        \n        b"),
        ("a < b and b > c", "a < b and b > c"),
        ("List<int> at <https://example.com/a?b=1> </int>", "List<int> at <https://example.com/a?b=1> </int>"),
        ("R&D &amp; &#8364; &unknown x", "R&D &amp; &#8364; &unknown x"),
        ("`<script>` in the head\n\nhours: <b>9</b>", "`        ` in the head\n\nhours:    9    "),
        ("<style>\nhours: 9", "       \nhours: 9"),
        ("`<script>`, hours: 9, `</script>`", "`        `, hours: 9, `         `"),
        ("<SCRIPT>1</Script>a", "                  a"),
        ("<!DOCTYPE html>\nx", "               \nx"),
        ("no html\r\n🌍 <i>é</i>", "no html\r\n🌍    é    "),
        ("see <![a picture](a.png) <i>it</i>", "see <![a picture](a.png)    it    "),
        ("<![![", "<![!["),
        ("if a <b and c> d", "if a <b and c> d"),
        ("a <b means less\n\n> a quotation", "a <b means less\n\n> a quotation"),
        ("<td nowrap data-x>a</td><input checked/>", "\n                 a\n                    "),
        ("&#3;<![`]]>&#3;", "&#3;<![`]]>&#3;"),
        ("<b>a</b> <c d", "   a     <c d"),
        ("`<!--` begins <b>one</b>", "`<!--` begins    one    "),
    ],
)
def test_html(text, kept):
    assert without_html(text) == kept


def test_tags_without_an_end_take_no_longer_for_more_of_them():
    """Each would otherwise be searched for up to the end of the text."""
    text = "x <b and " * 100_000
    assert without_html(text) == text
    assert without_html(f"<i>{text}") == f"   {text}"


@pytest.mark.parametrize("begin", ["<!--", "<![CDATA[", "<![endif]"])
def test_parts_without_an_end_take_no_longer_for_more_of_them(begin):
    begun = time.process_time()
    found = without_html(f"{begin}<i>a" * 30_000)
    assert time.process_time() - begun < 3.0  # takes 0.5 s, but 5 to 10 s if each search goes to the end
    assert found == f"{begin}   a" * 30_000


@given(st.text(st.sampled_from("ab<>/!-&;#[]\n bi='\""), max_size=60))
def test_characters_stay_where_they_are(text):
    found = without_html(text)
    assert len(found) == len(text)
    assert all(new == old or new in " \n" for new, old in zip(found, text))
