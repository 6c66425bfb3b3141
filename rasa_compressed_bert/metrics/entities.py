"""F1 of entities."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Set, Tuple

from rasa_compressed_bert.data.entities import EntitySpan


class EntityCounts(NamedTuple):
    """Numbers of entities that are annotated, of those that are found, and of those that are both."""

    annotated: int
    found: int
    right: int

    @property
    def mistakes(self) -> int:
        """Number of entities that are missed, and of those that are found and not annotated."""
        return self.annotated + self.found - 2 * self.right

    @property
    def f1(self) -> float:
        """2 * right / (annotated + found)."""
        return 2 * self.right / (self.annotated + self.found)


def entity_f1(expected: Sequence[Sequence[EntitySpan]], predicted: Sequence[Sequence[Any]]) -> Optional[float]:
    """Micro F1 of the entities of all messages, as a share, or None if no entity is annotated; see `entity_counts`."""
    counts = entity_counts(expected, predicted)
    return counts.f1 if counts.annotated else None


def entity_counts(expected: Sequence[Sequence[EntitySpan]], predicted: Sequence[Sequence[Any]]) -> EntityCounts:
    """Counts the entities of all messages.

    A prediction is right if start, end and type are right, and role and group if the test data has them. An entity that
    several extractors find counts once.

    Args:
        expected: annotated entities of each message.
        predicted: predicted entities of each message, with the fields of `EntitySpan` in their order.
    """
    gold = set(_numbered(expected))
    found = set(_without_unknown(_numbered(predicted), gold))
    return EntityCounts(len(gold), len(found), len(gold & found))


def are_right(expected: Sequence[Sequence[EntitySpan]], predicted: Sequence[Sequence[Any]]) -> List[bool]:
    """Whether each predicted entity is right, for those of all messages in their order; see `entity_counts`."""
    gold = set(_numbered(expected))
    return [span in gold for span in _without_unknown(_numbered(predicted), gold)]


def _numbered(messages: Sequence[Sequence[Any]]) -> List[Tuple[Any, ...]]:
    """The spans, each preceded by the index of its message."""
    return [(index, *span) for index, spans in enumerate(messages) for span in spans]


def _without_unknown(predicted: Sequence[Tuple[Any, ...]], gold: Set[Tuple[Any, ...]]) -> List[Tuple[Any, ...]]:
    """The predicted spans, without the role or group if the test data has none."""
    annotated = {span[:4]: span[4:] for span in gold}
    return [
        (*span[:4], *(value if want else None for want, value in zip(annotated.get(span[:4], (None, None)), span[4:])))
        for span in predicted
    ]
