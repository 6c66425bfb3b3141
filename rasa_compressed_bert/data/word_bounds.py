"""The words of a text, found by its characters alone."""

from __future__ import annotations

import re
import string
from itertools import islice
from typing import List, Tuple

_PUNCTUATION = re.escape(f"{string.punctuation.replace('_', '')}…«»“”‘’¿¡।؟،。！？，、：；（）《》")
# Thai and Lao, Myanmar, Khmer, Chinese and Japanese
_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_PUNCTUATION}{_SPACELESS}]|[^\s{_PUNCTUATION}{_SPACELESS}]+")

_MOST_WORDS = 10_000
"""The largest number of words that are found: Rasa's tokens of a million characters, each a word, take 400 MB."""


def word_bounds(text: str) -> List[Tuple[int, int]]:
    """The start and the end of each of the first words; longer texts are not read to the end.

    A punctuation mark, or a character of a script without spaces, is a word.
    """
    return [match.span() for match in islice(_WORD.finditer(text), _MOST_WORDS)]
