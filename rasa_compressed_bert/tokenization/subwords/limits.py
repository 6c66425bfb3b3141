"""Refuses tokenizers, which may be untrusted, that could take very much time or memory for a short text."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, Iterator, List

from tokenizers import Tokenizer

from rasa_compressed_bert.errors import WeightsError

_MOST_CHARACTERS = 100
"""The largest number of characters to which one may be normalized.

In known vocabularies, replacements of a character are empty or a space."""
_LONGEST_WORD = 200
"""The largest number of characters of a word that WordPiece may split, which takes cubic time.

Known vocabularies have 100, and some code of BERT's authors 200."""
_LONGEST_EXPRESSION = 1000  # characters; each alternative of an expression is tried at each place of a text
_ATOM = r"(?:\\[pP]\{[^{}]*\}|\\\W|\\[dDsSwWrntfv]|\[(?:\\.|[^\[\]\\])+\]|[^\\()\[\]{}*+?|])"
_ALTERNATIVE = rf"(?:\\s\+\(\?!\\S\)|{_ATOM}+(?:\?{_ATOM}+)?(?:[*+?]|\{{\d{{0,2}},?\d{{0,2}}\}})?)"
_SIMPLE = re.compile(rf"{_ALTERNATIVE}(?:\|{_ALTERNATIVE})*", re.DOTALL)
"""Regular expressions that take linear time: alternatives in which only the last part is repeated and one other part is
optional, as in GPT-2's. With each further optional part, the time would double."""


def require_limited(library: Tokenizer) -> None:
    """Checks the vocabulary's limit on words, the normalizer and the pre-tokenizer of a tokenizer.

    Raises:
        WeightsError: if WordPiece splits very long words, if the normalizer makes short texts very long, or if a
            regular expression may take more than linear time.
    """
    longest = getattr(library.model, "max_input_chars_per_word", 0)  # only WordPiece has it
    if longest > _LONGEST_WORD:
        raise WeightsError(
            f"The tokenizer splits words of up to {longest} characters (max_input_chars_per_word), which may take very "
            f"much time. At most {_LONGEST_WORD} are supported; known vocabularies have 100."
        )
    # compared with None, as a sequence of normalizers is falsy in tokenizers 0.15
    parts = [part for part in (library.normalizer, library.pre_tokenizer) if part is not None]
    states = [json.loads(part.__getstate__()) for part in parts]
    if math.prod(_replacement_lengths(states)) > _MOST_CHARACTERS:
        raise WeightsError("The tokenizer replaces a character with very many others, which no vocabulary needs.")
    for expression in _regular_expressions(states):
        if len(expression) > _LONGEST_EXPRESSION or not _SIMPLE.fullmatch(expression):
            raise WeightsError(
                f"The tokenizer has the regular expression {expression[:80]!r}, which may take very much time. Only "
                "alternatives in which the last part is repeated and one other part is optional are supported, without "
                "groups."
            )


def has_single_ends(library: Tokenizer) -> bool:
    """Whether the post-processor only adds one special wordpiece at each end of a message."""
    processor = library.post_processor
    templates = [json.loads(processor.__getstate__())] if processor is not None else []
    for template in templates:  # grows: templates may be nested
        templates.extend(template.get("processors", ()))
        if sum("Sequence" in part for part in template.get("single", ())) > 1:
            return False
    return len(library.encode("a")) == len(library.encode("a", add_special_tokens=False)) + 2


def _replacement_lengths(state: Any) -> Iterator[int]:
    """The number of characters that each part of a normalizer may make of one, at least 1."""
    if isinstance(state, dict):
        yield max(1, len(state.get("content", "")), len(state.get("prepend", "")))
        yield max(1, *map(len, _replacements(state.get("precompiled_charsmap") or "")))
    for inner in _inner(state):
        yield from _replacement_lengths(inner)


def _replacements(charsmap: str) -> List[bytes]:
    """The replacements in a table of SentencePiece: the size of an index, the index, and texts that end with NUL."""
    table = base64.b64decode(charsmap)
    return table[4 + int.from_bytes(table[:4], "little") :].split(b"\0")


def _regular_expressions(state: Any) -> Iterator[str]:
    if isinstance(state, dict) and isinstance(state.get("Regex"), str):
        yield state["Regex"]
    for inner in _inner(state):
        yield from _regular_expressions(inner)


def _inner(state: Any) -> Iterator[Any]:
    return iter(state.values() if isinstance(state, dict) else state if isinstance(state, list) else ())
