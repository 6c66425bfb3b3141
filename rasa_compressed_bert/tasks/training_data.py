"""Checks of training data: warnings, and annotations that begin or end within words."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Sequence, Tuple

from rasa_compressed_bert.artifact.artifact import LONGEST_MESSAGE
from rasa_compressed_bert.config import ComponentConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.warnings import (
    Moved,
    warn_of_contradictions,
    warn_of_moved_annotations,
    warn_of_vocabulary,
)
from rasa_compressed_bert.tokenization.pieces import whole_words
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, unknown_id


def warn_of_data(examples: Sequence[Example], config: ComponentConfig, *, tokenizer: str) -> None:
    """Warns of everything suspicious in the training data of a component.

    Args:
        examples: the labelled messages.
        config: the options.
        tokenizer: the `tokenizers` library's JSON.
    """
    if config.learns_intents:
        warn_of_contradictions(examples)
    known = list(examples)
    if not config.response_selection:
        known = [replace(example, response=None) for example in known]
    if not config.learns_intents:
        known = [replace(example, intent=None) for example in known]
    warn_of_words(known, config, tokenizer=tokenizer)
    if config.learns_entities:
        _, moved = with_whole_words(examples, tokenizer)
        warn_of_moved_annotations(moved, sum(len(example.entities) for example in examples))


def warn_of_words(examples: Sequence[Example], config: ComponentConfig, *, tokenizer: str) -> None:
    """Warns of messages with unknown wordpieces, and of messages of different intents with the same wordpieces.

    Wordpieces beyond the option `max_length` count, since another warning is about messages that are truncated.

    Args:
        examples: the messages.
        config: the options.
        tokenizer: the `tokenizers` library's JSON.
    """
    pieces = WordpieceTokenizer(tokenizer, LONGEST_MESSAGE)
    wordpieces = [pieces.encode(example.text).tolist() for example in examples]
    warn_of_vocabulary(
        examples,
        wordpieces,
        unknown=unknown_id(tokenizer),
        option=config.weights_option,
        weights=config.weights_to_start_from,
    )


def with_whole_words(examples: Sequence[Example], tokenizer: str) -> Tuple[List[Example], List[Moved]]:
    """The examples without annotations that seem to be inside of a word by mistake, and what was moved.

    Args:
        examples: the labelled messages.
        tokenizer: the `tokenizers` library's JSON.
    """
    texts, entities = [example.text for example in examples], [example.entities for example in examples]
    aligned = [
        replace(example, entities=spans) for example, spans in zip(examples, whole_words(texts, entities, tokenizer))
    ]
    moved = [
        Moved(one.text, before, after)
        for one, other in zip(examples, aligned)
        for before, after in zip(one.entities, other.entities)
        if before != after
    ]
    return aligned, moved
