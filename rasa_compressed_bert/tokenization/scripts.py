"""The scripts of characters, from their Unicode names."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import AbstractSet, FrozenSet, Iterable, Optional

_ALWAYS = "LATIN"  # for names, abbreviations and addresses in any language
_OF_SEVERAL = ("COMBINING", "MODIFIER", "VARIATION", "IDEOGRAPHIC", "KATAKANA-HIRAGANA")
_FEW = 0.01  # share of the letters; fewer may be a name in another script


@lru_cache(maxsize=None)
def script(character: str) -> Optional[str]:
    """The script of a letter or mark; None for other characters, and for those that several scripts share.

    It is the first word of the character's name, such as LATIN, CYRILLIC or CJK.
    """
    if unicodedata.category(character)[0] not in "LM":
        return None
    name = unicodedata.name(character, "").split(" ")[0]
    return None if name in _OF_SEVERAL else name


def scripts_of(texts: Iterable[str]) -> FrozenSet[str]:
    """The scripts of texts: those of at least a hundredth of their letters, and Latin."""
    counts: Counter[str] = Counter()
    for character, count in Counter(character for text in texts for character in text).items():
        own = script(character)
        if own is not None:
            counts[own] += count
    total = sum(counts.values())
    return frozenset({_ALWAYS, *(own for own, count in counts.items() if count >= _FEW * total)})


def is_in(text: str, scripts: AbstractSet[str]) -> bool:
    """Whether all letters of a text belong to the given scripts."""
    return all(own is None or own in scripts for own in map(script, text))
