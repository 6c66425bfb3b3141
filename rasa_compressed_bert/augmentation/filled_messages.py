"""Training messages whose entities are replaced by listed values, to learn lookup tables and synonyms."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.data.words import normalised

logger = logging.getLogger(__name__)
SHARE = 1.0
"""Maximum number of synthetic messages per training message."""
_PER_VALUE = 10


class Filled(NamedTuple):
    """A synthetic message, with entities and without an intent.

    Attributes:
        example: the message.
        source: index of the message that it was made from.
        value: the type and the text of the value.
        synonym: the normalised value, if that is a synonym and in no lookup table.
    """

    example: Example
    source: int
    value: Tuple[str, str]
    synonym: Optional[str] = None


def filled_messages(
    examples: Sequence[Example],
    values: Mapping[str, Sequence[str]],
    known: KnownValues,
    *,
    share: float = SHARE,
    seed: int,
) -> List[Filled]:
    """Copies of training messages in which one entity has a listed value.

    There are at most `share` times as many as training messages, evenly distributed over the entity types, the values
    of a type and the messages with an entity of it, so that training takes no longer with more values.

    Args:
        examples: the training messages; those without annotated entities are not used.
        values: the values that can be learnt, by type, in random order; see `usable_values`.
        known: lookup tables and synonyms, of which they are.
        share: maximum ratio of synthetic messages to training messages.
        seed: random seed.
    """
    rng = np.random.default_rng(seed)
    places: Dict[str, List[Tuple[int, int]]] = defaultdict(list)  # indices of a message and of its entity, by type
    for source, example in enumerate(examples):
        for position, span in enumerate(example.entities):
            places[span.entity].append((source, position))
    filled: List[Filled] = []
    seen = {example.text for example in examples}
    for kind, count in _counts(values, round(share * len(examples))).items():
        listed = {normalised(value) for value in known.lookups.get(kind, ())} if known.synonyms else set()
        order = [places[kind][place] for place in rng.permutation(len(places[kind]))]
        for number in range(count):
            source, position = order[(number + number // len(order)) % len(order)]  # other pairs in each round
            value = values[kind][number % len(values[kind])]
            made = _with_value(examples[source], position, value)
            if made.text not in seen:
                seen.add(made.text)
                form = normalised(value)
                synonym = form if known.synonyms and form not in listed else None
                filled.append(Filled(made, source, (kind, value), synonym))
    _log(values, filled)
    return filled


def _counts(values: Mapping[str, Sequence[str]], total: int) -> Dict[str, int]:
    """The number of messages of each type: equal shares of `total`; types with few values leave some to the others."""
    counts = {}
    for left, kind in enumerate(sorted(values, key=lambda name: len(values[name])), start=-len(values)):
        counts[kind] = min(total // -left, _PER_VALUE * len(values[kind]))
        total -= counts[kind]
    return counts


def _with_value(example: Example, position: int, value: str) -> Example:
    """A message with one of its entities replaced by a value, and the entities after it shifted."""
    replaced = example.entities[position]
    moved = len(value) - (replaced.end - replaced.start)
    spans = []
    for span in example.entities:
        if span is replaced:
            spans.append(span._replace(end=span.end + moved))
        elif span.start >= replaced.end:
            spans.append(span._replace(start=span.start + moved, end=span.end + moved))
        else:
            spans.append(span)
    text = example.text[: replaced.start] + value + example.text[replaced.end :]
    return replace(example, text=text, intent=None, entities=tuple(spans))


def _log(values: Mapping[str, Sequence[str]], filled: Sequence[Filled]) -> None:
    listed = ", ".join(f"{len(own)} of {kind}" for kind, own in sorted(values.items()))
    if listed:
        logger.info(
            f"Values of lookup tables and synonyms that can be learnt: {listed}; "
            f"{counted(len(filled), 'synthetic message has', 'synthetic messages have')} such values."
        )
