"""How often the tags of adjacent words follow each other in training messages, and the scores of transitions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Iterable, List, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import TagScheme

_LARGEST_COUNT = 2**53  # the sum of larger ones may be infinite
_WEIGHT = 0.3  # of 0.1 to 0.7, the best on average for five models of 300 to 800 messages


@dataclass(frozen=True)
class TagTransitions:
    """The number of times that a BILOU tag is followed by another one.

    Attributes:
        counts: previous tag, next tag and their number, sorted; the tag after the last one is the edge of a message.
    """

    counts: Tuple[Tuple[int, int, int], ...] = ()

    @classmethod
    def of(cls, messages: Iterable[Sequence[int]], scheme: TagScheme) -> TagTransitions:
        """Counts the transitions of messages.

        Args:
            messages: BILOU tags of the words of each message, see `TagScheme.tags_of_words`.
            scheme: the scheme of the tags.
        """
        edge = scheme.num_word_tags
        found: Counter[Tuple[int, int]] = Counter()
        for tags in messages:
            found.update(zip([edge, *tags], [*tags, edge]))
        return cls(tuple(sorted((*pair, count) for pair, count in found.items())))

    def to_list(self) -> List[List[int]]:
        """As JSON values."""
        return [list(row) for row in self.counts]

    @classmethod
    def from_list(cls, values: Sequence[Sequence[int]], scheme: TagScheme) -> TagTransitions:
        """The inverse of `to_list`.

        Raises:
            ValueError: if there are other tags than those of the scheme, or if a count is not positive or too large.
        """
        last = scheme.num_word_tags
        for row in values:
            possible = len(row) == 3 and all(isinstance(value, int) for value in row)
            if not possible or not 0 <= min(row[:2]) <= max(row[:2]) <= last or not 1 <= row[2] <= _LARGEST_COUNT:
                raise ValueError(f"not a count of a transition: {row}")
        return cls(tuple((row[0], row[1], row[2]) for row in values))

    def scores(self, scheme: TagScheme) -> np.ndarray:
        """`0.3 log(P(next | previous) / P(next))`, minus infinity where no valid sequence has the transition.

        The logarithm is the pointwise mutual information of adjacent tags (Church and Hanks 1990). Before a probability
        is computed, one transition, to each tag as often as after all tags, is added to those after each tag.

        Args:
            scheme: the scheme of the tags.

        Returns:
            Scores by previous and next tag, `(4 L + 2, 4 L + 2)`; the last row and column are those of the edge of a
            message.
        """
        valid = scheme.valid_transitions()
        counts = np.zeros(valid.shape)
        for previous, following, count in self.counts:
            counts[previous, following] = count
        share = (counts.sum(axis=0) + 1.0) / (counts.sum() + len(counts))
        ratios = (counts + share) / (counts.sum(axis=1, keepdims=True) + 1.0) / share
        return np.where(valid, _WEIGHT * np.log(ratios), -np.inf)
