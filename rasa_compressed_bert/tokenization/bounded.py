"""Messages as a word tokenizer such as spaCy's can bear them."""

from __future__ import annotations

import re
from itertools import islice

from rasa_compressed_bert.tokenization.wordpieces import well_formed

_RUN = re.compile(r"\S{1,100}")


def bounded(text: str, max_length: int) -> str:
    """The first `max_length` words with one blank between them, those of over 100 characters broken into several.

    spaCy's tokenizer takes a second for 2,000 characters of punctuation without a blank, and four for twice as many.
    """
    return " ".join(match[0] for match in islice(_RUN.finditer(well_formed(text)), max_length))
