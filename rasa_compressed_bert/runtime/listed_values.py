"""Values of lookup tables in a text: they make the tags of their entity more likely."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterator, List, Mapping, Sequence, Set, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import TagScheme
from rasa_compressed_bert.data.words import normalised_word, placed_words
from rasa_compressed_bert.tokenization.pieces import Pieces

MOST_WORDS = 20
"""The largest number of words of a value that is searched for."""
_GAIN = 3.0  # chosen on 700 messages of SNIPS that were neither trained on nor tested on, see docs/decisions.md


class ListedValues:
    """Finds values as whole words and raises the logits of their tags; case, whitespace and Unicode form do not matter.

    To the logits of the tags of an entity it adds 3 for each wordpiece of a listed value of this entity, so that such a
    tag is `e^3` times as probable as before, relative to the others: a word that is listed and used in another sense is
    still no entity where the model is certain.

    Args:
        values: normalised values, see `data.words.normalised`, by type of entity.
        scheme: the tags of the model.
    """

    def __init__(self, values: Mapping[str, Sequence[str]], scheme: TagScheme):
        types: Dict[str, Set[str]] = {}  # of each value
        self._longest: Dict[str, int] = {}  # number of words of the longest value, by first word
        width = scheme.tags_per_label
        self._tags: Dict[str, List[int]] = {}  # of each type
        for place, label in enumerate(scheme.labels):
            self._tags.setdefault(label.entity, []).extend(range(1 + place * width, 1 + (place + 1) * width))
        for kind in self._tags.keys() & values.keys():
            for value in values[kind]:
                words = [value[start:end] for start, end in placed_words(value)]
                if words and len(words) <= MOST_WORDS:
                    types.setdefault(" ".join(words), set()).add(kind)
                    self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))
        self._types = {value: frozenset(kinds) for value, kinds in types.items()}

    def found(self, text: str) -> Iterator[Tuple[int, int, FrozenSet[str]]]:
        """The start, the end and the types of each listed value in a text; values may overlap."""
        words = placed_words(text)
        normal = [normalised_word(text[start:end]) for start, end in words]
        for first, word in enumerate(normal):
            for count in range(1, min(self._longest.get(word, 0), len(words) - first) + 1):
                types = self._types.get(" ".join(normal[first : first + count]))
                if types:
                    yield words[first][0], words[first + count - 1][1], types

    def raised(self, text: str, pieces: Pieces, logits: np.ndarray) -> np.ndarray:
        """The logits of tags, `(T, K)`, raised where the text has a listed value.

        Args:
            text: the text of a message.
            pieces: its `T` wordpieces.
            logits: the logits of their tags.
        """
        is_raised = np.zeros(logits.shape, bool)
        of_types: Dict[FrozenSet[str], np.ndarray] = {}  # which tags are raised: a value may be one of many types
        for start, end, types in self.found(text[: int(pieces.ends.max(initial=0))]):
            if types not in of_types:
                of_types[types] = np.zeros(logits.shape[1], bool)
                of_types[types][[tag for kind in types for tag in self._tags[kind]]] = True
            first, last = np.searchsorted(pieces.starts, start), np.searchsorted(pieces.ends, end, side="right")
            is_raised[first:last] |= of_types[types]
        if not of_types:
            return logits
        is_raised &= (pieces.starts < pieces.ends)[:, np.newaxis]
        gains = np.zeros_like(logits)
        gains[is_raised] = _GAIN
        return logits + gains
