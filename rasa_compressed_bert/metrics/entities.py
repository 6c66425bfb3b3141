"""How right entities are."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Set, Tuple

from rasa_compressed_bert.data.entities import EntitySpan


def entity_f1(expected: Sequence[Sequence[EntitySpan]], predicted: Sequence[Sequence[Any]]) -> Optional[float]:
    """Micro F1 of the entities of all messages, as a share: 2 * right / (expected + predicted).

    A prediction is right if start, end and type are, and role and group where the test data has them. What several
    extractors agree on counts once.

    Args:
        expected: of each message.
        predicted: of each message, with the fields of `EntitySpan` in their order.

    Returns:
        None where there is nothing to compare: no entity in the test data.
    """
    gold, found = _numbered(expected), set()
    annotated = {span[:4]: span[4:] for span in gold}
    for span in _numbered(predicted):
        wanted = annotated.get(span[:4], (None, None))
        found.add((*span[:4], *(value if want else None for want, value in zip(wanted, span[4:]))))
    return 2 * len(gold & found) / (len(gold) + len(found)) if gold else None


def _numbered(messages: Sequence[Sequence[Any]]) -> Set[Tuple[Any, ...]]:
    """Each span once, after the number of its message."""
    return {(index, *span) for index, spans in enumerate(messages) for span in spans}
