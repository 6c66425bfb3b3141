"""Limits the length of messages and words for word tokenizers such as spaCy's."""

from __future__ import annotations

import re
from itertools import islice

from rasa_compressed_bert.tokenization.wordpieces import LONGEST_WORD, well_formed

_RUN = re.compile(rf"\S{{1,{LONGEST_WORD}}}")


def bounded(text: str, max_length: int) -> str:
    """The first `max_length` words, joined by single spaces; words of over 100 characters are split.

    spaCy's tokenizer takes one second for 2,000 characters of punctuation without a space, and four for twice as many.
    Only the first `LONGEST_WORD * max_length` characters of a text are read, as with the other tokenizers.
    """
    read = well_formed(text[: LONGEST_WORD * max_length])
    return " ".join(match[0] for match in islice(_RUN.finditer(read), max_length))
