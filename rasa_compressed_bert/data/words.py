"""Splitting messages into words, and joining words into messages."""

from __future__ import annotations

import unicodedata
from itertools import islice
from typing import List, NamedTuple, Sequence, Tuple

import regex

_SPACELESS = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]--\p{M}]"
_STOPS, _SPACELESS_STOPS = ".!?…", "。！？"
_WORD = regex.compile(
    rf"(?:(?<!\s)(?P<before>\s++))?(?P<word>{_SPACELESS}\p{{M}}*|(?:(?!{_SPACELESS})[\p{{L}}\p{{N}}\p{{M}}_'’-])+|"
    rf"(?:(?!{_SPACELESS})[^\s\p{{L}}\p{{N}}_])+)",
    regex.V1,
)
"""Whitespace and a word; whitespace that no word follows is read once, as in `entities.COMMA`."""
_SIGN = r"[\p{P}$+<=>^`|~--_]"
_TOKEN = regex.compile(rf"[\S--{_SPACELESS}--{_SIGN}]+|{_SPACELESS}\p{{M}}*|{_SIGN}", regex.V1)
_LETTER = rf"(?:(?!{_SPACELESS})[\p{{L}}\p{{N}}\p{{M}}_])"
_PART = regex.compile(
    rf"{_SPACELESS}\p{{M}}*|{_LETTER}+(?:['’-]+{_LETTER}+)*|{_SIGN}\p{{M}}*|[\S--{_SIGN}--[\p{{L}}\p{{N}}_]]+", regex.V1
)
_MANY_MARKS = regex.compile(r"\p{M}{1000}")
_MOST_TOKENS = 10_000  # Rasa's tokens of a million characters, each a word, take 400 MB


class Word(NamedTuple):
    """A word, a character of a script without spaces, or a run of other characters."""

    text: str
    before: str  # whitespace between the previous word and this one


def split_words(text: str) -> List[Word]:
    """The words of a message, in order; a combining mark is never separated from its character."""
    return [Word(match["word"], match["before"] or "") for match in _WORD.finditer(text)]


def placed_words(text: str) -> List[Tuple[int, int]]:
    """The start and the end of each word, so that a word is the same whatever punctuation is around it.

    Unlike in `split_words`, each punctuation mark is a word of its own, and so is an apostrophe or a hyphen at an end.
    """
    return [match.span() for match in _PART.finditer(text)]


def normalised(text: str) -> str:
    """The words of a text, see `normalised_word`; case, whitespace and Unicode form make no difference."""
    return " ".join(normalised_word(word.text) for word in split_words(text))


def normalised_word(word: str) -> str:
    """A word in lower case and in Unicode's normal form C, in which accents are composed."""
    return composed(word.lower())


def composed(text: str) -> str:
    """A text in Unicode's normal form C, in linear time.

    Python sorts the marks of a character, and compares each with all before it: a message of 50,000 marks would take
    five seconds. Of so many, each 1,000 are composed by themselves.
    """
    if text.isascii():
        return text
    bounds = [0, *(marks.end() for marks in _MANY_MARKS.finditer(text)), len(text)]
    return "".join(unicodedata.normalize("NFC", text[start:end]) for start, end in zip(bounds, bounds[1:]))


def word_bounds(text: str) -> List[Tuple[int, int]]:
    """The start and the end of each of the first 10,000 words.

    Unlike in `split_words`, each punctuation mark is a word of its own, as in BERT's wordpieces.
    """
    return [match.span() for match in islice(_TOKEN.finditer(text), _MOST_TOKENS)]


def joined(words: Sequence[Word]) -> str:
    """The message that consists of the words, without whitespace at its ends."""
    return "".join(word.before + word.text for word in words).strip()


def sentence_bounds(words: Sequence[Word]) -> List[Tuple[int, int]]:
    """The indices of the first word of each sentence, and of the word after its last one."""
    ends = [
        position + 1
        for position, (word, after) in enumerate(zip(words, words[1:]))
        if (word.text[-1] in _STOPS and after.before) or word.text[-1] in _SPACELESS_STOPS or "\n" in after.before
    ]
    return list(zip([0, *ends], [*ends, len(words)]))
