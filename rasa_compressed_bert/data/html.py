"""Removal of HTML from texts such as Markdown files."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import accumulate
from typing import Any, Callable, List

_BLOCKS = (
    "address article aside blockquote body br caption dd details div dl dt fieldset figcaption figure footer form h1 "
    "h2 h3 h4 h5 h6 head header hr html li main nav ol p pre section summary table tbody td tfoot th thead title tr ul"
).split()
_INLINE = (
    "a abbr b bdi bdo big button center cite code data del dfn em font i img input ins kbd label link mark meta q s "
    "samp small span strike strong sub sup time tt u var video wbr"
).split()
_HIDDEN = ("script", "style")
_WITHOUT_VALUE = (
    "allowfullscreen alt async autofocus autoplay border checked compact controls default defer disabled download "
    "hidden inert ismap itemscope loop multiple muted nomodule noshade novalidate nowrap open readonly required "
    "reversed selected"
).split()
"""Attributes that need no value; any other one without a value, as in `<b and c>`, shows that it is not a tag."""
_END_OF_HIDDEN = re.compile(rf"</({'|'.join(_HIDDEN)})", re.IGNORECASE)
_SECTION = re.compile(r"<!\[(temp|cdata|ignore|include|rcdata|if|else|endif)(?![-_.a-z0-9])", re.IGNORECASE)
_TAGS = frozenset([*_BLOCKS, *_INLINE, *_HIDDEN])


def without_html(text: str) -> str:
    """The text with each character of HTML replaced by a space, so that all others keep their positions.

    Tags that begin or end a block are replaced by a line break and spaces. What is not an HTML tag is kept, as in
    `List<int>`, `a <b and c> d` or `<https://example.com>`. Scripts and styles are removed with their content, unless
    their tags are only mentioned, between backticks or without an end tag.
    """
    end = text.rfind(">") + 1  # there are no tags after it, and the parser would search there again from each "<"
    if "<" not in text[:end]:
        return text
    parser = _Parser(text[:end])
    parser.feed(text[:end])
    parser.close()
    return "".join(parser.kept) + text[end:]


class _Parser(HTMLParser):
    """Keeps what is not HTML.

    Args:
        text: the text to parse.
    """

    def __init__(self, text: str):
        super().__init__(convert_charrefs=False)
        self._text = text
        self._lines = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        self._hidden = False
        self._endless = {""}  # kinds of constructs that have no end in the rest of the text
        self._ends = {match[1].lower(): match.start() for match in _END_OF_HIDDEN.finditer(text)}  # last of each
        self.kept: List[str] = ["\n" if character == "\n" else " " for character in text]

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._keep(data)

    def handle_entityref(self, name: str) -> None:
        self._keep_from_here(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._keep_from_here(f"&#{name};")

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        place = self._place()
        known = _is_tag(tag, attrs)
        self._hidden = known and self._ends.get(tag, -1) > place and not self._text.endswith("`", 0, place)
        self._tag(tag if known else "", self.get_starttag_text() or "")

    def parse_comment(self, i: int, report: int = 1) -> int:
        """Reads "<!" as text where a comment has no end."""
        return self._ended("comment", super().parse_comment, i)

    def parse_html_declaration(self, i: int) -> int:
        """Reads "<![" as text unless it begins a section that Python's parser knows, as it fails on others."""
        if not self.rawdata.startswith("<![", i):
            return super().parse_html_declaration(i)
        section = _SECTION.match(self.rawdata, i)
        return self._ended(section[1].lower() if section else "", super().parse_html_declaration, i)

    def _ended(self, kind: str, parse: Callable[[int], int], i: int) -> int:
        """The end of a comment or section; if it has none, "<!" is text, as it is for all later ones of its kind."""
        end = -1 if kind in self._endless else parse(i)
        if end >= 0:
            return end
        self._endless.add(kind)
        self._keep("<!")
        return i + len("<!")

    def set_cdata_mode(self, elem: str) -> None:
        """Reads what follows as a script up to its end tag, if it is one to remove."""
        if self._hidden:
            super().set_cdata_mode(elem)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self._tag(tag if _is_tag(tag, attrs) else "", self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        place = self._place()
        self._tag(tag, self._text[place : self._text.find(">", place) + 1])

    def _tag(self, tag: str, written: str) -> None:
        if tag not in _TAGS:
            self._keep(written)
        elif tag in _BLOCKS and written:
            self.kept[self._place()] = "\n"

    def _keep_from_here(self, written: str) -> None:
        place = self._place()
        self._keep(written if self._text.startswith(written, place) else written[:-1])

    def _keep(self, written: str) -> None:
        place = self._place()
        self.kept[place : place + len(written)] = written

    def _place(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column


def _is_tag(tag: str, attrs: Any) -> bool:
    """Whether what looks like a tag is an HTML tag.

    Args:
        tag: its name.
        attrs: name and value of each attribute, None for one without a value.
    """
    names = [name for name, value in attrs if value is None]
    return tag in _TAGS and all(name in _WITHOUT_VALUE or name.startswith("data-") for name in names)
