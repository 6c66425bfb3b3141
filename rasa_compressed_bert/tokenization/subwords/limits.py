"""Refuses tokenizers, which may be untrusted, that could take very much time or memory for a short text."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, Dict, Iterator, List, Mapping

from tokenizers import Tokenizer

from rasa_compressed_bert.errors import WeightsError

_MOST_CHARACTERS, _MOST_WITH_FORMS = 100, 600
"""The largest number of characters that the steps may make of one, without Unicode's normal forms and with them.

In known vocabularies, SentencePiece makes up to 33 bytes, with NFKD, as in XLNet, 594; other replacements are empty or
one character."""
_GROWTH = {"BertNormalizer": 3, "ByteLevel": 2}
"""What each of these steps makes of a character, or byte, that an earlier one has made."""
_FORMS = {"NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18}
"""The normal forms, and the largest number of characters that they make of one; repeated ones change nothing."""
_MOST_STEPS = 30
"""The largest number of normalizers, pre-tokenizers and post-processors; known vocabularies have less than ten."""
_LONGEST_NAME = 100
"""The largest number of characters of a special wordpiece, of the marks of parts of words, and of Unigram's wordpieces.

The library copies these for each unknown word, for each part of a long message, and for each try to split a word. With
Unigram, the time is quadratic in the length of the longest one; those of SentencePiece have at most 16 by default."""
_UNIGRAM = "Unigram"
_NAMES = ("unk_token", "continuing_subword_prefix", "end_of_word_suffix")
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
    """Checks the vocabulary's limit on words, its special wordpieces, and the steps of a tokenizer.

    Raises:
        WeightsError: if WordPiece splits very long words, if the names of special wordpieces are very long, if there
            are very many steps, if they make short texts very long, or if a regular expression may take more than
            linear time.
    """
    longest = getattr(library.model, "max_input_chars_per_word", 0)  # only WordPiece has it
    if longest > _LONGEST_WORD:
        raise WeightsError(
            f"The tokenizer splits words of up to {longest} characters (max_input_chars_per_word), which may take very "
            f"much time. At most {_LONGEST_WORD} are supported; known vocabularies have 100."
        )
    # compared with None, as a sequence of normalizers is falsy in tokenizers 0.15
    parts = (library.normalizer, library.pre_tokenizer, library.post_processor)
    states = [None if part is None else json.loads(part.__getstate__()) for part in parts]
    names = [getattr(library.model, name, None) or "" for name in _NAMES]
    pieces = library.get_vocab(with_added_tokens=False) if type(library.model).__name__ == _UNIGRAM else ()
    if max(map(len, [*names, *_texts(states[-1]), *pieces])) > _LONGEST_NAME:
        raise WeightsError(
            f"The tokenizer has a special wordpiece, a mark of parts of words, or a wordpiece of Unigram, of more than "
            f"{_LONGEST_NAME} characters, which no vocabulary needs."
        )
    number = sum(1 for _ in _steps(states))
    if number > _MOST_STEPS:
        raise WeightsError(f"The tokenizer has {number} steps; at most {_MOST_STEPS} are supported.")
    growing = list(_steps(states[:-1]))
    growth = math.prod(_growth_of(step) for step in growing if step["type"] not in _FORMS)
    form = max((_FORMS[step["type"]] for step in growing if step["type"] in _FORMS), default=1)
    if growth > _MOST_CHARACTERS or growth * form > _MOST_WITH_FORMS:
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


def _steps(state: Any) -> Iterator[Dict[str, Any]]:
    """The normalizers, pre-tokenizers and post-processors of which some consist."""
    if isinstance(state, dict) and isinstance(state.get("type"), str):
        yield state
    for inner in _inner(state):
        yield from _steps(inner)


def _growth_of(step: Mapping[str, Any]) -> int:
    """The number of characters that a step, without Unicode's normal forms, may make of one."""
    texts = (step.get("content", ""), step.get("prepend", ""))
    replacements = _replacements(step.get("precompiled_charsmap") or "")
    return max(_GROWTH.get(step["type"], 1), *map(len, texts), *map(len, replacements))


def _texts(state: Any) -> Iterator[str]:
    """All strings in a state."""
    if isinstance(state, str):
        yield state
    for inner in _inner(state):
        yield from _texts(inner)


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
