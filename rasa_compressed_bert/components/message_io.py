"""Conversion of Rasa's messages to examples, and of predictions to properties of Rasa's messages."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Collection, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from rasa.nlu.constants import (
    DENSE_FEATURIZABLE_ATTRIBUTES,
    ENTITY_ATTRIBUTE_CONFIDENCE_GROUP,
    ENTITY_ATTRIBUTE_CONFIDENCE_ROLE,
    ENTITY_ATTRIBUTE_CONFIDENCE_TYPE,
    TOKENS_NAMES,
)
from rasa.nlu.tokenizers.tokenizer import Token
from rasa.shared.nlu.constants import (
    ENTITIES,
    ENTITY_ATTRIBUTE_END,
    ENTITY_ATTRIBUTE_GROUP,
    ENTITY_ATTRIBUTE_ROLE,
    ENTITY_ATTRIBUTE_START,
    ENTITY_ATTRIBUTE_TYPE,
    ENTITY_ATTRIBUTE_VALUE,
    EXTRACTOR,
    INTENT,
    INTENT_NAME_KEY,
    INTENT_RANKING_KEY,
    INTENT_RESPONSE_KEY,
    PREDICTED_CONFIDENCE_KEY,
    TEXT,
)
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components.config_io import ComponentError
from rasa_compressed_bert.data.entities import EntitySpan, position, without_blanks
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.warnings import quoted, warn_of_annotations_for_others, warn_of_faulty_annotations
from rasa_compressed_bert.data.words import word_bounds
from rasa_compressed_bert.runtime import decoders
from rasa_compressed_bert.runtime.message_predictor import FoundEntity, Pieces, Prediction
from rasa_compressed_bert.runtime.word_featurizer import JOINED


def intent_examples(training_data: TrainingData) -> List[Example]:
    """Every NLU example that has a text and an intent, with the response of a retrieval intent."""
    return [
        Example(message.get(TEXT), message.get(INTENT), response=message.get(INTENT_RESPONSE_KEY))
        for message in training_data.intent_examples
        if (message.get(TEXT) or "").strip()
    ]


def entity_examples(training_data: TrainingData, *, extractor: str, pipeline: Collection[str] = ()) -> List[Example]:
    """Every NLU example that has a text, with its intent, and without entities that are for another extractor.

    Warns of annotations that cannot be learnt, and of those for extractors that are not trained in this pipeline.
    Messages with entities but without an intent are not included: Rasa takes them for parts of stories.

    Args:
        training_data: Rasa's training data.
        extractor: name of the component; annotations for another one (`"extractor": "CRFEntityExtractor"`) are skipped.
        pipeline: names of the other components that are trained.
    """
    examples, problems = [], []
    others: Counter[str] = Counter()
    for message in training_data.nlu_examples:
        text = message.get(TEXT) or ""
        if not text.strip():
            continue
        entities = message.get(ENTITIES, [])
        named = [entity[EXTRACTOR] if entity.get(EXTRACTOR) not in (None, "") else extractor for entity in entities]
        own = [entity for entity, name in zip(entities, named) if name == extractor]
        others.update(str(name) for name in named if name != extractor)  # JSON may have any value
        spans, wrong = _spans(text, own)
        response = message.get(INTENT_RESPONSE_KEY)
        examples.append(Example(text, message.get(INTENT), tuple(spans), response=response))
        problems += [f"{quoted(text)}: {problem}" for problem in wrong]
    warn_of_faulty_annotations(problems, component=extractor)
    absent = {name: count for name, count in others.items() if name not in pipeline}
    warn_of_annotations_for_others(absent, component=extractor)
    return examples


def _spans(text: str, entities: Sequence[Dict[str, Any]]) -> Tuple[List[EntitySpan], List[str]]:
    """The valid annotations of a text, without surrounding whitespace, and the problems of the invalid ones.

    Of two that overlap, the one that begins first is kept, or the longer one if both begin at the same position.
    """
    found: List[EntitySpan] = []
    problems = []
    for entity in entities:
        start, end = (position(entity.get(name)) for name in (ENTITY_ATTRIBUTE_START, ENTITY_ATTRIBUTE_END))
        kind, role, group = (
            entity.get(name) for name in (ENTITY_ATTRIBUTE_TYPE, ENTITY_ATTRIBUTE_ROLE, ENTITY_ATTRIBUTE_GROUP)
        )
        if start is None or end is None:
            problems.append("an entity has no start or no end that is a whole number")
        elif not 0 <= start <= end <= len(text):
            problems.append(f"the entity from {start} to {end} lies outside of its {len(text)} characters")
        elif not text[start:end].strip():
            problems.append(f"the entity from {start} to {end} is empty")
        elif not kind:
            problems.append(f"{quoted(text[start:end])} has no entity type")
        else:
            found.append(without_blanks(EntitySpan(start, end, kind, role or None, group or None), text))
    found.sort(key=lambda span: (span.start, -span.end))
    spans: List[EntitySpan] = []
    for span in found:
        if spans and span.start < spans[-1].end:
            one, other = (quoted(text[part.start : part.end]) for part in (spans[-1], span))
            problems.append(f"{other} overlaps {one}")
        else:
            spans.append(span)
    return spans, problems


def require_json(messages: Iterable[Message]) -> None:
    """Checks that a server can send messages as JSON.

    Raises:
        ValueError: if one contains a NaN or an infinity, which JSON does not have.
        TypeError: if one contains objects that JSON does not have.
    """
    for message in messages:
        json.dumps(message.as_dict(only_output_properties=True), allow_nan=False)


def words_to_featurize(messages: Iterable[Message]) -> Iterator[Tuple[Message, str, List[str]]]:
    """Every message with words in its text, response or action text, the name of that attribute, and the words.

    Tokenizers split an empty text into one empty word. It is kept, as some classifiers fail on messages without
    features.

    Raises:
        ComponentError: if a text has not been tokenized.
    """
    for message in messages:
        for attribute in DENSE_FEATURIZABLE_ATTRIBUTES:
            text, tokens = message.get(attribute), message.get(TOKENS_NAMES[attribute])
            if text and tokens is None:
                raise ComponentError(
                    f"The message {quoted(text)} has no words. Put a tokenizer, such as WhitespaceTokenizer, before "
                    "QuantizedBertFeaturizer in the pipeline."
                )
            if tokens:
                yield message, attribute, words_of(tokens)


def words_of(tokens: Sequence[Token]) -> List[str]:
    """The texts of words, with the prefix `JOINED` if there is no space between a word and the one before it."""
    joined = [False, *(one.end == other.start for one, other in zip(tokens, tokens[1:]))]
    return [JOINED + token.text if is_joined else token.text for token, is_joined in zip(tokens, joined)]


def add_entities(message: Message, entities: Sequence[FoundEntity], *, extractor: str) -> None:
    """Adds entities to those that other extractors found, as Rasa's own extractors do.

    Args:
        message: the message; its property `entities` is set.
        entities: the entities of its text.
        extractor: name of the component.
    """
    found = []
    for start, end, label, confidence in entities:
        entity = {
            ENTITY_ATTRIBUTE_TYPE: label.entity,
            ENTITY_ATTRIBUTE_START: start,
            ENTITY_ATTRIBUTE_END: end,
            ENTITY_ATTRIBUTE_CONFIDENCE_TYPE: confidence,
        }
        if label.role is not None:
            entity.update({ENTITY_ATTRIBUTE_ROLE: label.role, ENTITY_ATTRIBUTE_CONFIDENCE_ROLE: confidence})
        if label.group is not None:
            entity.update({ENTITY_ATTRIBUTE_GROUP: label.group, ENTITY_ATTRIBUTE_CONFIDENCE_GROUP: confidence})
        found.append({**entity, ENTITY_ATTRIBUTE_VALUE: message.get(TEXT)[start:end], EXTRACTOR: extractor})
    message.set(ENTITIES, [*message.get(ENTITIES, []), *found], add_to_output=True)


def add_words(message: Message, pieces: Optional[Pieces]) -> None:
    """Sets the words of a message that no tokenizer has split, as `rasa test nlu` compares entities word by word.

    Args:
        message: the message; Rasa's tokens of its text are set, unless it has some.
        pieces: its wordpieces, if there are any; without them, the first words are found by its characters.
    """
    text = message.get(TEXT)
    if text and message.get(TOKENS_NAMES[TEXT]) is None:
        bounds = word_bounds(text) if pieces is None else pieces.words
        words = [Token(text[start:end], start, end) for start, end in bounds]
        if words:
            message.set(TOKENS_NAMES[TEXT], words)


def set_intent(message: Message, ranking: Sequence[Tuple[str, float]], *, ranking_length: int) -> None:
    """Writes the intent and the ranking as Rasa's own classifiers do; an empty ranking means no intent.

    Args:
        message: the message; its properties `intent` and `intent_ranking` are set.
        ranking: intents and confidences, best first.
        ranking_length: maximum number of intents in the ranking; 0 for all.
    """
    listed = ranking[: ranking_length or None]
    entries = [{INTENT_NAME_KEY: name, PREDICTED_CONFIDENCE_KEY: confidence} for name, confidence in listed]
    best = dict(entries[0]) if entries else {INTENT_NAME_KEY: None, PREDICTED_CONFIDENCE_KEY: 0.0}  # Rasa adds to it
    message.set(INTENT, best, add_to_output=True)
    message.set(INTENT_RANKING_KEY, entries, add_to_output=True)


def add_others(message: Message, prediction: Prediction) -> None:
    """Adds the predictions of heads of other packages, under the names of the heads."""
    for name, value in prediction.found.items():
        if name not in (decoders.INTENTS, decoders.ENTITIES, decoders.RESPONSES, decoders.ANSWERS):
            message.set(name, value, add_to_output=True)
