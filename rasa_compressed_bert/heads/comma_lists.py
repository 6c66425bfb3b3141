"""Which entities end at a comma, so that the items of a list are entities of their own."""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

from rasa_compressed_bert.config import EntityConfig
from rasa_compressed_bert.data.entities import COMMA, EntityLabel, EntitySpan


def comma_separated(
    labels: Sequence[EntityLabel], texts: Sequence[str], entities: Sequence[Sequence[EntitySpan]], config: EntityConfig
) -> Tuple[str, ...]:
    """The types whose entities end at a comma; by default those whose annotations have no commas.

    Args:
        labels: labels of all entities.
        texts: texts of the messages.
        entities: entities of each message, as far as they are known.
        config: options with the switches of the types.
    """
    commas = {
        span.entity
        for text, spans in zip(texts, entities)
        for span in spans
        if COMMA.search(text, span.start, span.end)
    }
    types = sorted({label.entity for label in labels})
    return tuple(entity for entity in types if config.splits(entity, has_commas=entity in commas))


def still_separated(types: Sequence[str], values: Mapping[str, Sequence[str]], config: EntityConfig) -> Tuple[str, ...]:
    """The types whose entities end at a comma even if known values are learnt besides the annotated ones.

    Types with a comma in a known value are left out, except for those with a switch of their own.

    Args:
        types: types whose annotated entities end at a comma.
        values: values of lookup tables and synonyms that are learnt, by type.
        config: options with the switches of the types.
    """
    commas = {entity for entity in types if any(map(COMMA.search, values.get(entity, ())))}
    return tuple(entity for entity in types if config.splits(entity, has_commas=entity in commas))
