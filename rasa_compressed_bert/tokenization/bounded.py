"""Messages as a word tokenizer such as spaCy's can bear them."""

from __future__ import annotations

import re
from itertools import islice

from rasa_compressed_bert.tokenization.wordpieces import LONGEST_WORD, well_formed

_RUN = re.compile(rf"\S{{1,{LONGEST_WORD}}}")


def bounded(text: str, max_length: int) -> str:
    """The first `max_length` words with one blank between them, those of over 100 characters broken into several.

    spaCy's tokenizer takes a second for 2,000 characters of punctuation without a blank, and four for twice as many. As
    of other tokenizers, the first `LONGEST_WORD * max_length` characters of a text are read.
    """
    read = well_formed(text[: LONGEST_WORD * max_length])
    return " ".join(match[0] for match in islice(_RUN.finditer(read), max_length))
