"""The words of a text, found by its characters alone."""

from __future__ import annotations

import re
import string
from typing import List, Tuple

_PUNCTUATION = re.escape(f"{string.punctuation.replace('_', '')}…«»“”‘’¿¡।؟،。！？，、：；（）《》")
# Thai and Lao, Myanmar, Khmer, Chinese and Japanese
_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_PUNCTUATION}{_SPACELESS}]|[^\s{_PUNCTUATION}{_SPACELESS}]+")


def word_bounds(text: str) -> List[Tuple[int, int]]:
    """The start and the end of each word; a punctuation mark, or a character of a script without spaces, is one."""
    return [match.span() for match in _WORD.finditer(text)]
