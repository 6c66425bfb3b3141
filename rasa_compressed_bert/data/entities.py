"""Entities of a message, and the tags of its wordpieces that encode them.

With BILOU (Ratinov and Roth 2009) a tag marks whether a wordpiece begins (B), continues (I) or ends (L) an entity, or
is one by itself (U); without it, two adjacent entities with the same label become one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

COMMA = re.compile(r"(?:(?<!\s)\s+)?,\s+")
"""The separator of the items of a list: a comma followed by whitespace, unlike that in 1,000.

A match of whitespace starts only at its first character, so that the time is linear in the length of a blank message.
"""
OUTSIDE = 0  # the tag of wordpieces outside of entities
_B, _I, _L, _U = range(4)


class EntityLabel(NamedTuple):
    """The label of an entity: its type and, if it has any, its role and group."""

    entity: str
    role: Optional[str] = None
    group: Optional[str] = None


class EntitySpan(NamedTuple):
    """The start and end of an entity in its text, its type and, if it has any, its role and group."""

    start: int
    end: int
    entity: str
    role: Optional[str] = None
    group: Optional[str] = None

    @property
    def label(self) -> EntityLabel:
        """The label without the position."""
        return EntityLabel(*self[2:])


class TagSpan(NamedTuple):
    """Wordpieces from `first` up to, but not including, `end`, and the index of their label."""

    first: int
    end: int
    label: int


def entity_labels(entities: Iterable[EntitySpan]) -> Tuple[EntityLabel, ...]:
    """The distinct labels of entities, sorted."""
    return tuple(sorted({span.label for span in entities}, key=lambda label: [part or "" for part in label]))


@dataclass(frozen=True)
class TagScheme:
    """The tags that encode entities with some labels.

    Attributes:
        labels: labels of the entities; tag 0 stands for none of them.
        bilou: whether begin, inside, end and unit have separate tags.
    """

    labels: Tuple[EntityLabel, ...]
    bilou: bool = True

    def to_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return {"labels": [list(label) for label in self.labels], "bilou": self.bilou}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TagScheme:
        """The inverse of `to_dict`.

        Raises:
            ValueError: if a label is invalid.
        """
        labels = tuple(EntityLabel(*label) for label in values["labels"])
        names = [label.entity for label in labels]
        names += [part for label in labels for part in (label.role, label.group) if part is not None]
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"not all of these are names: {labels}")
        return cls(labels, values["bilou"])

    @property
    def tags_per_label(self) -> int:
        """4 with BILOU and 1 without."""
        return 4 if self.bilou else 1

    @property
    def num_tags(self) -> int:
        """`K`: 1 + 4 L with BILOU and 1 + L without, for L labels."""
        return 1 + self.tags_per_label * len(self.labels)

    def tags(self, spans: Iterable[TagSpan], length: int) -> np.ndarray:
        """The tags of `length` wordpieces.  # (T,) int32"""
        tags = np.full(length, OUTSIDE, np.int32)
        for first, end, label in spans:
            if not self.bilou:
                tags[first:end] = 1 + label
            elif end - first == 1:
                tags[first] = 1 + 4 * label + _U
            else:
                tags[first:end] = 1 + 4 * label + _I
                tags[first], tags[end - 1] = 1 + 4 * label + _B, 1 + 4 * label + _L
        return tags

    def spans(self, tags: Union[Sequence[int], np.ndarray]) -> List[TagSpan]:
        """The inverse of `tags`, for a valid sequence, as `viterbi_decode` returns it."""
        spans: List[TagSpan] = []
        tags = np.asarray(tags).tolist()
        for position, tag in enumerate(tags):
            if tag == OUTSIDE:
                continue
            label, part = divmod(tag - 1, 4) if self.bilou else (tag - 1, _I)
            begins = part in (_B, _U) if self.bilou else position == 0 or tags[position - 1] != tag
            if begins:
                spans.append(TagSpan(position, position + 1, label))
            else:
                spans[-1] = spans[-1]._replace(end=position + 1)
        return spans

    def viterbi_decode(self, scores: np.ndarray, continues: Optional[np.ndarray] = None) -> np.ndarray:
        """The valid sequence of tags with the largest sum of scores (Viterbi 1967).  # (T,) int

        Args:
            scores: scores of the tags of each wordpiece, such as logits, `(T, K)`.
            continues: for which wordpieces both they and the previous one are in the same entity, or neither is in
                any, `(T,)`; None if an entity may begin and end anywhere.
        """
        best = scores.argmax(axis=1)
        if self._is_valid(best, continues):
            return best
        starts = np.arange(len(scores)) if continues is None else np.flatnonzero(~continues)
        units = self._best_units(*self._unit_scores(scores, starts))
        ends = [*starts[1:], len(scores)]
        return self.tags([TagSpan(starts[span.first], ends[span.end - 1], span.label) for span in units], len(scores))

    def _is_valid(self, tags: np.ndarray, continues: Optional[np.ndarray]) -> bool:
        if not tags.any():
            return True
        if not self.bilou:
            return continues is None or bool((tags[1:] == tags[:-1])[continues[1:]].all())
        labels, parts, some = (tags - 1) // 4, (tags - 1) % 4, tags != OUTSIDE
        opened = some & (parts <= _I)  # its entity continues after it
        entered = some & (parts >= _I) & (parts <= _L)  # its entity began before it
        if entered[0] or opened[-1] or (opened[:-1] != entered[1:]).any():
            return False
        if (labels[1:] != labels[:-1])[entered[1:]].any():
            return False
        return continues is None or bool((entered[1:] | ~(some[1:] | some[:-1]))[continues[1:]].all())

    def _unit_scores(self, scores: np.ndarray, starts: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Scores of words as units: of being outside (n,), and of B, I, L and U of each label (4, n, L)."""
        outside = np.add.reduceat(scores[:, OUTSIDE], starts)
        if not self.bilou:
            inside = np.add.reduceat(scores[:, 1:], starts)
            return outside, np.stack([inside] * 4)
        begin, inside, last, unit = (scores[:, 1 + part :: 4] for part in range(4))
        ends = np.append(starts[1:], len(scores)) - 1
        whole = np.add.reduceat(inside, starts)  # I I I
        from_begin, to_last = begin[starts] - inside[starts], last[ends] - inside[ends]
        single = (starts == ends)[:, np.newaxis]
        return outside, np.stack(
            [whole + from_begin, whole, whole + to_last, np.where(single, unit[starts], whole + from_begin + to_last)]
        )

    def _best_units(self, outside: np.ndarray, scores: np.ndarray) -> List[TagSpan]:
        """The best-scoring entities, as spans of word indices.

        An entity from word `i` to word `j` scores `begin_i + sum of inside_k + last_j`; the sum over the words between
        them is a difference of cumulative sums, so that all first words and labels are compared at once.
        """
        begin, inside, last, unit = scores.astype(np.float64)  # (n, L) each
        n, count = begin.shape
        before = np.cumsum(inside, axis=0) - inside  # sum over the words before each one
        opening, closing = begin - inside - before, last + before
        best_units = unit.argmax(axis=1).tolist()
        free = np.zeros(n + 1)  # the best score of all words before each one
        back: List[Tuple[int, int]] = []  # (first word, label) of an entity that ends at a word, or (-1, -1)
        for word in range(n):
            choices = [(free[word] + outside[word], (-1, -1))]
            choices.append((free[word] + unit[word, best_units[word]], (word, best_units[word])))
            if word:
                longer = opening[:word] + closing[word]  # (i, L)
                longer += free[:word, np.newaxis]
                first, label = divmod(int(longer.argmax()), count)
                choices.append((longer[first, label], (first, label)))
            free[word + 1], entity = max(choices, key=itemgetter(0))
            back.append(entity)
        spans, word = [], n - 1
        while word >= 0:
            first, label = back[word]
            if first < 0:
                word -= 1
                continue
            spans.append(TagSpan(first, word + 1, label))
            word = first - 1
        return spans[::-1]
