"""Documents that questions are answered from: a folder of text files, split into passages."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.html import without_html
from rasa_compressed_bert.data.warnings import listed
from rasa_compressed_bert.errors import DataError

logger = logging.getLogger(__name__)

SUFFIXES = (".md", ".txt")
LARGEST_DOCUMENTS = 10_000_000
"""Maximum bytes of all documents together, as all of them are in the model and in the memory of each worker."""
LONGEST_PASSAGE = 800
"""Maximum characters of a passage."""
_SHORTEST_SECTION = 200  # characters
_BLOCK = re.compile(r"\S[^\n]*(?:\n[^\S\n]*\S[^\n]*)*")  # lines up to a blank one
_SENTENCE = re.compile(r"\S.*?(?:[.!?][\"')\]”’]*(?=\s)|[。！？]|$)", re.DOTALL)
_HEADING = "#"


class Document(NamedTuple):
    """A text that may contain answers.

    Attributes:
        name: path of the file, relative to the folder, with slashes.
        text: text of the file, with HTML replaced by spaces.
    """

    name: str
    text: str


class Passage(NamedTuple):
    """A part of a document.

    Attributes:
        document: index of the document.
        start: offset in the text of the document at which it begins.
        end: offset at which it ends.
    """

    document: int
    start: int
    end: int


def read_documents(folder: str, *, option: str) -> List[Document]:
    """The documents of a folder and its subfolders, sorted by path, without empty and hidden ones.

    Args:
        folder: a folder of files in UTF-8.
        option: name of the option with the folder, for errors.

    Raises:
        DataError: if there are no documents with a text, if one is not a text file, if they are too large, or if one of
            the folders cannot be read.
    """
    root = Path(os.path.expanduser(folder))  # unlike Path.expanduser, keeps the name of an unknown user
    if not os.path.isdir(root):  # unlike Path.is_dir, also if a folder around it cannot be searched
        raise DataError(
            f"{option}: '{folder}' is not a folder. Give a folder of files whose names end with {_endings()}."
        )
    files = _files_below(root, option=option)
    texts = [path for path in files if path.suffix.lower() in SUFFIXES]
    others = [path.relative_to(root).as_posix() for path in files if path.suffix.lower() not in SUFFIXES]
    if others:
        logger.warning(
            f"{option}: {counted(len(others), 'file is', 'files are')} not read, as their names do not end with "
            f"{_endings()}: {listed(others)}."
        )
    size = sum(path.stat().st_size for path in texts)
    if size > LARGEST_DOCUMENTS:
        raise DataError(
            f"{option}: the documents in '{folder}' have {size:,} bytes; at most {LARGEST_DOCUMENTS:,} can be indexed, "
            "as all of them are kept in memory. Leave out what is not needed."
        )
    documents = [Document(path.relative_to(root).as_posix(), _text(path, option=option)) for path in texts]
    found = [document for document in documents if _can_be_found(document.text)]
    empty = [document.name for document in documents if not _can_be_found(document.text)]
    if empty:
        logger.warning(f"{option}: {counted(len(empty), 'document has', 'documents have')} no text: {listed(empty)}.")
    if not found:
        raise DataError(f"{option}: '{folder}' has no file with text whose name ends with {_endings()}.")
    return found


def _can_be_found(text: str) -> bool:
    """Whether a text has anything but whitespace and accents, which the index of passages leaves out."""
    parts = (part for character in text for part in unicodedata.normalize("NFKD", character))  # U+00B4 has an accent
    return any(not part.isspace() and not unicodedata.combining(part) for part in parts)


def passages_of(documents: Sequence[Document]) -> List[Passage]:
    """The passages of documents, each of at most 800 characters.

    They consist of whole paragraphs or, if one is too long, of whole sentences. A heading begins a new passage, unless
    the one before it is short.
    """
    return [
        Passage(number, start, end) for number, document in enumerate(documents) for start, end in _cut(document.text)
    ]


def _cut(text: str) -> Iterator[Tuple[int, int]]:
    start = end = 0
    for block in _BLOCK.finditer(text):
        for first, last in _parts(text, *block.span()):
            is_new_section = text[first] == _HEADING and first == block.start() and end - start >= _SHORTEST_SECTION
            if end > start and (last - start > LONGEST_PASSAGE or is_new_section):
                yield start, end
                start = first
            start, end = (start if end > start else first), last
    if end > start:
        yield start, end


def _parts(text: str, start: int, end: int) -> Iterator[Tuple[int, int]]:
    """A paragraph or, if it is too long, its sentences, and parts of those that are still too long."""
    if end - start <= LONGEST_PASSAGE:
        yield start, end
        return
    for sentence in _SENTENCE.finditer(text, start, end):
        first, last = sentence.span()
        while last - first > LONGEST_PASSAGE:
            limit = first + LONGEST_PASSAGE
            blank = max(text.rfind(" ", first + 1, limit), text.rfind("\n", first + 1, limit))
            place = blank if blank > first else limit
            yield first, place
            first = place
            while first < last and text[first].isspace():
                first += 1
        if last > first:
            yield first, last


def _files_below(root: Path, *, option: str) -> List[Path]:
    """The files of a folder and its subfolders, sorted, without hidden ones.

    Links to files of the folder are followed. Others are not: folders could contain each other, and a link from whoever
    wrote the documents could make any file of this machine an answer of the bot. A warning lists them.

    Raises:
        DataError: if one of the folders cannot be read, whose documents would be missing otherwise.
    """

    def refuse(error: OSError) -> None:
        raise error

    inside: List[Path] = []
    try:
        for folder, below, names in os.walk(root, onerror=refuse):
            below[:] = [name for name in below if not is_hidden(Path(name))]
            inside += [Path(folder) / name for name in [*below, *names] if not is_hidden(Path(name))]
        files = sorted(path for path in inside if path.is_file() and not _leads_out(path, root))
        others = (path for path in inside if path.is_symlink() and (not path.is_file() or _leads_out(path, root)))
        links = sorted(path.relative_to(root).as_posix() for path in others)
    except OSError as error:
        raise DataError(f"{option}: '{error.filename}' cannot be read: {error.strerror}.") from error
    if links:
        logger.warning(
            f"{option}: {counted(len(links), 'link is', 'links are')} not followed, as only links to files of the "
            f"folder are: {listed(links)}. Copy the files into the folder instead."
        )
    return files


def _leads_out(path: Path, root: Path) -> bool:
    """Whether a file is a link to one outside of a folder."""
    return path.is_symlink() and root.resolve() not in path.resolve().parents


def _text(path: Path, *, option: str) -> str:
    """The text of a file.

    Raises:
        DataError: if it is not a text file in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{option}: '{path}' cannot be read as UTF-8: {error}. Convert it, or leave it out.") from error
    if "\0" in text:
        raise DataError(f"{option}: '{path}' is not a text file: it contains a zero byte. Leave it out.")
    return without_html(text)


def is_hidden(path: Path) -> bool:
    """Whether a file, or a folder that it is in, is hidden."""
    return any(part.startswith(".") for part in path.parts)


def _endings() -> str:
    return " or ".join(SUFFIXES)
