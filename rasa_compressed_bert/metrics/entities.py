"""F1 of entities."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Set, Tuple

from rasa_compressed_bert.data.entities import EntitySpan


def entity_f1(expected: Sequence[Sequence[EntitySpan]], predicted: Sequence[Sequence[Any]]) -> Optional[float]:
    """Micro F1 of the entities of all messages, as a share: 2 * right / (expected + predicted).

    A prediction is right if start, end and type are right, and role and group if the test data has them. An entity that
    several extractors find counts once.

    Args:
        expected: annotated entities of each message.
        predicted: predicted entities of each message, with the fields of `EntitySpan` in their order.

    Returns:
        F1, or None if the test data has no entities.
    """
    gold, found = _numbered(expected), set()
    annotated = {span[:4]: span[4:] for span in gold}
    for span in _numbered(predicted):
        wanted = annotated.get(span[:4], (None, None))
        found.add((*span[:4], *(value if want else None for want, value in zip(wanted, span[4:]))))
    return 2 * len(gold & found) / (len(gold) + len(found)) if gold else None


def _numbered(messages: Sequence[Sequence[Any]]) -> Set[Tuple[Any, ...]]:
    """The distinct spans, each preceded by the index of its message."""
    return {(index, *span) for index, spans in enumerate(messages) for span in spans}
