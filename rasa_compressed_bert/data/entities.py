"""Entities of a message, and the tags of its wordpieces that encode them.

With BILOU (Ratinov and Roth 2009) a tag marks whether a wordpiece begins (B), continues (I) or ends (L) an entity, or
is one by itself (U); without it, two adjacent entities with the same label become one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

COMMA = re.compile(r"(?:(?<!\s)\s+)?,\s+")
"""The separator of the items of a list: a comma followed by whitespace, unlike that in 1,000.

A match of whitespace starts only at its first character, so that the time is linear in the length of a blank message.
"""
OUTSIDE = 0  # the tag of wordpieces outside of entities
MOST_LABELS = 1000
"""The largest number of labels: scores of transitions have 16 numbers for each pair, 130 MB for 1,000 labels."""
_B, _I, _L, _U = range(4)
_NEGLIGIBLE = 6.0  # a label is not considered if its scores are lower by this than the best one of every word
_MOST_LIKELY = 100  # labels that are considered; time is quadratic: with 1,000, 126 words take 16 seconds


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


def position(value: Any) -> Optional[int]:
    """A position in a text, which JSON may have as 7.0; None if it is not a whole number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def without_blanks(span: EntitySpan, text: str) -> EntitySpan:
    """An annotation without whitespace at its ends, as it is learnt and scored.

    It is unchanged if it has nothing else, or if it lies outside of the text.
    """
    inside = text[span.start : span.end]
    if not inside.strip() or not 0 <= span.start <= span.end <= len(text):
        return span
    start = span.start + len(inside) - len(inside.lstrip())
    return span._replace(start=start, end=start + len(inside.strip()))


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
            ValueError: if a label is invalid, or if there are more than `MOST_LABELS`.
        """
        if len(values["labels"]) > MOST_LABELS:
            raise ValueError(f"there are {len(values['labels'])} labels of entities")
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

    @property
    def num_word_tags(self) -> int:
        """`1 + 4 L`: the number of tags of words, which are BILOU in each scheme."""
        return 1 + 4 * len(self.labels)

    def tags_of_words(self, spans: Iterable[TagSpan], starts: np.ndarray) -> np.ndarray:
        """The BILOU tags of words.  # (n,) int32

        Args:
            spans: entities, as wordpieces.
            starts: the first wordpiece of each word, `(n,)`.
        """
        words = [
            TagSpan(int(np.searchsorted(starts, first, "right")) - 1, int(np.searchsorted(starts, end)), label)
            for first, end, label in spans
        ]
        return TagScheme(self.labels).tags(words, len(starts))

    def valid_transitions(self) -> np.ndarray:
        """Which BILOU tag can follow which, and begin and end a message.  # (4 L + 2, 4 L + 2) bool"""
        tags = np.append(np.arange(self.num_word_tags), OUTSIDE)  # the edge of a message is like a tag outside
        labels, (opened, entered) = (tags - 1) // 4, _opened_and_entered(tags)
        same = labels[:, np.newaxis] == labels
        return (opened[:, np.newaxis] == entered) & (~opened[:, np.newaxis] | same)

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

    def viterbi_decode(
        self, scores: np.ndarray, transitions: np.ndarray, continues: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """The best tags, if they are a valid sequence; otherwise the valid one with the best sum (Viterbi 1967).

        Args:
            scores: scores of the tags of each wordpiece, such as logits, `(T, K)`.
            transitions: scores of transitions between the tags of words, see `TagTransitions.scores`.
            continues: for which wordpieces both they and the previous one are in the same entity, or neither is in
                any, `(T,)`; None if an entity may begin and end anywhere.

        Returns:
            Tags `(T,)`.
        """
        best = scores.argmax(axis=1)
        if self._is_valid(best, continues):
            return best
        starts = word_starts(len(scores), continues)
        tags = _best_path(*self._likely(self._word_scores(scores, starts), transitions))
        ends = [*starts[1:], len(scores)]
        words = TagScheme(self.labels).spans(tags)
        return self.tags([TagSpan(starts[span.first], ends[span.end - 1], span.label) for span in words], len(scores))

    def _is_valid(self, tags: np.ndarray, continues: Optional[np.ndarray]) -> bool:
        if not tags.any():
            return True
        if not self.bilou:
            return continues is None or bool((tags[1:] == tags[:-1])[continues[1:]].all())
        labels, some, (opened, entered) = (tags - 1) // 4, tags != OUTSIDE, _opened_and_entered(tags)
        if entered[0] or opened[-1] or (opened[:-1] != entered[1:]).any():
            return False
        if (labels[1:] != labels[:-1])[entered[1:]].any():
            return False
        return continues is None or bool((entered[1:] | ~(some[1:] | some[:-1]))[continues[1:]].all())

    def _word_scores(self, scores: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The scores of the BILOU tags of words, sums over their wordpieces.  # (n, 4 L + 1)"""
        outside = np.add.reduceat(scores[:, OUTSIDE], starts)[:, np.newaxis]
        if not self.bilou:
            return np.hstack([outside, np.repeat(np.add.reduceat(scores[:, 1:], starts), 4, axis=1)])
        begin, inside, last, unit = (scores[:, 1 + part :: 4] for part in range(4))
        ends = np.append(starts[1:], len(scores)) - 1
        whole = np.add.reduceat(inside, starts)  # I I I
        from_begin, to_last = begin[starts] - inside[starts], last[ends] - inside[ends]
        single = (starts == ends)[:, np.newaxis]
        alone = np.where(single, unit[starts], whole + from_begin + to_last)
        parts = np.stack([whole + from_begin, whole, whole + to_last, alone], axis=2)  # (n, L, 4)
        return np.hstack([outside, parts.reshape(len(starts), -1)])

    def _likely(self, scores: np.ndarray, transitions: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The tags of the most likely labels, and the scores of these tags and their transitions."""
        below = scores[:, 1:] - scores.max(axis=1, keepdims=True)
        nearest = below.max(axis=0).reshape(-1, 4).max(axis=1)  # to the best tag of a word, (L,)
        labels = np.sort(np.argsort(-nearest, kind="stable")[:_MOST_LIKELY])
        labels = labels[nearest[labels] > -_NEGLIGIBLE]
        tags = np.concatenate([[OUTSIDE], (1 + 4 * labels[:, np.newaxis] + np.arange(4)).ravel()])
        both = np.append(tags, self.num_word_tags)
        return tags, scores[:, tags], transitions[np.ix_(both, both)]


def _opened_and_entered(tags: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Whether the entity of each BILOU tag continues after it, and whether it began before it.  # (T,) bool each"""
    parts, some = (tags - 1) % 4, tags != OUTSIDE
    return some & (parts <= _I), some & (parts >= _I) & (parts <= _L)


def word_starts(length: int, continues: Optional[np.ndarray]) -> np.ndarray:
    """The first wordpiece of each word; of each wordpiece, if an entity may begin anywhere.  # (n,)"""
    return np.arange(length) if continues is None else np.flatnonzero(~continues)


def _best_path(tags: np.ndarray, scores: np.ndarray, transitions: np.ndarray) -> List[int]:
    """The tags with the largest sum of their scores and those of their transitions.

    Args:
        tags: possible tags, `(K,)`.
        scores: their scores for each word, `(n, K)`.
        transitions: by previous and next tag; the last row and column are those of the edge, `(K + 1, K + 1)`.
    """
    inner, place = transitions[:-1, :-1], np.arange(len(tags))
    total = scores[0] + transitions[-1, :-1]
    previous: List[np.ndarray] = []
    for own in scores[1:]:
        paths = total[:, np.newaxis] + inner
        best = paths.argmax(axis=0)
        previous.append(best)
        total = paths[best, place] + own
    path = [int((total + transitions[:-1, -1]).argmax())]
    for best in reversed(previous):
        path.append(int(best[path[-1]]))
    return [int(tags[state]) for state in reversed(path)]
